"""What goes wrong most often, in every version of the requests: codes and messages depend on it."""
import records
from cases.common import NOW, Case, by_partition, create, topic_id, versions

TOPIC = 'every-version'


def by_name(answer):
    answer['topics'].sort(key=lambda topic: topic['name'])
    return answer


def every_version_cases():
    yield create(TOPIC, partitions=2)
    yield create('every-compacted', configs=[('cleanup.policy', 'compact')])
    yield from produce_cases()
    yield from session_cases()
    yield from commit_cases()
    yield from static_member_cases()
    yield from consumer_cases()
    yield from topic_cases()
    yield from config_cases()
    yield from record_cases()


def produce_cases():
    good = records.batch([b'one', b'two'], timestamp=NOW)
    for version in versions('Produce'):
        def request(note, data, partition=0, topic=TOPIC, acks=1, transactional_id=None):
            return Case('Produce', version, lambda side: {'acks': acks, 'timeout_ms': 9000, 'transactional_id': transactional_id, 'topic_data': [
                {'partition_data': [{'index': partition, 'records': data}]} | (
                    {'name': topic} if version < 13 else {'topic_id': topic_id(side, topic)})]}, note)

        yield request('good', good)
        yield request('no such partition', good, partition=7)
        if version < 13:
            yield request('no such topic', good, topic='missing')
        yield request('acks 5', good, acks=5)
        yield request('empty records', b'')
        yield request('bad checksum', records.batch([b'one'], timestamp=NOW, crc=7))
        yield request('count that is not', records.batch([b'one'], timestamp=NOW, count=2))
        yield request('too big', records.batch([b'x' * (1 << 20)], timestamp=NOW))
        yield request('too old a format', records.batch([b'one'], timestamp=NOW, magic=1))
        yield request('two batches', good + good)
        yield request('no key', good, topic='every-compacted')
        for sequence in (0, 0, 1, 5):
            yield request(f'sequence {sequence}', records.batch([b'v'], timestamp=NOW, producer=(770000 + version, 0, sequence)))
        yield request('an old epoch', records.batch([b'v'], timestamp=NOW, producer=(770000 + version, -1, 0)))
        yield request('a transaction of nobody', records.batch([b'v'], timestamp=NOW, producer=(780000 + version, 0, 0), attributes=0x10),
                      transactional_id='nobody')
        yield request('a transaction without an id', records.batch([b'v'], timestamp=NOW, producer=(780000 + version, 0, 0), attributes=0x10))


def session_cases():
    for version in versions('Fetch'):
        if version < 7:
            continue

        def request(note, session, epoch, named=True, remember=None, version=version):
            return Case('Fetch', version, lambda side: {
                'max_wait_ms': 1, 'min_bytes': 0, 'session_epoch': epoch,
                'session_id': side.memory.get('every-session', 0) if session is None else session, 'topics': [
                    {'partitions': [{'partition': 1, 'fetch_offset': 0, 'partition_max_bytes': 1 << 20}]} | (
                        {'topic': TOPIC} if version < 13 else {'topic_id': topic_id(side, TOPIC)})] if named else []}, f'session {note}', remember=remember)

        yield request('opens', 0, 0, remember=lambda side, a: side.memory.update({'every-session': a['session_id']}))
        yield request('goes on', None, 1, named=False)
        yield request('has another epoch', None, 7)
        yield request('of nobody', 12345, 3)
        if version in (12, 13):
            yield request('in the other form', None, 2, version=25 - version)
        yield request('ends', None, -1)
        yield request('has ended', None, 3)


def commit_cases():
    for version in range(2, 11):
        def request(note, group='every', generation=-1, member='', metadata='', **more):
            row = {'partition_index': 0, 'committed_offset': 1, 'committed_metadata': metadata}
            return Case('OffsetCommit', version, lambda side: {
                'group_id': group, 'generation_id_or_member_epoch': generation, 'member_id': member, **more, 'topics': [{'partitions': [row]} | (
                    {'name': TOPIC} if version < 10 else {'topic_id': topic_id(side, TOPIC)})]}, note)

        yield request('good')
        yield request('an unknown member', member='nobody')
        yield request('an unknown member of a generation', member='nobody', generation=1)
        yield request('a generation', generation=3)
        yield request('a generation of an unknown group', group='never', generation=3)
        yield request('a negative generation', generation=-9)
        yield request('long metadata', metadata='x' * 5000)
        yield request('null metadata', metadata=None)
        if version >= 7:
            yield request('an unknown instance', member='m', generation=1, group_instance_id='i')
    for version in versions('TxnOffsetCommit'):
        for group in ('every', 'never', ''):
            for name in ('nobody', ''):
                for topic in (TOPIC, 'missing'):
                    stranger = {'member_id': 'nobody', 'generation_id': 1} if version >= 3 else {}
                    yield Case('TxnOffsetCommit', version, {'transactional_id': name, 'group_id': group, 'producer_id': 1 << 40, 'producer_epoch': 0,
                                                            **stranger, 'topics': [{'name': topic, 'partitions': [
                                                                {'partition_index': 0, 'committed_offset': 1, 'committed_metadata': 'x' * 5000}]}]},
                               f'transaction of {name!r}, group {group!r}, {topic}')
    for version in versions('DeleteGroups'):
        yield Case('OffsetCommit', 8, {'group_id': f'gone-{version}', 'generation_id_or_member_epoch': -1, 'topics': [
            {'name': TOPIC, 'partitions': [{'partition_index': 0, 'committed_offset': 1}]}]}, 'of a group to be deleted')
        yield Case('DeleteGroups', version, {'groups_names': [f'gone-{version}']}, 'by the way')


def static_member_cases():
    for version in range(5, 10):
        group = f'every-static-{version}'
        low, mid = min(version - 2, 4), min(version - 2, 5)  # Heartbeat; SyncGroup and LeaveGroup

        def join(note, member='', instance='i'):
            def remember(side, answer):
                if not answer['error_code']:
                    side.memory['every'], side.memory['generation'] = answer['member_id'], answer['generation_id']
            return Case('JoinGroup', version, lambda side: {
                'group_id': group, 'session_timeout_ms': 10000, 'rebalance_timeout_ms': 10000, 'group_instance_id': instance, 'protocol_type': 'consumer',
                'member_id': side.memory['every'] if member is None else member, 'protocols': [{'name': 'range', 'metadata': b'm'}]}, note, remember=remember)

        def ask(api, v, note, member=None, instance='i', generation=0, **more):
            return Case(api, v, lambda side: {
                'group_id': group, 'generation_id': side.memory['generation'] + generation, 'group_instance_id': instance,
                'member_id': side.memory['every'] if member is None else member, **more}, note)

        def leave(note, member, instance):
            return Case('LeaveGroup', mid, {'group_id': group, 'members': [{'member_id': member, 'group_instance_id': instance}]}, note)

        protocol = {'protocol_type': 'consumer', 'protocol_name': 'range'} if mid >= 5 else {}
        yield join('static')
        yield ask('SyncGroup', mid, 'static', **protocol)
        for api, v, more in (('SyncGroup', mid, protocol), ('Heartbeat', low, {})):
            yield ask(api, v, 'fenced', member='other', **more)
            yield ask(api, v, 'unknown instance', instance='j', **more)
            yield ask(api, v, 'of another generation', generation=1, **more)
        yield join('fenced', member='other')
        yield join('the instance of another', member=None, instance='j')
        yield leave('fenced', 'other', 'i')
        yield leave('unknown instance', '', 'j')
        yield leave('by its instance', '', 'i')


def consumer_cases():
    for version in versions('ConsumerGroupHeartbeat'):
        def beat(note, epoch=0, member='m', **more):
            return Case('ConsumerGroupHeartbeat', version, {
                'group_id': f'every-{version}', 'member_id': member, 'member_epoch': epoch, 'rebalance_timeout_ms': 5000 if epoch == 0 else -1,
                'topic_partitions': [] if epoch == 0 else None, 'subscribed_topic_names': [TOPIC] if epoch == 0 else None, **more}, f'every {note}')

        yield beat('static', instance_id='i')
        yield beat('instance in use', member='n', instance_id='i')
        yield beat('unknown assignor', member='n', server_assignor='nope')
        yield beat('late epoch', 99)
        yield beat('unknown member', 1, member='nobody')
        yield beat('fenced', 1, member='other', instance_id='i')
        yield beat('unknown instance', 1, instance_id='j')
        yield beat('leaves for a while', -2, instance_id='i')
        yield beat('instance that was left', member='n', instance_id='i')
        yield beat('leaves', -1, member='n', instance_id='i')


def topic_cases():
    for version in versions('CreateTopics'):
        if version >= 2:
            for note, row in (('exists', {'name': TOPIC}), ('bad name', {'name': 'a b'}), ('collides', {'name': 'every.version'}),
                              ('bad config', {'name': 'never', 'configs': [{'name': 'retention.ms', 'value': 'x'}]}),
                              ('metadata', {'name': '__cluster_metadata'})):
                yield Case('CreateTopics', version, {'topics': [{'num_partitions': 1, 'replication_factor': 1, **row}], 'timeout_ms': 9000}, note)
            twice = {'name': 'never', 'num_partitions': 1, 'replication_factor': 1}
            yield Case('CreateTopics', version, {'topics': [twice, twice], 'timeout_ms': 9000}, 'twice')
    for version in versions('CreatePartitions'):
        for note, name, count, validate in (('good', TOPIC, 3 + version, False), ('validated', TOPIC, 20, True), ('same', TOPIC, 3 + version, False),
                                            ('fewer', TOPIC, 1, False), ('unknown', 'missing', 3, False)):
            yield Case('CreatePartitions', version, {'topics': [{'name': name, 'count': count, 'assignments': None}], 'timeout_ms': 9000,
                                                     'validate_only': validate}, note)
        yield Case('CreatePartitions', version, {'topics': [{'name': TOPIC, 'count': 30, 'assignments': None}] * 2, 'timeout_ms': 9000,
                                                 'validate_only': False}, 'twice')
    for version in versions('DeleteTopics'):
        if 1 <= version < 6:
            yield create(f'every-doomed-{version}')
            yield Case('DeleteTopics', version, {'topic_names': [f'every-doomed-{version}'], 'timeout_ms': 9000}, 'by name')
            yield Case('DeleteTopics', version, {'topic_names': ['a b'], 'timeout_ms': 9000}, 'bad name')
    yield create('every-doomed-6')
    yield Case('DeleteTopics', 6, {'topics': [{'name': 'every-doomed-6'}, {'name': 'missing'}], 'timeout_ms': 9000}, 'by name',
               shape=lambda a: sorted((r['name'], r['error_code'], r['error_message']) for r in a['responses']))


def config_cases():
    yield create('half-named', assignments=[{'partition_index': 0, 'broker_ids': [1]}], partitions=20000, note='assignments, and a count that is too big')
    for version in range(8, 14):
        yield Case('Metadata', version, {'topics': [{'name': 'a b'}, {'name': 'missing'}, {'name': TOPIC}], 'allow_auto_topic_creation': False,
                                         'include_topic_authorized_operations': True}, 'operations on what there is and what not', shape=by_name)
    for version in range(1, 12):
        yield Case('ListOffsets', version, {'topics': [{'name': 'missing', 'partitions': [
            {'partition_index': i, 'timestamp': time} for i, time in enumerate((-1, -3, -4, -5, -6, -7))]}]}, 'special times of an unknown topic', shape=by_partition)
        if version >= 2:
            for topic in (TOPIC, 'missing'):
                yield Case('ListOffsets', version, {'isolation_level': 2, 'topics': [{'name': topic, 'partitions': [
                    {'partition_index': 0, 'timestamp': -1}]}]}, f'isolation level 2 of {topic}')
    for version in versions('AlterConfigs'):
        yield Case('AlterConfigs', version, {'resources': [{'resource_type': 2, 'resource_name': TOPIC, 'configs': [
            {'name': '', 'value': None}]}], 'validate_only': True}, 'null for an empty name')
    wrong = [(2, 'missing', 'no.such', '1'), (2, 'missing', 'retention.ms', 'x'), (2, TOPIC, 'retention.ms', 'x'), (2, TOPIC, 'no.such', '1'), (2, 'missing', 'retention.ms', '1'), (2, 'a b', 'retention.ms', '1'),
             (2, '', 'retention.ms', '1'), (4, '1', 'node.id', '1'), (4, '9', 'log.retention.ms', '1'), (4, 'x', 'log.retention.ms', '1'),
             (9, 'x', 'a', 'b'), (32, '', 'a', 'b'), (16, 'm', 'a', 'b')]
    for kind, name, key, value in wrong:
        for version in versions('AlterConfigs'):
            yield Case('AlterConfigs', version, {'resources': [{'resource_type': kind, 'resource_name': name, 'configs': [
                {'name': key, 'value': value}]}], 'validate_only': False}, f'{key}={value} of {kind} {name!r}')
        for version in versions('IncrementalAlterConfigs'):
            yield Case('IncrementalAlterConfigs', version, {'resources': [{'resource_type': kind, 'resource_name': name, 'configs': [
                {'name': key, 'config_operation': 0, 'value': value}]}], 'validate_only': False}, f'{key}={value} of {kind} {name!r}')
        for version in range(1, 5):
            if (kind, name) != (2, TOPIC) and (kind, name) != (4, '1'):
                yield Case('DescribeConfigs', version, {'resources': [{'resource_type': kind, 'resource_name': name, 'configuration_keys': ['x']}]},
                           f'{kind} {name!r}')


def record_cases():
    for version in versions('DeleteRecords'):
        for note, topic, partition, offset in (('beyond the end', TOPIC, 0, 10**6), ('a negative offset', TOPIC, 0, -2), ('of a compacted topic', 'every-compacted', 0, 0),
                                               ('no such partition', TOPIC, 99, 0), ('no such topic', 'missing', 0, 0), ('to the end', TOPIC, 1, -1)):
            yield Case('DeleteRecords', version, {'timeout_ms': 9000, 'topics': [{'name': topic, 'partitions': [
                {'partition_index': partition, 'offset': offset}]}]}, note)
