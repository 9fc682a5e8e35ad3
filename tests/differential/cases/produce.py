"""What is written: sound and unsound batches, sequences."""
import records
from cases.common import NOW, Case, create, produce, versions


def produce_cases():
    yield create('log')
    yield create('compacted', configs=[('cleanup.policy', 'compact')])
    yield create('stamped', configs=[('message.timestamp.type', 'LogAppendTime')])
    yield create('small', configs=[('max.message.bytes', '500')])
    good = records.batch([b'one', b'two', b'three'], timestamp=NOW)
    for version in versions('Produce'):
        yield produce(good, 'good', version)
    for acks in (-1, 1):
        yield produce(good, f'acks {acks}', acks=acks)
    yield produce(good, 'unknown partition', partition=7)
    yield produce(good, 'unknown topic', topic='missing')
    yield produce(records.batch([b'x'], timestamp=NOW, crc=1), 'bad CRC')
    for magic in (0, 1, 3):
        yield produce(records.batch([b'x'], timestamp=NOW, magic=magic), f'magic {magic}')
    yield produce(b'', 'no bytes')
    yield produce(None, 'null records')
    yield produce(good[:-1], 'cut')
    yield produce(good + good, 'two batches')
    yield produce(good + good[:30], 'a batch and a half')
    yield produce(good + b'x', 'a batch and a byte')
    yield produce(records.batch([b'x', b'y', b'z'], keys=[None, b'k', None], timestamp=NOW), 'two without keys', topic='compacted')
    yield produce(records.batch([b'x', b'y'], timestamp=NOW, count=1), 'count below the records')
    yield produce(records.batch([b'x'], timestamp=NOW, count=2), 'count above the records')
    yield produce(records.batch([b'x', b'y'], timestamp=NOW, last_delta=5), 'wrong last offset delta')
    yield produce(records.batch([b'x'], timestamp=NOW, raw=b'\x02\x00'), 'malformed record')
    yield produce(records.batch([b'x'], timestamp=NOW, attributes=0x20), 'control batch')
    yield produce(records.batch([b'x'], timestamp=NOW, attributes=1), 'gzip that is none')
    yield produce(records.batch([b'x'], timestamp=NOW, attributes=7), 'no such codec')
    yield produce(records.batch([b'x'], timestamp=NOW), 'no key', topic='compacted')
    yield produce(records.batch([b'x'], keys=[b'k'], timestamp=NOW), 'key', topic='compacted')
    yield produce(records.batch([b'x' * 600], timestamp=NOW), 'too large', topic='small')
    yield produce(records.batch([b'x'], timestamp=NOW * 3), 'from the future')
    yield produce(records.batch([b'x'], timestamp=NOW), 'into __consumer_offsets', topic='__consumer_offsets')
    yield from idempotence_cases()


def idempotence_cases():
    def remember(side, answer):
        side.memory['pid'] = answer['producer_id']

    def sequenced(sequence, note, epoch=0, count=1):
        return Case('Produce', 9, lambda side: {'acks': -1, 'timeout_ms': 9000, 'topic_data': [
            {'name': 'log', 'partition_data': [{'index': 0, 'records': records.batch(
                [b'v'] * count, timestamp=NOW, producer=(side.memory['pid'], epoch, sequence))}]}]}, note)

    for version in versions('InitProducerId'):
        yield Case('InitProducerId', version, {'transactional_id': None, 'transaction_timeout_ms': 1000}, 'idempotent',
                   remember=remember)
    for i, sequence in enumerate((0, 1, 2, 3, 4, 5, 6)):
        yield sequenced(sequence, f'sequence {i}')
    yield sequenced(6, 'duplicate')
    yield sequenced(3, 'older duplicate')
    yield sequenced(0, 'duplicate beyond five batches')
    yield sequenced(9, 'gap')
    yield sequenced(3, 'new epoch not at 0', epoch=1)
    yield sequenced(0, 'new epoch', epoch=1)
    yield sequenced(1, 'old epoch', epoch=0)
    yield sequenced(1, 'goes on', epoch=1, count=4)
