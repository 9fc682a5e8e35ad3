#!/usr/bin/env python3
"""Turns the schema texts of broker/protocol/schema into C: structs, and constant tables for the codec.

usage: protogen.py OUT_H OUT_C SCHEMA...

A schema is one header line, then sections `request` and `response` (an API) or `body` (a record of an internal
topic) with one field a line, nested by two spaces:

    42 DeleteGroups 0-2 flexible 2+
    request
      groups_names    []string    0+
    record 2 TopicRecord 0-0 flexible 0+

    NAME TYPE VERSIONS [null VERSIONS] [tag N] [= DEFAULT]

TYPE is a primitive, or the name of the struct whose fields follow; [] makes an array. A struct that may be null
is a pointer in C; a tagged one without `= null` is empty by default, so that its null is written. The C name of a nested struct is message + name, with the parent's name between where that is
taken. A table also holds each
struct's smallest size on the wire, which bounds the count of an array.
"""
import re
import sys

PRIMITIVES = {  # type: (C type, smallest wire size)
    'bool': ('bool', 1), 'int8': ('int8_t', 1), 'int16': ('int16_t', 2), 'uint16': ('uint16_t', 2),
    'int32': ('int32_t', 4), 'uint32': ('uint32_t', 4), 'int64': ('int64_t', 8), 'float64': ('double', 8),
    'uuid': ('Uuid', 16), 'string': ('Str', 1), 'bytes': ('Str', 1), 'records': ('Records', 1),
}


def versions(text, top):
    match = re.fullmatch(r'(\d+)(?:(\+)|-(\d+))?', text)
    if not match:
        raise ValueError(f'bad versions {text!r}')
    low = int(match[1])
    return low, top if match[2] else int(match[3] or low)


class Field:
    def __init__(self, line, top):
        words = line.split()
        self.name, kind = words[0], words[1]
        self.array = kind.startswith('[]')
        self.type = kind[2:] if self.array else kind
        self.low, self.high = versions(words[2], top)
        self.null, self.tag, self.default, self.fields = None, None, None, []
        rest = words[3:]
        while rest:
            if rest[0] == 'null':
                self.null = versions(rest[1], top)
            elif rest[0] == 'tag':
                self.tag = int(rest[1])
            elif rest[0] == '=':
                self.default = rest[1]
            else:
                raise ValueError(f'bad word {rest[0]!r} in {line!r}')
            rest = rest[2:]

        if self.is_pointer and (self.default != 'null' and self.tag is None or self.null != (self.low, self.high)):
            raise ValueError(f'a struct that may be null is so in all its versions, and by default: {line!r}')

    @property
    def is_struct(self):
        return self.type not in PRIMITIVES

    @property
    def is_pointer(self):
        return self.is_struct and not self.array and self.null is not None


def parse_fields(lines, top):
    root, stack = [], []
    stack = [(0, root)]
    for line in lines:
        depth = (len(line) - len(line.lstrip())) // 2
        field = Field(line, top)
        while stack[-1][0] >= depth:
            stack.pop()
        if field.tag is not None and any(f.tag >= field.tag for f in stack[-1][1] if f.tag is not None):
            raise ValueError(f'tags are not in order: {line!r}')
        stack[-1][1].append(field)
        stack.append((depth, field.fields))
    return root


class Message:
    def __init__(self, name, key, low, high, flexible, fields):
        self.name, self.key, self.low, self.high, self.flexible = name, key, low, high, flexible
        self.fields, self.structs = fields, []
        taken = {}
        self.name_structs(fields, '', taken)
        self.structs.append((name, fields))

    def name_structs(self, fields, parent, taken):
        for field in fields:
            if not field.is_struct:
                continue
            name = self.name + field.type
            if name in taken:
                name = self.name + parent + field.type
            if name in taken:
                raise ValueError(f'{name} is taken')
            taken[name] = field.c_name = name
            self.name_structs(field.fields, field.type, taken)
            self.structs.append((name, field.fields))


def parse_schema(path):
    with open(path, encoding='utf-8') as file:
        lines = [l.rstrip() for l in file if l.strip() and not l.lstrip().startswith('#')]
    words = lines[0].split()
    is_record = words[0] == 'record'
    key, name, span, *flexible = words[1:] if is_record else words
    low, high = versions(span, 0)
    start = versions(flexible[1], high)[0] if flexible[0] == 'flexible' else 32767
    sections, current = {}, None
    for line in lines[1:]:
        if line.startswith(' '):
            sections[current].append(line)
        else:
            current = line
            sections[current] = []
    wanted = ['body'] if is_record else ['request', 'response']
    if list(sections) != wanted:
        raise ValueError(f'{path}: sections {list(sections)}, not {wanted}')
    return [Message(name + ('' if is_record else part.capitalize()), int(key), low, high, start,
                    parse_fields(body, high)) for part, body in sections.items()]


def wire_size(fields, version):
    total = 0
    for f in fields:
        if f.tag is not None or not f.low <= version <= f.high:
            continue
        if f.array or f.is_pointer:
            total += 1
        elif f.is_struct:
            total += wire_size(f.fields, version)
        else:
            total += PRIMITIVES[f.type][1]
    return total


def smallest(fields, low, high):
    present = [v for v in range(low, high + 1) if any(f.low <= v <= f.high for f in fields)]
    return max(1, min(wire_size(fields, v) for v in present)) if present else 1


def initializer(fields):
    """The default of a struct as C: every field whose default isn't all zeros."""
    parts = []
    for f in fields:
        value = None
        if f.array:
            if f.default == 'null':
                parts.append(f'.{f.name}_count = -1')
        elif f.is_struct:
            value = None if f.is_pointer else initializer(f.fields)
        elif f.type == 'records':
            value = '{ .span = { .fd = -1 } }'
        elif f.type in ('string', 'bytes'):
            text = (f.default or "''")[1:-1]
            value = None if f.default == 'null' else '{ .data = "%s", .len = %d }' % (text, len(text))
        elif f.default:
            value = {'-2147483648': 'INT32_MIN', '-9223372036854775808': 'INT64_MIN'}.get(f.default, f.default)
        if value is not None:
            parts.append(f'.{f.name} = {value}')
    return '{ %s }' % (', '.join(parts) or '0')


def emit_struct(out, name, fields):
    out.append(f'typedef struct {name} {{')
    for f in fields:
        base = f.c_name if f.is_struct else PRIMITIVES[f.type][0]
        if f.array:
            out.append(f'        {base} *{f.name};')
            out.append(f'        int32_t {f.name}_count;{" /* -1: null */" if f.null else ""}')
        else:
            out.append(f'        {base} {"*" if f.is_pointer else ""}{f.name};')
    if not fields:
        out.append('        char unused; /* no fields */')
    out.append(f'}} {name};')
    out.append(f'extern const {name} {name}_default;')
    out.append(f'#define {name}_INIT ({name}_default)\n')


def emit_tables(out, message):
    for name, fields in message.structs:
        out.append(f'const {name} {name}_default = {initializer(fields)};')
        out.append(f'static const FieldSchema {name}_fields[] = {{')
        for f in fields:
            sub = f'&{f.c_name}_schema' if f.is_struct else 'NULL'
            count = f'offsetof({name}, {f.name}_count)' if f.array else '0'
            null = f.null or (1, 0)
            tag = -1 if f.tag is None else f.tag
            kind = 'STRUCT' if f.is_struct else f.type.upper()
            size = f.c_name if f.is_struct else PRIMITIVES[f.type][0]
            wire = smallest(f.fields, message.low, message.high) if f.is_struct else PRIMITIVES[f.type][1]
            flags = ' | '.join(w for w, on in (
                ('FIELD_ARRAY', f.array), ('FIELD_POINTER', f.is_pointer),
                ('FIELD_EMPTY', f.is_pointer and f.default != 'null')) if on) or '0'
            out.append(f'        {{ "{f.name}", {sub}, offsetof({name}, {f.name}), {count}, sizeof({size}), {wire}, '
                       f'FIELD_{kind}, {flags}, {f.low}, {f.high}, {null[0]}, {null[1]}, {tag} }},')
        if not fields:
            out.append('        { 0 },')
        out.append('};')
        out.append(f'static const StructSchema {name}_schema = {{ {name}_fields, &{name}_default, sizeof({name}), '
                   f'{len(fields)} }};')
    m = message
    out.append(f'const MessageSchema {m.name}_message = {{ "{m.name}", &{m.name}_schema, {m.key}, {m.low}, {m.high}, '
               f'{m.flexible} }};\n')


def main():
    out_h, out_c, *paths = sys.argv[1:]
    messages = [m for path in sorted(paths) for m in parse_schema(path)]
    head = ['/* Generated by tools/protogen.py from broker/protocol/schema. */', '#pragma once', '',
            '#include "broker/protocol/schema.h"', '']
    body = ['/* Generated by tools/protogen.py from broker/protocol/schema. */',
            f'#include "{out_h.split("/")[-1]}"', '', '#include <stddef.h>', '']
    for message in messages:
        for name, fields in message.structs:
            emit_struct(head, name, fields)
        head.append(f'extern const MessageSchema {message.name}_message;\n')
        emit_tables(body, message)
    head.append('/* Every message, ended by NULL: what the tests walk. */\nextern const MessageSchema *const all_messages[];')
    body.append('const MessageSchema *const all_messages[] = {')
    body += [f'        &{m.name}_message,' for m in messages] + ['        NULL,', '};']
    for path, lines in ((out_h, head), (out_c, body)):
        with open(path, 'w', encoding='utf-8') as file:
            file.write('\n'.join(lines) + '\n')


if __name__ == '__main__':
    main()
