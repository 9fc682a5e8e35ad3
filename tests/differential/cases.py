"""The requests that compare.py sends to both brokers, in order."""
import dataclasses
import typing
import uuid

import records
import wire

NOW = 1_700_000_000_000
OLD_TOPICS = ('created-0', 'created-1', 'doomed-0')  # made, or left, by versions that Kafka 4 no longer serves


@dataclasses.dataclass
class Case:
    api: str
    version: int
    values: typing.Any  # a dictionary, or a function of the side
    note: str = ''
    shape: typing.Callable = None     # reduces the answer to what is compared
    remember: typing.Callable = None  # keeps something of the answer in side.memory


def versions(api):
    message = wire.MESSAGES[api + 'Request']
    return range(message.low, message.high + 1)


def topic_id(side, name):
    answer = side.call('Metadata', 12, {'topics': [{'name': name, 'topic_id': uuid.UUID(int=0)}]})
    return answer['topics'][0]['topic_id']


def create(name, note='', version=5, partitions=1, replicas=1, configs=(), **more):
    topic = {'name': name, 'num_partitions': partitions, 'replication_factor': replicas,
             'configs': [{'name': k, 'value': v} for k, v in configs], **more}
    return Case('CreateTopics', version, {'topics': [topic], 'timeout_ms': 30000}, note or name[:30])


def topic_cases():
    for version in versions('CreateTopics'):
        yield create(f'created-{version}', 'plain', version)
    yield create('created-5', 'exists')
    for name in ('', '.', '..', 'a b', 'x' * 250, 'sl/ash', 'ü', '__consumer_offsets2'):
        yield create(name, f'name {name[:8]!r}')
    yield create('dotted.name')
    yield create('dotted_name', 'collides')
    yield create('p0', 'no partitions', partitions=0)
    yield create('p-1', 'default partitions', partitions=-1)
    yield create('p-2', 'negative partitions', partitions=-2)
    yield create('r3', 'replication 3', replicas=3)
    yield create('r0', 'replication 0', replicas=0)
    yield create('r-1', 'default replication', replicas=-1)
    yield create('c1', 'config', configs=[('retention.ms', '1000'), ('cleanup.policy', 'compact')])
    yield create('c2', 'unknown config', configs=[('no.such', '1')])
    yield create('c3', 'not a number', configs=[('retention.ms', 'soon')])
    yield create('c4', 'out of range', configs=[('segment.bytes', '1')])
    yield create('c5', 'not a policy', configs=[('cleanup.policy', 'burn')])
    yield create('a1', 'assignments', partitions=-1, replicas=-1,
                 assignments=[{'partition_index': 0, 'broker_ids': [1]}, {'partition_index': 1, 'broker_ids': [1]}])
    yield create('a2', 'assigned to nobody', partitions=-1, replicas=-1,
                 assignments=[{'partition_index': 0, 'broker_ids': [9]}])
    yield create('a3', 'assignments with a gap', partitions=-1, replicas=-1,
                 assignments=[{'partition_index': 1, 'broker_ids': [1]}])
    yield create('a4', 'assignments and a count', assignments=[{'partition_index': 0, 'broker_ids': [1]}])
    twice = {'name': 'twice', 'num_partitions': 1, 'replication_factor': 1}
    yield Case('CreateTopics', 5, {'topics': [twice, twice], 'timeout_ms': 30000}, 'twice in a request')
    yield Case('CreateTopics', 5, {'topics': [dict(twice, name='only-validated')], 'timeout_ms': 30000,
                                   'validate_only': True}, 'validate only')
    for version in versions('Metadata'):
        yield Case('Metadata', version, {'topics': [{'name': 'created-2'}, {'name': 'missing'}],
                                         'allow_auto_topic_creation': False} if version >= 4 else
                   {'topics': [{'name': 'created-2'}]}, 'one topic')
    yield Case('Metadata', 12, lambda side: {'topics': [{'name': None, 'topic_id': topic_id(side, 'created-2')}]}, 'by id')
    yield Case('Metadata', 12, {'topics': [{'name': None, 'topic_id': uuid.UUID(int=77)}]}, 'by unknown id',
               shape=lambda a: [t['error_code'] for t in a['topics']])
    yield Case('Metadata', 8, {'topics': [{'name': 'created-2'}], 'include_topic_authorized_operations': True,
                               'include_cluster_authorized_operations': True}, 'authorised operations')
    yield Case('Metadata', 9, {'topics': [{'name': 'il/legal'}]}, 'illegal name')
    for version in versions('DescribeCluster'):
        yield Case('DescribeCluster', version, {}, '')
    yield Case('DescribeTopicPartitions', 0, {'topics': [{'name': 'a1'}, {'name': 'missing'}]}, '')
    yield Case('DescribeTopicPartitions', 0, {'topics': [{'name': 'a1'}, {'name': 'created-2'}],
                                              'response_partition_limit': 1}, 'limit')


def grow(name, count, note, version=3, **more):
    return Case('CreatePartitions', version, {'topics': [{'name': name, 'count': count, **more}], 'timeout_ms': 30000,
                                              'validate_only': False}, note)


def partition_cases():
    for version in versions('CreatePartitions'):
        yield grow('created-3', version + 2, 'grow', version)
    yield grow('created-3', 5, 'same count')
    yield grow('created-3', 1, 'fewer')
    yield grow('missing', 5, 'unknown topic')
    yield grow('created-3', 7, 'bad assignment', assignments=[{'broker_ids': [4]}])
    yield Case('CreatePartitions', 3, {'topics': [{'name': 'created-3', 'count': 9}] * 2, 'timeout_ms': 9,
                                       'validate_only': False}, 'twice in a request')
    for version in versions('DeleteTopics'):
        if version < 6:
            yield create(f'doomed-{version}', 'doomed')
            yield Case('DeleteTopics', version, {'topic_names': [f'doomed-{version}', 'missing'], 'timeout_ms': 30000}, 'by name',
                       shape=lambda a: sorted(a['responses'], key=lambda r: r['name']))  # Kafka shuffles them
    yield Case('DeleteTopics', 6, lambda side: {'topics': [{'name': None, 'topic_id': topic_id(side, 'created-6')}],
                                                'timeout_ms': 30000}, 'by id')
    yield Case('DeleteTopics', 6, {'topics': [{'name': None, 'topic_id': uuid.UUID(int=77)}], 'timeout_ms': 1}, 'by unknown id',
               shape=lambda a: [r['error_code'] for r in a['responses']])


def produce(batch, note, version=9, topic='log', partition=0, acks=1, remember=None):
    return Case('Produce', version, lambda side: {
        'acks': acks, 'timeout_ms': 30000, 'topic_data': [
            {'name': topic, 'partition_data': [{'index': partition, 'records': batch}]} if version < 13 else
            {'topic_id': topic_id(side, topic), 'partition_data': [{'index': partition, 'records': batch}]}]}, note, remember=remember)


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


def list_offsets(version, time, note, topic='log', partition=0, **more):
    row = {'partition_index': partition, 'timestamp': time, **more}
    if version == 0:
        row['max_num_offsets'] = 1
    return Case('ListOffsets', version, {'topics': [{'name': topic, 'partitions': [row]}]}, note)


def read_cases():
    for version in versions('ListOffsets'):
        if version == 0:
            continue  # Kafka 4 no longer serves it
        for time in (-1, -2, -3, -4, -5, -6, -7, 0, NOW, NOW + 1):
            yield list_offsets(version, time, f'time {time}')
    yield list_offsets(5, -1, 'unknown partition', partition=9)
    yield list_offsets(5, -1, 'unknown topic', topic='missing')
    yield list_offsets(5, -1, 'future epoch', current_leader_epoch=9)
    yield Case('ListOffsets', 5, {'topics': [{'name': 'log', 'partitions': [
        {'partition_index': 0, 'timestamp': -1}, {'partition_index': 0, 'timestamp': -2}]}]}, 'twice')
    for version in versions('OffsetForLeaderEpoch'):
        for epoch in (0, 1, 7, -1):
            if version >= 2:
                yield Case('OffsetForLeaderEpoch', version, {'replica_id': -2, 'topics': [{'topic': 'log', 'partitions': [
                    {'partition': 0, 'current_leader_epoch': -1, 'leader_epoch': epoch}]}]}, f'epoch {epoch}')
    for version in versions('Fetch'):
        for offset in (0, 4, 1_000_000, -1):
            yield fetch(version, offset, f'offset {offset}')
    yield fetch(11, 0, 'unknown partition', partition=9)
    yield fetch(11, 0, 'unknown topic', topic='missing')
    yield fetch(11, 0, 'future epoch', current_leader_epoch=9)
    yield fetch(11, 0, 'a byte', partition_max_bytes=1)
    yield from session_cases()


def session_cases():
    """Fetch sessions, by name and by id: two partitions, of which only news are told."""
    for version in (7, 12, 13, 18):
        first, second = f'session-a{version}', f'session-b{version}'
        yield create(first)
        yield create(second, partitions=2)

        def rows(side, wanted, offset):
            return [({'topic': t} if version < 13 else {'topic_id': topic_id(side, t)}) | {'partitions': [
                {'partition': p, 'fetch_offset': offset, 'partition_max_bytes': 1 << 20} for p in ps]} for t, ps in wanted]

        def forgotten(side, wanted):
            return [({'topic': t} if version < 13 else {'topic_id': topic_id(side, t)}) | {'partitions': ps} for t, ps in wanted]

        def session(note, epoch, wanted=(), offset=0, forget=(), session_id=None, by=version):
            return Case('Fetch', by, lambda side: {
                'max_wait_ms': 1, 'min_bytes': 0, 'session_epoch': epoch, 'topics': rows(side, wanted, offset),
                'session_id': side.memory.get('session', 0) if session_id is None else session_id,
                'forgotten_topics_data': forgotten(side, forget)}, f'session {note}',
                remember=lambda side, a: side.memory.update(session=a['session_id'] or side.memory.get('session', 0)))

        batch = records.batch([b'news'], timestamp=NOW)
        yield session('opens', 0, [(first, [0]), (second, [0, 1])], session_id=0)
        yield session('has no news', 1)
        yield produce(batch, 'into a session', topic=second, partition=1)
        yield session('tells one', 2)
        yield session('tells it again', 3)
        yield session('moves on', 4, [(second, [1])], offset=1)
        yield session('moved on', 5)
        yield produce(batch, 'into a session', topic=first)
        yield produce(batch, 'into a session', topic=second, partition=0)
        yield session('tells two', 6)
        yield session('tells two in another order', 7)
        yield session('old epoch', 3)
        yield session('of nobody', 1, session_id=12345)
        yield session('forgets', 8, forget=[(second, [0])])
        yield session('adds the unknown', 9, [(second, [7])])
        yield session('names the unknown again', 10)
        yield session('out of range', 11, [(first, [0])], offset=77)
        yield session('in another form', 12, by=13 if version < 13 else 12) if version == 12 else session('goes on', 12)
        yield session('ends', -1, [(first, [0])])
        yield session('has ended', 13)
        yield session('opens again', 0, [(first, [0])], session_id=0)
        yield session('is emptied', 1, forget=[(first, [0])])
        yield session('was emptied', 2)


def fetch(version, offset, note, topic='log', partition=0, **more):
    row = {'partition': partition, 'fetch_offset': offset, 'partition_max_bytes': 1 << 20, **more}
    return Case('Fetch', version, lambda side: {'max_wait_ms': 1, 'min_bytes': 0, 'topics': [
        {'topic': topic, 'partitions': [row]} if version < 13 else
        {'topic_id': topic_id(side, topic), 'partitions': [row]}]}, note)


def config_cases():
    def keyed(answer):
        return [(r['error_code'], r['error_message'], {c['name']: c for c in r['configs']}) for r in answer['results']]

    def describe(kind, name, note, version=4, keys=None, shape=keyed):
        return Case('DescribeConfigs', version, {'resources': [{'resource_type': kind, 'resource_name': name,
                    'configuration_keys': keys}], 'include_synonyms': version >= 1}, note, shape=shape)

    for version in versions('DescribeConfigs'):
        if version >= 1:
            yield describe(2, 'c1', 'topic', version, keys=['retention.ms', 'cleanup.policy', 'segment.bytes', 'no.such'])
    yield describe(2, 'c1', 'all of a topic')
    yield describe(2, 'missing', 'unknown topic')
    yield describe(4, 'x', 'broker that is no number')
    yield describe(4, '99', 'another broker')
    yield describe(99, 'x', 'unknown resource type')

    def alter(changes, note, version=1, topic='c1', validate=False):
        rows = [{'name': k, 'config_operation': op, 'value': v} for k, op, v in changes]
        return Case('IncrementalAlterConfigs', version, {'resources': [
            {'resource_type': 2, 'resource_name': topic, 'configs': rows}], 'validate_only': validate}, note)

    yield alter([('retention.ms', 0, '5000')], 'set')
    yield alter([('retention.ms', 0, '-7')], 'bad value')
    yield alter([('no.such', 0, '1')], 'unknown key')
    yield alter([('cleanup.policy', 2, 'delete')], 'append')
    yield alter([('cleanup.policy', 3, 'compact')], 'subtract')
    yield alter([('retention.ms', 2, '1')], 'append to a number')
    yield alter([('retention.ms', 1, None)], 'delete')
    yield alter([('retention.ms', 0, '1'), ('retention.ms', 0, '2')], 'twice')
    yield alter([('retention.ms', 0, '1')], 'unknown topic', topic='missing')
    yield alter([('retention.ms', 0, '77')], 'validate only', validate=True)
    yield describe(2, 'c1', 'after the changes', keys=['retention.ms', 'cleanup.policy'])
    for version in versions('AlterConfigs'):
        yield Case('AlterConfigs', version, {'resources': [{'resource_type': 2, 'resource_name': 'c1', 'configs': [
            {'name': 'segment.bytes', 'value': '20000000'}]}], 'validate_only': False}, 'replace')
    yield describe(2, 'c1', 'after the replacement', keys=['retention.ms', 'cleanup.policy', 'segment.bytes'])
    yield Case('ListConfigResources', 1, {'resource_types': [2]}, 'topics',
               shape=lambda a: sorted(r['resource_name'] for r in a['config_resources'] if r['resource_name'] not in OLD_TOPICS))


def delete_records(version, offset, note, topic='log', partition=0):
    return Case('DeleteRecords', version, {'timeout_ms': 9000, 'topics': [
        {'name': topic, 'partitions': [{'partition_index': partition, 'offset': offset}]}]}, note)


def record_deletion_cases():
    for version in versions('DeleteRecords'):
        yield delete_records(version, version + 1, 'forward')
    yield delete_records(2, 1, 'backward')
    yield delete_records(2, 10_000, 'past the end')
    yield delete_records(2, -2, 'negative')
    yield delete_records(2, 0, 'unknown partition', partition=5)
    yield delete_records(2, 0, 'compacted', topic='compacted')
    yield list_offsets(5, -2, 'after deletion')
    yield fetch(11, 0, 'below the start')
    yield delete_records(2, -1, 'all')
    yield list_offsets(5, -2, 'after deleting all')


def warm_up():
    """Requests with what their answers hold once a broker is ready for the cases; they are not compared."""
    yield Case('FindCoordinator', 4, {'coordinator_keys': ['warm-up']}), lambda a: a['coordinators'][0]['error_code'] == 0
    yield (Case('OffsetFetch', 7, {'group_id': 'warm-up', 'topics': []}), lambda a: a['error_code'] == 0)
    yield (Case('InitProducerId', 1, {'transactional_id': None, 'transaction_timeout_ms': 1000}),
           lambda a: a['error_code'] == 0)


def all_cases():
    yield Case('ApiVersions', 3, {'client_software_name': 'test', 'client_software_version': '1'}, '')
    yield Case('ApiVersions', 3, {'client_software_name': '-', 'client_software_version': '1'}, 'bad name')
    yield from topic_cases()
    yield from partition_cases()
    yield from produce_cases()
    yield from read_cases()
    yield from config_cases()
    yield from record_deletion_cases()
    yield from group_cases()


def commit(version, note, group='simple', generation=-1, member='', offset=5, metadata='note', topic='log', partition=0):
    row = {'partition_index': partition, 'committed_offset': offset, 'committed_metadata': metadata}
    return Case('OffsetCommit', version, lambda side: {
        'group_id': group, 'generation_id_or_member_epoch': generation, 'member_id': member, 'topics': [
            {'name': topic, 'partitions': [row]} if version < 10 else
            {'topic_id': topic_id(side, topic), 'partitions': [row]}]}, note)


def fetch_committed(version, note, group='simple', topic='log', partitions=(0, 1)):
    def values(side):
        wanted = {'name': topic, 'partition_indexes': list(partitions)}
        if version >= 10:
            wanted = {'topic_id': topic_id(side, topic), 'partition_indexes': list(partitions)}
        if version >= 8:
            return {'groups': [{'group_id': group, 'topics': [wanted]}]}
        return {'group_id': group, 'topics': [wanted]}
    return Case('OffsetFetch', version, values, note)


def by_partition(answer):
    for topic in answer['topics']:
        topic['partitions'].sort(key=lambda p: p['partition_index'])
    return answer


def group_cases():
    for version in versions('FindCoordinator'):
        yield Case('FindCoordinator', version, {'coordinator_keys': ['g']} if version >= 4 else {'key': 'g'}, 'group')
    for version in range(2, 11):
        yield commit(version, 'simple group')
        if version <= 10:
            yield fetch_committed(version, 'simple group')
    yield commit(8, 'unknown member', member='nobody')
    yield commit(8, 'generation of an unknown group', group='unknown', generation=3, member='m')
    yield commit(8, 'unknown topic', topic='missing')
    yield commit(8, 'unknown partition', partition=8)
    yield commit(8, 'metadata too large', metadata='x' * 5000)
    yield commit(8, 'empty group id', group='')
    yield fetch_committed(7, 'unknown group', group='unknown')
    for version in versions('Heartbeat'):
        yield Case('Heartbeat', version, {'group_id': 'unknown', 'generation_id': 1, 'member_id': 'm'}, 'unknown group')
    yield Case('Heartbeat', 4, {'group_id': 'simple', 'generation_id': 1, 'member_id': 'm'}, 'unknown member')
    for version in versions('SyncGroup'):
        yield Case('SyncGroup', version, {'group_id': 'unknown', 'generation_id': 1, 'member_id': 'm'}, 'unknown group')
    for version in versions('LeaveGroup'):
        yield Case('LeaveGroup', version, {'group_id': 'unknown', 'members': [{'member_id': 'm'}]} if version >= 3 else
                   {'group_id': 'unknown', 'member_id': 'm'}, 'unknown group')
    for version in versions('JoinGroup'):
        yield join(version, 'session too short', session_timeout_ms=1)
        yield join(version, 'empty group id', group_id='')
        yield join(version, 'unknown member', member_id='nobody')
    yield join(4, 'needs a member id')
    for version in versions('JoinGroup'):
        yield from member_cases(version)
    yield from static_member_cases()
    for version in versions('DescribeGroups'):
        yield Case('DescribeGroups', version, {'groups': ['simple', 'never-seen']}, '')
    for version in versions('ListGroups'):
        yield Case('ListGroups', version, {}, '', shape=lambda a: sorted(map(str, a['groups'])))
    yield Case('OffsetDelete', 0, {'group_id': 'simple', 'topics': [{'name': 'log', 'partitions': [
        {'partition_index': 0}, {'partition_index': 7}]}]}, '', shape=by_partition)
    yield Case('OffsetDelete', 0, {'group_id': 'never-seen', 'topics': []}, 'unknown group')
    for version in versions('DeleteGroups'):
        yield Case('DeleteGroups', version, {'groups_names': ['simple', 'never-seen']}, '',
                   shape=lambda a: sorted(map(str, a['results'])))


def protocols(*names):
    return [{'name': n, 'metadata': b'm'} for n in names]


def member_cases(version):
    """The life of a group of one member, with the oldest requests that go with the version of its JoinGroup."""
    group = f'life-{version}'

    def remember(side, answer):
        side.memory['member'], side.memory['generation'] = answer['member_id'], answer['generation_id']

    def mine(values, generation=0, **more):
        return lambda side: values | more | {'group_id': group, 'member_id': side.memory['member'],
                                             'generation_id': side.memory['generation'] + generation}

    def of_member(**values):
        return lambda side: {'group_id': group, 'session_timeout_ms': 10000, 'rebalance_timeout_ms': 10000,
                             'member_id': side.memory['member'], 'protocol_type': 'consumer',
                             'protocols': protocols('range', 'roundrobin')} | values

    low, high = min(version, 4), min(version, 5)
    yield join(version, 'first', group_id=group, remember=remember, protocols=protocols('range', 'roundrobin'))
    yield Case('JoinGroup', version, of_member(), 'with the id that was given', remember=remember)
    yield Case('Heartbeat', low, mine({}), 'before the assignment')
    yield Case('SyncGroup', high, mine({}, generation=1), 'of a later generation')
    assignments = {'protocol_type': 'consumer', 'protocol_name': 'range'} if high >= 5 else {}
    yield Case('SyncGroup', high, lambda side: mine(assignments)(side) | {
        'assignments': [{'member_id': side.memory['member'], 'assignment': b'mine'}]}, 'by the leader')
    yield Case('SyncGroup', high, mine(assignments), 'again')
    yield Case('Heartbeat', low, mine({}), 'stable')
    yield Case('Heartbeat', low, mine({}, generation=-1), 'old generation')
    yield Case('JoinGroup', version, of_member(protocols=protocols('sticky')), 'other protocols', remember=remember)
    yield Case('JoinGroup', version, of_member(protocol_type='connect'), 'another protocol type')
    yield Case('JoinGroup', version, of_member(protocols=[]), 'no protocols')
    yield Case('DescribeGroups', min(version, 6), {'groups': [group]}, 'joined', shape=without_clients)
    for v in (2, 8, 9):
        yield Case('OffsetCommit', v, lambda side: {
            'group_id': group, 'member_id': side.memory['member'], 'generation_id_or_member_epoch': side.memory['generation'],
            'topics': [{'name': 'log', 'partitions': [{'partition_index': 0, 'committed_offset': v}]}]}, 'by a member')
    yield commit(8, 'simple, while there are members', group=group)
    yield fetch_committed(7, 'of members', group=group)
    yield Case('OffsetDelete', 0, {'group_id': group, 'topics': [{'name': 'log', 'partitions': [{'partition_index': 0}]}]}, 'of members')
    yield Case('DeleteGroups', 2, {'groups_names': [group]}, 'with members')
    leave = min(version, 5)
    yield Case('LeaveGroup', leave, lambda side: {'group_id': group, 'members': [{'member_id': side.memory['member']}, {'member_id': 'x'}]}
               if leave >= 3 else {'group_id': group, 'member_id': side.memory['member']}, 'of the member')
    yield Case('Heartbeat', low, mine({}), 'after leaving')
    yield Case('DescribeGroups', min(version, 6), {'groups': [group]}, 'left')
    yield Case('DeleteGroups', 2, {'groups_names': [group]}, 'left')


def without_clients(answer):
    for group in answer['groups']:
        for member in group['members']:
            member.pop('client_host')
    return answer


def static_member_cases():
    def join_static(note, member='', instance='i1', version=9):
        def remember(side, answer):
            side.memory['static'], side.memory['generation'] = answer['member_id'], answer['generation_id']
        return Case('JoinGroup', version, {
            'group_id': 'static', 'session_timeout_ms': 10000, 'rebalance_timeout_ms': 10000, 'member_id': member,
            'group_instance_id': instance, 'protocol_type': 'consumer', 'protocols': protocols('range')}, note,
            remember=remember if not member else None)

    def beat(note, member=None, instance='i1'):
        return Case('Heartbeat', 4, lambda side: {
            'group_id': 'static', 'generation_id': side.memory['generation'], 'member_id': member or side.memory['static'],
            'group_instance_id': instance}, note)

    def sync(note):
        return Case('SyncGroup', 5, lambda side: {
            'group_id': 'static', 'generation_id': side.memory['generation'], 'member_id': side.memory['static'],
            'group_instance_id': 'i1', 'protocol_type': 'consumer', 'protocol_name': 'range',
            'assignments': [{'member_id': side.memory['static'], 'assignment': b'all'}]}, note)

    yield join_static('static')
    yield sync('static')
    yield beat('static')
    yield beat('another member id', member='other')
    yield beat('another instance', instance='i2')
    yield join_static('static again')
    yield sync('static again')
    yield beat('static again')
    yield join_static('fenced', member='other')
    yield Case('DescribeGroups', 6, {'groups': ['static']}, 'static', shape=without_clients)
    yield Case('LeaveGroup', 5, {'group_id': 'static', 'members': [{'member_id': '', 'group_instance_id': 'i2'}]}, 'unknown instance')
    yield Case('LeaveGroup', 5, {'group_id': 'static', 'members': [{'member_id': 'x', 'group_instance_id': 'i1'}]}, 'fenced')
    yield Case('LeaveGroup', 5, {'group_id': 'static', 'members': [{'member_id': '', 'group_instance_id': 'i1'}]}, 'by instance')


def join(version, note, remember=None, **changes):
    values = {'group_id': 'joined', 'session_timeout_ms': 10000, 'rebalance_timeout_ms': 10000, 'member_id': '',
              'protocol_type': 'consumer', 'protocols': [{'name': 'range', 'metadata': b'm'}], **changes}
    return Case('JoinGroup', version, values, note, remember=remember)
