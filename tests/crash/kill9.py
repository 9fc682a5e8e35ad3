#!/usr/bin/env python3
"""Kills a broker at any moment, again and again, and looks after each restart whether it kept its word.

usage: kill9.py [--cycles N] [--records N] [--seed N] [--directory DIR]

Two producers without ids, and two idempotent ones that repeat what was not acknowledged, write numbered records; a compacted topic gets
new values of a few keys all the time; offsets are committed, topics made and removed. Some restarts are killed, too, while they recover. Then every acknowledged record has to be there once
and in order, every idempotent producer's exactly once, every committed offset and every key's value no older than acknowledged, every
topic as acknowledged.
Runs until both the cycles and the records are reached."""
import argparse
import pathlib
import random
import struct
import sys
import tempfile
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
import broker as brokers
import records
import wire

TOPIC, COMPACTED, GROUP = 'events', 'latest', 'readers'
CONFIGS = [{'name': 'segment.index.bytes', 'value': '240'}]  # a new segment every 100 KB
COMPACTED_CONFIGS = [{'name': 'cleanup.policy', 'value': 'compact'}, {'name': 'min.cleanable.dirty.ratio', 'value': '0.1'},
                     {'name': 'segment.index.bytes', 'value': '24'}]
KEYS = 20
BATCH_RECORDS, IN_FLIGHT = 100, 5
BATCH_HEAD = 21  # base offset, length, epoch, magic, CRC: the rest stays as it was sent
RECEIVE_BYTES = 1 << 20
GONE = (wire.Closed, ConnectionError, OSError)


class Broken(Exception):
    """The broker broke its word."""


def value_of(producer, sequence):
    text = f'{producer}:{sequence}'
    return f'{text}:{zlib.crc32(text.encode()):08x}'.encode()


class Connection(wire.Connection):
    """Answers come in the order of the requests, several of which may be under way."""

    def __init__(self, port):
        super().__init__('127.0.0.1', port)
        self.waiting = []

    def send(self, api, version, values):
        super().send(api, version, values)
        self.waiting.append((api, version, self.correlation))

    def call(self, api, version, values):
        assert not self.waiting
        self.send(api, version, values)
        return self.next()

    def next(self):
        api, version, sent = self.waiting.pop(0)
        latest, self.correlation = self.correlation, sent
        answer = self.read(api, version)
        self.correlation = latest
        return answer


class Batch:
    def __init__(self, producer, first, idempotent_id):
        values = [value_of(producer, first + i) for i in range(BATCH_RECORDS)]
        ids = (-1, -1, -1) if idempotent_id is None else (idempotent_id, 0, first)
        self.first, self.data = first, records.batch(values, producer=ids)
        self.tail = self.data[BATCH_HEAD:]
        self.acknowledged = False
        self.offset = None  # once it was seen in the log


class Producer:
    """Writes to a partition of its own. pending: sent, and not yet seen in the log; unanswered: of these, those to be sent again."""

    def __init__(self, index, idempotent):
        self.index, self.idempotent = index, idempotent
        self.id = None
        self.next_sequence = self.end_offset = self.acknowledged = 0
        self.pending, self.seen, self.in_flight, self.again = [], [], [], []

    def connect(self, port):
        self.connection = Connection(port)
        if self.idempotent and self.id is None:
            self.id = self.connection.call('InitProducerId', 4, {'transactional_id': None, 'transaction_timeout_ms': 60000})['producer_id']
        self.again = [b for b in self.pending + self.seen if not b.acknowledged] if self.idempotent else []
        self.again.sort(key=lambda b: b.first)
        self.in_flight = []

    def step(self, only_again=False):
        while len(self.in_flight) < IN_FLIGHT and (self.again or not only_again):
            if self.again:
                batch = self.again.pop(0)
            else:
                batch = Batch(self.index, self.next_sequence, self.id)
                self.next_sequence += BATCH_RECORDS
                self.pending.append(batch)
            self.in_flight.append(batch)
            self.connection.send('Produce', 9, {'acks': -1, 'timeout_ms': 10000, 'topic_data': [
                {'name': TOPIC, 'partition_data': [{'index': self.index, 'records': batch.data}]}]})
        answer = self.connection.next()['responses'][0]['partition_responses'][0]
        batch = self.in_flight.pop(0)
        if answer['error_code']:
            raise Broken(f'producer {self.index}: error {answer["error_code"]} for {batch.first}')
        if batch.offset is not None and batch.offset != answer['base_offset']:
            raise Broken(f'producer {self.index}: {batch.first} is at {batch.offset}, acknowledged as {answer["base_offset"]}')
        batch.acknowledged = True
        self.acknowledged += BATCH_RECORDS

    def lost(self, batch):
        return Broken(f'producer {self.index}: lost {batch.first}, which was acknowledged')

    def take(self, offset, tail):
        """The next batch of the log, which has to be the next one sent, apart from what was never acknowledged."""
        while self.pending:
            batch = self.pending.pop(0)
            if batch.tail == tail:
                batch.offset = offset
                self.seen.append(batch)
                return
            if batch.acknowledged:
                raise self.lost(batch)
            if self.idempotent:
                raise Broken(f'producer {self.index}: {batch.first} is missing, but a later batch is there')
        raise Broken(f'producer {self.index}: the batch at {offset} was not sent, or is there twice')

    def check_new(self, connection):
        for offset, tail in read_batches(connection, TOPIC, self.index, self.end_offset):
            if offset != self.end_offset:
                raise Broken(f'partition {self.index}: offset {offset} follows {self.end_offset}')
            self.take(offset, tail)
            self.end_offset += BATCH_RECORDS
        for batch in self.pending:
            if batch.acknowledged:
                raise self.lost(batch)
        if not self.idempotent:
            self.pending = []

    def check_all(self, connection):
        """Everything from the start, record by record."""
        found = list(read_batches(connection, TOPIC, self.index, 0))
        if [tail for _, tail in found] != [batch.tail for batch in self.seen]:
            raise Broken(f'partition {self.index}: the log is not what it was')
        for batch in self.seen:
            for i in range(BATCH_RECORDS):
                if value_of(self.index, batch.first + i) not in batch.tail:
                    raise Broken(f'partition {self.index}: {batch.first + i} is not what it was')
        if self.idempotent and [b.first for b in self.seen] != list(range(0, len(self.seen) * BATCH_RECORDS, BATCH_RECORDS)):
            raise Broken(f'producer {self.index}: not exactly once')


def read_batches(connection, topic, index, offset):
    while True:
        answer = connection.call('Fetch', 11, {'max_wait_ms': 0, 'min_bytes': 0, 'max_bytes': RECEIVE_BYTES, 'topics': [
            {'topic': topic, 'partitions': [{'partition': index, 'fetch_offset': offset, 'partition_max_bytes': RECEIVE_BYTES}]}]})
        partition = answer['responses'][0]['partitions'][0]
        if partition['error_code']:
            raise Broken(f'{topic}-{index}: error {partition["error_code"]} at offset {offset}')
        data, at = partition['records'] or b'', 0
        if not data:
            return
        while at + 12 <= len(data):
            base, length = struct.unpack_from('>qi', data, at)
            if at + 12 + length > len(data):
                break
            tail = data[at + BATCH_HEAD:at + 12 + length]
            yield base, tail
            offset, at = base + struct.unpack_from('>i', data, at + 23)[0] + 1, at + 12 + length


class Committer:
    """Commits rising offsets of all partitions."""

    def __init__(self):
        self.attempted = self.acknowledged = 0

    def step(self, connection):
        self.attempted += 1
        answer = connection.call('OffsetCommit', 7, {'group_id': GROUP, 'generation_id_or_member_epoch': -1, 'member_id': '',
                                                     'topics': [{'name': TOPIC, 'partitions': [
                                                         {'partition_index': i, 'committed_offset': self.attempted, 'committed_metadata': ''}
                                                         for i in range(4)]}]})
        if any(p['error_code'] for p in answer['topics'][0]['partitions']):
            raise Broken(f'commit of {self.attempted}: {answer}')
        self.acknowledged = self.attempted

    def check(self, connection):
        end = time.monotonic() + 10
        while True:
            answer = connection.call('OffsetFetch', 5, {'group_id': GROUP, 'topics': [
                {'name': TOPIC, 'partition_indexes': list(range(4))}]})
            if not answer['error_code'] or time.monotonic() > end:
                break
        for partition in answer['topics'][0]['partitions'] if self.attempted else []:
            if not self.acknowledged <= max(partition['committed_offset'], 0) <= self.attempted:
                raise Broken(f'committed offset {partition["committed_offset"]} of partition {partition["partition_index"]}, '
                             f'acknowledged was {self.acknowledged}, attempted {self.attempted}')


class Latest:
    """Gives the keys of a compacted topic new values: of each, the newest that was acknowledged must be there, or a newer one."""

    def __init__(self):
        self.sent, self.acknowledged, self.count, self.left = {}, {}, 0, 0

    def step(self, connection, choose):
        key = choose.randrange(KEYS)
        self.count += 1
        data = records.batch([f'{self.count}'.encode().ljust(600)], keys=[f'{key}'.encode()])
        self.sent[data[BATCH_HEAD:]] = key, self.count
        answer = connection.call('Produce', 9, {'acks': -1, 'timeout_ms': 10000, 'topic_data': [
            {'name': COMPACTED, 'partition_data': [{'index': 0, 'records': data}]}]})['responses'][0]['partition_responses'][0]
        if answer['error_code']:
            raise Broken(f'{COMPACTED}: error {answer["error_code"]}')
        self.acknowledged[key] = self.count

    def check(self, connection):
        found, self.left, last_offset = {}, 0, -1
        for offset, tail in read_batches(connection, COMPACTED, 0, 0):
            if tail not in self.sent or offset <= last_offset:
                raise Broken(f'{COMPACTED}: the batch at {offset} was not sent, or is not in order')
            key, found[key] = self.sent[tail]
            self.left, last_offset = self.left + 1, offset
        for key, count in self.acknowledged.items():
            if found.get(key, 0) < count:
                raise Broken(f'{COMPACTED}: key {key} has value {found.get(key)}, acknowledged was {count}')


class Topics:
    """Makes topics and removes them; what is under way at the moment of death may have happened or not."""

    def __init__(self):
        self.count = self.changes = 0
        self.there, self.unknown = [], None

    def step(self, connection, choose):
        if len(self.there) > 3 and choose.random() < 0.5:
            self.unknown = self.there.pop(choose.randrange(len(self.there)))
            answer = connection.call('DeleteTopics', 4, {'topic_names': [self.unknown], 'timeout_ms': 10000})['responses'][0]
        else:
            self.count += 1
            self.unknown = f'short-{self.count}'
            answer = connection.call('CreateTopics', 5, {'topics': [{'name': self.unknown, 'num_partitions': 2, 'replication_factor': 1}],
                                                         'timeout_ms': 10000})['topics'][0]
            if not answer['error_code']:
                self.there.append(self.unknown)
        if answer['error_code']:
            raise Broken(f'{self.unknown}: {answer}')
        self.unknown = None
        self.changes += 1

    def check(self, connection):
        names = {t['name'] for t in connection.call('Metadata', 9, {'topics': None})['topics'] if t['name'].startswith('short-')}
        if self.unknown:
            if self.unknown in names:
                self.there.append(self.unknown)
            self.unknown = None
        if names != set(self.there):
            raise Broken(f'topics: {sorted(names)}, acknowledged were {sorted(self.there)}')


class Run:
    def __init__(self, directory, options):
        self.options, self.choose = options, random.Random(options.seed)
        self.broker = brokers.Odradek(directory, **{'log.cleaner.backoff.ms': '5'})
        self.producers = [Producer(i, idempotent=i >= 2) for i in range(4)]
        self.committer, self.latest, self.topics = Committer(), Latest(), Topics()
        self.kills = self.kills_in_start = self.stops = 0

    def acknowledged(self):
        return sum(p.acknowledged for p in self.producers)

    def load(self):
        """Until the broker is gone."""
        connection = Connection(self.broker.port)
        for producer in self.producers:
            producer.connect(self.broker.port)
        while True:
            for producer in self.producers:
                producer.step()
            if self.choose.random() < 0.5:
                self.committer.step(connection)
            self.latest.step(connection, self.choose)
            if self.choose.random() < 0.1:
                self.topics.step(connection, self.choose)

    def kill_in_start(self):
        with open(self.broker.directory / 'stderr', 'ab') as errors:
            self.broker.process = self.broker.launch(errors)
        time.sleep(self.choose.random() * self.options.start_ms / 1000)
        self.broker.kill9()
        self.kills_in_start += 1

    def cycle(self):
        killer = threading.Timer(self.choose.uniform(0.01, self.options.load_ms / 1000), self.broker.process.kill)
        killer.start()
        try:
            self.load()
        except GONE:
            pass
        killer.join()
        self.broker.end()
        self.kills += 1
        while self.choose.random() < 0.4:
            self.kill_in_start()
        self.broker.start()
        self.check()
        if self.kills % 20 == 0:
            self.repeat()  # as in Kafka, a snapshot remembers only the last batch of a producer
            self.broker.restart()  # a clean stop moves the recovery point
            self.stops += 1
            self.check()

    def check(self, everything=False):
        connection = Connection(self.broker.port)
        for producer in self.producers:
            producer.check_new(connection)
            if everything:
                producer.check_all(connection)
        self.committer.check(connection)
        self.latest.check(connection)
        self.topics.check(connection)
        connection.close()

    def repeat(self):
        """The idempotent producers send again what was not acknowledged."""
        for producer in self.producers:
            producer.connect(self.broker.port)
            while producer.again or producer.in_flight:
                producer.step(only_again=True)
            producer.connection.close()
        self.check()

    def all(self):
        self.broker.start()
        connection = Connection(self.broker.port)
        answer = connection.call('CreateTopics', 5, {'topics': [{'name': TOPIC, 'num_partitions': 4, 'replication_factor': 1, 'configs': CONFIGS}],
                                                     'timeout_ms': 10000})
        assert not answer['topics'][0]['error_code'], answer
        answer = connection.call('CreateTopics', 5, {'topics': [{'name': COMPACTED, 'num_partitions': 1, 'replication_factor': 1,
                                                                 'configs': COMPACTED_CONFIGS}], 'timeout_ms': 10000})
        assert not answer['topics'][0]['error_code'], answer
        connection.close()
        while self.kills + self.kills_in_start < self.options.cycles or self.acknowledged() < self.options.records:
            self.cycle()
        self.repeat()
        self.check(everything=True)
        self.broker.stop()

    def report(self):
        return (f'{self.kills} kills under load, {self.kills_in_start} while starting, {self.stops} clean stops, '
                f'{self.acknowledged()} records acknowledged, {self.committer.attempted} commits, '
                f'{self.latest.count} records compacted to {self.latest.left}, {self.topics.changes} topic changes')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cycles', type=int, default=200)
    parser.add_argument('--records', type=int, default=200000)
    parser.add_argument('--load-ms', type=int, default=250, help='the longest life under load')
    parser.add_argument('--start-ms', type=int, default=12, help='the longest life of a start that is killed')
    parser.add_argument('--seed', type=int, default=random.randrange(1 << 30))
    parser.add_argument('--directory', help='where the data goes; default: a temporary directory')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        run = Run(directory, options)
        begin = time.monotonic()
        try:
            run.all()
        except (Broken, AssertionError) as e:
            print(f'FAILED after {run.report()}: {e} (seed {options.seed})')
            print((pathlib.Path(directory) / 'stderr').read_text()[-2000:])
            sys.exit(1)
        finally:
            if run.broker.process and run.broker.process.poll() is None:
                run.broker.kill9()
        print(f'{run.report()}: nothing lost, doubled, reordered or gone back (seed {options.seed}, {time.monotonic() - begin:.0f} s)')


main()
