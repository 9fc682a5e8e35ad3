"""What a power cut leaves of a directory, from the journal that shadow.c wrote.

Durable is the content of a file as it was when its last sync began, and a name when the sync of its directory did. What a sync that failed was
to write is not on the disk, whatever later ones say, unless it was written again. Of all that came later
an image holds a random part: of each write any of its sectors, of the names any change that is still possible. A rename happens or
does not."""
import struct

SECTOR = 512
HEAD = struct.Struct('=ciqII')


def read_journal(path):
    data, at, entries = path.read_bytes(), 0, []
    while at + HEAD.size <= len(data):
        kind, fd, number, first, second = HEAD.unpack_from(data, at)
        at += HEAD.size
        if at + first + second > len(data):
            break
        entries.append((kind.decode(), fd, number, data[at:at + first], data[at + first:at + first + second]))
        at += first + second
    return entries


class Node:
    """pending: changes since begun + 0; how many of them there have been is counted, so that a sync knows which it covers."""

    def __init__(self):
        self.pending, self.settled = [], 0

    def change(self, *change):
        self.pending.append(change)

    def mark(self):
        return self.settled + len(self.pending)

    def settle(self, mark):
        count = max(0, mark - self.settled)
        for change in self.pending[:count]:
            self.apply(self.durable, change)
        del self.pending[:count]
        self.settled += count


class File(Node):
    def __init__(self, path):
        super().__init__()
        self.path, self.durable = path, bytearray()

    @staticmethod
    def apply(content, change):
        if change[0] == 'T':
            content[change[1]:] = bytes(max(0, change[1] - len(content)))
            return
        _, at, data = change
        if at > len(content):
            content.extend(bytes(at - len(content)))
        content[at:at + len(data)] = data

    def lose(self, mark):
        """What was written passes for synced from then on."""
        for i in range(max(0, mark - self.settled)):
            if self.pending[i][0] == 'W':
                self.pending[i] = 'W', 0, b''

    def image(self, path, choose, share):
        content = bytearray(self.durable)
        for change in self.pending:
            if change[0] == 'T':
                if choose.random() < share:
                    self.apply(content, change)
                continue
            _, at, data = change
            while data:
                size = SECTOR - at % SECTOR
                if choose.random() < share:
                    self.apply(content, ('W', at, data[:size]))
                at, data = at + size, data[size:]
        path.write_bytes(content)


class Directory(Node):
    def __init__(self):
        super().__init__()
        self.names, self.durable = {}, {}

    @staticmethod
    def apply(names, change):
        kind, name, what = change
        if kind == 'add':
            names[name] = what
        elif kind == 'remove':
            names.pop(name, None)
        elif name in names:
            names[what] = names.pop(name)

    def change(self, *change):
        super().change(*change)
        self.apply(self.names, change)

    def image(self, path, choose, share):
        names = dict(self.durable)
        for change in self.pending:
            if choose.random() < share:
                self.apply(names, change)
        path.mkdir()
        for name, node in names.items():
            node.image(path / name, choose, share)


class Disk:
    """The directory while the journal is followed."""

    def __init__(self, root):
        self.root, self.prefix = Directory(), str(root)
        self.open, self.begun, self.streams, self.sent = {}, {}, {}, {}
        self.position = 0

    def find(self, path):
        """The directory and the name in it."""
        node, parts = self.root, path.decode().removeprefix(self.prefix).strip('/').split('/')
        for part in parts[:-1]:
            node = node.names[part]
        return node, parts[-1]

    def look_up(self, path):
        directory, name = self.find(path)
        return directory.names[name] if name else directory

    def follow(self, entry):
        kind, fd, number, first, second = entry
        self.position += 1
        if kind == 'O':
            if number:
                directory, name = self.find(first)
                directory.change('add', name, File(first))
            self.open[fd] = self.look_up(first)
        elif kind == 'L':
            self.open.pop(fd, None)
            self.streams.pop(fd, None)
        elif kind == 'W':
            self.open[fd].change('W', number, first)
        elif kind == 'T':
            self.open[fd].change('T', number)
        elif kind == 'B':
            self.begun[fd] = self.open[fd], self.open[fd].mark()
        elif kind == 'S':
            node, mark = self.begun.pop(fd)
            node.settle(mark)
        elif kind == 'F':
            node, mark = self.begun.pop(fd)
            node.lose(mark)
        elif kind == 'K':  # another process
            self.open, self.begun, self.streams = {}, {}, {}
        elif kind == 'N':
            self.take_answers(fd, first)
        else:
            self.change_name(kind, first, second)

    def change_name(self, kind, path, to):
        directory, name = self.find(path)
        if kind == 'M':
            if name:
                directory.change('add', name, Directory())
        elif kind == 'U':
            directory.change('remove', name, None)
        else:
            other, new_name = self.find(to)
            assert other is directory, 'a rename between directories'
            directory.change('rename', name, new_name)

    def take_answers(self, fd, data):
        """sent: where in the journal the answer to each correlation id was on its way as a whole."""
        stream = self.streams.pop(fd, b'') + data
        while len(stream) >= 8 and len(stream) >= 4 + struct.unpack_from('>i', stream)[0]:
            size, correlation = struct.unpack_from('>ii', stream)
            self.sent[correlation] = self.position
            stream = stream[4 + size:]
        self.streams[fd] = stream
