#!/usr/bin/env python3
"""The table of clients in README.md: what the last run of "tools/test clients" ran of which client and version.

usage: client_table.py [--check]

Rewrites the rows of the clients that were run, between the two markers; --check only says (exit 1) whether the table tells of
something that was not run, or leaves something out. There versions may differ, as some clients are whatever the system has.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPORT = ROOT / '.cache/results/clients.xml'
BEGIN, END = '<!-- client table: tools/client_table.py -->', '<!-- end of client table -->'
ORDER = ['records', 'codecs', 'big', 'times', 'group', 'kip848', 'transactions', 'pause', 'admin']


def place(what):
    return (ORDER.index(what) if what in ORDER else len(ORDER), what)


def ran():
    """Rows of client, version and what the tests that passed ran of it."""
    found = {}
    for case in xml.etree.ElementTree.parse(REPORT).iter('testcase'):
        if case.find('failure') is None and case.find('error') is None:
            for each in case.iter('property'):
                if each.get('name') == 'client':
                    client, version, *what = each.get('value').split('|')
                    found.setdefault((client, version), set()).update(what)
    return [(client, version, ', '.join(sorted(what, key=place))) for (client, version), what in found.items()]


def merged(listed, fresh):
    """The listed rows, those of clients in fresh replaced."""
    clients = {row[0] for row in fresh}
    return sorted([row for row in listed if row[0] not in clients] + fresh,
                  key=lambda row: (row[0].lower(), [int(number) for number in re.findall(r'\d+', row[1])]))


def main():
    readme = ROOT / 'README.md'
    text = readme.read_text(encoding='utf-8')
    head, _, rest = text.partition(BEGIN)
    table, _, tail = rest.partition(END)
    listed = [tuple(line.strip('| ').split(' | ')) for line in table.strip().splitlines()[2:]]
    fresh = ran()
    if '--check' in sys.argv[1:]:
        wrong = {(client, what) for client, _, what in fresh} ^ {(client, what) for client, _, what in listed}
        if wrong:
            sys.exit(f'README.md: the table of clients is not what was run; see tools/client_table.py: {sorted(wrong)}')
        return
    lines = ['| client | version | what was run |', '|---|---|---|', *(f'| {" | ".join(row)} |' for row in merged(listed, fresh))]
    readme.write_text('\n'.join([head + BEGIN, *lines, END + tail]), encoding='utf-8')


if __name__ == '__main__':
    main()
