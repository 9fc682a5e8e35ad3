"""Compaction keeps what Kafka keeps. One directory, filled by a broker that compacts nothing, and a copy of it: Apache Kafka compacts one,
odradek the other; then both get the same records again and compact once more. What is left is compared as kafka-dump-log prints it:
segments, batches with all their fields, records, and the aborted transactions beside them."""
import re
import shutil
import subprocess
import time

import broker as brokers
import confluent_kafka
import picture
import pytest
import records
import test_directory
import test_dump

SECONDS = 240  # only against hanging for ever
MINUTE = 60000
CODECS = picture.CODECS

# To be compacted as soon as anything is dirty. Segments roll by the records' times.
TOPIC = {'cleanup_policy': 'compact', 'min_cleanable_dirty_ratio': '0', 'segment_ms': str(MINUTE), 'file_delete_delay_ms': '0'}
TOPICS = {
    'overwritten': {}, 'sequences': {}, 'transactions': {}, 'ongoing': {}, 'headers': {},
    'tombstones': {'delete_retention_ms': '0'}, 'kept-tombstones': {'delete_retention_ms': '86400000'},
    'ended': {'delete_retention_ms': '0'},
    'both': {'cleanup_policy': 'compact,delete', 'retention_ms': str(120 * MINUTE), 'segment_bytes': str(1 << 20)},
    'young': {'min_compaction_lag_ms': str(30 * MINUTE)},
    **{f'codec-{codec}': {} for codec in CODECS},
}

TWICE = ('overwritten', 'tombstones', 'kept-tombstones', 'both', 'transactions', 'ended')  # written to once more after a compaction


def produce(client, topic, values, keys, timestamp, **more):
    row = {'index': 0, 'records': records.batch(values, keys=keys, timestamp=timestamp, **more)}
    answer = client.call('Produce', 9, {'acks': -1, 'timeout_ms': 30000, 'topic_data': [{'name': topic, 'partition_data': [row]}]})
    assert answer['responses'][0]['partition_responses'][0]['error_code'] == 0, (topic, answer)


def write_batches(client, topic, first, count, start, tombstone=0, step=21000):
    """Batches of one to five records over a few keys, a segment every third batch; each tombstone-th record is one."""
    for number in range(first, first + count):
        names = [(number * 7 + i * 3) % 23 for i in range(number % 5 + 1)]
        values = [None if tombstone and (number + i) % tombstone == 0 else b'value %d.%d' % (number, i) for i in range(len(names))]
        produce(client, topic, values, [b'key %d' % name for name in names], start + number * step)


def write_sequences(client, start):
    """Idempotent producers: of some, all that they wrote is overwritten; the last batch of each must stay, if need be empty."""
    for number in range(40):
        producer, turn = divmod(number, 10)
        produce(client, 'sequences', [b'value %d' % number] * 2, [b'key', b'other'], start + number * 21000,
                producer=(1000 + producer, 0, turn * 2))


def write_codecs(broker, start):
    for codec in CODECS:
        producer = confluent_kafka.Producer({'bootstrap.servers': broker.address, 'compression.type': codec, 'linger.ms': 20,
                                             'batch.num.messages': 10})
        for number in range(300):
            producer.produce(f'codec-{codec}', None if number % 11 == 0 else f'value {number} ' * 5, f'key {number % 37}',
                             timestamp=start + number * 3000, headers=[('h', str(number)), ('none', None)] if number % 3 == 0 else None)
        assert producer.flush(60) == 0


def write_transactions(broker, topic, start, count, open_at=None):
    """Committed and aborted ones, over keys that later ones overwrite, with what belongs to none of them in between."""
    producer = confluent_kafka.Producer({'bootstrap.servers': broker.address, 'transactional.id': f'writer of {topic}',
                                         'transaction.timeout.ms': 900000})
    plain = confluent_kafka.Producer({'bootstrap.servers': broker.address})
    producer.init_transactions(60)
    for number in range(count):
        producer.begin_transaction()
        for i in range(3):
            producer.produce(topic, f'transaction {number}.{i}', f'key {(number * 2 + i) % 7}', timestamp=start + number * 25000 + i)
        producer.flush(60)
        plain.produce(topic, f'plain {number}', f'plain key {number % 3}', timestamp=start + number * 25000 + 5000)
        plain.flush(60)
        if number == open_at:
            return producer
        (producer.abort_transaction if number % 3 == 1 else producer.commit_transaction)(60)
    return producer


def write_headers(broker, start):
    """Some of the records of a batch go, and those that stay keep their headers."""
    producer = confluent_kafka.Producer({'bootstrap.servers': broker.address, 'linger.ms': 20, 'batch.num.messages': 5})
    for number in range(100):
        producer.produce('headers', f'value {number}', f'key {number % 13}', timestamp=start + number * 15000,
                         headers=[('a', b'\0\xff' * (number % 4)), ('a', None), ('', b'')])
    assert producer.flush(60) == 0


def end_segments(client, topics, timestamp):
    """A last segment that is too young to be rolled; what is before is to be compacted."""
    for topic in topics:
        produce(client, topic, [b'last'], [b'last key'], timestamp)


def fill(broker, now):
    client = picture.Client(broker)
    for name, configs in TOPICS.items():
        client.create(name, 1, **(TOPIC | configs))
    start = now - 60 * MINUTE
    write_batches(client, 'overwritten', 0, 60, start)
    write_batches(client, 'tombstones', 0, 60, start, tombstone=4)
    write_batches(client, 'kept-tombstones', 0, 60, start, tombstone=4)
    write_batches(client, 'young', 0, 30, start, tombstone=9)
    write_batches(client, 'young', 30, 30, now - 15 * MINUTE, tombstone=9)
    for number in range(4):  # too big to be joined by a compaction, whether before or after they are deleted
        produce(client, 'both', [b'x' * 1000000], [b'old %d' % number], now - (300 - number * 10) * MINUTE)
    produce(client, 'both', [b'x' * 500000], [b'big'], start)
    write_batches(client, 'both', 1, 60, start, tombstone=5)
    write_sequences(client, start)
    write_headers(broker, start)
    write_codecs(broker, start)
    write_transactions(broker, 'transactions', start, 40)
    write_transactions(broker, 'ended', start, 20)
    still_open = write_transactions(broker, 'ongoing', start, 40, open_at=20)
    write_batches(client, 'ongoing', 30, 20, start)
    end_segments(client, TOPICS, now + 30 * MINUTE)
    client.close()
    return still_open


def write_again(broker, now):
    """The same on both sides: keys of the first part once more, in part as tombstones. They lie in one segment, so that one compaction
    sees them all: of two, which of the records in between it sees would be a matter of time."""
    client = picture.Client(broker)
    for topic in TWICE:
        write_batches(client, topic, 0, 15, now + 30 * MINUTE, tombstone=6, step=1000)
    end_segments(client, TWICE, now + 50 * MINUTE)
    client.close()


class Writer(test_directory.Odradek):
    """Compacts nothing."""

    def __init__(self, directory):
        super().__init__(directory, log_cleaner_enable='false', offsets_topic_num_partitions='2', transaction_state_log_num_partitions='2')


class Compacting(test_directory.Odradek):
    def __init__(self, directory):
        super().__init__(directory, log_cleaner_backoff_ms='200', log_retention_check_interval_ms='500')


class KafkaCompacting(test_directory.Graduate):
    MORE = test_directory.Graduate.MORE + 'log.cleaner.backoff.ms=200\nlog.initial.task.delay.ms=500\n'


def cleaned(path):
    """How far each log was compacted."""
    text = path / 'data/cleaner-offset-checkpoint'
    lines = text.read_text().splitlines()[2:] if text.exists() else []
    return {name: int(offset) for name, partition, offset in map(str.split, lines) if name in TOPICS}


def wait_compacted(brokers_, at_least):
    """Until both have compacted all topics, up to the same offsets."""
    end = time.monotonic() + SECONDS
    while True:
        ours, theirs = (cleaned(it.directory) for it in brokers_)
        if ours == theirs and set(ours) == set(TOPICS) and all(ours[name] > offset for name, offset in at_least.items()):
            return ours
        assert time.monotonic() < end, {name: (ours.get(name), theirs.get(name)) for name in TOPICS if ours.get(name) != theirs.get(name)}
        time.sleep(0.3)


# Where bytes lie differs where a codec compresses otherwise; horizons are the times of the compactions; Kafka begins an epoch at a start.
UNLIKE = re.compile(r' (position|size|crc|partitionLeaderEpoch): \d+|(?<=deleteHorizonMs: OptionalLong\[)\d+')


def dump(directory):
    """Of each topic the segments, and what kafka-dump-log says of them; and what it complains of."""
    files = sorted(path for name in TOPICS for path in (directory / f'data/{name}-0').iterdir() if path.suffix in ('.log', '.txnindex') and
                   path.stat().st_size)
    done = subprocess.run([brokers.ROOT / 'tools/kafka', '4.3.1', 'kafka-dump-log', '--deep-iteration', '--print-data-log', '--files',
                           ','.join(map(str, files))], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    out = {name: [] for name in TOPICS}
    for line in done.stdout.replace(str(directory), '').splitlines():
        if line.startswith('Dumping '):
            topic = line.split('/')[-2][:-2]
        out[topic].append(UNLIKE.sub('', line))
    for name in TOPICS:
        out[name].append(sorted(path.name for path in (directory / f'data/{name}-0').glob('*.log')))
    return out, complaints(done.stderr.replace(str(directory), ''))


def complaints(text):
    """Gaps, which a compacted log has; the order of the files is Java's."""
    found, what = [], None
    for line in text.splitlines():
        if not line.startswith(' '):
            what = line
        found.append((what, line))
    return sorted(found)


def check_derived(directory):
    """Indexes and snapshots of producers beside compacted segments, as kafka-dump-log sees them."""
    indexes = [path for path in directory.glob('*/*index') if path.suffix in ('.index', '.timeindex')]
    for option in ('--index-sanity-check', '--verify-index-only'):
        test_dump.dump('4.3.1', indexes, option)
    test_dump.dump('3.9.1', indexes)
    test_dump.dump('4.3.1', directory.glob('[a-z]*/*.snapshot'))


def compare(ours, theirs):
    (left, left_complaints), (right, right_complaints) = dump(ours.directory), dump(theirs.directory)
    for name in TOPICS:
        assert left[name] == right[name], name
    assert left_complaints == right_complaints
    return left


def starts(broker):
    client = picture.Client(broker)
    out = {name: client.offset(name, 0, -2) for name in TOPICS}
    client.close()
    return out


def compact_no_more(broker):
    client = picture.Client(broker)
    configs = [{'name': 'cleanup.policy', 'config_operation': 0, 'value': 'delete'}, {'name': 'retention.ms', 'config_operation': 0, 'value': '-1'}]
    answer = client.call('IncrementalAlterConfigs', 1, {'resources': [{'resource_type': 2, 'resource_name': name, 'configs': configs} for name in TOPICS]})
    assert all(row['error_code'] == 0 for row in answer['responses']), answer
    client.close()


@pytest.fixture
def both(tmp_path):
    writer = Writer(tmp_path)
    now = int(time.time() * 1000)
    still_open = fill(writer.start(), now)
    assert writer.stop() == 0
    del still_open
    (tmp_path / 'theirs').mkdir()
    shutil.copytree(tmp_path / 'data', tmp_path / 'theirs/data')
    running = [Compacting(tmp_path), KafkaCompacting(tmp_path / 'theirs')]
    for it in running:
        it.start()
    yield now, *running
    for it in running:
        if it.process and it.process.returncode is None:
            it.kill9()


@pytest.mark.timeout(600)
def test_the_same_is_left(both):
    now, ours, theirs = both
    first = wait_compacted((ours, theirs), {})
    end = time.monotonic() + SECONDS
    while starts(ours) != starts(theirs):
        assert time.monotonic() < end, {name: (start, starts(theirs)[name]) for name, start in starts(ours).items()}
        time.sleep(0.3)
    assert starts(ours)['both'] == 4
    left = compare(ours, theirs)
    # otherwise nothing would be shown
    text = {name: '\n'.join(map(str, lines)) for name, lines in left.items()}
    assert all('deleteHorizonMs' in text[name] for name in ('tombstones', 'kept-tombstones', 'ended', 'codec-zstd'))
    assert ' count: 0 ' in text['sequences'] and 'lastStableOffset' in text['ongoing']
    write_again(ours, now)
    write_again(theirs, now)
    wait_compacted((ours, theirs), {name: first[name] for name in TWICE})
    compare(ours, theirs)
    picture_before = picture.take(ours)
    assert ours.stop() == 0
    picture.check_offline(ours.directory / 'data')
    check_derived(ours.directory / 'data')
    # what is no longer compacted keeps its gaps, and they are no damage
    ours.start()
    compact_no_more(ours)
    del picture_before['groups']
    after = picture.take(ours)
    assert {name: logs for name, (_, _, logs) in picture_before.items()} == {name: after[name][2] for name in picture_before}
    assert ours.stop() == 0
    picture.check_offline(ours.directory / 'data')
