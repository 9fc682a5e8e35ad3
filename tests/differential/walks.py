"""Random walks: sound and unsound requests one after the other, about the same few members or producers, by a seed.

A mutation spoils one request of a short scene; a walk gets to states that nobody thought of. Each is of names of its own and depends on
nothing but the seed and its number; what comes next is drawn without looking at the answers, which each side remembers for itself.
"""
import dataclasses
import random

import records
from cases import consumer_groups
from cases.common import Case, create, fetch_committed, produce, topic_id
from cases.transactions import RECENT, Producer, batches, is_idle, without_bytes

STEPS = 40
PATIENCE_MS = 600000  # nothing ends by itself during a walk
MEMBERS, INSTANCES = ('a', 'b', 'c'), (None, 'i', 'j')


class Members:
    """A group of the consumer protocol. One topic: of several, assignors take one before the other as their ids are."""

    def __init__(self, rng, name):
        self.rng, self.group, self.topics = rng, name, (name,)
        self.instances = {}
        self.assignor = rng.choice(('range', 'uniform'))  # of two with as many votes Kafka takes the one that its hash tables have first

    def begin(self):
        for topic in self.topics:
            yield create(topic, partitions=4)

    def owned(self, side, member, how):
        """What the member was told to have, all or some of it; or it says nothing."""
        mine = side.memory.get(('assigned', member), {})
        if how == 'nothing':
            return None
        rows = {'all': mine, 'none': {}, 'some': {t: p[:1] for t, p in mine.items()}, 'another': {self.topics[0]: [0]}}[how]
        return [{'topic_id': topic_id(side, topic), 'partitions': partitions} for topic, partitions in sorted(rows.items()) if partitions]

    def take(self, member):
        def remember(side, answer):
            if answer['error_code']:
                return
            side.memory['epoch', member] = answer['member_epoch']
            if answer['assignment']:
                names = {topic_id(side, topic): topic for topic in self.topics}
                answer['assignment'] = side.memory['assigned', member] = {
                    names[row['topic_id']]: sorted(row['partitions']) for row in answer['assignment']['topic_partitions']}
        return remember

    def describe(self):
        def shape(answer):
            answer = consumer_groups.described_in_order(answer)
            for member in answer['groups'][0]['members']:
                for part in 'assignment', 'target_assignment':
                    member[part] = sorted((row['topic_name'], row['partitions']) for row in member[part]['topic_partitions'])
            return answer
        return dataclasses.replace(consumer_groups.describe(self.group, 'now'), shape=shape)

    def beat(self, member, note, epoch=None, step=0, owned='all', names=None, timeout=-1, instance=None, **more):
        version = self.rng.choice((0, 1))

        def values(side):
            return {'group_id': self.group, 'member_id': member, 'rebalance_timeout_ms': timeout, 'instance_id': instance,
                    'member_epoch': side.memory.get(('epoch', member), 1) + step if epoch is None else epoch, 'subscribed_topic_names': names,
                    'topic_partitions': self.owned(side, member, owned), **more}
        return Case('ConsumerGroupHeartbeat', version, values, f'{member} {note}', remember=self.take(member))

    def names(self):
        return self.rng.choice(([], [*self.topics], [*self.topics], [*self.topics, 'not-there'], ['not-there']))

    def join(self, member):
        # one that rejoins under another instance id has no target in Kafka, until the next rebalance; beside a new one that reads nothing
        # nobody has
        instance = self.instances.setdefault(member, self.rng.choice(INSTANCES))
        assignor = {'server_assignor': self.assignor} if self.rng.random() < .3 else {}
        return self.beat(member, 'joins', epoch=0, owned=self.rng.choice(('none', 'none', 'none', 'another')), names=self.names() or [self.group], timeout=PATIENCE_MS,
                         instance=instance, **assignor)

    def leave(self, member):
        epoch = self.rng.choice((-1, -1, -2, -3))
        instance = self.instances.get(member)
        if epoch == -1 and self.rng.random() < .5:
            self.instances.pop(member, None)
        return self.beat(member, f'leaves with {epoch}', epoch=epoch, owned='nothing', instance=instance)

    def commit(self, member):
        step, version = self.rng.choice((0, 0, 0, -1, 1)), self.rng.choice((8, 9, 10))
        return Case('OffsetCommit', version, lambda side: {
            'group_id': self.group, 'member_id': member, 'generation_id_or_member_epoch': side.memory.get(('epoch', member), 1) + step, 'topics': [
                ({'topic_id': topic_id(side, topic)} if version == 10 else {'name': topic}) | {'partitions': [
                    {'partition_index': 0, 'committed_offset': 1, 'committed_metadata': ''}]} for topic in self.topics]}, f'{member} commits')

    def fetch_offsets(self, member):
        step = self.rng.choice((0, 0, -1, 1))
        return Case('OffsetFetch', 9, lambda side: {'groups': [{
            'group_id': self.group, 'member_id': member, 'member_epoch': side.memory.get(('epoch', member), 1) + step,
            'topics': [{'name': topic, 'partition_indexes': [0]} for topic in self.topics]}]}, f'{member} asks for offsets')

    def other(self):
        return self.rng.choice((
            lambda: Case('OffsetDelete', 0, {'group_id': self.group, 'topics': [{'name': t, 'partitions': [{'partition_index': 0}]} for t in self.topics]},
                         'offsets are deleted'),
            lambda: Case('DeleteGroups', 2, {'groups_names': [self.group]}, 'the group is deleted'),
            lambda: Case('DescribeGroups', 6, {'groups': [self.group]}, 'as a classic group'),
            lambda: Case('ListGroups', 5, {}, 'listed', shape=lambda a: [g for g in a['groups'] if g['group_id'] == self.group])))()

    def step(self):
        member = self.rng.choice(MEMBERS)
        instance = self.instances.get(member)
        if self.rng.random() < .1:
            instance = self.rng.choice(INSTANCES)
        yield self.rng.choices((
            lambda: self.join(member),
            lambda: self.beat(member, 'beats', owned=self.rng.choice(('all', 'all', 'nothing', 'none', 'some', 'another')), instance=instance),
            lambda: self.beat(member, 'beats at another epoch', step=self.rng.choice((-1, -1, 1, -2)), owned=self.rng.choice(('all', 'none', 'some')),
                              instance=instance),
            lambda: self.beat(member, 'reads something else', names=self.names(), owned=self.rng.choice(('all', 'none', 'nothing')), instance=instance),
            lambda: self.leave(member), lambda: self.commit(member), lambda: self.fetch_offsets(member), self.other), (5, 9, 2, 3, 2, 1, 1, 1))[0]()
        yield self.describe()


class Producers:
    """Transactional ids, and what their transactions write."""

    def __init__(self, rng, name):
        self.rng, self.name, self.producers = rng, name, [Producer(f'{name}-{i}') for i in 'ab']
        # of what it refuses before the transaction knows of the partition Kafka keeps the sequence, and takes no higher one after it
        self.versions = rng.choice(((9, 11), (12,)))

    def begin(self):
        yield create(self.name, partitions=2)
        for producer in self.producers:
            yield producer.init(4, timeout=PATIENCE_MS)

    def produce(self, producer):
        partition, epoch, version = self.rng.choice((0, 1)), self.rng.choice((0, 0, 0, 0, -1)), self.rng.choice(self.versions)
        gap = self.rng.choice((0, 0, 0, 0, 1)) if version >= 12 else 0

        def values(side):
            mine = producer.mine(side, epoch)
            key = producer.name, partition, mine['producer_id'], mine['producer_epoch']
            batch = records.batch([b'v'], timestamp=RECENT, attributes=0x10, producer=(
                mine['producer_id'], mine['producer_epoch'], max(0, side.memory.get(key, 0) + gap)))
            side.memory['written'] = key
            return {'transactional_id': producer.name, 'acks': -1, 'timeout_ms': 9000, 'topic_data': [
                {'name': self.name, 'partition_data': [{'index': partition, 'records': batch}]}]}

        def remember(side, answer):
            if not gap and answer['responses'][0]['partition_responses'][0]['error_code'] == 0:
                side.memory[side.memory['written']] = side.memory.get(side.memory['written'], 0) + 1
        return Case('Produce', version, values, f'{producer.name} v{version}', until=is_idle, remember=remember)

    def init(self, producer):
        version = self.rng.choice((2, 4, 5))
        recover = version >= 3 and self.rng.random() < .4
        return producer.init(version, 'again', recover=recover, timeout=PATIENCE_MS, epoch=self.rng.choice((0, 0, -1, 1)) if recover else 0)

    def seen(self):
        for partition in (0, 1):
            yield Case('Fetch', 11, {'max_wait_ms': 1, 'min_bytes': 0, 'isolation_level': 1, 'topics': [{'topic': self.name, 'partitions': [
                {'partition': partition, 'fetch_offset': 0, 'partition_max_bytes': 1 << 20}]}]}, 'what is there', shape=readable, settles=True)

    def step(self):
        producer = self.rng.choice(self.producers)
        version = self.rng.choice((3, 4, 5))
        yield self.rng.choices((
            lambda: self.init(producer),
            lambda: producer.add(self.rng.choice((3, 4, 5)), [self.rng.choice((0, 1))], 'adds', topic=self.name, epoch=self.rng.choice((0, 0, 0, -1, 1))),
            lambda: self.produce(producer),
            lambda: producer.add_offsets(self.rng.choice((3, 4)), self.name, 'adds offsets'),
            lambda: Case('TxnOffsetCommit', version, lambda side: producer.mine(side) | {'group_id': self.name, 'topics': [
                {'name': self.name, 'partitions': [{'partition_index': 0, 'committed_offset': 1, 'committed_metadata': ''}]}]}, 'commits offsets', until=is_idle),
            lambda: producer.end(self.rng.choice((3, 4, 5)), self.rng.random() < .5, 'ends', epoch=self.rng.choice((0, 0, 0, 0, -1, 1)))),
            (2, 4, 8, 1, 2, 5))[0]()
        described = producer.describe('the transaction now')
        yield dataclasses.replace(described, shape=lambda a: by_topic(described.shape(a)))
        if self.rng.random() < .2:
            yield from self.seen()
            yield dataclasses.replace(fetch_committed(7, 'what is committed', self.name, self.name, (0,)), settles=True)


def readable(answer):
    """Kafka also tells of transactions that were aborted behind what may be read yet."""
    for partition in without_bytes(answer)['responses'][0]['partitions']:
        partition['aborted_transactions'] = [o for o in partition['aborted_transactions'] or () if o < partition['last_stable_offset']]
    return answer


def by_topic(answer):
    for state in answer['transaction_states']:
        state['topics'].sort(key=lambda topic: topic['topic'])
    return answer


class Writers:
    """Idempotent producers without transactions, whose sequences have gaps and repeats, and whose epochs change."""

    def __init__(self, rng, name):
        self.rng, self.name = rng, name

    def begin(self):
        yield create(self.name)
        for who in 'ab':
            yield Case('InitProducerId', 4, {'transactional_id': None, 'transaction_timeout_ms': 1000}, 'a writer',
                       remember=lambda side, answer, who=who: side.memory.update({who: answer['producer_id']}))

    def step(self):
        who, epoch, sequence = self.rng.choice('ab'), self.rng.choice((0, 0, 1, 1, 2)), self.rng.choice((0, 0, 1, 2, 3, 4, 5, 6, 2**31 - 1, 2**31 - 2))
        values = [b'v'] * self.rng.choice((1, 1, 2, 3))
        version = self.rng.choice((7, 9, 12))
        if self.rng.random() < .1:
            yield Case('DeleteRecords', 2, {'timeout_ms': 9000, 'topics': [{'name': self.name, 'partitions': [
                {'partition_index': 0, 'offset': self.rng.choice((0, 1, 3, -1))}]}]}, 'records are deleted')
        yield Case('Produce', version, lambda side: {'acks': -1, 'timeout_ms': 9000, 'topic_data': [{'name': self.name, 'partition_data': [
            {'index': 0, 'records': records.batch(values, timestamp=RECENT, producer=(side.memory[who], epoch, sequence))}]}]},
            f'{who} {epoch} {sequence} {len(values)}')
        yield Case('DescribeProducers', 0, {'topics': [{'name': self.name, 'partition_indexes': [0]}]}, 'who writes', shape=without_times)


def without_times(answer):
    rows = answer['topics'][0]['partitions'][0]['active_producers']
    return sorted((p['producer_epoch'], p['last_sequence'], p['coordinator_epoch'], p['current_txn_start_offset']) for p in rows)


class Sessions:
    """A fetch session, to which partitions are added and of which they are forgotten, while records come."""

    def __init__(self, rng, name):
        self.rng, self.topics, self.version = rng, (f'{name}-1', f'{name}-2'), rng.choice((7, 11, 12))

    def begin(self):
        for topic in self.topics:
            yield create(topic, partitions=2)

    def some(self):
        """Partitions by topic, of which there may be none."""
        return {topic: self.rng.sample((0, 1, 2), self.rng.choice((1, 1, 2))) for topic in self.rng.sample((*self.topics, 'not-there'), self.rng.choice((0, 1, 1, 2)))}

    def fetch(self):
        wanted, gone, start = self.some(), self.some() if self.rng.random() < .3 else {}, self.rng.choice((0, 0, 1, 2, 99))
        how = self.rng.choices(('begin', 'next', 'again', 'skip', 'end', 'unknown', 'outside'), (2, 10, 1, 1, 1, 1, 1))[0]

        def values(side):
            session, epoch = side.memory.get('session', (0, 0))
            session, epoch = {'begin': (0, 0), 'next': (session, epoch), 'again': (session, max(epoch - 1, 0)), 'skip': (session, epoch + 1), 'end': (session, -1),
                              'unknown': (12345, 1), 'outside': (0, -1)}[how]
            return {'max_wait_ms': 0, 'min_bytes': 0, 'session_id': session, 'session_epoch': epoch, 'topics': [
                {'topic': topic, 'partitions': [{'partition': i, 'fetch_offset': start, 'partition_max_bytes': 1 << 20} for i in partitions]}
                for topic, partitions in wanted.items()], 'forgotten_topics_data': [
                {'topic': topic, 'partitions': partitions} for topic, partitions in gone.items()]}

        def remember(side, answer):
            if answer['error_code'] == 0 and how in ('begin', 'next'):
                session, epoch = side.memory.get('session', (0, 0))
                side.memory['session'] = answer['session_id'], 1 if how == 'begin' or epoch == 0 else epoch + 1
            elif how == 'end' and answer['error_code'] == 0:
                side.memory.pop('session', None)
        return Case('Fetch', self.version, values, f'{how} {wanted} without {gone}', shape=rows_in_order, remember=remember)

    def step(self):
        topic, partition = self.rng.choice(self.topics), self.rng.choice((0, 1))
        if self.rng.random() < .3:
            yield produce(records.batch([b'v'], timestamp=RECENT), 'a record', topic=topic, partition=partition)
        if self.rng.random() < .05:
            yield Case('DeleteRecords', 2, {'timeout_ms': 9000, 'topics': [{'name': topic, 'partitions': [{'partition_index': partition, 'offset': -1}]}]}, 'all are deleted')
        yield self.fetch()


def rows_in_order(answer):
    """A topic may be told of in several pieces."""
    rows = [(topic['topic'], p['partition_index'], p['error_code'], p['high_watermark'], p['log_start_offset'], [b[0] for b in batches(p['records'])])
            for topic in answer['responses'] for p in topic['partitions']]
    return {'error_code': answer['error_code'], 'session_id': answer['session_id'], 'rows': sorted(rows)}


KINDS = (Members, Producers, Writers, Sessions)


def walk(seed, number):
    """The kind of that walk, and its cases."""
    kind = KINDS[number % len(KINDS)]
    rng = random.Random(f'walk {seed} {number}')
    it = kind(rng, f'walk-{seed}-{number}')
    yield from it.begin()
    for _ in range(STEPS):
        yield from it.step()


def name(seed, number):
    return f'walk {number} of seed {seed}, {KINDS[number % len(KINDS)].__name__}'
