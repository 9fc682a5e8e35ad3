#!/usr/bin/env python3
"""Prints "passed failed skipped" of a JUnit report; a report that is missing or broken counts as one failure."""
import sys
import xml.etree.ElementTree as tree

try:
    cases = list(tree.parse(sys.argv[1]).getroot().iter('testcase'))
except (OSError, tree.ParseError):
    print('0 1 0')
    sys.exit()
failed = sum(1 for case in cases if case.find('failure') is not None or case.find('error') is not None)
skipped = sum(1 for case in cases if case.find('skipped') is not None or case.get('status') == 'SKIPPED')
print(len(cases) - failed - skipped, failed, skipped)
