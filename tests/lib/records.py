"""Record batches v2, made by hand: for tests that need a batch just so, right or wrong."""
import struct
import time


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0x82F63B78 if byte & 1 else byte >> 1
        table.append(byte)
    return table


TABLE = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def varint(value):
    value = (value << 1 ^ value >> 63) & (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def sized(data):
    return varint(-1) if data is None else varint(len(data)) + data


def record(delta, key, value, headers=(), timestamp_delta=0):
    body = b'\0' + varint(timestamp_delta) + varint(delta) + sized(key) + sized(value) + varint(len(headers))
    for name, content in headers:
        body += sized(name) + sized(content)
    return varint(len(body)) + body


def batch(values, *, keys=None, timestamp=None, producer=(-1, -1, -1), attributes=0, magic=2, crc=None, count=None,
          last_delta=None, raw=None, base_offset=0):
    """The bytes of a batch of values; what is named otherwise is written as given, however wrong."""
    timestamp = int(time.time() * 1000) if timestamp is None else timestamp
    keys = keys or [None] * len(values)
    payload = raw if raw is not None else b''.join(record(i, k, v) for i, (k, v) in enumerate(zip(keys, values)))
    tail = struct.pack('>hiqqqhii', attributes, len(values) - 1 if last_delta is None else last_delta, timestamp,
                       timestamp, *producer, len(values) if count is None else count) + payload
    return struct.pack('>qiibI', base_offset, len(tail) + 9, 0, magic, crc32c(tail) if crc is None else crc) + tail
