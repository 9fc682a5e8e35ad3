"""What programs do with confluent-kafka, as short scenarios that check themselves.

usage: features.py SCENARIO HOST:PORT NAME

Runs under two interpreters, one with Debian's old confluent-kafka and one with the newest; so it's a program, not a test
module, and uses only what both know. NAME is for topics and groups.
"""
import sys
import time

from confluent_kafka import (OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition)
from confluent_kafka.admin import AdminClient, NewTopic

SECONDS = 60  # only against hanging for ever


class Scene:
    """One broker, one topic; makes clients and waits for what they must come to."""

    def __init__(self, address, name):
        self.address, self.name, self.consumers = address, name, []

    def topic(self, partitions=1):
        admin = AdminClient({'bootstrap.servers': self.address})
        admin.create_topics([NewTopic(self.name, partitions, 1)])[self.name].result(SECONDS)

    def produce(self, values, partition=0, **settings):
        """Returns the offsets that were acknowledged."""
        offsets = []

        def delivered(error, message):
            assert error is None, error
            offsets.append(message.offset())
        producer = Producer({'bootstrap.servers': self.address, **dotted(settings)})
        for value in values:
            producer.produce(self.name, value, partition=partition, on_delivery=delivered)
        assert producer.flush(SECONDS) == 0
        return offsets

    def consumer(self, **settings):
        consumer = Consumer({'bootstrap.servers': self.address, 'group.id': self.name, 'auto.offset.reset': 'earliest',
                             'enable.auto.commit': False, 'session.timeout.ms': 6000, 'heartbeat.interval.ms': 500,
                             **dotted(settings)})
        self.consumers.append(consumer)
        return consumer

    def member(self, **settings):
        """A group member that keeps its assignment up to date in .parts."""
        return Member(self, self.consumer(**settings))

    def wait(self, condition, members):
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, [sorted(each.parts) for each in members]
            for each in members:
                each.poll()


class Member:
    def __init__(self, scene, consumer):
        self.consumer, self.parts, self.values, self.revoked = consumer, set(), [], 0
        consumer.subscribe([scene.name], on_assign=self.assigned, on_revoke=self.lost)

    def assigned(self, consumer, partitions):
        self.parts |= {each.partition for each in partitions}

    def lost(self, consumer, partitions):
        self.revoked += len(partitions)
        self.parts -= {each.partition for each in partitions}

    def poll(self):
        message = self.consumer.poll(0.05)
        if message is not None:
            assert message.error() is None, message.error()
            self.values.append(message.value())


def dotted(settings):
    return {name if callable(value) else name.replace('_', '.'): value for name, value in settings.items()}


def read(consumer, count):
    """The next count records, as (partition, offset, value)."""
    end, got = time.monotonic() + SECONDS, []
    while len(got) < count:
        assert time.monotonic() < end, got
        message = consumer.poll(0.2)
        if message is not None:
            assert message.error() is None, message.error()
            got.append((message.partition(), message.offset(), message.value().decode()))
    return got


def numbers(count, start=0):
    return [f'event {number}' for number in range(start, start + count)]


def idempotent_producer(scene):
    scene.topic()
    offsets = scene.produce(numbers(1000), enable_idempotence=True, batch_num_messages=7, compression_type='lz4')
    assert offsets == list(range(1000)), offsets
    consumer = scene.consumer()
    consumer.assign([TopicPartition(scene.name, 0, OFFSET_BEGINNING)])
    assert read(consumer, 1000) == [(0, number, value) for number, value in enumerate(numbers(1000))]


def members_come_and_go(scene, strategy):
    scene.topic(partitions=6)
    every = {0, 1, 2, 3, 4, 5}
    members = [scene.member(partition_assignment_strategy=strategy)]
    scene.wait(lambda: members[0].parts == every, members)
    members.append(scene.member(partition_assignment_strategy=strategy))
    scene.wait(lambda: [len(each.parts) for each in members] == [3, 3], members)
    assert members[0].parts | members[1].parts == every
    expected = {'range': {0, 1, 2}, 'roundrobin': {0, 2, 4}}.get(strategy)
    assert expected is None or expected in (members[0].parts, members[1].parts), members[0].parts
    if strategy == 'cooperative-sticky':
        assert members[0].revoked == 3, members[0].revoked
    members.append(scene.member(partition_assignment_strategy=strategy))
    scene.wait(lambda: [len(each.parts) for each in members] == [2, 2, 2], members)
    members.pop(0).consumer.close()
    scene.wait(lambda: [len(each.parts) for each in members] == [3, 3], members)
    assert members[0].parts | members[1].parts == every
    for partition in every:
        scene.produce(numbers(10), partition)
    scene.wait(lambda: sum(len(each.values) for each in members) == 60, members)
    assert sorted(members[0].values + members[1].values) == sorted(value.encode() for value in numbers(10) * 6)


def range_assignor(scene):
    members_come_and_go(scene, 'range')


def roundrobin_assignor(scene):
    members_come_and_go(scene, 'roundrobin')


def cooperative_sticky_assignor(scene):
    members_come_and_go(scene, 'cooperative-sticky')


def static_membership(scene):
    """A static member that leaves and returns gets its partitions back, and nobody else is disturbed."""
    scene.topic(partitions=4)
    settings = {'session_timeout_ms': 30000}
    members = [scene.member(group_instance_id=name, **settings) for name in ('one', 'two')]
    scene.wait(lambda: [len(each.parts) for each in members] == [2, 2], members)
    before = [set(each.parts) for each in members]
    members[0].consumer.close()
    stayed = members[1].revoked
    again = scene.member(group_instance_id='one', **settings)
    scene.wait(lambda: again.parts == before[0], [again, members[1]])
    assert (members[1].revoked, members[1].parts) == (stayed, before[1]), members[1].parts


def commits(scene):
    scene.topic()
    scene.produce(numbers(6))
    first = scene.consumer()
    first.subscribe([scene.name])
    read(first, 2)
    done = first.commit(asynchronous=False)
    assert [(each.partition, each.offset, each.error) for each in done] == [(0, 2, None)], done
    first.close()

    acknowledged = []
    second = scene.consumer(on_commit=lambda error, parts: acknowledged.append((error, parts[0].offset)))
    second.subscribe([scene.name])
    assert read(second, 2) == [(0, 2, 'event 2'), (0, 3, 'event 3')]
    second.commit(offsets=[TopicPartition(scene.name, 0, 4)], asynchronous=True)
    end = time.monotonic() + SECONDS
    while not acknowledged:
        assert time.monotonic() < end
        second.poll(0.1)
    assert acknowledged == [(None, 4)], acknowledged
    second.commit(offsets=[TopicPartition(scene.name, 0, 5)], asynchronous=False)
    assert [each.offset for each in second.committed([TopicPartition(scene.name, 0)], SECONDS)] == [5]
    second.close()

    third = scene.consumer()
    third.subscribe([scene.name])
    assert read(third, 1) == [(0, 5, 'event 5')]


def seek(scene):
    scene.topic()
    scene.produce(numbers(10))
    consumer = scene.consumer()
    consumer.assign([TopicPartition(scene.name, 0, 8)])
    assert read(consumer, 2) == [(0, 8, 'event 8'), (0, 9, 'event 9')]
    consumer.seek(TopicPartition(scene.name, 0, 3))
    assert read(consumer, 1) == [(0, 3, 'event 3')]
    consumer.seek(TopicPartition(scene.name, 0, OFFSET_BEGINNING))
    assert read(consumer, 1) == [(0, 0, 'event 0')]
    consumer.seek(TopicPartition(scene.name, 0, OFFSET_END))
    assert consumer.poll(1) is None
    assert consumer.get_watermark_offsets(TopicPartition(scene.name, 0), SECONDS) == (0, 10)


def offsets_by_timestamp(scene):
    scene.topic()
    producer = Producer({'bootstrap.servers': scene.address})
    for second in range(5):
        producer.produce(scene.name, f'event {second}', partition=0, timestamp=1700000000000 + 1000 * second)
        assert producer.flush(SECONDS) == 0
    consumer = scene.consumer()
    for asked, found in ((0, 0), (1700000000000, 0), (1700000001500, 2), (1700000004000, 4), (1700000004001, -1)):
        parts = consumer.offsets_for_times([TopicPartition(scene.name, 0, asked)], SECONDS)
        assert [(each.offset, each.error) for each in parts] == [(found, None)], (asked, parts)


def pause_and_resume(scene):
    scene.topic(partitions=2)
    consumer = scene.consumer()
    parts = [TopicPartition(scene.name, number, OFFSET_BEGINNING) for number in (0, 1)]
    consumer.assign(parts)
    consumer.pause(parts[:1])
    for number in (0, 1):
        scene.produce(numbers(5), number)
    assert read(consumer, 5) == [(1, number, f'event {number}') for number in range(5)]
    assert consumer.poll(1) is None
    consumer.resume(parts[:1])
    assert read(consumer, 5) == [(0, number, f'event {number}') for number in range(5)]


def unknown_topic(scene):
    """Without auto-creation by the consumer, an unknown topic is an error, not a wait."""
    consumer = scene.consumer(allow_auto_create_topics=False)
    consumer.subscribe([scene.name])
    message = consumer.poll(SECONDS)
    assert message.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART, message.error()
    try:
        scene.topic()
        scene.topic()
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS, error
    else:
        raise AssertionError('a topic was created twice')


SCENARIOS = [idempotent_producer, range_assignor, roundrobin_assignor, cooperative_sticky_assignor, static_membership,
             commits, seek, offsets_by_timestamp, pause_and_resume, unknown_topic]


def main():
    scenario, address, name = sys.argv[1:]
    scene = Scene(address, name)
    {each.__name__: each for each in SCENARIOS}[scenario](scene)
    for consumer in scene.consumers:
        consumer.close()
    print('ok', scenario)


if __name__ == '__main__':
    main()
