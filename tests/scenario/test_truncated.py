"""Every API in every version, cut at every byte: the connection ends, and nobody else notices."""
import socket
import struct
import uuid

import pytest
import wire

SERVED = sorted({(m.key, name[:-len('Request')]) for name, m in wire.MESSAGES.items() if name.endswith('Request')})


def value_of(field, version):
    if field.array:
        return [scalar_of(field, version)]
    if field.is_pointer:
        return fill(field.fields, version)
    return scalar_of(field, version)


def scalar_of(field, version):
    if field.is_struct:
        return fill(field.fields, version)
    if field.type == 'uuid':
        return uuid.UUID(int=5)
    if field.type in wire.FIXED:
        return True if field.type == 'bool' else 1
    return 'text' if field.type == 'string' else b'bytes'


def fill(fields, version):
    """Every field that the version has, each array with one element."""
    return {f.name: value_of(f, version) for f in fields if f.low <= version <= f.high}


def request(api, version):
    message = wire.MESSAGES[api + 'Request']
    head = struct.pack('>hhih', message.key, version, 1, 4) + b'test' + (b'\0' if version >= message.flexible else b'')
    return head + wire.encode(api + 'Request', version, fill(message.fields, version))


def send_cut(port, data):
    """Sends a frame of just these bytes and nothing more; answers what comes back before the end."""
    with socket.create_connection(('127.0.0.1', port), timeout=20) as sock:
        sock.sendall(struct.pack('>i', len(data)) + data)
        sock.shutdown(socket.SHUT_WR)
        answer = b''
        try:
            while piece := sock.recv(1 << 16):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


@pytest.mark.parametrize('key, api', SERVED, ids=[api for _, api in SERVED])
def test_cut_at_every_byte(broker, connect, key, api):
    bystander = connect()
    message = wire.MESSAGES[api + 'Request']
    for version in range(message.low, message.high + 1):
        data = request(api, version)
        for size in range(len(data)):
            answer = send_cut(broker.port, data[:size])
            # only a version that is none, for which the table of versions is the answer, gets one
            assert not answer or api == 'ApiVersions', (version, size, answer)
    assert bystander.call('ApiVersions', 0, {})['error_code'] == 0
