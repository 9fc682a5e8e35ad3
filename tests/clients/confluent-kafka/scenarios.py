"""What programs do with confluent-kafka, as short scenarios that check themselves.

usage: scenarios.py HOST:PORT NAME

Runs under two interpreters, one with Debian's old confluent-kafka and one with the newest; what only the newest has is left out with
the older. features.py has more, of which not every client knows.
"""
import sys
import time

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

ADDRESS, NAME = sys.argv[1:]
VERSION = tuple(int(number) for number in confluent_kafka.__version__.split('.'))
NEW = VERSION >= (2, 12)
SECONDS = 60  # only against hanging for ever
EPOCH_MS = 1700000000000


def administration():
    return AdminClient({'bootstrap.servers': ADDRESS})


def make(topic, partitions=1):
    client = administration()
    client.create_topics([NewTopic(topic, partitions, 1)])[topic].result(SECONDS)
    return topic


def producer(**settings):
    return Producer({'bootstrap.servers': ADDRESS, **dotted(settings)})


def consumer(**settings):
    return Consumer({'bootstrap.servers': ADDRESS, 'group.id': NAME, 'auto.offset.reset': 'earliest', 'enable.auto.commit': False,
                     **dotted(settings)})


def dotted(settings):
    return {name.replace('_', '.'): value for name, value in settings.items()}


def send(client, topic, values, partition=0):
    """A record's time is its number in seconds. Returns their errors and offsets."""
    done = []
    for i, value in enumerate(values):
        client.produce(topic, value, key=b'key %d' % i, partition=partition, timestamp=EPOCH_MS + 1000 * i,
                       headers=[('number', b'%d' % i)], on_delivery=lambda error, message: done.append((error, message.offset())))
    assert client.flush(SECONDS) == 0
    return done


def produce(topic, values, partition=0, **settings):
    """Returns their offsets."""
    done = send(producer(**settings), topic, values, partition)
    assert not any(error for error, _ in done), done
    return [offset for _, offset in done]


def assigned(topic, partition=0, **settings):
    reader = consumer(**settings)
    reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    return reader


def read(reader, count):
    records = []
    while len(records) < count:
        message = reader.poll(SECONDS)
        assert message is not None and message.error() is None, message and message.error()
        records.append(message)
    return records


def read_values(topic, count, **settings):
    reader = assigned(topic, **settings)
    values = [message.value() for message in read(reader, count)]
    reader.close()
    return values


def numbers(first, count):
    return [b'event %d' % i for i in range(first, first + count)]


def records():
    topic, values = make(f'{NAME}-records'), numbers(0, 5) + [None, b'']
    assert produce(topic, values) == list(range(7))
    reader = assigned(topic)
    got = [(m.offset(), m.key(), m.value(), m.headers(), m.timestamp()[1]) for m in read(reader, 7)]
    assert got == [(i, b'key %d' % i, value, [('number', b'%d' % i)], EPOCH_MS + 1000 * i) for i, value in enumerate(values)], got
    for settings in ({'acks': 0}, {'acks': 1}, {'acks': 'all'}, {'enable_idempotence': True}):
        produce(topic, numbers(7, 3), **settings)
        assert [message.value() for message in read(reader, 3)] == numbers(7, 3)
    reader.close()


def codecs():
    for codec in ('gzip', 'snappy', 'lz4', 'zstd'):
        topic = make(f'{NAME}-{codec}')
        produce(topic, numbers(0, 300), compression_type=codec, linger_ms=20)
        assert read_values(topic, 300) == numbers(0, 300), codec


def big():
    topic, values = make(f'{NAME}-big'), [bytes([i]) * 1000000 for i in range(8)]
    produce(topic, values, message_max_bytes=2000000)
    assert read_values(topic, 8) == values
    assert read_values(topic, 8, max_partition_fetch_bytes=1000) == values
    done = send(producer(message_max_bytes=2000000), topic, [b'x' * 1100000])
    assert [error.code() for error, _ in done] == [KafkaError.MSG_SIZE_TOO_LARGE], done


def times():
    topic = make(f'{NAME}-times')
    produce(topic, numbers(0, 5))
    reader = consumer()
    for asked, found in ((0, 0), (EPOCH_MS, 0), (EPOCH_MS + 1500, 2), (EPOCH_MS + 4000, 4), (EPOCH_MS + 4001, -1)):
        answer, = reader.offsets_for_times([TopicPartition(topic, 0, asked)], SECONDS)
        assert (answer.offset, answer.error) == (found, None), (asked, answer)
    assert reader.get_watermark_offsets(TopicPartition(topic, 0), SECONDS) == (0, 5)
    reader.close()


class Member:
    """A member that commits what it reads."""

    def __init__(self, topic, **settings):
        self.consumer = consumer(group_id=topic, **settings)
        self.consumer.subscribe([topic])
        self.values = []

    @property
    def parts(self):
        return {each.partition for each in self.consumer.assignment()}

    def poll(self):
        message = self.consumer.poll(0.05)
        if message is not None:
            assert message.error() is None, message.error()
            self.values.append(message.value())
            self.consumer.commit(message, asynchronous=False)


def until(condition, *members):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, [(each.parts, len(each.values)) for each in members]
        for each in members:
            each.poll()


def share(members, wanted):
    """Waits until all partitions are held, by one member each, and every member has some."""
    until(lambda: set().union(*(each.parts for each in members)) == wanted and all(each.parts for each in members) and
          sum(len(each.parts) for each in members) == len(wanted), *members)


def come_and_go(topic, **settings):
    everything, members = set(range(4)), []
    make(topic, 4)
    for _ in range(2):
        members.append(Member(topic, **settings))
        share(members, everything)
    for partition in everything:
        produce(topic, numbers(10 * partition, 10), partition)
    until(lambda: sum(len(each.values) for each in members) >= 40, *members)
    assert sorted(members[0].values + members[1].values) == sorted(numbers(0, 40))
    members.pop(0).consumer.close()
    share(members, everything)
    members.pop().consumer.close()
    produce(topic, numbers(40, 2), 3)
    last = Member(topic, **settings)
    until(lambda: len(last.values) >= 2, last)
    assert last.values == numbers(40, 2), last.values
    last.consumer.close()


def group():
    come_and_go(f'{NAME}-group', heartbeat_interval_ms=300)


def kip848():
    come_and_go(f'{NAME}-kip848', group_protocol='consumer')


def transactions():
    source, target = make(f'{NAME}-source'), make(f'{NAME}-target')
    produce(source, numbers(0, 6))
    older = producer(transactional_id=NAME)
    older.init_transactions(SECONDS)
    reader = assigned(source, group_id=source)
    for commit in (True, False, True):
        older.begin_transaction()
        for message in read(reader, 2):
            older.produce(target, message.value())
        older.send_offsets_to_transaction(reader.position(reader.assignment()), reader.consumer_group_metadata(), SECONDS)
        assert older.flush(SECONDS) == 0
        (older.commit_transaction if commit else older.abort_transaction)(SECONDS)
    assert [each.offset for each in reader.committed([TopicPartition(source, 0)], SECONDS)] == [6]
    reader.close()
    assert read_values(target, 4, isolation_level='read_committed') == numbers(0, 2) + numbers(4, 2)
    assert read_values(target, 6, isolation_level='read_uncommitted') == numbers(0, 6)
    newer = producer(transactional_id=NAME)
    newer.init_transactions(SECONDS)
    try:
        older.begin_transaction()
        older.produce(target, b'fenced')
        older.commit_transaction(SECONDS)
    except KafkaException as error:
        assert error.args[0].fatal() and error.args[0].code() == KafkaError._FENCED, error
    else:
        raise AssertionError('the older producer was not fenced')


def admin():
    topic, client = make(f'{NAME}-admin', 2), administration()
    try:
        make(topic)
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS, error
    else:
        raise AssertionError('a topic was created twice')
    client.create_partitions([NewPartitions(topic, 3)])[topic].result(SECONDS)
    assert len(client.list_topics(timeout=SECONDS).topics[topic].partitions) == 3
    produce(topic, numbers(0, 10), 1)
    member = Member(topic)
    until(lambda: len(member.values) == 10, member)
    assert topic in {each.id for each in client.list_groups(timeout=SECONDS)}
    assert [(each.state, len(each.members)) for each in client.list_groups(topic, SECONDS)] == [('Stable', 1)]
    assert [each.offset for each in member.consumer.committed([TopicPartition(topic, 1)], SECONDS)] == [10]
    member.consumer.close()
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config={'retention.ms': '1234567'})
    client.alter_configs([resource])[resource].result(SECONDS)
    configs = client.describe_configs([resource])[resource].result(SECONDS)
    assert configs['retention.ms'].value == '1234567', configs
    if NEW:
        admin_of_newest(client, topic)
    unread = make(f'{NAME}-unread')
    client.delete_topics([unread])[unread].result(SECONDS)
    assert unread not in client.list_topics(timeout=SECONDS).topics


def admin_of_newest(client, topic):
    part = TopicPartition(topic, 1, 4)
    assert client.delete_records([part])[part].result(SECONDS).low_watermark == 4
    reader = assigned(topic, 1)
    assert [message.offset() for message in read(reader, 6)] == list(range(4, 10))
    reader.close()
    described = client.describe_consumer_groups([topic])[topic].result(SECONDS)
    assert (described.group_id, described.state.name) == (topic, 'EMPTY'), described
    listed = client.list_consumer_group_offsets([confluent_kafka.ConsumerGroupTopicPartitions(topic)])[topic].result(SECONDS)
    assert (1, 10) in {(each.partition, each.offset) for each in listed.topic_partitions}, listed
    assert client.delete_consumer_groups([topic])[topic].result(SECONDS) is None


def main():
    print(f'{confluent_kafka.__version__} with librdkafka {confluent_kafka.libversion()[0]}')
    for scenario in [records, codecs, big, times, group] + [kip848] * NEW + [transactions, admin]:
        scenario()
        print('ok', scenario.__name__, flush=True)


if __name__ == '__main__':
    main()
