"""The Kafka protocol for tests in Python: requests and responses as dictionaries, encoded by broker/protocol/schema.

It shares the schema texts with the broker but none of its code, so that a mistake in the codec shows.
"""
import importlib.util
import pathlib
import socket
import struct
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location('protogen', ROOT / 'tools/protogen.py')
protogen = importlib.util.module_from_spec(spec)
spec.loader.exec_module(protogen)

FIXED = {'bool': '>?', 'int8': '>b', 'int16': '>h', 'uint16': '>H', 'int32': '>i', 'uint32': '>I', 'int64': '>q',
         'float64': '>d'}


def load_messages():
    messages = {}
    for path in sorted((ROOT / 'broker/protocol/schema').iterdir()):
        for message in protogen.parse_schema(str(path)):
            messages[message.name] = message
    return messages


MESSAGES = load_messages()


def varuint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def default_of(field):
    if field.array:
        return None if field.default == 'null' else []
    if field.is_pointer or field.default == 'null':
        return None
    if field.is_struct:
        return {}
    if field.type in ('string', 'bytes', 'records'):
        return field.default.strip("'") if field.default else ('' if field.type == 'string' else b'')
    if field.type == 'uuid':
        return uuid.UUID(int=0)
    if field.type == 'bool':
        return field.default == 'true'
    return int(field.default or 0)


class Writer:
    def __init__(self, version, flexible):
        self.version, self.flexible = version, flexible

    def length(self, size, short):
        if self.flexible:
            return varuint(size + 1)
        return struct.pack('>h' if short else '>i', size)

    def value(self, field, value):
        if field.type in FIXED:
            return struct.pack(FIXED[field.type], value)
        if field.type == 'uuid':
            return value.bytes
        if field.is_struct:
            return self.struct(field.fields, value)
        short = field.type == 'string'
        if value is None:
            return self.length(-1, short)
        data = value.encode() if isinstance(value, str) else value
        return self.length(len(data), short) + data

    def field(self, field, value):
        if field.array:
            if value is None:
                return self.length(-1, False)
            return self.length(len(value), False) + b''.join(self.value(field, v) for v in value)
        if field.is_pointer:
            return b'\xff' if value is None else b'\x01' + self.struct(field.fields, value)
        return self.value(field, value)

    def struct(self, fields, values):
        unknown = set(values) - {f.name for f in fields}
        assert not unknown, f'no such fields: {unknown}'
        out, tags = b'', []
        for f in fields:
            if not f.low <= self.version <= f.high:
                continue
            value = values.get(f.name, default_of(f))
            if f.tag is None:
                out += self.field(f, value)
            elif f.name in values:
                tags.append((f.tag, self.field(f, value)))
        if self.flexible:
            out += varuint(len(tags)) + b''.join(varuint(t) + varuint(len(d)) + d for t, d in sorted(tags))
        return out


class Reader:
    def __init__(self, data, version, flexible):
        self.data, self.at, self.version, self.flexible = data, 0, version, flexible

    def take(self, size):
        piece = self.data[self.at:self.at + size]
        if len(piece) != size:
            raise ValueError('the message ends too early')
        self.at += size
        return piece

    def varuint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def length(self, short):
        if self.flexible:
            return self.varuint() - 1
        return struct.unpack('>h' if short else '>i', self.take(2 if short else 4))[0]

    def value(self, field):
        if field.type in FIXED:
            form = FIXED[field.type]
            return struct.unpack(form, self.take(struct.calcsize(form)))[0]
        if field.type == 'uuid':
            return uuid.UUID(bytes=self.take(16))
        if field.is_struct:
            return self.struct(field.fields)
        size = self.length(field.type == 'string')
        if size < 0:
            return None
        return self.take(size).decode() if field.type == 'string' else self.take(size)

    def field(self, field):
        if field.array:
            count = self.length(False)
            return None if count < 0 else [self.value(field) for _ in range(count)]
        if field.is_pointer:
            return None if self.take(1) == b'\xff' else self.struct(field.fields)
        return self.value(field)

    def struct(self, fields):
        present = [f for f in fields if f.low <= self.version <= f.high]
        out = {f.name: self.field(f) for f in present if f.tag is None}
        if self.flexible:
            tagged = {f.tag: f for f in present if f.tag is not None}
            for _ in range(self.varuint()):
                tag, size = self.varuint(), self.varuint()
                if tag in tagged:
                    out[tagged[tag].name] = self.field(tagged[tag])
                else:
                    out[f'tag {tag}'] = self.take(size)
        return out


def encode(name, version, values):
    message = MESSAGES[name]
    return Writer(version, version >= message.flexible).struct(message.fields, values)


def decode(name, version, data):
    message = MESSAGES[name]
    reader = Reader(data, version, version >= message.flexible)
    value = reader.struct(message.fields)
    if reader.at != len(data):
        raise ValueError(f'{len(data) - reader.at} bytes are left over')
    return value


class Closed(Exception):
    """The broker closed the connection instead of answering."""


class Connection:
    """One blocking connection to a broker."""

    def __init__(self, host, port, client_id='test'):
        self.sock = socket.create_connection((host, port), timeout=20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client_id, self.correlation = client_id, 0

    def close(self):
        self.sock.close()

    def receive(self, size):
        data = b''
        while len(data) < size:
            try:
                piece = self.sock.recv(size - len(data))
            except ConnectionResetError:
                piece = b''
            if not piece:
                raise Closed
            data += piece
        return data

    def frame(self, api, version, values):
        """A request as it goes over the wire, for whom sending it is more than that."""
        message = MESSAGES[api + 'Request']
        flexible = version >= message.flexible
        self.correlation += 1
        client = self.client_id.encode()
        data = struct.pack('>hhih', message.key, version, self.correlation, len(client)) + client
        data += (b'\0' if flexible else b'') + encode(api + 'Request', version, values)
        return struct.pack('>i', len(data)) + data

    def send(self, api, version, values):
        self.sock.sendall(self.frame(api, version, values))

    def read(self, api, version):
        message = MESSAGES[api + 'Response']
        data = self.receive(struct.unpack('>i', self.receive(4))[0])
        assert struct.unpack('>i', data[:4])[0] == self.correlation
        tagged = version >= message.flexible and api != 'ApiVersions'
        return decode(api + 'Response', version, data[5 if tagged else 4:])

    def call(self, api, version, values):
        self.send(api, version, values)
        return self.read(api, version)
