"""Administration: log directories, leaders, reassignments, the quorum, features, producers, telemetry."""
import gzip
import re
import uuid

import records
import wire
from cases.common import NOW, Case, create, produce, settled, versions

NOBODY = uuid.UUID(int=0)


def admin_cases():
    yield create('admin', partitions=2)
    yield produce(records.batch([b'one', b'two'], timestamp=NOW), 'for its size', topic='admin')
    yield from log_dir_cases()
    yield from leader_cases()
    yield from reassignment_cases()
    yield from quorum_cases()
    yield from producer_cases()
    yield from feature_cases()
    yield from telemetry_cases()


def log_dir(side):
    return side.call('DescribeLogDirs', 1, {'topics': []})['results'][0]['log_dir']


def by_name(answer):
    """Kafka keeps topics and partitions in hash maps."""
    for result in answer.get('results', []):
        for topic in [result, *result.get('topics', [])]:
            topic.get('partitions', []).sort(key=lambda p: p['partition_index'])
        result.get('topics', []).sort(key=lambda t: t['name'])
        if 'usable_bytes' in result:
            result['usable_bytes'] = 'some' if 0 < result['usable_bytes'] < result['total_bytes'] else result['usable_bytes']
    answer['results'].sort(key=lambda r: r.get('topic_name', ''))
    return answer


def without_other_topics(answer):
    answer = by_name(answer)
    for result in answer['results']:
        result['topics'] = [t for t in result['topics'] if t['name'] == 'admin']
    return answer


def log_dir_cases():
    def move(version, note, rows):
        return Case('AlterReplicaLogDirs', version, lambda side: {'dirs': [
            {'path': path(log_dir(side)), 'topics': [{'name': t, 'partitions': ps} for t, ps in topics]}
            for path, topics in rows]}, note, shape=by_name)

    def here(path):
        return path

    def nowhere(path):
        return '/nowhere'

    for version in versions('DescribeLogDirs'):
        yield Case('DescribeLogDirs', version, {'topics': None}, 'all', shape=without_other_topics)
        yield Case('DescribeLogDirs', version, {'topics': []}, 'none', shape=by_name)
        yield Case('DescribeLogDirs', version, {'topics': [
            {'topic': 'admin', 'partitions': [1, 0, 7, 1, -1]}, {'topic': 'missing', 'partitions': [0]},
            {'topic': 'admin', 'partitions': [0]}, {'topic': '__cluster_metadata', 'partitions': [0]}]}, 'some', shape=by_name)
    for version in versions('AlterReplicaLogDirs'):
        yield move(version, 'none', [])
        yield move(version, 'where they are', [(here, [('admin', [0, 1, 0])])])
        yield move(version, 'to another directory', [(nowhere, [('admin', [0]), ('missing', [0])])])
        yield move(version, 'what there is not', [(here, [('admin', [7, -1]), ('missing', [0]), ('a b', [0]), ('', [0])])])
        yield move(version, 'a long name', [(here, [('x' * 214, [9, 10]), ('y' * 300, [0])])])
        yield move(version, 'the last word counts', [(nowhere, [('admin', [0, 1])]), (here, [('admin', [1])]), (nowhere, [('admin', [5])])])
        yield move(version, 'a path with a slash', [(lambda path: path + '/', [('admin', [0])])])
        yield move(version, 'a relative path', [(lambda path: 'data', [('admin', [0])])])


def leader_cases():
    def by_topic(answer):
        answer['replica_election_results'] = [r for r in sorted(answer['replica_election_results'], key=lambda r: r['topic'])
                                              if r['topic'] == 'admin']
        return answer

    for version in versions('ElectLeaders'):
        kinds = [{}] if version == 0 else [{'election_type': kind} for kind in (0, 1, 2, -1)]
        for kind in kinds:
            yield Case('ElectLeaders', version, {'topic_partitions': None, **kind}, f'all {kind}', shape=by_topic)
            yield Case('ElectLeaders', version, {'topic_partitions': [], **kind}, f'none {kind}')
            yield Case('ElectLeaders', version, {'topic_partitions': [
                {'topic': 'admin', 'partitions': [0, 1, 5, 1]}, {'topic': 'missing', 'partitions': [0]}, {'topic': '', 'partitions': [0]},
                {'topic': 'admin', 'partitions': []}, {'topic': 'admin', 'partitions': [-1]}], **kind}, f'some {kind}')


def reassignment_cases():
    for version in versions('AlterPartitionReassignments'):
        def reassign(note, *partitions, topic='admin', version=version, **more):
            return Case('AlterPartitionReassignments', version, {'topics': [{'name': topic, 'partitions': [
                {'partition_index': index, 'replicas': replicas} for index, replicas in partitions]}], **more}, note)

        for replicas in ([1], [], [2], [1, 2], [2, 1], [1, 1], [-1], [2, 2], [1, 5, 3], [1, 1, 0], [1, 1, 9], None):
            yield reassign(f'to {replicas}', (0, replicas))
        yield reassign('unknown partitions', (9, [1]), (-1, None))
        yield reassign('unknown topic', (0, [1]), topic='missing')
        yield reassign('no name', (0, [1]), topic='')
        yield reassign('twice', (0, [1]), (0, None), (0, [1]))
        yield reassign('no partitions')
        yield Case('AlterPartitionReassignments', version, {'topics': []}, 'no topics')
        if version >= 1:
            for replicas in ([1], [1, 2], [], None):
                yield reassign(f'to {replicas}, as many', (0, replicas), allow_replication_factor_change=False)
    yield Case('ListPartitionReassignments', 0, {'topics': None}, 'all')
    yield Case('ListPartitionReassignments', 0, {'topics': []}, 'none')
    yield Case('ListPartitionReassignments', 0, {'topics': [{'name': 'admin', 'partition_indexes': [0, 9]},
                                                            {'name': 'missing', 'partition_indexes': [0]}]}, 'some')


def without_cluster_id(answer):
    return answer | {'error_message': re.sub(r'cluster id ".{22}"', 'cluster id', answer['error_message'])}


def quorum_cases():
    def without_progress(answer):
        for topic in answer['topics']:
            for partition in topic['partitions']:
                end = partition['high_watermark']
                for voter in partition['current_voters']:
                    assert voter.pop('log_end_offset') == end > 0
                    for time in ('last_fetch_timestamp', 'last_caught_up_timestamp'):
                        assert voter.pop(time, NOW) >= NOW
                partition |= {'high_watermark': bool(end), 'leader_epoch': bool(partition['leader_epoch'])}
        return answer

    for version in versions('DescribeQuorum'):
        def describe(note, *topics, version=version):
            return Case('DescribeQuorum', version, {'topics': [
                {'topic_name': name, 'partitions': [{'partition_index': i} for i in partitions]} for name, partitions in topics]},
                note, shape=without_progress)

        yield describe('', ('__cluster_metadata', [0]))
        yield describe('of nothing')
        yield describe('another topic', ('admin', [0]))
        yield describe('another partition', ('__cluster_metadata', [1]))
        yield describe('two partitions', ('__cluster_metadata', [0, 1]))
        yield describe('two topics', ('__cluster_metadata', [0]), ('admin', [0]))
        yield describe('no partition', ('__cluster_metadata', []))
    for broker in (2, 0, -1):
        yield Case('UnregisterBroker', 0, {'broker_id': broker}, f'{broker}')
    listener = [{'name': 'CONTROLLER', 'host': 'localhost', 'port': 1}]
    for api in ('AddRaftVoter', 'RemoveRaftVoter'):
        for version in versions(api):
            for cluster in (None, '', 'wrong'):
                for voter, directory in ((1, 5), (2, 5), (-1, 5), (2, 0)):
                    more = {'timeout_ms': 1000, 'listeners': listener} if api == 'AddRaftVoter' else {}
                    yield Case(api, version, {'cluster_id': cluster, 'voter_id': voter, 'voter_directory_id': uuid.UUID(int=directory),
                                              **more}, f'{voter} {directory} of {cluster!r}', shape=without_cluster_id)
    for version in versions('AddRaftVoter'):
        yield Case('AddRaftVoter', version, {'cluster_id': None, 'voter_id': 2, 'voter_directory_id': uuid.UUID(int=5), 'listeners': []}, 'nowhere')


def producer_cases():
    def in_order(answer):
        for topic in answer['topics']:
            for partition in topic['partitions']:
                partition['active_producers'].sort(key=lambda p: (p['producer_epoch'], p['last_sequence']))
        return answer

    def remember(side, answer):
        side.memory['admin pid'] = answer['producer_id']

    def write(sequence, note):
        return Case('Produce', 9, lambda side: {'acks': -1, 'timeout_ms': 9000, 'topic_data': [
            {'name': 'admin', 'partition_data': [{'index': 1, 'records': records.batch(
                [b'v', b'w'], timestamp=NOW, producer=(side.memory['admin pid'], 0, sequence))}]}]}, note)

    for sequences in ((0, 2, 4), (0,)):
        yield Case('InitProducerId', 4, {'transactional_id': None, 'transaction_timeout_ms': 1000}, 'to be described', remember=remember)
        for sequence in sequences:
            yield write(sequence, 'to be described')
    for partitions in ([0, 1], [1, 1, 9, -1], []):
        yield Case('DescribeProducers', 0, {'topics': [{'name': 'admin', 'partition_indexes': partitions}]}, f'{partitions}', shape=in_order)
    yield Case('DescribeProducers', 0, {'topics': [{'name': n, 'partition_indexes': [0]} for n in ('missing', 'a b', '', '..')]}, 'no topics')
    yield Case('DescribeProducers', 0, {'topics': []}, 'none')


def api_versions(note, version=4):
    """Of the APIs that have a schema here; the rest isn't served yet."""
    served = {m.key for m in wire.MESSAGES.values() if m.name.endswith('Request')}

    def shape(answer):
        return {'error_code': answer['error_code'], 'epoch': answer.get('finalized_features_epoch', 0) > 0,
                'api_keys': {str(k['api_key']): k for k in answer['api_keys'] if k['api_key'] in served},
                'supported': {f['name']: f for f in answer.get('supported_features', [])},
                'finalized': {f['name']: f for f in answer.get('finalized_features', [])},
                'rest': {k: v for k, v in answer.items() if not k.endswith(('_features', '_epoch', 'api_keys'))}}

    software = {'client_software_name': 'test', 'client_software_version': '1'} if version >= 3 else {}
    return Case('ApiVersions', version, software, note, shape=shape)


def feature_cases():
    def update(version, note, *updates, **more):
        return Case('UpdateFeatures', version, {'feature_updates': [
            {'feature': name, 'max_version_level': level, **({'allow_downgrade': kind > 1} if version == 0 else {'upgrade_type': kind})}
            for name, level, kind in updates], **more}, note)

    yield update(1, 'metadata.version to the newest', ('metadata.version', 30, 1))
    yield settled(api_versions('after an update'), 'ApiVersions', 3, {'client_software_name': 't', 'client_software_version': '1'},
                  lambda a: any(f['max_version_level'] == 30 for f in a['finalized_features']))
    for version in versions('UpdateFeatures'):
        checked = {'validate_only': True} if version >= 1 else {}
        yield update(version, 'nothing', **checked)
        for kind in (0, 1, 2, 3, 4, -1) if version >= 1 else (1, 2):
            yield update(version, f'to what it is, kind {kind}', ('metadata.version', 30, kind), **checked)
        for level, kind in ((31, 1), (29, 1), (29, 2), (23, 2), (22, 2), (7, 2), (6, 2), (0, 2), (-1, 2), (-1, 1)):
            yield update(version, f'metadata.version {level}, kind {kind}', ('metadata.version', level, kind), **checked)
        if version >= 1:
            for level in (29, 7, 31):
                yield update(version, f'metadata.version {level} unsafely', ('metadata.version', level, 3), **checked)
            for name in ('group', 'share', 'streams', 'transaction', 'eligible.leader.replicas'):
                for level, kind in ((0, 2), (0, 3), (3, 1), (-1, 1)):
                    yield update(version, f'{name}.version {level}, kind {kind}', (f'{name}.version', level, kind), **checked)
        for level, kind in ((1, 1), (0, 1), (0, 2), (-1, 1), (2, 2)):
            yield update(version, f'unknown {level}, kind {kind}', ('no.such', level, kind), **checked)
        yield update(version, 'no name', ('', 1, 1), **checked)
        yield update(version, 'kraft.version', ('kraft.version', 0, 1), **checked)
        yield update(version, 'good and bad', ('metadata.version', 30, 1), ('no.such', 1, 1), **checked)
    yield api_versions('after what was refused')


def telemetry_cases():
    mine = [uuid.UUID(int=0x1234567 + i) for i in range(20)]

    def ask(note, client, shape=None):
        def remember(side, answer):
            if answer['error_code'] == 0:
                side.memory['subscription'] = answer['subscription_id']
        return Case('GetTelemetrySubscriptions', 0, {'client_instance_id': client}, note, remember=remember, shape=shape)

    def push(note, client, wrong=0, **more):
        return Case('PushTelemetry', 0, lambda side: {'client_instance_id': client, 'subscription_id': side.memory['subscription'] + wrong,
                                                      **more}, note)

    yield ask('without an id', NOBODY, shape=lambda a: a | {'subscription_id': 'some', 'client_instance_id': 'some'})
    yield ask('with an id', mine[0])
    yield ask('too early', mine[0])
    yield push('at once', mine[0])
    yield push('too early', mine[0])
    yield push('too early, to end', mine[0], terminating=True)
    yield push('after the end', mine[0])
    yield push('no id', NOBODY)
    yield push('a reserved id', uuid.UUID(int=1))
    yield push('who never asked', mine[1], wrong=1)
    for i, (note, more) in enumerate([
            ('another subscription', {'wrong': 1}), ('no such codec', {'compression_type': 9}), ('negative codec', {'compression_type': -1}),
            ('too much', {'metrics': b'x' * (1 << 20) + b'x'}), ('as much as may be', {'metrics': b'x' * (1 << 20)}),
            ('gzip that is none', {'metrics': b'junk', 'compression_type': 1}), ('zstd that is none', {'metrics': b'junk', 'compression_type': 4}),
            ('gzip', {'metrics': gzip.compress(b'junk'), 'compression_type': 1}), ('nothing in gzip', {'compression_type': 1}),
            ('to end', {'terminating': True}), ('to end, wrongly', {'terminating': True, 'compression_type': 9})]):
        yield ask(f'for {note}', mine[2 + i])
        yield push(note, mine[2 + i], **more)
        yield push(f'again after {note}', mine[2 + i])
        yield push(f'to end after {note}', mine[2 + i], terminating=True)
    yield from subscription_cases(mine[0], ask)


def subscription_cases(client, ask):
    """Each change of the subscriptions lets the client ask anew."""
    def subscribe(name, **configs):
        rows = [{'name': k.replace('_', '.'), 'config_operation': int(v is None), 'value': v} for k, v in configs.items()]
        return Case('IncrementalAlterConfigs', 1, {'resources': [{'resource_type': 16, 'resource_name': name, 'configs': rows}]},
                    f'subscription {name}')

    def asked(note, names):
        case = ask(note, client, shape=lambda a: a | {'requested_metrics': sorted(a['requested_metrics'])} | (
            {'subscription_id': 'some'} if len(a['requested_metrics']) > 1 else {}))  # Kafka's is made of a hash set's order
        return settled(case, 'ListConfigResources', 0, {}, lambda a: names == sorted(
            r['resource_name'] for r in a['config_resources'] if re.fullmatch('s[1-6]', r['resource_name'])))

    yield subscribe('s1', metrics='org.apache.kafka.one')
    yield asked('one metric', ['s1'])
    yield subscribe('s2', metrics='org.apache.kafka.two,org.apache.kafka.one', interval_ms='70000', match='client_id=te.t')
    yield asked('two metrics', ['s1', 's2'])
    yield subscribe('s3', metrics='*', match='client_id=te')
    yield asked('not meant', ['s1', 's2', 's3'])
    yield subscribe('s4', metrics='', interval_ms='3600000')
    yield asked('a long interval', ['s1', 's2', 's3', 's4'])
    yield subscribe('s5', metrics='*', match=r'client_software_name=te\w+,client_software_version=[1-3],client_source_address=127\.0.*')
    yield asked('all', ['s1', 's2', 's3', 's4', 's5'])
    yield subscribe('s6', interval_ms='100', match='client_instance_id=.*,client_source_port=[0-9]+')
    yield asked('often', ['s1', 's2', 's3', 's4', 's5', 's6'])
    for i in range(1, 7):
        yield subscribe(f's{i}', metrics=None, interval_ms=None, match=None)
    yield asked('nothing any more', [])
