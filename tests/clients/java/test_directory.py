"""The data directory is Kafka's: Kafka takes ours over, and we take over Kafka's, with all that is in it.

What is compared is what the brokers answer: topic ids, configs, log start and end offsets, committed offsets, and the batches byte by
byte."""
import json
import os
import subprocess
import time

import broker as brokers
import confluent_kafka
import directories
import picture
import pytest

ENDS = ('stopped', 'killed')
GROUPS = ('group-one', 'group-two', 'group-transactional', 'group-pending', 'group-848')
SEGMENT = str(1 << 20)  # the least that is allowed


def write(broker, topic, count, codec='none', size=50, **settings):
    producer = confluent_kafka.Producer({'bootstrap.servers': broker.address, 'compression.type': codec, 'linger.ms': 5,
                                         'batch.num.messages': 100, **settings})
    failures = []
    for number in range(count):
        producer.produce(topic, f'{codec} value {number} ' + 'x' * size, f'key {number % 20}',
                         headers=[('number', str(number).encode()), ('none', None)],
                         on_delivery=lambda error, _: error and failures.append(error))
        producer.poll(0)
    assert producer.flush(60) == 0 and not failures, failures


def write_transactions(broker, topic):
    """Committed and aborted ones, and offsets that go with them."""
    producer = confluent_kafka.Producer({'bootstrap.servers': broker.address, 'transactional.id': f'writer of {topic}'})
    producer.init_transactions(60)
    for number in range(6):
        producer.begin_transaction()
        for partition in range(2):
            producer.produce(topic, f'transaction {number}', partition=partition)
        producer.flush(60)
        commit_in_transaction(broker, producer, 'group-transactional', number)
        (producer.abort_transaction if number % 2 else producer.commit_transaction)(60)


def commit_in_transaction(broker, producer, group, offset):
    consumer = confluent_kafka.Consumer({'bootstrap.servers': broker.address, 'group.id': group})
    producer.send_offsets_to_transaction([confluent_kafka.TopicPartition('events-gzip', 0, offset)], consumer.consumer_group_metadata(), 60)
    consumer.close()


def begin_transaction(broker):
    """One that nobody ends; the next owner of the directory finds it."""
    producer = confluent_kafka.Producer({'bootstrap.servers': broker.address, 'transactional.id': 'left open', 'transaction.timeout.ms': 900000})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce('left-open', 'perhaps', partition=0)
    producer.flush(60)
    commit_in_transaction(broker, producer, 'group-pending', 3)
    write(broker, 'left-open', 3)


def end_transaction(broker):
    """Whoever has its id after that begins by aborting it."""
    before = stable_offset(broker)
    producer = confluent_kafka.Producer({'bootstrap.servers': broker.address, 'transactional.id': 'left open'})
    producer.init_transactions(60)
    client = picture.Client(broker)
    assert before == 0 and stable_offset(broker) == client.offset('left-open', 0, -1) == 5
    assert client.committed('group-pending') == {}
    client.close()


def stable_offset(broker):
    client = picture.Client(broker)
    row = {'partition_index': 0, 'timestamp': -1}
    answer = client.call('ListOffsets', 5, {'replica_id': -1, 'isolation_level': 1, 'topics': [{'name': 'left-open', 'partitions': [row]}]},
                         lambda a: a['topics'][0]['partitions'][0]['error_code'] == 0)
    client.close()
    return answer['topics'][0]['partitions'][0]['offset']


def consume_848(broker):
    """A group of the newer protocol, whose member leaves."""
    consumer = confluent_kafka.Consumer({'bootstrap.servers': broker.address, 'group.id': 'group-848', 'group.protocol': 'consumer',
                                         'auto.offset.reset': 'earliest', 'enable.auto.commit': False})
    consumer.subscribe(['events-lz4'])
    end = time.monotonic() + 60
    while not consumer.poll(0.2):
        assert time.monotonic() < end
    consumer.commit(offsets=[confluent_kafka.TopicPartition('events-lz4', 1, 7)], asynchronous=False)
    consumer.close()


def fill(broker):
    """Something of everything that a directory can hold."""
    client = picture.Client(broker)
    for codec in picture.CODECS:
        client.create(f'events-{codec}', 2, segment_bytes=SEGMENT, retention_ms='-1')
    client.create('compacted', 1, cleanup_policy='compact', min_cleanable_dirty_ratio='0.9')
    client.create('deleted', 1)
    client.create('shortened', 1, segment_bytes=SEGMENT, max_message_bytes='500000')
    client.create('empty', 3)
    client.create('transactions', 2)
    client.create('left-open', 1)
    for codec in picture.CODECS:
        write(broker, f'events-{codec}', 3000 if codec == 'none' else 500, codec, 1000, **{'enable.idempotence': codec != 'none'})
    write_transactions(broker, 'transactions')
    begin_transaction(broker)
    if broker.HAS_848:
        consume_848(broker)
    write(broker, 'compacted', 200)
    write(broker, 'deleted', 10)
    write(broker, 'shortened', 2500, size=1000)
    client.delete_records('shortened', 0, 1411)
    client.call('DeleteTopics', 5, {'topic_names': ['deleted'], 'timeout_ms': 30000})
    for group in GROUPS[:2]:
        client.commit(group, 'events-gzip', {0: 5, 1: 7})
        client.commit(group, 'shortened', {0: 1500})
    client.commit(GROUPS[0], 'events-gzip', {0: 11})
    client.close()


def end(broker, how):
    assert how == 'killed' and broker.kill9() or broker.stop() in broker.CLEAN


def write_more(broker):
    """What the next owner of a directory adds."""
    for codec in picture.CODECS:
        write(broker, f'events-{codec}', 50, codec)
    client = picture.Client(broker)
    client.create(f'from-{type(broker).__name__}-{broker.turn}', 1, retention_ms='7200000')
    write(broker, f'from-{type(broker).__name__}-{broker.turn}', 5)
    write_transactions(broker, 'transactions')
    if broker.turn == 0 and stable_offset(broker) == 0:
        end_transaction(broker)
    client.commit(GROUPS[1], 'events-gzip', {0: 60 + broker.turn})
    client.close()
    broker.turn += 1


def grown(before, after):
    """Whether after begins with all that before was."""
    for name, (topic_id, configs, logs) in before.items():
        assert after[name][:2] == (topic_id, configs), name
        for (start, stop, data), (start_after, stop_after, data_after) in zip(logs, after[name][2], strict=True):
            assert start_after == start and stop_after >= stop and data_after.startswith(data), name
    return True


def broker_epoch(path):
    return json.loads((path / 'data/.kafka_cleanshutdown').read_text())['brokerEpoch']


# What Kafka says where the machine is slow: that an event took long, or that a partition's leader was taken back while its groups were
# read, which are then read again: what it answers afterwards is compared.
SLOW = ('Exceptionally slow controller event', 'because the partition is not online or is no longer the leader')


def errors(path):
    return [line for line in path.read_text().splitlines() if 'ERROR' in line and not any(words in line for words in SLOW)]


class Odradek(brokers.Odradek):
    turn, HAS_848 = 0, True


class Kafka(brokers.Kafka):
    turn = 0

    @property
    def HAS_848(self):
        return self.version.startswith('4.')


class Standalone(Kafka):
    STANDALONE = True


class Scattered(Kafka):
    DIRECTORIES = 'data', 'more'


class Graduate(Kafka):
    """A Kafka that runs with what `odradek graduate` printed."""

    def configure(self, controller):
        self.port = adjacent_ports()
        binary = os.environ.get('ODRADEK_BINARY', brokers.ROOT / 'build/odradek')
        done = subprocess.run([binary, 'graduate', self.directory / 'data', '--port', str(self.port)], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0, done.stderr
        (self.directory / 'properties').write_text(done.stdout + self.MORE)

    MORE = 'group.initial.rebalance.delay.ms=0\n'


def adjacent_ports():
    while True:
        port, = brokers.free_ports(1)
        if brokers.is_free(port + 1):
            return port


@pytest.fixture
def started(tmp_path):
    """Starts brokers on one directory, one after the other; the last one is stopped at the end."""
    running = []

    def start(kind, **more):
        running.append(kind(tmp_path, **more).start())
        return running[-1]
    yield start
    for it in running:
        if it.process.returncode is None:
            it.kill9()


def test_a_damaged_directory_does_not_graduate(started, tmp_path):
    ours = started(Odradek)
    fill(ours)
    end(ours, 'stopped')
    damaged, = (tmp_path / 'data/compacted-0').glob('*.log')
    damaged.write_bytes(damaged.read_bytes()[:-10])
    binary = os.environ.get('ODRADEK_BINARY', brokers.ROOT / 'build/odradek')
    done = subprocess.run([binary, 'graduate', tmp_path / 'data'], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, '') and 'compacted-0' in done.stderr and 'odradek repair' in done.stderr


@pytest.mark.parametrize('how', ENDS)
def test_graduation(started, tmp_path, how):
    ours = started(Odradek, offsets_topic_num_partitions='4')
    fill(ours)
    before = picture.take(ours, GROUPS)
    assert before['shortened'][2][0][0] == 1411 and before['groups']['group-one'][('events-gzip', 0)] == (11, 'at 11')
    assert before['groups']['group-transactional'] == {('events-gzip', 0): (4, '')} and not before['groups']['group-pending']
    assert before['groups']['group-848'] == {('events-lz4', 1): (7, '')} and stable_offset(ours) == 0
    end(ours, how)
    picture.check_offline(tmp_path / 'data')

    kafka = started(Graduate)
    assert picture.take(kafka, GROUPS) == before and stable_offset(kafka) == 0
    write_more(kafka)
    after = picture.take(kafka, GROUPS)
    groups, later = before.pop('groups'), after.pop('groups')
    assert grown(before, after) and later['group-one'] == groups['group-one']
    assert after['events-lz4'][2] != before['events-lz4'][2]
    assert not errors(tmp_path / 'stderr')


@pytest.mark.parametrize('kind, version, how', [
    (Kafka, '4.3.1', 'stopped'), (Kafka, '4.3.1', 'killed'), (Kafka, '3.9.1', 'stopped'), (Kafka, '3.9.1', 'killed'),
    (Standalone, '4.3.1', 'killed')])
def test_the_way_back(started, tmp_path, kind, version, how):
    kafka = started(kind, version=version, metadata_log_max_record_bytes_between_snapshots='2000')
    fill(kafka)
    before = picture.take(kafka, GROUPS)
    end(kafka, how)
    assert list((tmp_path / 'data/__cluster_metadata-0').glob('*.checkpoint')), 'no snapshot: nothing is shown'
    epoch = broker_epoch(tmp_path) if how == 'stopped' else None
    picture.check_offline(tmp_path / 'data')

    ours = started(Odradek)
    assert picture.take(ours, GROUPS) == before and stable_offset(ours) == 0
    write_more(ours)
    middle = picture.take(ours, GROUPS)
    end(ours, how)
    if how == 'stopped':
        assert broker_epoch(tmp_path) == epoch, 'Kafka would take the stop for a crash'
    picture.check_offline(tmp_path / 'data')

    again = started(lambda *_, **__: kafka)
    assert picture.take(again, GROUPS) == middle
    write_more(again)
    after = picture.take(again, GROUPS)
    for each in (before, middle, after):
        del each['groups']
    assert grown(before, middle) and grown(middle, after)
    end(again, 'stopped')

    last = started(Odradek)
    assert grown(after, picture.take(last))


def test_several_log_directories_are_refused(started, tmp_path):
    kafka = started(Scattered)
    client = picture.Client(kafka)
    client.create('scattered', 4)
    client.topics()
    client.close()
    end(kafka, 'stopped')
    binary = os.environ.get('ODRADEK_BINARY', brokers.ROOT / 'build/odradek')
    for name in Scattered.DIRECTORIES:
        before = directories.digest(tmp_path / name)
        done = subprocess.run([binary, '--port', '0', '--data', tmp_path / name, '--exit-with-stdin'], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)
        assert (done.returncode, done.stdout) == (4, '') and str(tmp_path / name) in done.stderr, done.stderr
        assert directories.digest(tmp_path / name) == before
