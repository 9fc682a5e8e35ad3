"""What programs do with kafka-python, as short scenarios that check themselves.

usage: scenarios.py HOST:PORT NAME

Runs with the newest kafka-python and with 2.0.2, for years the last; what only the newest has is left out with the older.
"""
import sys
import threading
import time

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.errors import KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

ADDRESS, NAME = sys.argv[1:]
NEW = int(kafka.__version__.split('.')[0]) >= 3
SECONDS = 30  # only against hanging for ever
POLL_MS = 5000  # the client forgets its share for ever when a poll ends just while it joins a group
EPOCH_MS = 1700000000000


def make(topic, partitions=1):
    admin = KafkaAdminClient(bootstrap_servers=ADDRESS)
    admin.create_topics([NewTopic(topic, partitions, 1)])
    admin.close()
    return topic


def produce(topic, values, partition=0, **settings):
    """A record's time is its number in seconds; returns their offsets."""
    producer = KafkaProducer(bootstrap_servers=ADDRESS, **settings)
    sent = [producer.send(topic, value, key=b'key %d' % i, headers=[('number', b'%d' % i)], partition=partition,
                          timestamp_ms=EPOCH_MS + 1000 * i) for i, value in enumerate(values)]
    offsets = [each.get(SECONDS).offset for each in sent]
    producer.close()
    return offsets


def consumer(*topics, **settings):
    return KafkaConsumer(*topics, bootstrap_servers=ADDRESS, auto_offset_reset='earliest', enable_auto_commit=False, **settings)


def assigned(topic, offset=0, partition=0, **settings):
    reader = consumer(**settings)
    reader.assign([TopicPartition(topic, partition)])
    reader.seek(TopicPartition(topic, partition), offset)
    return reader


def deadline():
    """A function that fails when it is called after so many seconds."""
    end = time.monotonic() + SECONDS

    def check(seen):
        assert time.monotonic() < end, seen
    return check


def read(reader, count):
    records, check = [], deadline()
    while len(records) < count:
        check(records)
        for batch in reader.poll(POLL_MS).values():
            records += batch
    return records


def read_values(topic, count, **settings):
    reader = assigned(topic, **settings)
    values = [record.value for record in read(reader, count)]
    reader.close()
    return values


def numbers(first, count):
    return [b'event %d' % i for i in range(first, first + count)]


def records():
    topic = make(f'{NAME}-records')
    produce(topic, numbers(0, 5) + [None, b''], acks='all')
    reader = assigned(topic)
    got = [(r.offset, r.key, r.value, list(r.headers), r.timestamp) for r in read(reader, 7)]
    assert got == [(i, b'key %d' % i, value, [('number', b'%d' % i)], EPOCH_MS + 1000 * i)
                   for i, value in enumerate(numbers(0, 5) + [None, b''])], got
    for acks in (0, 1, 'all'):
        produce(topic, numbers(7, 3), acks=acks)
    if NEW:
        produce(topic, numbers(7, 3), enable_idempotence=True)
    values = [record.value for record in read(reader, 12 if NEW else 9)]
    assert values == numbers(7, 3) * (4 if NEW else 3), values
    reader.close()


def codecs():
    for codec in ('gzip', 'snappy', 'lz4') + (('zstd',) if NEW else ()):
        topic = make(f'{NAME}-{codec}')
        produce(topic, numbers(0, 300), compression_type=codec, linger_ms=20)
        assert read_values(topic, 300) == numbers(0, 300), codec


def big():
    topic = make(f'{NAME}-big')
    values = [bytes([i]) * 1000000 for i in range(8)]
    produce(topic, values, max_request_size=2000000)
    assert read_values(topic, 8) == values
    assert read_values(topic, 8, max_partition_fetch_bytes=1000, fetch_max_bytes=1000) == values
    try:
        produce(topic, [b'x' * 1100000], max_request_size=2000000)
    except MessageSizeTooLargeError:
        return
    raise AssertionError('a record of over 1 MiB was taken')


def times():
    topic = make(f'{NAME}-times')
    produce(topic, numbers(0, 5))
    part, reader = TopicPartition(topic, 0), consumer()
    for asked, found in ((0, 0), (EPOCH_MS, 0), (EPOCH_MS + 1500, 2), (EPOCH_MS + 4000, 4), (EPOCH_MS + 4001, None)):
        answer = reader.offsets_for_times({part: asked})[part]
        assert (answer and answer.offset) == found, (asked, answer)
    assert (reader.beginning_offsets([part]), reader.end_offsets([part])) == ({part: 0}, {part: 5})
    reader.close()


class Member(threading.Thread):
    """A member that reads, and commits what it has read, until it is told to leave."""

    def __init__(self, topic):
        super().__init__(daemon=True)
        self.consumer = consumer(group_id=topic, heartbeat_interval_ms=300, session_timeout_ms=SECONDS * 1000)
        self.consumer.subscribe([topic])
        # A leader that learns of its topic's partitions only after it joined joins once more, of itself and at any time; when poll()
        # ends before that rebalance, 3.0 forgets it is in one: it fails to commit, and sends no heartbeats, with any broker.
        self.consumer.topics()
        self.values, self.parts, self.leaving, self.left = [], set(), False, False
        self.start()

    def run(self):
        while not self.leaving:
            for batch in self.consumer.poll(50).values():
                self.values += [record.value for record in batch]
                self.consumer.commit()
            self.parts = {each.partition for each in self.consumer.assignment()}
        self.consumer.close()
        self.left = True

    def leave(self):
        self.leaving = True
        self.join(SECONDS)
        assert self.left, 'the member died, or hangs'


def until(condition):
    check = deadline()
    while not condition():
        check(f'never came true, line {condition.__code__.co_firstlineno}')
        time.sleep(0.02)


def share(members, wanted):
    """Waits until all partitions are held, by one member each, and every member has some."""
    until(lambda: set().union(*(each.parts for each in members)) == wanted and all(each.parts for each in members) and
          sum(len(each.parts) for each in members) == len(wanted))


def group():
    topic, everything = make(f'{NAME}-group', 4), set(range(4))
    members = []
    for _ in range(2):
        members.append(Member(topic))
        share(members, everything)
    for partition in everything:
        produce(topic, numbers(10 * partition, 10), partition)
    until(lambda: set(members[0].values + members[1].values) == set(numbers(0, 40)))
    members.pop(0).leave()
    share(members, everything)
    members.pop().leave()
    produce(topic, numbers(40, 2), 3)
    last = Member(topic)
    until(lambda: len(last.values) >= 2)
    last.leave()
    assert last.values == numbers(40, 2)


def transactions():
    source, target = make(f'{NAME}-source'), make(f'{NAME}-target')
    produce(source, numbers(0, 6))
    producer = KafkaProducer(bootstrap_servers=ADDRESS, transactional_id=NAME)
    producer.init_transactions()
    reader = consumer(source, group_id=source, max_poll_records=2)
    for commit in (True, False, True):
        producer.begin_transaction()
        for record in read(reader, 2):
            producer.send(target, record.value + (b'' if commit else b' aborted')).get(SECONDS)
        part = TopicPartition(source, 0)
        producer.send_offsets_to_transaction({part: OffsetAndMetadata(reader.position(part), '', -1)}, reader.group_metadata())
        if commit:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    assert read_values(target, 4, isolation_level='read_committed') == numbers(0, 2) + numbers(4, 2)
    assert len(read_values(target, 6)) == 6
    assert reader.committed(TopicPartition(source, 0)) == 6
    reader.close()
    newer = KafkaProducer(bootstrap_servers=ADDRESS, transactional_id=NAME)
    newer.init_transactions()
    try:
        producer.begin_transaction()
        producer.send(target, b'fenced').get(SECONDS)
        producer.commit_transaction()
    except KafkaError as error:
        assert 'Fenced' in type(error).__name__ or 'InvalidProducerEpoch' in type(error).__name__, repr(error)
    else:
        raise AssertionError('the older producer was not fenced')
    newer.close()
    producer.close(timeout=1)


def admin():
    topic = make(f'{NAME}-admin', 2)
    client = KafkaAdminClient(bootstrap_servers=ADDRESS)
    try:
        make(topic)
    except TopicAlreadyExistsError:
        pass
    else:
        raise AssertionError('a topic was created twice')
    client.create_partitions({topic: NewPartitions(3)})
    assert [len(each['partitions']) for each in client.describe_topics([topic])] == [3]
    produce(topic, numbers(0, 10), 1)
    member = Member(topic)
    until(lambda: len(member.values) == 10)
    assert topic in {each[0] if isinstance(each, tuple) else each['group_id'] for each in (
        client.list_groups() if NEW else client.list_consumer_groups())}
    if NEW:
        assert client.describe_groups([topic])[topic]['group_state'] == 'Stable'
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {'retention.ms': '1234567'})])
        configs = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        assert configs['topic'][topic]['retention.ms']['value'] == '1234567', configs
        client.delete_records({TopicPartition(topic, 1): 4})
        reader = assigned(topic, partition=1)
        assert [record.offset for record in read(reader, 6)] == list(range(4, 10))
        reader.close()
        offsets = client.list_group_offsets([topic])[topic]
    else:
        offsets = client.list_consumer_group_offsets(topic)
    assert offsets[TopicPartition(topic, 1)].offset == 10
    member.leave()
    if NEW:
        assert client.delete_groups([topic]) == {topic: 'OK'}
    unread = make(f'{NAME}-unread')  # a consumer that is closing may make its topic anew
    client.delete_topics([unread])
    assert unread not in {each['name'] if isinstance(each, dict) else each for each in client.list_topics()}
    client.close()


def main():
    print(kafka.__version__)
    for scenario in [records, codecs, big, times, group] + [transactions] * NEW + [admin]:
        scenario()
        print('ok', scenario.__name__, flush=True)


if __name__ == '__main__':
    main()
