"""Topics: created, described, grown, deleted."""
import uuid

from cases.common import Case, create, topic_id, versions


def is_led(answer):
    return all(t['partitions'] and all(p['error_code'] == 0 for p in t['partitions']) for t in answer['topics'])


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
    for version in versions('Metadata'):
        request = {'topics': [{'name': f'auto-{version}'}]} | ({'allow_auto_topic_creation': True} if version >= 4 else {})
        yield Case('Metadata', version, request, 'makes a topic')
        yield Case('Metadata', version, request, 'made a topic', until=is_led)
        yield Case('DeleteTopics', 5, {'topic_names': [f'auto-{version}'], 'timeout_ms': 30000}, 'made by metadata')
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
    yield Case('DeleteTopics', 6, {'topics': [{'name': None, 'topic_id': uuid.UUID(int=77)}], 'timeout_ms': 30000}, 'by unknown id',
               shape=lambda a: [r['error_code'] for r in a['responses']])
    yield from timeless_cases()


def timeless_cases():
    """Kafka's controller carries out nothing that leaves it no time."""
    new, other = ({'name': name, 'num_partitions': 1, 'replication_factor': 1} for name in ('timeless', 'il/legal'))
    for timeout in (0, -1):
        for version in versions('CreateTopics'):
            if version >= 2:
                yield Case('CreateTopics', version, {'topics': [new, other, new], 'timeout_ms': timeout}, f'timeout {timeout}')
                yield Case('CreateTopics', version, {'topics': [new], 'timeout_ms': timeout, 'validate_only': True}, f'timeout {timeout}, validate')
                yield Case('CreateTopics', version, {'topics': [new, new], 'timeout_ms': timeout, 'validate_only': True}, f'timeout {timeout}, twice')
        yield Case('CreateTopics', 5, {'topics': [], 'timeout_ms': timeout}, f'timeout {timeout}, nothing')
        for version in versions('CreatePartitions'):
            for validate in (False, True):
                yield Case('CreatePartitions', version, {'topics': [{'name': 'created-3', 'count': 50}, {'name': 'missing', 'count': 1}],
                                                         'timeout_ms': timeout, 'validate_only': validate}, f'timeout {timeout}')
            yield Case('CreatePartitions', version, {'topics': [{'name': 'created-3', 'count': 50}] * 2, 'timeout_ms': timeout}, f'timeout {timeout}, twice')
        for version in versions('DeleteTopics'):
            if 1 <= version < 6:
                yield Case('DeleteTopics', version, {'topic_names': ['created-3', 'missing', 'missing'], 'timeout_ms': timeout}, f'timeout {timeout}')
                yield Case('DeleteTopics', version, {'topic_names': ['missing', 'missing'], 'timeout_ms': timeout}, f'timeout {timeout}, twice')
        yield Case('DeleteTopics', 6, {'topics': [{'name': 'created-3'}, {'name': None, 'topic_id': uuid.UUID(int=77)}], 'timeout_ms': timeout},
                   f'timeout {timeout}', shape=lambda a: [r['error_code'] for r in a['responses']])
        for version in versions('ElectLeaders'):
            for topics in (None, [], [{'topic': 'created-3', 'partitions': [0, 9]}]):
                for kind in (0, 9):
                    yield Case('ElectLeaders', version, {'election_type': kind, 'topic_partitions': topics, 'timeout_ms': timeout},
                               f'kind {kind}, timeout {timeout}')
        for version in versions('AlterPartitionReassignments'):
            for topics in ([], [{'name': 'created-3', 'partitions': [{'partition_index': 0, 'replicas': [1]}]}]):
                yield Case('AlterPartitionReassignments', version, {'topics': topics, 'timeout_ms': timeout}, f'timeout {timeout}')
    yield Case('Metadata', 8, {'topics': [{'name': 'created-3'}, {'name': 'timeless'}], 'allow_auto_topic_creation': False}, 'as before')


def named_and_by_id(version):
    """Topics to be deleted by name and, in the same request, by id."""
    names = ('by-both-1', 'by-both-2')

    def request(note, *wanted):
        return Case('DeleteTopics', version, lambda side: {'timeout_ms': 9000, 'topics': [
            {'name': None, 'topic_id': topic_id(side, what[1:])} if what[0] == '#' else {'name': what} for what in wanted]}, note,
            shape=lambda a: sorted((str(r['name']), r['error_code'], str(r['error_message'])) for r in a['responses']))

    for name in names:
        yield create(name)
    one, other = names
    yield request('by name and id', one, '#' + one)
    yield request('by id and name', '#' + one, one)
    yield request('by name and id twice', one, '#' + one, '#' + one)
    yield Case('Metadata', 9, {'topics': [{'name': name} for name in names]}, 'nothing was deleted', shape=lambda a: [t['error_code'] for t in a['topics']])
    yield request('by id and name twice, and another', one, '#' + one, one, other)
