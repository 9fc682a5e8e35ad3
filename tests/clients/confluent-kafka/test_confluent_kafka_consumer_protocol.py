"""Members of the consumer protocol (KIP-848) in librdkafka: they come and go, read by a pattern, and take over a classic group."""
import time

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

SECONDS = 60  # only against hanging for ever


class Member:
    def __init__(self, broker, group, *topics, protocol='consumer', **settings):
        self.consumer = Consumer({'bootstrap.servers': broker.address, 'group.id': group, 'group.protocol': protocol,
                                  'auto.offset.reset': 'earliest', 'enable.auto.commit': False,
                                  'topic.metadata.refresh.interval.ms': 1000} | settings)
        self.values = []
        self.consumer.subscribe(list(topics))

    def poll(self):
        message = self.consumer.poll(0.05)
        if message and not message.error():
            self.values.append(message.value().decode())

    @property
    def parts(self):
        return {(p.topic, p.partition) for p in self.consumer.assignment()}

    def close(self):
        self.consumer.close()


def wait(members, condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, [sorted(each.parts) for each in members]
        for each in members:
            each.poll()


def admin(broker):
    return AdminClient({'bootstrap.servers': broker.address})


def make(broker, topic, partitions):
    client = admin(broker)
    client.create_topics([NewTopic(topic, partitions, 1)])[topic].result(SECONDS)


def produce(broker, topic, values):
    producer = Producer({'bootstrap.servers': broker.address})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(SECONDS) == 0


def all_of(topic, partitions):
    return {(topic, p) for p in range(partitions)}


def share(members, wanted):
    """Everything is in one hand each, and nobody has nothing."""
    parts = [each.parts for each in members]
    return sum(map(len, parts)) == len(wanted) and set().union(*parts) == wanted and all(parts)


def test_members_come_and_go(broker, name):
    make(broker, name, 6)
    wanted = all_of(name, 6)
    members = [Member(broker, name, name)]
    wait(members, lambda: share(members, wanted))
    for _ in range(2):
        members.append(Member(broker, name, name))
        wait(members, lambda: share(members, wanted))
    assert sorted(len(each.parts) for each in members) == [2, 2, 2]
    produce(broker, name, [str(n) for n in range(60)])
    wait(members, lambda: sum(len(each.values) for each in members) == 60)
    assert sorted(int(v) for each in members for v in each.values) == list(range(60))
    members.pop(0).close()
    wait(members, lambda: share(members, wanted))
    members.pop(0).close()
    wait(members, lambda: share(members, wanted))
    members.pop().close()


def test_committed_offsets_pass_to_the_next_member(broker, name):
    make(broker, name, 2)
    produce(broker, name, [str(n) for n in range(20)])
    first = Member(broker, name, name)
    wait([first], lambda: len(first.values) == 20)
    first.consumer.commit(asynchronous=False)
    first.close()
    produce(broker, name, ['more'])
    second = Member(broker, name, name)
    wait([second], lambda: second.values)
    assert second.values == ['more']
    second.close()


def test_a_topic_that_grows_and_one_that_appears_are_shared(broker, name):
    make(broker, name, 2)
    members = [Member(broker, name, name, f'{name}-later') for _ in range(2)]
    wait(members, lambda: share(members, all_of(name, 2)))
    client = admin(broker)
    client.create_partitions([NewPartitions(name, 4)])[name].result(SECONDS)
    wait(members, lambda: share(members, all_of(name, 4)))
    make(broker, f'{name}-later', 2)
    wait(members, lambda: share(members, all_of(name, 4) | all_of(f'{name}-later', 2)))
    for each in members:
        each.close()


def test_a_pattern(broker, name):
    for suffix, partitions in ('a1', 2), ('a2', 1), ('b1', 1):
        make(broker, f'{name}-{suffix}', partitions)
    wanted = all_of(f'{name}-a1', 2) | all_of(f'{name}-a2', 1)
    members = [Member(broker, name, f'^{name}-a[0-9]$') for _ in range(2)]
    wait(members, lambda: share(members, wanted))
    for each in members:
        each.close()


def test_a_static_member_gets_its_partitions_back(broker, name):
    make(broker, name, 4)
    members = [Member(broker, name, name, **{'group.instance.id': f'i{n}'}) for n in range(2)]
    wait(members, lambda: share(members, all_of(name, 4)))
    before = members[0].parts
    members[0].close()
    members[0] = Member(broker, name, name, **{'group.instance.id': 'i0'})
    wait(members, lambda: members[0].parts == before)
    assert share(members, all_of(name, 4))
    for each in members:
        each.close()


def test_a_group_goes_over_to_the_consumer_protocol_and_back(broker, name):
    make(broker, name, 4)
    wanted = all_of(name, 4)
    classic = {'protocol': 'classic', 'session.timeout.ms': 6000, 'heartbeat.interval.ms': 500}
    members = [Member(broker, name, name, **classic)]
    wait(members, lambda: share(members, wanted))
    members.append(Member(broker, name, name))
    wait(members, lambda: share(members, wanted))
    produce(broker, name, [str(n) for n in range(20)])
    wait(members, lambda: sum(len(each.values) for each in members) == 20)
    members.pop().close()
    wait(members, lambda: share(members, wanted))
    members.append(Member(broker, name, name, **classic))
    wait(members, lambda: share(members, wanted))
    members.append(Member(broker, name, name))
    wait(members, lambda: share(members, wanted))
    members.pop(0).close()
    members.pop(0).close()
    wait(members, lambda: share(members, wanted))
    members.pop().close()


def test_a_group_outlives_its_broker(own_broker, name):
    make(own_broker, name, 4)
    members = [Member(own_broker, name, name) for _ in range(2)]
    wait(members, lambda: share(members, all_of(name, 4)))
    own_broker.kill9()
    own_broker.start()
    produce(own_broker, name, [str(n) for n in range(20)])
    wait(members, lambda: sum(len(each.values) for each in members) == 20)
    assert share(members, all_of(name, 4))
    for each in members:
        each.close()
