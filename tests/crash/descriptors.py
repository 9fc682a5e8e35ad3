#!/usr/bin/env python3
"""A broker that may open 64 files: clients take all of them, logs go on rolling, and what is refused works again once there is room.

usage: descriptors.py [--binary PATH] [--rounds N] [--limit N]

In each round clients connect until one is refused; those that are in produce to rolling logs of more partitions than there are
descriptors, read it all, and delete a topic. Then the limit is lowered below what is open, so that nothing can be opened at all: a roll
is refused with the error of a disk that fails, and other logs' records still come. In between the broker rests: it must not spin."""
import argparse
import os
import pathlib
import resource
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
import broker as brokers
import records
import wire

LIMIT, PARTITIONS, STORAGE_ERROR = 64, 30, 56
SECONDS = 60  # only against hanging for ever
REST_SECONDS, REST_CPU_SECONDS = 1, 0.5
ROLLING = [{'name': 'segment.index.bytes', 'value': '24'}, {'name': 'index.interval.bytes', 'value': '0'}]
RECORDS_PER_SEGMENT = 4  # more than that a segment never holds


def cpu_seconds(pid):
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class Run:
    def __init__(self, directory, options):
        self.directory, self.options = directory, options
        self.broker = brokers.Odradek(directory, **{'log.flush.offset.checkpoint.interval.ms': '50', 'offsets.topic.num.partitions': '1'})
        self.broker.BINARY = directory / 'limited'
        self.broker.BINARY.write_text(f'#!/bin/sh\nulimit -n {options.limit}\nexec {options.binary} "$@"\n')
        self.broker.BINARY.chmod(0o755)
        self.sent = {}  # (topic, partition): values that were acknowledged
        self.counts = dict.fromkeys(('connections', 'refused', 'acknowledged', 'rolls', 'rolls refused'), 0)

    def said(self):
        return (self.directory / 'stderr').read_text()[-2000:]

    def connect(self):
        """None when the broker would not have it."""
        connection = wire.Connection('127.0.0.1', self.broker.port)
        try:
            connection.call('ApiVersions', 0, {})
        except (wire.Closed, OSError):
            connection.close()
            return None
        return connection

    def connect_again(self):
        end = time.monotonic() + SECONDS
        while not (connection := self.connect()):
            assert time.monotonic() < end, 'refused though there is room: ' + self.said()
            time.sleep(0.05)
        return connection

    def fill(self):
        """Clients, until some in a row are refused: what a thread had open for a moment comes free."""
        inside, refused = [], 0
        while refused < 5:
            connection = self.connect()
            refused = 0 if connection else refused + 1
            self.counts['refused'] += refused > 0
            if connection:
                inside.append(connection)
            assert len(inside) < self.options.limit
        self.counts['connections'] += len(inside)
        return inside

    def create(self, connection, name):
        answer = connection.call('CreateTopics', 5, {'timeout_ms': 60000, 'topics': [
            {'name': name, 'num_partitions': PARTITIONS, 'replication_factor': 1, 'configs': ROLLING}]})['topics'][0]
        assert not answer['error_code'], (answer, self.said())
        self.sent.update({(name, index): [] for index in range(PARTITIONS)})

    def delete(self, connection, name):
        answer = connection.call('DeleteTopics', 4, {'topic_names': [name], 'timeout_ms': 60000})['responses'][0]
        assert not answer['error_code'], (answer, self.said())
        for index in range(PARTITIONS):
            del self.sent[name, index]

    def produce(self, connection, name, index):
        sent = self.sent[name, index]
        value = f'{name}-{index}:{len(sent)}'.encode()
        part = connection.call('Produce', 9, {'acks': -1, 'timeout_ms': 60000, 'topic_data': [
            {'name': name, 'partition_data': [{'index': index, 'records': records.batch([value])}]}]})['responses'][0]['partition_responses'][0]
        assert part['error_code'] in (0, STORAGE_ERROR), part
        if part['error_code'] == 0:
            assert part['base_offset'] == len(sent), part
            sent.append(value)
            self.counts['acknowledged'] += 1
        return part['error_code']

    def check(self, connection):
        for (name, index), sent in self.sent.items():
            offset = 0
            while offset < len(sent):
                part = connection.call('Fetch', 11, {'max_wait_ms': 0, 'min_bytes': 0, 'max_bytes': 1 << 20, 'topics': [
                    {'topic': name, 'partitions': [{'partition': index, 'fetch_offset': offset, 'partition_max_bytes': 1 << 20}]}]})
                part = part['responses'][0]['partitions'][0]
                assert part['error_code'] == 0 and part['records'], (name, index, offset, part, self.said())
                assert part['high_watermark'] == len(sent), (part['high_watermark'], len(sent))
                data = part['records']
                at = 0
                while at + 61 < len(data):
                    size = 12 + int.from_bytes(data[at + 8:at + 12], 'big')
                    assert sent[offset] in data[at:at + size], (name, index, offset)
                    offset, at = offset + 1, at + size

    def rest(self, what):
        before = cpu_seconds(self.broker.process.pid)
        time.sleep(REST_SECONDS)
        spent = cpu_seconds(self.broker.process.pid) - before
        assert spent < REST_CPU_SECONDS, f'{what}: {spent} s of CPU in {REST_SECONDS} s of rest'

    def set_limit(self, limit):
        resource.prlimit(self.broker.process.pid, resource.RLIMIT_NOFILE, (limit, self.options.limit))

    def without_any(self, connection, name):
        """Nothing can be opened, as if others had taken all there is."""
        self.set_limit(3)
        waiting = socket.create_connection(('127.0.0.1', self.broker.port), SECONDS)
        codes = [self.produce(connection, name, 0) for _ in range(RECORDS_PER_SEGMENT + 1)]
        assert STORAGE_ERROR in codes, codes
        self.counts['rolls refused'] += codes.count(STORAGE_ERROR)
        self.rest('no descriptor at all, and a client waits')
        self.set_limit(self.options.limit)
        waiting.close()
        end = time.monotonic() + SECONDS
        while self.produce(connection, name, 0):
            assert time.monotonic() < end, self.said()

    def with_nobody_in(self):
        self.set_limit(3)
        waiting = socket.create_connection(('127.0.0.1', self.broker.port), SECONDS)
        self.rest('no descriptor at all, and the only client waits')
        self.set_limit(self.options.limit)
        waiting.close()
        self.connect_again().close()

    def segments(self):
        """Passes over the directories of deleted topics that vanish meanwhile."""
        return sum(name.endswith('.log') for _, _, names in os.walk(self.directory / 'data') for name in names)

    def round(self, number):
        inside = self.fill()
        self.rest('all clients are in')
        before, name = self.segments(), f'topic-{number}'
        self.create(inside[0], name)
        for turn in range(3 * RECORDS_PER_SEGMENT):
            for index in range(PARTITIONS):
                code = self.produce(inside[(turn + index) % len(inside)], name, index)
                assert code == 0, (name, turn, index, self.said())
        self.counts['rolls'] += self.segments() - before - PARTITIONS
        self.check(inside[-1])
        for connection in inside[1:]:
            connection.close()
        self.without_any(inside[0], name)
        self.check(inside[0])
        self.connect_again().close()
        if number > 1:
            self.delete(inside[0], f'topic-{number - 1}')
        inside[0].close()
        if number == 0:
            self.with_nobody_in()

    def all(self):
        self.broker.start()
        for number in range(self.options.rounds):
            self.round(number)
            if number % 2:
                code = self.broker.stop()
                assert code == 0 and (self.directory / 'data/.kafka_cleanshutdown').exists(), (code, self.said())
            else:
                self.broker.kill9()
            self.broker.start()
            connection = self.connect_again()
            self.check(connection)
            connection.close()
        assert self.broker.stop() == 0, self.said()
        print(f'descriptors: {self.options.rounds} rounds with {self.options.limit}, ' + ', '.join(f'{count} {name}' for name, count in self.counts.items()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--binary', type=pathlib.Path, default=brokers.ROOT / 'build/odradek')
    parser.add_argument('--rounds', type=int, default=4)
    parser.add_argument('--limit', type=int, default=LIMIT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        run = Run(pathlib.Path(directory), options)
        try:
            run.all()
        except BaseException:
            print(run.said(), file=sys.stderr)
            raise
        finally:
            if run.broker.process and run.broker.process.poll() is None:
                run.broker.kill9()


main()
