"""What programs do with aiokafka, as short scenarios that check themselves.

usage: scenarios.py HOST:PORT NAME
"""
import asyncio
import contextlib
import sys

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError, ProducerFenced, TopicAlreadyExistsError, for_code

ADDRESS, NAME = sys.argv[1:]
SECONDS = 60  # only against hanging for ever
EPOCH_MS = 1700000000000


@contextlib.asynccontextmanager
async def running(client):
    await client.start()
    try:
        yield client
    finally:
        await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())


def administration():
    return running(AIOKafkaAdminClient(bootstrap_servers=ADDRESS))


def producer(**settings):
    return running(AIOKafkaProducer(bootstrap_servers=ADDRESS, **settings))


def consumer(*topics, **settings):
    return AIOKafkaConsumer(*topics, bootstrap_servers=ADDRESS, auto_offset_reset='earliest', enable_auto_commit=False, **settings)


@contextlib.asynccontextmanager
async def assigned(topic, partition=0, **settings):
    async with running(consumer(**settings)) as reader:
        reader.assign([TopicPartition(topic, partition)])
        yield reader


async def make(topic, partitions=1):
    async with administration() as client:
        answer = await client.create_topics([NewTopic(topic, partitions, 1)])
        for _, code, *_ in answer.topic_errors:
            if code:
                raise for_code(code)
    return topic


async def produce(topic, values, partition=0, **settings):
    """A record's time is its number in seconds; returns their offsets."""
    async with producer(**settings) as client:
        sent = [await client.send(topic, value, b'key %d' % i, partition, EPOCH_MS + 1000 * i, [('number', b'%d' % i)])
                for i, value in enumerate(values)]
        return [(await each).offset for each in sent]


async def read(reader, count):
    records = []
    while len(records) < count:
        records.append(await reader.getone())
    return records


async def read_values(topic, count, partition=0, **settings):
    async with assigned(topic, partition, **settings) as reader:
        return [record.value for record in await read(reader, count)]


def numbers(first, count):
    return [b'event %d' % i for i in range(first, first + count)]


async def records():
    topic, values = await make(f'{NAME}-records'), numbers(0, 5) + [None, b'']
    assert await produce(topic, values, acks='all') == list(range(7))
    async with assigned(topic) as reader:
        got = [(r.offset, r.key, r.value, list(r.headers), r.timestamp) for r in await read(reader, 7)]
        assert got == [(i, b'key %d' % i, value, [('number', b'%d' % i)], EPOCH_MS + 1000 * i) for i, value in enumerate(values)], got
        for settings in ({'acks': 1}, {'acks': 'all'}, {'enable_idempotence': True}):
            await produce(topic, numbers(7, 3), **settings)
            assert [record.value for record in await read(reader, 3)] == numbers(7, 3)
        async with producer(acks=0) as client:
            await client.send(topic, b'not acknowledged')
        assert [record.value for record in await read(reader, 1)] == [b'not acknowledged']


async def codecs():
    for codec in ('gzip', 'snappy', 'lz4', 'zstd'):
        topic = await make(f'{NAME}-{codec}')
        await produce(topic, numbers(0, 300), compression_type=codec, linger_ms=20)
        assert await read_values(topic, 300) == numbers(0, 300), codec


async def big():
    topic, values = await make(f'{NAME}-big'), [bytes([i]) * 1000000 for i in range(8)]
    await produce(topic, values, max_request_size=2000000)
    assert await read_values(topic, 8) == values
    assert await read_values(topic, 8, max_partition_fetch_bytes=1000, fetch_max_bytes=1000) == values
    try:
        await produce(topic, [b'x' * 1100000], max_request_size=2000000)
    except MessageSizeTooLargeError:
        return
    raise AssertionError('a record of over 1 MiB was taken')


async def times():
    topic = await make(f'{NAME}-times')
    await produce(topic, numbers(0, 5))
    part = TopicPartition(topic, 0)
    async with running(consumer()) as reader:
        for asked, found in ((0, 0), (EPOCH_MS, 0), (EPOCH_MS + 1500, 2), (EPOCH_MS + 4000, 4), (EPOCH_MS + 4001, None)):
            answer = (await reader.offsets_for_times({part: asked}))[part]
            assert (answer and answer.offset) == found, (asked, answer)
        assert (await reader.beginning_offsets([part]), await reader.end_offsets([part])) == ({part: 0}, {part: 5})


class Member:
    """A member that reads, and commits what it has read, until it is told to leave."""

    def __init__(self, topic):
        self.consumer = consumer(topic, group_id=topic, heartbeat_interval_ms=300, session_timeout_ms=SECONDS * 1000)
        self.values, self.leaving = [], False
        self.task = asyncio.create_task(self.run())

    async def run(self):
        async with running(self.consumer):
            while not self.leaving:
                batches = await self.consumer.getmany(timeout_ms=50)
                if batches:
                    self.values += [record.value for batch in batches.values() for record in batch]
                    await self.consumer.commit()

    @property
    def parts(self):
        return {each.partition for each in self.consumer.assignment()}

    async def leave(self):
        self.leaving = True
        await self.task


async def until(condition, *members):
    while not condition():
        for each in members:
            if each.task.done():
                each.task.result()
        await asyncio.sleep(0.02)


async def share(members, wanted):
    """Waits until all partitions are held, by one member each, and every member has some."""
    await until(lambda: set().union(*(each.parts for each in members)) == wanted and all(each.parts for each in members) and
                sum(len(each.parts) for each in members) == len(wanted), *members)


async def group():
    topic, everything = await make(f'{NAME}-group', 4), set(range(4))
    members = []
    for _ in range(2):
        members.append(Member(topic))
        await share(members, everything)
    for partition in everything:
        await produce(topic, numbers(10 * partition, 10), partition)
    await until(lambda: sum(len(each.values) for each in members) >= 40, *members)
    assert sorted(members[0].values + members[1].values) == sorted(numbers(0, 40))
    await members.pop(0).leave()
    await share(members, everything)
    await members.pop().leave()
    await produce(topic, numbers(40, 2), 3)
    last = Member(topic)
    await until(lambda: len(last.values) >= 2, last)
    await last.leave()
    assert last.values == numbers(40, 2), last.values


async def transactions():
    source, target = await make(f'{NAME}-source'), await make(f'{NAME}-target')
    part = TopicPartition(source, 0)
    await produce(source, numbers(0, 6))
    older = AIOKafkaProducer(bootstrap_servers=ADDRESS, transactional_id=NAME)
    await older.start()
    async with assigned(source, group_id=source) as reader:
        for commit in (True, False, True):
            await older.begin_transaction()
            for record in await read(reader, 2):
                await older.send_and_wait(target, record.value)
            await older.send_offsets_to_transaction({part: await reader.position(part)}, source)
            await (older.commit_transaction() if commit else older.abort_transaction())
        while await reader.committed(part) != 6:  # Kafka may complete a transaction after its answer
            await asyncio.sleep(0.02)
    assert await read_values(target, 4, isolation_level='read_committed') == numbers(0, 2) + numbers(4, 2)
    assert await read_values(target, 6) == numbers(0, 6)
    async with producer(transactional_id=NAME):
        try:
            await older.begin_transaction()
            await older.send_and_wait(target, b'fenced')
        except ProducerFenced:
            pass
        else:
            raise AssertionError('the older producer was not fenced')
    with contextlib.suppress(ProducerFenced):
        await older.stop()


async def admin():
    topic = await make(f'{NAME}-admin', 2)
    try:
        await make(topic)
    except TopicAlreadyExistsError:
        pass
    else:
        raise AssertionError('a topic was created twice')
    part, resource = TopicPartition(topic, 1), ConfigResource(ConfigResourceType.TOPIC, topic)
    async with administration() as client:
        await client.create_partitions({topic: NewPartitions(3)})
        assert [len(each['partitions']) for each in await client.describe_topics([topic])] == [3]
        await produce(topic, numbers(0, 10), 1)
        member = Member(topic)
        await until(lambda: len(member.values) >= 10, member)
        assert topic in {each[0] for each in await client.list_consumer_groups()}
        answer, = await client.describe_consumer_groups([topic])
        (code, name, state, *_), = answer.groups
        assert (code, name, state) == (0, topic, 'Stable'), answer
        await member.leave()
        assert (await client.list_consumer_group_offsets(topic))[part].offset == 10
        configs = {'retention.ms': '1234567'}
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
        answer, = await client.describe_configs([resource])
        (code, _, _, _, entries), = answer.resources
        assert (code, {each[0]: each[1] for each in entries}['retention.ms']) == (0, '1234567'), entries
        await client.delete_records({part: RecordsToDelete(4)})
        async with assigned(topic, 1) as reader:
            assert [record.offset for record in await read(reader, 6)] == list(range(4, 10))
        unread = await make(f'{NAME}-unread')
        await client.delete_topics([unread])
        assert unread not in await client.list_topics()


async def main():
    print(aiokafka.__version__)
    for scenario in [records, codecs, big, times, group, transactions, admin]:
        await asyncio.wait_for(scenario(), SECONDS)
        print('ok', scenario.__name__, flush=True)


if __name__ == '__main__':
    asyncio.run(main())
