"""Data directories with something wrong in them, made from sound ones."""
import hashlib
import struct

import records
import wire


def digest(directory):
    """Names, kinds, modes and contents of all that is in a directory; a lock file, which a broker makes, aside."""
    out = {}
    for path in sorted(directory.rglob('*')):
        stat = path.lstat()
        content = path.readlink() if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        if path.name != '.lock':
            out[path.relative_to(directory)] = stat.st_mode, content
    return out


def batches(path):
    """(position, size, base offset) of the batches in a segment."""
    data, at, found = path.read_bytes(), 0, []
    while at + 61 <= len(data):
        base, length = struct.unpack_from('>qi', data, at)
        found.append((at, length + 12, base))
        at += length + 12
    return found


def end_offset(path):
    data = path.read_bytes()
    position, _, base = batches(path)[-1]
    return base + struct.unpack_from('>i', data, position + 23)[0] + 1


def frame(kind, version, body):
    return wire.varuint(1) + wire.varuint(kind) + wire.varuint(version) + body


def metadata_record(name, version=0, /, **values):
    """A record of the metadata log, from its schema."""
    return frame(wire.MESSAGES[name].key, version, wire.encode(name, version, values))


def add_metadata(directory, *values):
    """Appends to the metadata log, as a controller would have."""
    path = directory / '__cluster_metadata-0/00000000000000000000.log'
    batch = bytearray(records.batch(values, base_offset=end_offset(path)))
    struct.pack_into('>i', batch, 12, 1)
    with open(path, 'ab') as log:
        log.write(batch)


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 0x5a
    path.write_bytes(data)
