"""Frames that no client library sends: cut, too long, of unknown keys and versions, with lengths, counts and tags that cannot be.

What a broker does with the connection is compared: closes it, or answers, and how.
"""
import dataclasses
import socket
import struct

import wire

# The other requests are answered with all fields at their defaults.
GOOD = {'Produce': {'acks': 1}, 'AddPartitionsToTxn': {'transactions': [{'transactional_id': 't', 'topics': []}]}}
NEVER_KNOWN = (-1, 100, 2**15 - 1, -2**15)
OF_BROKERS = (4, 5, 6, 7, 58, 62, 63)  # what only brokers and controllers say to each other
VALUE = b'\x00\x03abc'


@dataclasses.dataclass
class Frame:
    note: str
    data: bytes     # behind its length
    api: str = ''   # whose answer it may be
    version: int = 0
    length: int = None  # where it is not the data's


def header(key, version, flexible, client=b'\x00\x04test', tags=b'\x00'):
    return struct.pack('>hhi', key, version, 7) + client + (tags if flexible else b'')


def frame(api, version, body, note, **changes):
    message = wire.MESSAGES[api + 'Request']
    return Frame(f'{api} v{version} {note}', header(message.key, version, version >= message.flexible, **changes) + body, api, version)


def body_of(api, version):
    values = GOOD.get(api, {})
    known = {f.name for f in wire.MESSAGES[api + 'Request'].fields if f.low <= version <= f.high}
    return wire.encode(api + 'Request', version, {k: v for k, v in values.items() if k in known})


def every_api(served):
    """In every version of every API."""
    for api in sorted(served):
        message = wire.MESSAGES[api + 'Request']
        for version in served[api]:
            body = body_of(api, version)
            yield frame(api, version, body, 'as it should be')
            yield frame(api, version, body + b'\0\0', 'with two bytes more')
            if body:
                yield frame(api, version, body[:-1], 'with a byte less')
                yield frame(api, version, b'', 'without a body')
            if version >= message.flexible:
                yield frame(api, version, body[:-1] + b'\x01\x63\x03abc', 'with an unknown tag')
                yield frame(api, version, body[:-1] + b'\x01', 'with a tag that is missing')
                yield frame(api, version, body[:-1] + b'\x01\x63\x7fabc', 'with a tag that is cut')
                yield frame(api, version, body[:-1] + b'\xff\xff\xff\xff\x0f', 'with more tags than can be counted')
                yield frame(api, version, body[:-1] + b'\x02\x64\x01a\x63\x01a', 'with tags in the wrong order')
                yield frame(api, version, body[:-1] + b'\x02\x63\x01a\x63\x01b', 'with a tag twice')
                yield frame(api, version, body, 'with an unknown tag in its header', tags=b'\x01\x05\x02ab')
            yield frame(api, version, body, 'of nobody', client=b'\xff\xff')


def unknown_versions(served):
    """Below and above those that are served."""
    for api in sorted(served):
        message = wire.MESSAGES[api + 'Request']
        for version in (served[api][-1] + 1, 2**15 - 1, -1):
            yield Frame(f'{api} v{version}, which is not served', header(message.key, version, version >= message.flexible) +
                        body_of(api, served[api][-1]), 'ApiVersions' if api == 'ApiVersions' else '')  # alone answers, in its version 0


def unknown_keys():
    for key in NEVER_KNOWN + OF_BROKERS:
        for version in (0, 1, 9):
            yield Frame(f'key {key} v{version}', header(key, version, False) + bytes(40))


def lengths():
    """What is no number of anything."""
    for count in (-2, -2**31, 2**31 - 1, 1000):
        yield frame('Metadata', 5, struct.pack('>i', count) + VALUE + b'\0', f'{count} topics')
    for count in (b'\x80\x80\x80\x80\x08', b'\xff\xff\xff\xff\x07', b'\xff\xff\xff\xff\xff', b'\x80\x80\x80\x80\x80\x01', b'\xe8\x07', b'\x81\x00'):
        yield frame('Metadata', 9, count + b'\x04abc\x00\x00\x00\x00\x00', f'{count} topics')
        yield frame('Metadata', 9, b'\x02' + count + b'abc\x00\x00\x00\x00\x00', f'{count} letters')
    for size in (-1, -2, -2**15, 2**15 - 1, 4):
        yield frame('Metadata', 5, struct.pack('>ih', 1, size) + b'abc\0', f'{size} letters')
    for size in (-2, -2**31, 2**31 - 1, 5):
        yield frame('JoinGroup', 0, b'\x00\x01g' + struct.pack('>i', 9000) + b'\x00\x00\x00\x01c\x00\x00\x00\x01\x00\x01r' + struct.pack('>i', size) + b'abc',
                    f'{size} bytes')
    yield frame('FindCoordinator', 3, b'\x00\x00\x00', 'a key that is null')
    yield frame('Heartbeat', 4, b'\x00' + bytes(4) + b'\x02m\x00\x00', 'a group that is null')
    yield frame('OffsetFetch', 7, b'\x02g\x02\x00\x01\x00\x00\x00', 'a topic that is null')
    yield frame('DescribeGroups', 0, struct.pack('>i', -1), 'groups that are null')
    yield frame('DescribeGroups', 5, b'\x00\x00\x00', 'groups that are null')
    for name in (b'\xff\xfe\xfd', b'a\x00b', b'\xc3\x28x', b'\xed\xa0\x80'):
        yield frame('FindCoordinator', 0, b'\x00\x03' + name, f'a group {name}')
    for flag in (2, 255):
        yield frame('Metadata', 5, struct.pack('>i', 0) + bytes([flag]), f'a flag of {flag}')
    for size in (-1, -2, -2**15, 2**15 - 1):
        yield Frame(f'a client of {size} letters', struct.pack('>hhih', 3, 5, 7, size) + b'test\0\0\0\0\0', 'Metadata', 5)


def frames():
    """Of the frame itself."""
    sound = header(3, 5, False) + struct.pack('>i', 0) + b'\0'
    for size in (0, 1, 3, 7, 8, 9):
        yield Frame(f'{size} bytes', sound[:size])
    for length in (-1, -2**31, 2**31 - 1, 104857601):
        yield Frame(f'a length of {length}', sound, length=length)
    yield Frame('a message of another protocol', b'GET / HTTP/1.1\r\n\r\n', length=int.from_bytes(b'GET ', 'big'))


def all_frames(served):
    yield from every_api(served)
    yield from unknown_versions(served)
    yield from unknown_keys()
    yield from lengths()
    yield from frames()


def codes(answer):
    """All error codes: what else an answer holds is compared elsewhere."""
    if isinstance(answer, dict):
        return [c for k, v in sorted(answer.items()) for c in ([v] if k == 'error_code' else codes(v))]
    return sorted(c for row in answer for c in codes(row)) if isinstance(answer, list) else []


def exchange(host, port, frame):
    """The error codes of the answer, its bytes where it is of no known kind, or 'closed'."""
    with socket.create_connection((host, port), timeout=30) as connection:
        data = b''
        try:
            connection.sendall(struct.pack('>i', len(frame.data) if frame.length is None else frame.length) + frame.data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(1 << 16):
                data += piece
        except TimeoutError:
            return 'no answer'
        except OSError:
            pass  # closed already
    if not data:
        return 'closed'
    if not frame.api:
        return data[8:]
    tagged = frame.version >= wire.MESSAGES[frame.api + 'Response'].flexible and frame.api != 'ApiVersions'
    return sorted(set(codes(wire.decode(frame.api + 'Response', frame.version, data[9 if tagged else 8:]))))  # old versions left topics behind
