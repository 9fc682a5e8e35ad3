#!/usr/bin/env python3
"""Cuts the power of a broker at any moment, as far as its files can tell, and looks whether it kept its word.

usage: power_cut.py --built DIRECTORY [--images N] [--mutant-images N] [--steps N] [--seed N]

A broker runs under load with shadow.c preloaded, both from the directory where they were built. Every prefix of the journal that
this leaves is a moment at which the power may have failed; images.py makes directories of it, and a broker is started on each. With
--durable everything acknowledged before has to be there; without, what is there has to be whole, in order and served, and the topics as
acknowledged. Then the same with brokers that were built to break a rule: each has to be found out."""
import argparse
import os
import pathlib
import random
import shutil
import struct
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
import broker as brokers
import images
import records
import wire

TOPIC, COMPACTED, GROUP = 'events', 'latest', 'readers'
CONFIGS = [{'name': 'segment.index.bytes', 'value': '48'}, {'name': 'index.interval.bytes', 'value': '1000'}]
COMPACTED_CONFIGS = [{'name': 'cleanup.policy', 'value': 'compact'}, {'name': 'min.cleanable.dirty.ratio', 'value': '0.1'},
                     {'name': 'segment.index.bytes', 'value': '24'}, {'name': 'index.interval.bytes', 'value': '500'}]
PARTITIONS, KEYS, SHORT, BATCH_HEAD = 2, 5, 4, 21
PROPERTIES = {'log.cleaner.backoff.ms': '5', 'offsets.topic.num.partitions': '2'}
NEVER = float('inf')
ASIDE = 1 << 30  # correlation ids of what is no part of the load
MUTANTS = {  # whether it breaks its word with --durable, or damages what is there without
    'no sync': True, 'no directory sync': True, 'acknowledgement before sync': True, 'answer before sync': True,
    'checkpoint before data': False, 'memory taken for disk': True}
UNBROKEN = 'unbroken'
FORGETFUL = 'memory taken for disk'  # what a failed sync left in it


class Broken(Exception):
    """The broker broke its word."""


class Broker(brokers.Odradek):
    FLAGS = ()


class Life:
    """Of a topic, from its creation to its deletion, as the correlation ids of what was asked."""

    def __init__(self, made):
        self.made, self.removed, self.produced, self.tail = made, NEVER, NEVER, None


class Load:
    """What was asked for, with the correlation ids under which it was acknowledged."""

    def __init__(self, choose):
        self.choose = choose
        self.correlation = self.commits = self.keys = 0
        self.batches = [[] for _ in range(PARTITIONS)]  # (tail, correlation)
        self.latest, self.committed, self.lives = {}, [], {f'short-{i}': [] for i in range(SHORT)}

    def ask(self, api, version, values):
        self.correlation += 1
        self.connection.correlation = self.correlation - 1
        return self.connection.call(api, version, values)

    def produce(self, topic, index, data):
        answer = self.ask('Produce', 9, {'acks': -1, 'timeout_ms': 10000, 'topic_data': [
            {'name': topic, 'partition_data': [{'index': index, 'records': data}]}]})['responses'][0]['partition_responses'][0]
        assert not answer['error_code'], answer

    def create(self, name, partitions, configs=()):
        answer = self.ask('CreateTopics', 5, {'topics': [{'name': name, 'num_partitions': partitions, 'replication_factor': 1,
                                                          'configs': list(configs)}], 'timeout_ms': 10000})['topics'][0]
        assert not answer['error_code'], answer

    def begin(self, connection):
        self.connection = connection
        self.create(TOPIC, PARTITIONS, CONFIGS)
        self.create(COMPACTED, 1, COMPACTED_CONFIGS)
        self.id = self.ask('InitProducerId', 4, {'transactional_id': None, 'transaction_timeout_ms': 60000})['producer_id']
        self.ready = self.correlation

    def step(self):
        which = self.choose.random()
        if which < 0.5:
            index = self.choose.randrange(PARTITIONS)
            sent = self.batches[index]
            ids = (self.id, 0, len(sent)) if index else (-1, -1, -1)
            data = records.batch([f'{index}:{len(sent)}'.encode().ljust(self.choose.randrange(100, 2000))], producer=ids)
            sent.append((data[BATCH_HEAD:], self.correlation + 1))
            self.produce(TOPIC, index, data)
        elif which < 0.75:
            key = self.choose.randrange(KEYS)
            self.keys += 1
            data = records.batch([f'{self.keys}'.encode().ljust(300)], keys=[f'{key}'.encode()])
            self.latest[data[BATCH_HEAD:]] = key, self.keys, self.correlation + 1
            self.produce(COMPACTED, 0, data)
        elif which < 0.95:
            self.commits += 1
            self.committed.append((self.commits, self.correlation + 1))
            self.ask('OffsetCommit', 7, {'group_id': GROUP, 'generation_id_or_member_epoch': -1, 'member_id': '', 'topics': [
                {'name': TOPIC, 'partitions': [{'partition_index': 0, 'committed_offset': self.commits, 'committed_metadata': ''}]}]})
        else:
            self.change_topics()

    def go_on(self, connection):
        """With a broker that was started after it failed: what was asked last may have been done."""
        self.connection = connection
        connection.correlation = ASIDE
        for index, sent in enumerate(self.batches):
            del sent[len(list(read_batches(connection, TOPIC, index))):]
        names = {t['name'] for t in self.ask('Metadata', 9, {'topics': None})['topics']}
        for name, lives in self.lives.items():
            if name in names and lives[-1].removed != NEVER:
                lives[-1].removed = NEVER
            elif name not in names and lives and lives[-1].removed == NEVER:
                lives.pop()

    def change_topics(self):
        name = self.choose.choice(list(self.lives))
        lives = self.lives[name]
        if lives and lives[-1].removed == NEVER:
            lives[-1].removed = self.correlation + 1
            self.ask('DeleteTopics', 4, {'topic_names': [name], 'timeout_ms': 10000})
            if self.choose.random() < 0.5:
                return
        life = Life(self.correlation + 1)
        lives.append(life)
        self.create(name, 1)
        data = records.batch([f'{name}:{len(lives)}'.encode()])
        life.produced, life.tail = self.correlation + 1, data[BATCH_HEAD:]
        self.produce(name, 0, data)


class Check:
    """One image against what the load had been told by then. durable: acknowledged is kept."""

    def __init__(self, load, sent, cut, durable):
        self.load, self.durable = load, durable
        self.is_told = lambda correlation: sent.get(correlation, NEVER) <= cut

    def must(self, correlation):
        return self.durable and self.is_told(correlation)

    def run(self, connection):
        names = {t['name'] for t in connection.call('Metadata', 9, {'topics': None})['topics']}
        for name, lives in self.load.lives.items():
            self.check_lives(connection, name, lives, name in names)
        if self.is_told(self.load.ready) and not {TOPIC, COMPACTED} <= names:
            raise Broken(f'topics are gone: {names}')
        if TOPIC in names:
            for index, sent in enumerate(self.load.batches):
                self.check_log(connection, index, sent)
            self.check_commits(connection)
        if COMPACTED in names:
            self.check_latest(connection)

    def may(self, correlation):
        """Whether it was asked for by then: one after the other is."""
        return correlation != NEVER and self.is_told(correlation - 1)

    def check_lives(self, connection, name, lives, is_there):
        lives = [life for life in lives if self.may(life.made)]
        told = [life for life in lives if self.is_told(life.made)]
        possible = lives[len(told) - 1 if told else 0:]
        last = told[-1] if told else None
        is_alive = last and not self.may(last.removed)
        if is_alive and not is_there:
            raise Broken(f'topic {name} is gone')
        if is_there and (not possible or possible == [last] and self.is_told(last.removed)):
            raise Broken(f'topic {name} is back, or was never made')
        found = [tail for _, tail in read_batches(connection, name, 0)] if is_there else []
        if found and found not in [[life.tail] for life in possible]:
            raise Broken(f'topic {name} holds {len(found)} batches that are not of this life')
        if is_alive and self.must(last.produced) and not found:
            raise Broken(f'topic {name} lost its record')

    def check_log(self, connection, index, sent):
        found = [tail for _, tail in read_batches(connection, TOPIC, index)]
        if found != [tail for tail, _ in sent[:len(found)]]:
            raise Broken(f'{TOPIC}-{index}: {len(found)} batches that are not the first that were sent')
        if len(found) < len(sent) and self.must(sent[len(found)][1]):
            raise Broken(f'{TOPIC}-{index}: lost the batch at {len(found)}, which was acknowledged')

    def check_latest(self, connection):
        found, last_offset = {}, -1
        for offset, tail in read_batches(connection, COMPACTED, 0):
            if tail not in self.load.latest or offset <= last_offset:
                raise Broken(f'{COMPACTED}: the batch at {offset} was not sent, or is not in order')
            last_offset = offset
            found[self.load.latest[tail][0]] = self.load.latest[tail][1]
        for key, count, correlation in self.load.latest.values():
            if self.must(correlation) and found.get(key, 0) < count:
                raise Broken(f'{COMPACTED}: key {key} has value {found.get(key)}, acknowledged was {count}')

    def check_commits(self, connection):
        for _ in range(200):
            answer = connection.call('OffsetFetch', 5, {'group_id': GROUP, 'topics': [{'name': TOPIC, 'partition_indexes': [0]}]})
            if not answer['error_code']:
                break
            time.sleep(0.01)
        else:
            raise Broken(f'the committed offsets are not served: error {answer["error_code"]}')
        offset = answer['topics'][0]['partitions'][0]['committed_offset']
        least = max((count for count, correlation in self.load.committed if self.must(correlation)), default=-1)
        if not least <= offset <= self.load.commits:
            raise Broken(f'committed offset {offset}, acknowledged was {least}')


def read_batches(connection, topic, index):
    offset = 0
    while True:
        answer = connection.call('Fetch', 11, {'max_wait_ms': 0, 'min_bytes': 0, 'max_bytes': 1 << 22, 'topics': [
            {'topic': topic, 'partitions': [{'partition': index, 'fetch_offset': offset, 'partition_max_bytes': 1 << 22}]}]})
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
            if base < offset or length < BATCH_HEAD - 12:
                raise Broken(f'{topic}-{index}: a batch of {length} bytes at {base}, where offset {offset} was next')
            yield base, data[at + BATCH_HEAD:at + 12 + length]
            offset, at = base + struct.unpack_from('>i', data, at + 23)[0] + 1, at + 12 + length


class Run:
    """A load, and the journal that it left."""

    def __init__(self, directory, options, name, durable, program=UNBROKEN, fails=False):
        self.directory, self.options, self.durable, self.program = directory, options, durable, program
        home, journals = directory / name, [directory / f'{name}.journal']
        home.mkdir()
        self.root = home / 'data'
        self.load = Load(random.Random(f'{options.seed} {name}'))
        broker = self.broker(home)
        self.load.begin(self.start(broker, journals[0], self.load.choose.randrange(20, options.steps // 5) if fails else 0))
        for _ in range(options.steps):
            try:
                self.load.step()
            except (wire.Closed, OSError):
                assert fails and len(journals) == 1 and broker.end() == 1, (home / 'stderr').read_text()
                journals.append(directory / f'{name}.journal2')
                self.load.go_on(self.start(broker, journals[1], 0))
        assert len(journals) == 1 + fails, 'no sync failed'
        broker.kill9()
        self.entries = images.read_journal(journals[0])
        self.first_cut = len(self.entries) if fails else 1
        for journal in journals[1:]:
            self.entries += [('K', -1, 0, b'', b''), *images.read_journal(journal)]
        whole = images.Disk(self.root)
        for entry in self.entries:
            whole.follow(entry)
        self.sent = whole.sent
        answers = sum(correlation < ASIDE for correlation in self.sent)  # but for one that the kill came before, or the failure
        assert answers >= self.load.correlation - 1 - fails, 'answers are not in the journal'

    def start(self, broker, journal, failing_sync):
        os.environ.update(LD_PRELOAD=str(self.options.built / 'shadow.so'), SHADOW_ROOT=str(self.root), SHADOW_JOURNAL=str(journal),
                          SHADOW_FAILS=str(failing_sync), SHADOW_FAILS_IN='' if self.program == UNBROKEN else f'/{TOPIC}-')
        try:
            broker.start()
        finally:
            del os.environ['LD_PRELOAD']
        return wire.Connection('127.0.0.1', broker.port)

    def broker(self, home):
        broker = Broker(home, **PROPERTIES)
        broker.FLAGS = ('--durable',) if self.durable else ()
        broker.BINARY = self.options.built / self.program
        return broker

    def look(self, count):
        """Starts a broker on so many images; the first word that was broken, or None, and how many images that took."""
        choose = random.Random(f'{self.options.seed} {self.root}')
        disk = images.Disk(self.root)
        for done, cut in enumerate(sorted(choose.randrange(self.first_cut, len(self.entries) + 1) for _ in range(count))):
            while disk.position < cut:
                disk.follow(self.entries[disk.position])
            try:
                self.look_at(disk, choose)
            except Broken as e:
                return f'{e} (cut at {cut} of {len(self.entries)})', done + 1
        return None, count

    def look_at(self, disk, choose):
        home = self.directory / 'image'
        home.mkdir()
        disk.root.image(home / 'data', choose, choose.choice((0, 0.5, 0.9, 1)))
        broker = self.broker(home)
        try:
            try:
                broker.start()
            except (AssertionError, OSError, ValueError):
                raise Broken('it does not start: ' + (home / 'stderr').read_text()[-300:]) from None
            connection = wire.Connection('127.0.0.1', broker.port)
            Check(self.load, self.sent, disk.position, self.durable).run(connection)
            connection.close()
        except (wire.Closed, OSError) as e:
            raise Broken(f'it went away, or does not answer: {e!r}') from None
        finally:
            if broker.process and broker.process.poll() is None:
                broker.kill9()
            if os.environ.get('KEEP') and sys.exc_info()[0] and not os.path.exists(os.environ['KEEP']):
                shutil.copytree(home, os.environ['KEEP'])
            shutil.rmtree(home)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--images', type=int, default=1000)
    parser.add_argument('--mutant-images', type=int, default=100)
    parser.add_argument('--steps', type=int, default=1500)
    parser.add_argument('--mutant-steps', type=int, default=500)
    parser.add_argument('--seed', type=int, default=random.randrange(1 << 30))
    parser.add_argument('--built', type=pathlib.Path, required=True, help='where shadow.so and the brokers are')
    options = parser.parse_args()
    options.built = options.built.resolve(strict=True)
    place = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    failed = 0
    with tempfile.TemporaryDirectory(dir=place) as directory:
        directory = pathlib.Path(directory)
        for name, durable, fails, count in (('durable', True, False, options.images), ('not durable', False, False, options.images // 4),
                                            ('after a failed sync', True, True, options.images // 4)):
            run = Run(directory, options, name.replace(' ', '_'), durable, fails=fails)
            broken, looked = run.look(count)
            print(f'{name}: {looked} power cuts of {len(run.entries)} operations: {broken or "it kept its word"} (seed {options.seed})')
            failed += broken is not None
        options.steps = options.mutant_steps
        for name, durable in MUTANTS.items():
            fails, name = name == FORGETFUL, f"mutant_{name.replace(' ', '_')}"
            run = Run(directory, options, name, durable, name, fails)
            broken, looked = run.look(options.mutant_images)
            print(f'{name}: {"found out at image " + str(looked) + ": " + broken if broken else "NOT FOUND OUT"}')
            failed += broken is None
    sys.exit(failed > 0)


main()
