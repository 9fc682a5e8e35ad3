"""Transactions: of clients that add partitions themselves (v1) and of those for which the broker does (v2)."""
import dataclasses
import struct
import time

import records
from cases.common import Case, create, versions

TOPIC = 'in-transactions'
RECENT = int(time.time() * 1000)  # older records would roll their segment at the first marker
BUSY = 51  # CONCURRENT_TRANSACTIONS: the end of the transaction before is still being carried out


def is_idle(answer):
    return f"error_code': {BUSY}" not in str(answer)


def is_over(answer):
    return 'Prepare' not in str(answer)


def batches(data):
    """What a reader is to find: producer ids, times and CRCs differ."""
    found, at = [], 0
    while at + 61 <= len(data or b''):
        offset, size = struct.unpack_from('>qi', data, at)
        attributes, delta = struct.unpack_from('>hi', data, at + 21)
        epoch, sequence, count = struct.unpack_from('>hii', data, at + 51)
        found.append((offset, attributes, delta, epoch, sequence, count, data[at + 61:at + 12 + size]))
        at += 12 + size
    return found


def without_bytes(answer):
    for topic in answer['responses']:
        for partition in topic['partitions']:
            partition['records'] = batches(partition['records'])
            partition['aborted_transactions'] = partition['aborted_transactions'] and [
                a['first_offset'] for a in partition['aborted_transactions']]
    return answer


def by_index(answer):
    for transaction in answer.get('results_by_transaction', []):
        for topic in transaction['topic_results']:
            topic['results_by_partition'].sort(key=lambda p: p['partition_index'])
    return answer


class Producer:
    """The requests of one transactional id; what it was given is in side.memory."""

    def __init__(self, name):
        self.name = name

    def mine(self, side, epoch=0):
        pid, now = side.memory.get(self.name, (-1, -1))
        return {'transactional_id': self.name, 'producer_id': pid, 'producer_epoch': now + epoch}

    def take(self, side, answer):
        if answer['error_code'] == 0 and answer.get('producer_epoch', -1) >= 0:
            side.memory[self.name] = answer['producer_id'], answer['producer_epoch']

    def init(self, version, note='', recover=False, timeout=60000, epoch=0):
        def values(side):
            request = {'transactional_id': self.name, 'transaction_timeout_ms': timeout}
            if recover:
                mine = self.mine(side, epoch)
                request |= {'producer_id': mine['producer_id'], 'producer_epoch': mine['producer_epoch']}
            return request
        return Case('InitProducerId', version, values, f'transactional {note}', remember=self.take, until=is_idle)

    def add(self, version, partitions, note='', topic=TOPIC, verify=False, until=is_idle, **changes):
        def values(side):
            mine = self.mine(side, changes.get('epoch', 0))
            mine |= {k: v for k, v in changes.items() if k != 'epoch'}
            topics = [{'name': topic, 'partitions': list(partitions)}]
            if version < 4:
                return {f'v3_and_below_{k}': v for k, v in mine.items()} | {'v3_and_below_topics': topics}
            return {'transactions': [mine | {'verify_only': verify, 'topics': topics}]}
        return Case('AddPartitionsToTxn', version, values, note, until=until, shape=by_index)

    def add_offsets(self, version, group, note='', **changes):
        return Case('AddOffsetsToTxn', version, lambda side: self.mine(side) | {'group_id': group} | changes, note,
                    until=is_idle)

    def commit_offsets(self, version, group, offset, note='', **changes):
        return Case('TxnOffsetCommit', version, lambda side: self.mine(side) | {'group_id': group, 'topics': [
            {'name': TOPIC, 'partitions': [{'partition_index': 0, 'committed_offset': offset, 'committed_metadata': 'm'}]}]} | changes,
            note, until=is_idle)

    def produce(self, version, sequence, note='', partition=0, epoch=0, transactional_id='own', topic=TOPIC):
        def values(side):
            mine = self.mine(side, epoch)
            batch = records.batch([b'v'], timestamp=RECENT, attributes=0x10,
                                  producer=(mine['producer_id'], mine['producer_epoch'], sequence))
            return {'transactional_id': self.name if transactional_id == 'own' else transactional_id, 'acks': -1, 'timeout_ms': 9000,
                    'topic_data': [{'name': topic, 'partition_data': [{'index': partition, 'records': batch}]}]}
        return Case('Produce', version, values, f'transactional {note}', until=is_idle)

    def end(self, version, commit, note='', **changes):
        return Case('EndTxn', version, lambda side: self.mine(side, changes.get('epoch', 0)) | {'committed': commit} | {
            k: v for k, v in changes.items() if k != 'epoch'}, ('commit ' if commit else 'abort ') + note, remember=self.take, until=is_idle)

    def describe(self, note):
        def shape(answer):
            for state in answer['transaction_states']:
                state['transaction_start_time_ms'] = state['transaction_start_time_ms'] > 0
                for topic in state['topics']:
                    topic['partitions'].sort()
            return answer
        return Case('DescribeTransactions', 0, {'transactional_ids': [self.name]}, note, shape=shape, until=is_over)


def doubled(produce):
    """Its batch twice: no sound request, so that the transaction never hears of it."""
    def values(side):
        request = produce.values(side)
        partition = request['topic_data'][0]['partition_data'][0]
        partition['records'] *= 2
        return request
    return dataclasses.replace(produce, values=values)


def read(note, isolation, partition=0, settled=None):
    def until(answer):
        row = answer['responses'][0]['partitions'][0]
        return settled is None or row['last_stable_offset'] == row['high_watermark']
    return Case('Fetch', 11, {'max_wait_ms': 1, 'min_bytes': 0, 'isolation_level': isolation, 'topics': [
        {'topic': TOPIC, 'partitions': [{'partition': partition, 'fetch_offset': 0, 'partition_max_bytes': 1 << 20}]}]},
        f'transactions {note}', shape=without_bytes, until=until)


def latest(note):
    return Case('ListOffsets', 5, {'replica_id': -1, 'isolation_level': 1, 'topics': [
        {'name': TOPIC, 'partitions': [{'partition_index': 0, 'timestamp': -1}]}]}, f'committed {note}')


def stable_offsets(group, note):
    return Case('OffsetFetch', 8, {'require_stable': True, 'groups': [
        {'group_id': group, 'topics': [{'name': TOPIC, 'partition_indexes': [0]}]}]}, f'stable {note}',
        until=lambda a: 'after' not in note or "error_code': 88" not in str(a))


def offsets_cases(version):
    it, group = Producer(f'offsets-{version}'), f'in-txn-{version}'
    yield it.init(4)
    if version < 5:
        yield it.commit_offsets(version, group, 5, 'before they are added')
        yield it.add_offsets(min(version, 4), group, 'of a group')
    yield it.commit_offsets(version, group, 5, 'pending')
    yield it.commit_offsets(version, group, 5, 'unknown topic', topics=[
        {'name': 'missing', 'partitions': [{'partition_index': 0, 'committed_offset': 1}]}])
    for text in ('\u20ac' * 4096, '\u20ac' * 4097, '\U0001f600' * 2048, '\U0001f600' * 2049):
        yield it.commit_offsets(version, group, 5, f'{len(text)} characters of {len(text.encode())} bytes', topics=[{'name': TOPIC, 'partitions': [
            {'partition_index': 0, 'committed_offset': 5, 'committed_metadata': text}]}])
    yield it.commit_offsets(version, '', 5, 'empty group id')
    if version >= 3:
        yield it.commit_offsets(version, group, 5, 'generation of an unknown group', generation_id=4, member_id='m')
    yield it.commit_offsets(version, group, 5, 'old epoch', producer_epoch=-1)
    yield stable_offsets(group, 'pending')
    yield it.end(5 if version == 5 else min(version, 4), True, 'of offsets')
    yield stable_offsets(group, 'after the commit')
    if version < 5:
        yield it.add_offsets(min(version, 4), group, 'again')
    yield it.commit_offsets(version, group, 9, 'to be aborted')
    yield it.end(5 if version == 5 else min(version, 4), False, 'of offsets')
    yield stable_offsets(group, 'after the abort')
    yield Case('DescribeProducers', 0, {'topics': [{'name': '__consumer_offsets', 'partition_indexes': [0]}]}, 'of offsets', shape=lambda a: sorted(
        (p['producer_epoch'], p['last_sequence']) for p in a['topics'][0]['partitions'][0]['active_producers']))


def v1_cases(version):
    it = Producer(f'old-{version}')
    add, end = min(version, 3), min(version, 4)
    yield it.init(version)
    yield it.describe('empty')
    yield it.end(end, True, 'of nothing')
    yield it.add(add, [0, 1], 'two')
    yield it.add(add, [0, 1], 'again')
    yield it.add(add, [0, 9], 'an unknown one')
    yield it.add(add, [0], 'old epoch', epoch=-1)
    yield it.add(add, [0], 'new epoch', epoch=1)
    yield it.add(add, [0], 'another producer', producer_id=987654)
    yield it.add(add, [0], 'unknown id', transactional_id='nobody')
    yield it.add(add, [0], 'empty id', transactional_id='')
    yield it.describe('ongoing')
    yield it.produce(9 if version < 5 else 11, 0)
    yield it.produce(9 if version < 5 else 11, 0, 'duplicate')
    yield it.produce(9 if version < 5 else 11, 0, 'not added', partition=2)
    yield it.produce(9, 1, 'without its id', transactional_id=None)
    yield it.produce(9, 1, 'with the id of another', transactional_id='nobody')
    yield it.produce(9 if version < 5 else 11, 0, 'into a topic of the broker', topic='__consumer_offsets')
    yield it.produce(9, 0, 'with an old epoch', epoch=-1, partition=1)
    yield read('open', 1)
    yield read('open, uncommitted', 0)
    yield latest('open')
    yield it.end(end, True, 'another epoch', epoch=1)
    yield it.end(end, True, 'another producer', producer_id=987654)
    yield it.end(end, True, 'unknown id', transactional_id='nobody')
    yield it.end(end, True)
    yield read('committed', 1, settled=True)
    yield read('the other partition', 0, partition=1, settled=True)
    yield it.init(version, 'again')
    yield it.add(add, [0], 'after the commit')
    yield it.produce(9, 0, 'to be aborted')
    yield it.end(end, False)
    yield read('aborted', 1, settled=True)
    yield it.init(version, 'recovers', recover=version >= 3)
    if version >= 3:
        yield it.init(version, 'fenced', recover=True, epoch=-2)
        yield from fencing_cases(version)


def fencing_cases(version):
    """Whose transaction is ended by InitProducerId is told to ask again, and says the same again."""
    for epoch in (-1, 0, 1, 2):
        it = Producer(f'asks-again-{version}-{epoch}')
        yield it.init(version)
        yield it.add(3, [0])
        yield dataclasses.replace(it.init(version, 'during a transaction', recover=True), until=None)
        yield it.init(version, f'asks again for {epoch}', recover=True, epoch=epoch)


def v2_cases():
    it = Producer('new')
    yield it.init(5)
    yield it.end(5, True, 'of nothing')
    yield it.end(5, False, 'of nothing')
    yield it.produce(12, 5, 'out of order from the start')
    yield it.produce(12, 1, 'out of order from the start, in an older version\'s way', partition=1)
    yield it.end(5, False)
    yield doubled(it.produce(12, 0, 'of two batches'))
    yield it.describe('nothing was added')
    yield it.produce(12, 0, 'adds by itself', topic=TOPIC)
    yield it.produce(12, 1, 'goes on')
    yield it.describe('by produce')
    yield it.add(5, [1], 'by request')
    yield it.add(4, [0, 1], 'verified', verify=True)
    yield it.add(4, [0, 2], 'verified, one missing', verify=True)
    yield it.end(5, True)
    yield it.end(5, True, 'retried', epoch=-1)
    yield it.end(5, False, 'instead', epoch=-1)
    yield read('v2 committed', 1, settled=True)
    yield it.produce(12, 0, 'with the new epoch')
    yield it.produce(12, 1, 'with the old one', epoch=-1)
    for version in (9, 11, 12):
        for partition in (0, 1):
            yield it.produce(version, 0, f'with the old one, of another id, partition {partition}', epoch=-1, partition=partition, transactional_id='nobody')
    yield it.commit_offsets(5, 'fenced', 1, 'of the new epoch')
    yield it.end(5, True)
    for version in (3, 5):
        yield it.commit_offsets(version, 'fenced', 1, 'of the epoch before', producer_epoch=0)
        yield it.commit_offsets(version, 'fenced', 1, 'of the epoch before, of another id', producer_epoch=0, transactional_id='nobody')
        yield it.commit_offsets(version, 'fenced', 1, 'of another id', transactional_id='nobody')
    yield it.produce(12, 0, 'with an epoch newer than that')
    yield it.end(5, False)
    yield it.end(5, False, 'retried', epoch=-1)
    yield it.end(5, False, 'again, of nothing')
    yield read('v2 aborted', 1, settled=True)
    yield it.produce(12, 0, 'before it is fenced')
    yield Case('InitProducerId', 5, {'transactional_id': 'new', 'transaction_timeout_ms': 60000}, 'of somebody else',
               until=is_idle)
    yield it.produce(12, 1, 'of the fenced')
    yield it.end(5, True, 'of the fenced')


def error_cases():
    yield Case('InitProducerId', 4, {'transactional_id': '', 'transaction_timeout_ms': 1000}, 'empty id')
    for timeout in (0, -1, 900001):
        yield Case('InitProducerId', 4, {'transactional_id': 'late', 'transaction_timeout_ms': timeout}, f'timeout {timeout}')
    yield Case('InitProducerId', 4, {'transactional_id': 'half', 'transaction_timeout_ms': 1000, 'producer_id': 5}, 'id without epoch')
    yield Case('DescribeTransactions', 0, {'transactional_ids': ['nobody', '']}, 'unknown')

    def ids(answer):
        return answer['error_code'], sorted(answer['unknown_state_filters']), sorted(
            (t['transactional_id'], t['transaction_state']) for t in answer['transaction_states'])

    for version in versions('ListTransactions'):
        yield Case('ListTransactions', version, {}, 'all', shape=ids, until=is_over)
        yield Case('ListTransactions', version, {'state_filters': ['Empty', 'Nonsense', 'Empty', 'Nonsense']}, 'by state', shape=ids)
        yield Case('ListTransactions', version, {'producer_id_filters': [987654]}, 'by producer', shape=ids)
        if version >= 1:
            yield Case('ListTransactions', version, {'duration_filter': 3600000}, 'by duration', shape=ids)
        if version >= 2:
            for pattern in ('old-.*', 'old', '(', ''):
                yield Case('ListTransactions', version, {'transactional_id_pattern': pattern}, f'by pattern {pattern}', shape=ids)
    for version in versions('FindCoordinator'):
        yield Case('FindCoordinator', version, {'coordinator_keys': ['t'], 'key_type': 1} if version >= 4 else
                   {'key': 't', 'key_type': 1} if version >= 1 else {'key': 't'}, 'transaction', until=lambda a: "_code': 15" not in str(a))


def marker_cases():
    """How an admin client ends what hangs."""
    for version in versions('WriteTxnMarkers'):
        if version < 1:
            continue  # Kafka 4 no longer serves it
        it = Producer(f'hangs-{version}')

        def mark(note, epoch=0, coordinator_epoch=0, partition=0, topic=TOPIC, it=it, version=version):
            def values(side):
                mine = it.mine(side, epoch)
                return {'markers': [{'producer_id': mine['producer_id'], 'producer_epoch': mine['producer_epoch'],
                                     'transaction_result': False, 'coordinator_epoch': coordinator_epoch,
                                     'topics': [{'name': topic, 'partition_indexes': [partition]}]}]}
            return Case('WriteTxnMarkers', version, values, note)

        yield it.init(4)
        yield it.init(4, 'for an epoch above 0')
        yield it.add(3, [0])
        yield it.produce(9, 0)
        yield mark('old epoch', epoch=-1)
        yield mark('unknown partition', partition=9)
        yield mark('unknown topic', topic='missing')
        yield mark('abort')
        yield mark('abort again')
        yield read('marked', 1, settled=True)
        yield mark('newer coordinator', coordinator_epoch=5)
        yield mark('older coordinator', coordinator_epoch=3)


def level_cases():
    """What older levels of transaction.version change."""
    software = {'client_software_name': 'test', 'client_software_version': '1'}

    def finalized(answer):
        return [f['max_version_level'] for f in answer['finalized_features'] if f['name'] == 'transaction.version']

    for level, kind in ((1, 2), (0, 2), (2, 1)):
        yield Case('UpdateFeatures', 1, {'feature_updates': [{'feature': 'transaction.version', 'max_version_level': level, 'upgrade_type': kind}]},
                   f'transaction.version {level}')
        yield Case('ApiVersions', 3, software, f'at transaction.version {level}', shape=finalized,
                   until=lambda a, level=level: finalized(a) == [level] * (level > 0))
        old, new = Producer(f'old-at-{level}'), Producer(f'new-at-{level}')
        yield old.init(4)
        yield old.add(3, [0], f'at level {level}')
        yield old.produce(9, 0)
        yield old.init(4, f'fences at level {level}')
        yield old.describe(f'fenced at level {level}')
        yield old.add(3, [0], f'at level {level}, again')
        yield old.end(4, True, f'at level {level}')
        if level == 0:
            continue  # such a producer hangs for ever on Kafka, which has no way to write what it is
        yield new.init(5)
        yield new.produce(12, 0, f'adds by itself at level {level}')
        yield new.end(5, True, f'at level {level}')
        yield new.produce(12, 0, f'goes on at level {level}')
        yield new.init(5, f'fences at level {level}')
        yield new.describe(f'fenced at level {level}')
        yield read(f'at level {level}', 1, settled=True)


def transaction_cases():
    yield create(TOPIC, partitions=3)
    yield from error_cases()
    for version in versions('InitProducerId'):
        yield from v1_cases(version)
    yield from v2_cases()
    for version in versions('TxnOffsetCommit'):
        yield from offsets_cases(version)
    yield from marker_cases()
    yield from error_cases()
    yield from level_cases()
