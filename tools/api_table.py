#!/usr/bin/env python3
"""The table of served APIs in README.md, generated from broker/protocol/schema.

usage: api_table.py [--check]

Rewrites what stands between the two markers; --check only says (exit 1) whether it is out of date.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = '<!-- api table: tools/api_table.py -->', '<!-- end of api table -->'


def rows():
    for path in sorted((ROOT / 'broker/protocol/schema').glob('[0-9]*')):
        key, name, versions, *flexible = path.read_text(encoding='utf-8').split('\n', 1)[0].split()
        yield f'| {key} | {name} | {versions} | {flexible[1] if len(flexible) > 1 else "none"} |'


def main():
    readme = ROOT / 'README.md'
    text = readme.read_text(encoding='utf-8')
    table = '\n'.join([BEGIN, '| key | API | versions | flexible |', '|---|---|---|---|', *rows(), END])
    fresh = re.sub(re.escape(BEGIN) + '.*?' + re.escape(END), lambda _: table, text, flags=re.S)
    if '--check' in sys.argv[1:]:
        if fresh != text or BEGIN not in text:
            sys.exit('README.md: the API table is out of date; run tools/api_table.py')
        return
    readme.write_text(fresh, encoding='utf-8')


if __name__ == '__main__':
    main()
