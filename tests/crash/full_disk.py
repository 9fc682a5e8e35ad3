#!/usr/bin/env python3
"""Fills a disk of 16 MiB again and again: what no longer fits is refused, all else goes on, and nothing is lost.

usage: full_disk.py [--rounds N] [--seed N]

A round: produce until it is refused, which does not use up the reserve and stays so while there is no more room, in some with somebody else's file taking the last bytes; then read all, commit offsets, stop or
kill the broker and start it on the full disk, make room (a topic or records are deleted, or the other file goes), and produce again. The
disk is a tmpfs. Who may not mount one gets a user namespace; where that is not allowed either the test is skipped (exit code 77)."""
import argparse
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
import broker as brokers
import records
import wire

SKIP = 77
DISK_BYTES = 16 << 20
STORAGE_ERROR = 56
SECONDS = 60  # only against hanging for ever
BIG, SMALL, VALUES = 400000, 100, 7
ENOUGH = 64 << 10  # for a small record and what a first one brings with it
COMMITS = 400 << 10  # more than a round's commits, a stop and a start write
PLACE = 'ODRADEK_DISK'  # set in the namespace of one's own


class Topic:
    """What was acknowledged: the first record's offset and all values from there on."""

    def __init__(self, name):
        self.name, self.start, self.values = name, 0, []

    @property
    def end(self):
        return self.start + len(self.values)

    def bytes(self):
        return sum(map(len, self.values))


class Run:
    def __init__(self, place, options):
        self.place, self.options, self.choose = place, options, random.Random(options.seed)
        self.broker = brokers.Odradek(place.parent)
        self.broker.FLAGS = ('--data', str(place / 'data'))
        self.topics, self.made, self.serial, self.committed = {}, 0, 0, 0
        values = {size: [f'{i}:'.encode().ljust(size, b'.') for i in range(VALUES)] for size in (BIG, SMALL)}
        self.batches = {size: [(value, records.batch([value])) for value in values[size]] for size in values}
        self.counts = dict.fromkeys(('refusals', 'commits', 'clean stops', 'kills', 'disks taken', 'acknowledged'), 0)

    def start(self):
        self.broker.start()
        self.call = wire.Connection('127.0.0.1', self.broker.port).call

    def restart(self, clean):
        if clean:
            code = self.broker.stop()
            assert code == 0, f'a stop on the full disk ended with {code}: {self.said()}'
            assert (self.place / 'data/.kafka_cleanshutdown').exists()
        else:
            self.broker.kill9()
        self.counts['clean stops' if clean else 'kills'] += 1
        self.start()

    def said(self):
        return (self.place.parent / 'stderr').read_text()[-2000:]

    def create(self):
        self.made += 1
        name = f'topic-{self.made}'
        config = [{'name': 'segment.bytes', 'value': str(1 << 20)}]
        values = {'timeout_ms': 9000, 'topics': [{'name': name, 'num_partitions': 1, 'replication_factor': 1, 'configs': config}]}
        answer = self.call('CreateTopics', 5, values)['topics'][0]
        assert answer['error_code'] == 0, answer
        self.topics[name] = Topic(name)

    def next(self, size):
        """A value and its batch, made beforehand: checksums are slow in Python."""
        self.serial += 1
        return self.batches[size][self.serial % VALUES]

    def produce(self, sizes):
        """One request with a record for each topic that is named; the error codes."""
        rows = {name: self.next(size) for name, size in sizes.items()}
        answer = self.call('Produce', 9, {'acks': -1, 'timeout_ms': 9000, 'topic_data': [
            {'name': name, 'partition_data': [{'index': 0, 'records': batch}]} for name, (_, batch) in rows.items()]})
        codes = {}
        for row in answer['responses']:
            topic, part = self.topics[row['name']], row['partition_responses'][0]
            codes[row['name']] = part['error_code']
            assert part['error_code'] in (0, STORAGE_ERROR), part
            if part['error_code'] == 0:
                assert part['base_offset'] == topic.end, (part, topic.end)
                topic.values.append(rows[row['name']][0])
                self.counts['acknowledged'] += 1
        return codes

    def free(self):
        disk = os.statvfs(self.place)
        return disk.f_bavail * disk.f_frsize

    def room(self, name):
        """What the topic can take: free bytes, and those reserved behind its active segment."""
        active = max((self.place / f'data/{name}-0').glob('*.log')).stat()
        return self.free() + active.st_blocks * 512 - active.st_size

    def keeps_reserve(self):
        return (self.place / 'data/.ballast').stat().st_size > 0

    def fill(self, name, size):
        """Until it is refused. Once more is refused as well, unless there is more room by then."""
        room = self.room(name)
        while not self.produce({name: size})[name]:
            room = self.room(name)
        is_refused = self.produce({name: size})[name]
        assert is_refused or self.room(name) + size > room, (name, size, room)  # deleted files may go meanwhile
        assert self.keeps_reserve(), self.said()
        self.counts['refusals'] += 2

    def fetch(self, topic, offset):
        row = self.call('Fetch', 11, {'max_wait_ms': 0, 'min_bytes': 0, 'max_bytes': 1 << 22, 'topics': [
            {'topic': topic.name, 'partitions': [{'partition': 0, 'fetch_offset': offset, 'partition_max_bytes': 1 << 22}]}]})
        row = row['responses'][0]['partitions'][0]
        assert row['error_code'] == 0, (topic.name, offset, row['error_code'], self.said())
        assert row['high_watermark'] == topic.end, (row['high_watermark'], topic.end)
        return row['records'] or b''

    def check(self):
        """Every acknowledged record is there, and none that was refused."""
        for topic in self.topics.values():
            offset = topic.start
            while offset < topic.end:
                data, at = self.fetch(topic, offset), 0
                assert data
                while at < len(data):
                    size = 12 + int.from_bytes(data[at + 8:at + 12], 'big')
                    if at + size > len(data):
                        break
                    assert int.from_bytes(data[at:at + 8], 'big') == offset
                    assert topic.values[offset - topic.start] in data[at:at + size], f'{topic.name}: record {offset} is another'
                    offset, at = offset + 1, at + size
            assert self.fetch(topic, topic.end) == b''

    def commit(self):
        name = next(iter(self.topics))
        part = {'partition_index': 0, 'committed_offset': self.committed + 1, 'committed_metadata': ''}
        answer = self.call('OffsetCommit', 7, {'group_id': 'group', 'generation_id_or_member_epoch': -1, 'member_id': '',
                                               'topics': [{'name': 'commits', 'partitions': [part]}]})
        assert answer['topics'][0]['partitions'][0]['error_code'] == 0, (name, answer, self.said())
        self.committed += 1
        self.counts['commits'] += 1

    def check_commit(self):
        end = time.monotonic() + SECONDS
        while True:
            answer = self.call('OffsetFetch', 5, {'group_id': 'group', 'topics': [{'name': 'commits', 'partition_indexes': [0]}]})
            if not answer['error_code'] or time.monotonic() > end:
                break
        assert answer['topics'][0]['partitions'][0]['committed_offset'] == self.committed, answer

    def delete_topic(self, name):
        answer = self.call('DeleteTopics', 5, {'topic_names': [name], 'timeout_ms': 9000})['responses'][0]
        assert answer['error_code'] == 0, (answer, self.said())
        del self.topics[name]

    def delete_records(self, topic):
        answer = self.call('DeleteRecords', 1, {'timeout_ms': 9000, 'topics': [
            {'name': topic.name, 'partitions': [{'partition_index': 0, 'offset': topic.end}]}]})['topics'][0]['partitions'][0]
        assert (answer['error_code'], answer['low_watermark']) == (0, topic.end), (answer, self.said())
        topic.start, topic.values = topic.end, []

    def resume(self, sizes):
        end = time.monotonic() + SECONDS
        while any(self.produce(sizes).values()):
            assert time.monotonic() < end, self.said()
            time.sleep(0.1)

    def round(self, number):
        big, small = (name for name in self.topics if name != 'commits')
        other, taken = self.place / 'other', number % 3 == 2
        if taken:  # so much is there again, for the reserve to be made whole, when it goes
            other.write_bytes(bytes(COMMITS))
        self.fill(big, BIG)
        both = {big: 0}
        while not both[big]:
            both = self.produce({big: BIG, small: SMALL})
        assert both[small] == 0 or self.room(small) < ENOUGH, self.said()
        if taken:
            self.counts['disks taken'] += 1
            with open(other, 'ab', buffering=0) as file:
                try:
                    while file.write(bytes(4096)):
                        pass
                except OSError:
                    pass
        self.fill(small, SMALL)
        self.check()
        self.commit()
        if number % 2:
            self.restart(clean=number % 4 == 1)
            self.check()
            self.check_commit()
            self.commit()
        if taken:
            other.unlink()
        else:
            largest = max((self.topics[big], self.topics[small]), key=Topic.bytes)
            if self.choose.random() < 0.5:
                self.delete_topic(largest.name)
                self.create()
            else:
                self.delete_records(largest)
        sizes = {name: SMALL if taken else BIG for name in self.topics}
        sizes['commits'] = SMALL
        self.resume(sizes)
        self.check()
        self.delete_topic(next(name for name in self.topics if name != 'commits'))
        self.create()

    def all(self):
        self.start()
        for _ in range(2):
            self.create()
        self.topics['commits'] = Topic('commits')
        answer = self.call('CreateTopics', 5, {'timeout_ms': 9000, 'topics': [{'name': 'commits', 'num_partitions': 1, 'replication_factor': 1}]})
        assert answer['topics'][0]['error_code'] == 0
        self.commit()
        for number in range(self.options.rounds):
            self.round(number)
        assert self.broker.stop() == 0
        print(f'full disk: {self.options.rounds} rounds, ' + ', '.join(f'{count} {name}' for name, count in self.counts.items()))


def mount(place):
    command = ['mount', '-t', 'tmpfs', '-o', f'size={DISK_BYTES}', 'tmpfs', place]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--seed', type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory) / 'disk'
        place.mkdir()
        if not mount(place):
            if PLACE in os.environ or subprocess.run(['unshare', '-rm', 'true'], capture_output=True, check=False).returncode:
                print('full disk: skipped, may not mount a file system')
                sys.exit(SKIP)
            sys.exit(subprocess.run(['unshare', '-rm', *sys.orig_argv], env={**os.environ, PLACE: '1'}, check=False).returncode)
        try:
            Run(place, options).all()
        except BaseException:
            print(f'seed {options.seed}', file=sys.stderr)
            raise
        finally:
            subprocess.run(['umount', '-l', place], check=False)


if __name__ == '__main__':
    main()
