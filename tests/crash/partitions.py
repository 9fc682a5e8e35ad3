#!/usr/bin/env python3
"""What a broker with many partitions costs: files open, mappings, memory each, and how long a start takes.

usage: partitions.py [--binary PATH] [--partitions N] [--directory DIR]

Numbers that the machine's speed has no part in are checked; times are only printed."""
import argparse
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
import broker as brokers
import records
import wire

PER_TOPIC = 100
DESCRIPTORS_MAX, MAPPINGS_MAX, BYTES_MAX = 1000, 20000, 4096


def usage_of(pid):
    proc = pathlib.Path(f'/proc/{pid}')
    status = dict(line.split(':', 1) for line in (proc / 'status').read_text().splitlines())
    anonymous = int(status['RssAnon'].split()[0]) * 1024
    return len(os.listdir(proc / 'fd')), len((proc / 'maps').read_text().splitlines()), anonymous


def create(connection, count):
    for first in range(0, count, PER_TOPIC):
        topic = {'name': f'topic{first // PER_TOPIC}', 'num_partitions': PER_TOPIC, 'replication_factor': 1}
        answer = connection.call('CreateTopics', 5, {'topics': [topic], 'timeout_ms': 60000})
        assert answer['topics'][0]['error_code'] == 0, answer


def produce(connection, count, batch):
    """A record to each partition."""
    for first in range(0, count, PER_TOPIC):
        topic = {'name': f'topic{first // PER_TOPIC}', 'partition_data':
                 [{'index': i, 'records': batch} for i in range(PER_TOPIC)]}
        answer = connection.call('Produce', 9, {'acks': -1, 'timeout_ms': 60000, 'topic_data': [topic]})
        assert all(p['error_code'] == 0 for p in answer['responses'][0]['partition_responses']), answer


def fetch(connection, count):
    for first in range(0, count, PER_TOPIC):
        topic = {'topic': f'topic{first // PER_TOPIC}', 'partitions':
                 [{'partition': i, 'fetch_offset': 0, 'partition_max_bytes': 1 << 20} for i in range(PER_TOPIC)]}
        answer = connection.call('Fetch', 11, {'max_wait_ms': 0, 'min_bytes': 0, 'max_bytes': 1 << 28, 'topics': [topic]})
        assert all(p['error_code'] == 0 and p['records'] for p in answer['responses'][0]['partitions']), answer


class Run:
    def __init__(self, broker, count):
        self.broker, self.count, self.failed = broker, count, 0
        self.batch = records.batch([b'value'])

    def check(self, what, value, limit):
        verdict = 'ok' if value <= limit else 'FAILED'
        self.failed += value > limit
        print(f'{what}: {value} (limit {limit}) {verdict}', flush=True)

    def report(self, when, empty_bytes):
        descriptors, mappings, anonymous = usage_of(self.broker.process.pid)
        self.check(f'{when}, descriptors', descriptors, DESCRIPTORS_MAX)
        self.check(f'{when}, mappings', mappings, MAPPINGS_MAX)
        self.check(f'{when}, bytes a partition', max(anonymous - empty_bytes, 0) // self.count, BYTES_MAX)

    def connect(self):
        return wire.Connection('127.0.0.1', self.broker.port)

    def start(self, how):
        begin = time.monotonic()
        self.broker.start()
        ready = time.monotonic()
        connection = self.connect()
        topic = {'name': 'topic0', 'partition_data': [{'index': 0, 'records': self.batch}]}
        connection.call('Produce', 9, {'acks': -1, 'timeout_ms': 60000, 'topic_data': [topic]})
        print(f'{how}: ready in {(ready - begin) * 1000:.0f} ms, '
              f'first produce in {(time.monotonic() - begin) * 1000:.0f} ms', flush=True)
        return connection

    def all(self):
        self.broker.start()
        empty = usage_of(self.broker.process.pid)[2]
        connection = self.connect()
        begin = time.monotonic()
        create(connection, self.count)
        print(f'created in {time.monotonic() - begin:.1f} s', flush=True)
        self.report('created', empty)
        produce(connection, self.count, self.batch)
        self.report('produced', empty)
        fetch(connection, self.count)
        self.report('fetched', empty)
        connection.close()
        begin = time.monotonic()
        self.broker.stop()
        print(f'stopped in {time.monotonic() - begin:.1f} s', flush=True)
        self.start('after a clean stop').close()
        self.report('started', empty)
        self.broker.kill9()
        connection = self.start('after kill -9, nothing unflushed')
        produce(connection, self.count, self.batch)
        connection.close()
        self.broker.kill9()
        connection = self.start('after kill -9, a record unflushed in each')
        self.report('recovered', empty)
        fetch(connection, self.count)
        self.report('recovered and fetched', empty)
        connection.close()
        self.broker.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--partitions', type=int, default=10000)
    parser.add_argument('--directory', help='where the data goes; default: a temporary directory')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        run = Run(brokers.Odradek(directory), options.partitions)
        run.all()
    sys.exit(run.failed > 0)


main()
