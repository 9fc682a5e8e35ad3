#!/usr/bin/env python3
"""Makes a source that breaks a rule of one that keeps it: a mutant that the tests have to find out.

usage: mutate.py SOURCE OUTPUT (OLD NEW)...

Each OLD has to be in the source exactly once; white space may differ."""
import re
import sys


def main():
    source, output, *changes = sys.argv[1:]
    with open(source, encoding='utf-8') as file:
        text = file.read()
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        pattern = r'\s+'.join(map(re.escape, old.split()))
        found = re.findall(pattern, text)
        if len(found) != 1:
            sys.exit(f'{source}: the mutation applies {len(found)} times: {old}')
        text = re.sub(pattern, lambda _, with_=new: with_, text)
    with open(output, 'w', encoding='utf-8') as file:
        file.write(text)


main()
