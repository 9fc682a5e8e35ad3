"""What becomes of batches in topics with a compression.type or timestamps of their own: the fetched batches are compared."""
import gzip
import re
import struct

import records
from cases.common import NOW, Case, create, fetch, list_offsets, produce

LOG_APPEND_TIME = 8
HEADER = struct.Struct('>qiibIhiqqqhii')


def parse(data):
    """The batches, without what depends on the compressor or the time."""
    found, at = [], 0
    while at < len(data):
        (offset, length, epoch, magic, _, attributes, last_delta, first, last, producer, producer_epoch, sequence,
         count) = HEADER.unpack_from(data, at)
        payload = data[at + HEADER.size:at + 12 + length]
        codec = attributes & 7
        content = {0: lambda: payload, 1: lambda: gzip.decompress(payload)}.get(codec, lambda: payload != b'')()
        found.append({'offset': offset, 'epoch': epoch, 'magic': magic, 'attributes': attributes, 'last_delta': last_delta,
                      'first': first, 'last': 'now' if attributes & LOG_APPEND_TIME else last, 'has_producer': producer >= 0,
                      'producer_epoch': producer_epoch, 'sequence': sequence, 'count': count, 'content': content})
        at += 12 + length
    return found


def with_batches(answer):
    for topic in answer['responses']:
        for partition in topic['partitions']:
            partition['records'] = parse(partition['records'] or b'')
    return answer


def without_times(answer):
    for topic in answer['responses']:
        for partition in topic['partition_responses']:
            partition['log_append_time_ms'] = partition['log_append_time_ms'] > NOW
            for row in (partition, *partition['record_errors']):
                for name, value in row.items():
                    if isinstance(value, str):
                        row[name] = re.sub(r'-?\d{12,}', 'TIME', value)
    return answer


def batch(codec=0, timestamp=NOW, values=(b'one', b'two' * 50, None), **more):
    payload = b''.join(records.record(i, None if i == 1 else b'key', value, [(b'name', b'content')] * i, timestamp_delta=i * 7 - 7)
                       for i, value in enumerate(values))
    if codec == 1:
        payload = gzip.compress(payload)
    return records.batch(list(values), timestamp=timestamp, attributes=codec, raw=payload, **more)


def stored(note, topic):
    case = fetch(12, 0, note, topic=topic)
    case.shape = with_batches
    return case


def timed(case):
    case.shape = without_times
    return case


def codec_cases():
    for kind in ('producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'):
        topic = f'stored-{kind}'
        yield create(topic, configs=[('compression.type', kind)])
        yield produce(batch(), 'plain', topic=topic)
        yield produce(batch(1), 'gzip', topic=topic)
        yield produce(batch(1, producer=(4000, 0, 0)), 'gzip of a producer', topic=topic)
        yield produce(batch(0, producer=(4000, 0, 3)), 'plain of a producer', topic=topic)
        yield produce(batch(0, producer=(4000, 0, 3)), 'duplicate', topic=topic)
        yield produce(batch(0, producer=(4000, 0, 30)), 'gap', topic=topic)
        yield produce(batch(1)[:-3], 'cut', topic=topic)
        yield produce(records.batch([b'x'], timestamp=NOW, attributes=1), 'gzip that is none', topic=topic)
        yield produce(records.batch([b'x'], timestamp=-1), 'without a time', topic=topic)
        yield stored(f'stored as {kind}', topic)
        yield list_offsets(7, -3, f'latest in {kind}', topic=topic)
        yield list_offsets(7, NOW + 1, f'by time in {kind}', topic=topic)
        yield create(f'stamped-{kind}', configs=[('compression.type', kind), ('message.timestamp.type', 'LogAppendTime')])
        yield timed(produce(batch(), 'plain', topic=f'stamped-{kind}'))
        yield timed(produce(batch(1), 'gzip', topic=f'stamped-{kind}'))
        yield timed(produce(batch(1, timestamp=NOW * 3), 'far ahead', topic=f'stamped-{kind}'))
        yield stored(f'stamped as {kind}', f'stamped-{kind}')


def limit_cases():
    large = (b'x' * 3000,)
    for kind in ('producer', 'uncompressed', 'gzip'):
        topic = f'limited-{kind}'
        yield create(topic, configs=[('compression.type', kind), ('max.message.bytes', '1000')])
        yield produce(batch(0, values=large), 'plain and large', topic=topic)
        yield produce(batch(1, values=large), 'large when inflated', topic=topic)
        yield stored(f'limited, {kind}', topic)
        topic = f'segmented-{kind}'
        yield create(topic, configs=[('compression.type', kind), ('max.message.bytes', '3000000'), ('segment.bytes', '1048576')])
        huge = batch(0, values=(b'x' * 2_000_000,))
        yield produce(huge, 'larger than a segment', topic=topic)
        yield produce(huge[:100] + b'y' + huge[101:], 'larger than a segment, bad CRC', topic=topic)
        yield produce(batch(1, values=(b'x' * 2_000_000,)), 'larger than a segment when inflated', topic=topic)
    yield create('keyed-gzip', configs=[('compression.type', 'gzip'), ('cleanup.policy', 'compact')])
    yield produce(batch(), 'one without a key', topic='keyed-gzip')
    for name, value in (('compression.type', 'none'), ('compression.type', 'GZIP'), ('compression.type', ''), ('compression.gzip.level', '0'),
                        ('compression.gzip.level', '10'), ('compression.gzip.level', '-1'), ('compression.gzip.level', '9'),
                        ('compression.lz4.level', '0'), ('compression.lz4.level', '18'), ('compression.lz4.level', '17'),
                        ('compression.zstd.level', '23'), ('compression.zstd.level', '-131073'), ('compression.zstd.level', '-131072')):
        yield create('levels', f'{name}={value}', configs=[(name, value)], version=5)
        yield Case('DeleteTopics', 5, {'topic_names': ['levels'], 'timeout_ms': 9000}, f'{name}={value}')


def level_cases():
    for kind, level in (('gzip', 9), ('lz4', 17), ('lz4', 1), ('zstd', 22), ('zstd', -5)):
        topic = f'level-{kind}-{level}'
        yield create(topic, configs=[('compression.type', kind), (f'compression.{kind}.level', str(level))])
        yield produce(batch(), 'plain', topic=topic)
        yield stored(topic, topic)


def time_cases():
    yield create('recent', configs=[('message.timestamp.before.max.ms', '1000'), ('message.timestamp.after.max.ms', '1000')])
    yield timed(produce(batch(), 'long ago', topic='recent'))
    yield timed(produce(batch(1), 'long ago, compressed', topic='recent'))
    yield timed(produce(batch(timestamp=NOW * 3), 'far ahead', topic='recent'))
    yield produce(records.batch([b'x'], timestamp=-1), 'without a time', topic='recent')
    yield timed(produce(records.batch([b'x'], timestamp=-2), 'before 1970', topic='recent'))
    yield create('any-time', configs=[('message.timestamp.before.max.ms', str(2**63 - 1)), ('message.timestamp.after.max.ms', str(2**63 - 1))])
    for time in (0, -1, -2, 2**62, 2**63 - 1, -2**63):
        yield timed(produce(records.batch([b'x'], timestamp=time), f'at {time}', topic='any-time'))
    yield stored('any time', 'any-time')


def compression_cases():
    yield from codec_cases()
    yield from limit_cases()
    yield from level_cases()
    yield from time_cases()
