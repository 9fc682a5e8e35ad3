#!/usr/bin/env python3
"""Checks who includes whom: a directory is a layer, and may include only what this table allows."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PUBLIC_STORAGE = ['storage/log.h', 'storage/batch.h', 'storage/compress.h', 'storage/checkpoint.h']
RULES = [  # the first match decides: (files, allowed prefixes of "..." includes)
    ('storage/base/', ['storage/base/']),
    ('storage/', ['storage/']),
    ('broker/protocol/', ['broker/protocol/', 'storage/base/']),
    ('broker/state/', ['broker/state/', 'broker/protocol/', 'broker/config.h', 'storage/base/', *PUBLIC_STORAGE]),
    ('broker/api/', ['broker/api/', 'broker/state/', 'broker/protocol/', 'broker/config.h', 'storage/base/']),
    ('broker/net/', ['broker/net/', 'broker/api/api.h', 'broker/api/call.h', 'broker/protocol/', 'broker/config.h',
                     'broker/state/state.h', 'storage/base/']),
    ('broker/commands/', ['broker/commands/', 'broker/state/', 'broker/config.h', 'storage/base/', 'storage/check.h', *PUBLIC_STORAGE]),
    ('broker/config', ['broker/config', 'storage/base/', 'storage/log.h', 'storage/compress.h']),
    ('broker/', ['broker/', 'storage/']),
]


def main():
    bad = checked = 0
    for path in sorted([*ROOT.glob('storage/**/*.[ch]'), *ROOT.glob('broker/**/*.[ch]')]):
        name = path.relative_to(ROOT).as_posix()
        allowed = next(prefixes for start, prefixes in RULES if name.startswith(start))
        for included in re.findall(r'^#include "([^"]+)"', path.read_text(encoding='utf-8'), re.M):
            checked += 1
            if not any(included.startswith(prefix) for prefix in allowed):
                print(f'{name} may not include {included}')
                bad += 1
    if not checked or bad:
        sys.exit(f'{bad} of {checked} includes break the layers')


if __name__ == '__main__':
    main()
