"""What mutations.py spoils: a scene a theme, each a few sound requests around the one that is to be mutated.

A scene is a generator of cases, given names of its own and a version. The case whose note is MUTATED is sent mutated; those
before it lead to the state that it needs, and those after it tell what became of it.
"""
import dataclasses
import uuid

import records
from cases import admin, consumer_groups, transactions
from cases.common import Case, by_partition, fetch, produce, topic_id, versions
from cases.transactions import RECENT, Producer, is_idle

MUTATED = 'mutated'
SCENES = {}  # (API, name): generator


@dataclasses.dataclass
class Names:
    """What a scene may use: a name that nobody else has, and two topics of two partitions, of which the first holds records."""
    own: str
    topic: str
    empty: str


def scene(*apis):
    """A scene of one API, or of several: then it is told which."""
    def register(function):
        for api in apis:
            make = function if len(apis) == 1 else lambda it, version, api=api: function(it, version, api)
            SCENES[(api, function.__name__)] = make
        return function
    return register


def named(version, since, side, topic, key='name'):
    return {'topic_id': topic_id(side, topic)} if version >= since else {key: topic}


def batch(*values, **more):
    return records.batch(list(values or (b'one', b'two')), timestamp=RECENT, **more)


def read(topic, partition=0):
    return Case('Fetch', 11, {'max_wait_ms': 1, 'min_bytes': 0, 'topics': [{'topic': topic, 'partitions': [
        {'partition': partition, 'fetch_offset': 0, 'partition_max_bytes': 1 << 20}]}]}, 'what is there', shape=transactions.without_bytes)


def start_of(topic):
    return Case('ListOffsets', 5, {'topics': [{'name': topic, 'partitions': [{'partition_index': i, 'timestamp': -2} for i in (0, 1)]}]}, 'where it starts')


# Records

@scene('Produce')
def plain_produce(it, version):
    yield Case('Produce', version, lambda side: {'acks': -1, 'timeout_ms': 9000, 'topic_data': [
        named(version, 13, side, topic) | {'partition_data': [{'index': i, 'records': batch()} for i in (0, 1)]}
        for topic in (it.topic, it.empty)]}, MUTATED, fixed=('records',))
    yield read(it.topic)
    yield read(it.empty, 1)


@scene('Produce')
def idempotent_produce(it, version):
    def write(sequence, version, note):
        return Case('Produce', version, lambda side: {'acks': -1, 'timeout_ms': 9000, 'topic_data': [
            named(version, 13, side, it.topic) | {'partition_data': [{'index': 0, 'records': batch(
                producer=(side.memory['writer'], 3, sequence))}]}]}, note)
    yield Case('InitProducerId', 4, {'transactional_id': None, 'transaction_timeout_ms': 1000}, 'a writer',
               remember=lambda side, answer: side.memory.update(writer=answer['producer_id']))
    yield write(0, 9, 'first')
    yield write(2, version, MUTATED)
    yield write(4, 9, 'goes on')
    yield Case('DescribeProducers', 0, {'topics': [{'name': it.topic, 'partition_indexes': [0]}]}, 'sequences', shape=producers)


def producers(answer):
    """Without times, and without those of the scenes before."""
    return [sorted((p['producer_epoch'], p['last_sequence'], p['coordinator_epoch'], p['current_txn_start_offset']) for p in partition['active_producers'])
            for topic in answer['topics'] for partition in topic['partitions']]


@scene('Produce')
def transactional_produce(it, version):
    me = Producer(it.own)
    yield me.init(4)
    if version < 12:
        yield me.add(3, [0], topic=it.topic)
    yield dataclasses.replace(me.produce(version, 0, topic=it.topic), note=MUTATED,
                              values=lambda side: by_id(version, side, me.produce(version, 0, topic=it.topic).values(side)))
    yield me.describe('what it writes')
    yield me.end(4 if version < 12 else 5, True)
    yield now(me)


def now(producer):
    return dataclasses.replace(producer.describe('the transaction now'), until=lambda answer: 'Prepare' not in str(answer))


def by_id(version, side, values):
    for row in values['topic_data'] if version >= 13 else ():
        row['topic_id'] = topic_id(side, row.pop('name'))
    return values


@scene('Fetch')
def plain_fetch(it, version):
    yield Case('Fetch', version, lambda side: {'max_wait_ms': 1, 'min_bytes': 0, 'max_bytes': 1 << 20, 'topics': [
        named(version, 13, side, topic, 'topic') | {'partitions': [
            {'partition': i, 'fetch_offset': 0, 'partition_max_bytes': 1 << 20} for i in (0, 1)]} for topic in (it.topic, it.empty)]}, MUTATED,
               shape=transactions.without_bytes)


@scene('Fetch')
def session_fetch(it, version):
    if version < 7:
        return

    def request(epoch, note):
        return Case('Fetch', version, lambda side: {
            'max_wait_ms': 1, 'min_bytes': 0, 'session_id': side.memory['mutant session'] if epoch else 0, 'session_epoch': epoch,
            'forgotten_topics_data': [named(version, 13, side, it.topic, 'topic') | {'partitions': [1]}] if note == MUTATED else [],
            'topics': [named(version, 13, side, it.topic, 'topic') | {'partitions': [
                {'partition': i, 'fetch_offset': int(note == MUTATED), 'partition_max_bytes': 1 << 20} for i in (0, 1)]}] if epoch < 2 else []}, note,
            shape=transactions.without_bytes, remember=lambda side, answer: epoch or side.memory.update({'mutant session': answer['session_id']}))
    yield request(0, 'opens')
    yield request(1, MUTATED)
    yield request(2, 'goes on')


@scene('ListOffsets')
def list_offsets(it, version):
    yield Case('ListOffsets', version, {'topics': [{'name': topic, 'partitions': [{'partition_index': 0, 'timestamp': -1}, {
        'partition_index': 1, 'timestamp': RECENT}]} for topic in (it.topic, it.empty)]}, MUTATED, shape=without_late_times)


def without_late_times(answer):
    """Markers of transactions have times of their own."""
    for partition in [p for t in answer['topics'] for p in t['partitions']]:
        partition['timestamp'] = min(partition['timestamp'], RECENT + 1)
    return answer


@scene('OffsetForLeaderEpoch')
def leader_epochs(it, version):
    yield Case('OffsetForLeaderEpoch', version, {'topics': [{'topic': topic, 'partitions': [
        {'partition': i, 'leader_epoch': 0} for i in (0, 1)]} for topic in (it.topic, it.empty)]}, MUTATED)


@scene('DeleteRecords')
def delete_records(it, version):
    yield Case('DeleteRecords', version, {'timeout_ms': 9000, 'topics': [{'name': topic, 'partitions': [
        {'partition_index': i, 'offset': 0} for i in (0, 1)]} for topic in (it.topic, it.empty)]}, MUTATED)
    yield start_of(it.topic)


# Topics

@scene('Metadata')
def metadata(it, version):
    if version >= 4:  # the older ones make topics
        yield Case('Metadata', version, {'topics': [{'name': it.topic}, {'name': it.empty}], 'allow_auto_topic_creation': False}, MUTATED,
                   shape=own_topics(it))


def own_topics(it):
    """Without those of other scenes, where all are told."""
    return lambda answer: answer | {'topics': [t for t in answer['topics'] if len(answer['topics']) < 5 or t['name'] in (it.topic, it.empty)]}


@scene('Metadata')
def metadata_by_id(it, version):
    if version >= 12:
        yield Case('Metadata', version, lambda side: {'allow_auto_topic_creation': False, 'topics': [
            {'name': None, 'topic_id': topic_id(side, t)} for t in (it.topic, it.empty)]}, MUTATED, shape=own_topics(it))


@scene('DescribeTopicPartitions')
def topic_partitions(it, version):
    yield Case('DescribeTopicPartitions', 0, {'topics': [{'name': it.topic}, {'name': it.empty}], 'response_partition_limit': 3,
                                              'cursor': {'topic_name': it.topic, 'partition_index': 1}}, MUTATED)


@scene('CreateTopics')
def create_topics(it, version):
    yield Case('CreateTopics', version, {'timeout_ms': 30000, 'topics': [
        {'name': it.own, 'num_partitions': 1, 'replication_factor': 1, 'configs': [{'name': 'retention.ms', 'value': '3600000'}]},
        {'name': it.own + '-b', 'num_partitions': -1, 'replication_factor': -1, 'assignments': [
            {'partition_index': i, 'broker_ids': [1]} for i in (0, 1)]}]}, MUTATED)


@scene('DeleteTopics')
def delete_topics(it, version):
    names = it.own, it.own + '-b'
    yield Case('CreateTopics', 5, {'timeout_ms': 30000, 'topics': [
        {'name': name, 'num_partitions': 1, 'replication_factor': 1} for name in names]}, 'to be deleted')
    yield Case('Metadata', 12, {'topics': [{'name': name} for name in names]}, 'their ids',
               shape=lambda a: a | {'topics': sorted(a['topics'], key=lambda t: t['name'])})
    yield Case('DeleteTopics', version, lambda side: {'timeout_ms': 30000} | (
        {'topic_names': list(names)} if version < 6 else
        {'topics': [{'name': names[0]}, {'name': None, 'topic_id': topic_id(side, names[1])}]}), MUTATED)
    yield Case('DeleteTopics', 5, {'timeout_ms': 30000, 'topic_names': list(names)}, 'what is left')


@scene('CreatePartitions')
def create_partitions(it, version):
    yield Case('CreateTopics', 5, {'timeout_ms': 30000, 'topics': [{'name': it.own, 'num_partitions': 1, 'replication_factor': 1}]}, 'to grow')
    yield Case('CreatePartitions', version, {'timeout_ms': 30000, 'topics': [
        {'name': it.own, 'count': 2, 'assignments': [{'broker_ids': [1]}]}]}, MUTATED)
    yield Case('DeleteTopics', 5, {'timeout_ms': 30000, 'topic_names': [it.own]}, 'no longer needed')


# Groups and their offsets

def simple_offsets(it, version, group, epoch=-1, member=''):
    return Case('OffsetCommit', version, lambda side: {
        'group_id': group, 'generation_id_or_member_epoch': value(side, epoch), 'member_id': value(side, member), 'topics': [
            named(version, 10, side, topic) | {'partitions': [
                {'partition_index': i, 'committed_offset': i, 'committed_metadata': 'm'} for i in (0, 1)]} for topic in (it.topic, it.empty)]}, MUTATED)


def value(side, wanted):
    """A value, or what the side was given under a name."""
    return side.memory[wanted[0]] if isinstance(wanted, tuple) else wanted


def committed(it, group):
    return Case('OffsetFetch', 7, {'group_id': group, 'topics': [{'name': t, 'partition_indexes': [0, 1]} for t in (it.topic, it.empty)]}, 'what is committed')


@scene('OffsetCommit')
def simple_commit(it, version):
    yield simple_offsets(it, version, it.own)
    yield committed(it, it.own)


@scene('OffsetCommit', 'OffsetFetch', 'OffsetDelete')
def classic_offsets(it, version, api):
    yield from classic_member(it)
    yield from offset_requests(it, version, api, it.own, ('mutant generation',), ('mutant',))


@scene('OffsetCommit', 'OffsetFetch', 'OffsetDelete')
def consumer_offsets(it, version, api):
    yield consumer_groups.join(it.own, 'me', names=(it.topic, it.empty))
    yield from offset_requests(it, version, api, it.own, 2, 'me')


def offset_requests(it, version, api, group, epoch, member):
    commit = simple_offsets(it, version if api == 'OffsetCommit' else 8, group, epoch, member)
    yield commit if api == 'OffsetCommit' else dataclasses.replace(commit, note='to be found')
    if api == 'OffsetFetch':
        def fetch_offsets(side):
            topics = [named(version, 10, side, topic) | {'partition_indexes': [0, 1]} for topic in (it.topic, it.empty)]
            mine = {'member_id': value(side, member), 'member_epoch': value(side, epoch)} if version >= 9 else {}
            return {'groups': [{'group_id': group, 'topics': topics, **mine}]} if version >= 8 else {'group_id': group, 'topics': topics}
        yield Case('OffsetFetch', version, fetch_offsets, MUTATED)
    elif api == 'OffsetDelete':
        yield Case('OffsetDelete', version, {'group_id': group, 'topics': [
            {'name': t, 'partitions': [{'partition_index': i} for i in (0, 1)]} for t in (it.topic, it.empty)]}, MUTATED)
    yield committed(it, group)


def join_values(it, member, **more):
    return {'group_id': it.own, 'session_timeout_ms': 30000, 'rebalance_timeout_ms': 9000, 'member_id': member, 'protocol_type': 'consumer',
            'protocols': [{'name': 'range', 'metadata': b'm'}, {'name': 'roundrobin', 'metadata': b'n'}]} | more


def given(side, answer):
    side.memory['mutant'], side.memory['mutant generation'] = answer['member_id'], answer['generation_id']


def classic_member(it, synced=True, **more):
    yield Case('JoinGroup', 3 if not more else 5, join_values(it, '', **more), 'joins', remember=given)
    if synced:
        yield Case('SyncGroup', 3, lambda side: {
            'group_id': it.own, 'member_id': side.memory['mutant'], 'generation_id': side.memory['mutant generation'], **more,
            'assignments': [{'member_id': side.memory['mutant'], 'assignment': b'all'}]}, 'is assigned')


def group_now(it):
    def shape(answer):
        for group in answer['groups']:
            group['members'] = [{k: v for k, v in member.items() if k != 'client_host'} for member in group['members']]
        return answer
    return Case('DescribeGroups', 5, {'groups': [it.own]}, 'the group now', shape=shape)


@scene('JoinGroup')
def first_join(it, version):
    yield Case('JoinGroup', version, join_values(it, ''), MUTATED)
    yield group_now(it)


@scene('JoinGroup')
def second_join(it, version):
    static = {'group_instance_id': 'i'} if version >= 5 else {}
    yield from classic_member(it, **static)
    yield Case('JoinGroup', version, lambda side: join_values(it, side.memory['mutant'], **static), MUTATED)
    yield group_now(it)


@scene('SyncGroup')
def first_sync(it, version):
    yield from classic_member(it, synced=False)
    yield Case('SyncGroup', version, lambda side: {
        'group_id': it.own, 'member_id': side.memory['mutant'], 'generation_id': side.memory['mutant generation'],
        **({'protocol_type': 'consumer', 'protocol_name': 'range'} if version >= 5 else {}),
        'assignments': [{'member_id': side.memory['mutant'], 'assignment': b'all'}, {'member_id': 'other', 'assignment': b'none'}]}, MUTATED)
    yield group_now(it)


@scene('Heartbeat', 'LeaveGroup', 'DescribeGroups', 'DeleteGroups', 'SyncGroup')
def classic_requests(it, version, api):
    static = {'group_instance_id': 'i'} if version % 2 and api in ('Heartbeat', 'SyncGroup') and version >= 3 else {}
    yield from classic_member(it, **static)

    def values(side):
        member, generation = side.memory['mutant'], side.memory['mutant generation']
        if api == 'DescribeGroups':
            return {'groups': [it.own, it.own + '-b']}
        if api == 'DeleteGroups':
            return {'groups_names': [it.own, it.own + '-b']}
        if api == 'LeaveGroup':
            return {'group_id': it.own} | ({'members': [{'member_id': member}, {'member_id': 'x', 'group_instance_id': 'j'}]}
                                           if version >= 3 else {'member_id': member})
        return {'group_id': it.own, 'member_id': member, 'generation_id': generation, **static}
    yield Case(api, version, values, MUTATED, shape=without_hosts if api == 'DescribeGroups' else None)
    yield group_now(it)


def without_hosts(answer):
    for group in answer['groups']:
        for member in group['members']:
            member.pop('client_host')
    return answer


@scene('DeleteGroups')
def delete_simple_group(it, version):
    yield dataclasses.replace(simple_offsets(it, 8, it.own), note='to be deleted')
    yield Case('DeleteGroups', version, {'groups_names': [it.own, it.own + '-b']}, MUTATED)
    yield committed(it, it.own)


@scene('ListGroups')
def list_groups(it, version):
    yield from classic_member(it)
    filters = ({'states_filter': ['Stable', 'Empty']} if version >= 4 else {}) | ({'types_filter': ['classic', 'consumer']} if version >= 5 else {})
    yield Case('ListGroups', version, filters, MUTATED, shape=lambda a: a | {'groups': [g for g in a['groups'] if g['group_id'] == it.own]})


@scene('FindCoordinator')
def find_coordinator(it, version):
    kind = {'key_type': 0} if version >= 1 else {}
    yield Case('FindCoordinator', version, ({'coordinator_keys': [it.own, 't']} if version >= 4 else {'key': it.own}) | kind, MUTATED)


@scene('ConsumerGroupHeartbeat')
def first_beat(it, version):
    yield Case('ConsumerGroupHeartbeat', version, {
        'group_id': it.own, 'member_id': 'me', 'member_epoch': 0, 'rebalance_timeout_ms': 30000, 'topic_partitions': [], 'instance_id': None,
        'subscribed_topic_names': [it.topic, it.empty]}, MUTATED, shape=consumer_groups.in_order)
    yield consumer_groups.describe(it.own, 'the group now')


@scene('ConsumerGroupHeartbeat')
def next_beat(it, version):
    static = {'instance_id': 'i'} if version else {}
    yield consumer_groups.join(it.own, 'me', names=(it.topic, it.empty), **static)

    def values(side):
        return {'group_id': it.own, 'member_id': 'me', 'member_epoch': 2, 'rebalance_timeout_ms': 30000, **static,
                'subscribed_topic_names': [it.topic, it.empty], 'topic_partitions': [
                    {'topic_id': topic_id(side, topic), 'partitions': [0, 1]} for topic in (it.topic, it.empty)]}
    yield Case('ConsumerGroupHeartbeat', version, values, MUTATED, shape=consumer_groups.in_order)
    yield consumer_groups.describe(it.own, 'the group now')


@scene('ConsumerGroupHeartbeat')
def beat_of_two(it, version):
    yield consumer_groups.join(it.own, 'you', names=(it.topic,))
    yield consumer_groups.join(it.own, 'me', names=(it.topic,))
    yield consumer_groups.beat(it.own, 'you', 2, 'gives up', owned={it.topic: [0]})
    yield dataclasses.replace(consumer_groups.beat(it.own, 'me', 3, '', version, owned={}, timeout=30000, names=[it.topic]), note=MUTATED)
    yield consumer_groups.beat(it.own, 'you', 3, 'goes on')
    yield consumer_groups.describe(it.own, 'the group now')


@scene('ConsumerGroupDescribe')
def consumer_describe(it, version):
    yield consumer_groups.join(it.own, 'me', names=(it.topic,))
    yield dataclasses.replace(consumer_groups.describe(it.own, '', version), note=MUTATED, values={'group_ids': [it.own, it.own + '-b']})


# Transactions

@scene('InitProducerId')
def init_producer(it, version):
    me = Producer(it.own)
    yield me.init(version)
    yield dataclasses.replace(me.init(version, recover=version >= 3), note=MUTATED)
    yield now(me)


@scene('InitProducerId')
def init_ongoing(it, version):
    me = Producer(it.own)
    yield me.init(version)
    yield me.add(3, [0], topic=it.topic)
    yield dataclasses.replace(me.init(version, recover=version >= 3), note=MUTATED)
    yield now(me)


@scene('AddPartitionsToTxn')
def add_partitions(it, version):
    me = Producer(it.own)
    yield me.init(4)
    yield dataclasses.replace(me.add(version, [0, 1], topic=it.topic), note=MUTATED)
    yield now(me)
    yield me.end(4, False)
    yield now(me)


@scene('AddPartitionsToTxn')
def verify_partitions(it, version):
    me = Producer(it.own)
    if version >= 4:
        yield me.init(4)
        yield me.add(3, [0], topic=it.topic)
        yield dataclasses.replace(me.add(version, [0, 1], topic=it.topic, verify=True), note=MUTATED)
        yield me.end(4, False)
        yield now(me)


@scene('AddOffsetsToTxn', 'TxnOffsetCommit')
def transaction_offsets(it, version, api):
    me = Producer(it.own)
    yield me.init(4)
    if api == 'AddOffsetsToTxn':
        yield dataclasses.replace(me.add_offsets(version, it.own), note=MUTATED)
    else:
        yield me.add_offsets(min(version, 4), it.own)
        yield dataclasses.replace(me.commit_offsets(version, it.own, 7), note=MUTATED, values=lambda side: me.mine(side) | {
            'group_id': it.own, 'topics': [{'name': t, 'partitions': [
                {'partition_index': i, 'committed_offset': 7, 'committed_metadata': 'm'} for i in (0, 1)]} for t in (it.topic, it.empty)]})
    yield now(me)
    yield me.end(4, True)
    yield dataclasses.replace(committed(it, it.own), values={'group_id': it.own, 'require_stable': True, 'topics': [
        {'name': it.topic, 'partition_indexes': [0, 1]}]}, until=lambda a: "error_code': 88" not in str(a))


@scene('TxnOffsetCommit')
def offsets_of_members(it, version):
    me = Producer(it.own)
    if version >= 3:
        yield from classic_member(it)
        yield me.init(4)
        yield me.add_offsets(4, it.own)
        yield dataclasses.replace(me.commit_offsets(version, it.own, 7), note=MUTATED, values=lambda side: me.mine(side) | {
            'group_id': it.own, 'member_id': side.memory['mutant'], 'generation_id': side.memory['mutant generation'], 'topics': [
                {'name': it.topic, 'partitions': [{'partition_index': 0, 'committed_offset': 7, 'committed_metadata': 'm'}]}]})
        yield me.end(4, True)
        yield now(me)


@scene('EndTxn')
def end_transaction(it, version):
    me = Producer(it.own)
    yield me.init(4)
    yield me.add(3, [0, 1], topic=it.topic)
    yield dataclasses.replace(me.end(version, True), note=MUTATED)
    yield now(me)


@scene('EndTxn')
def end_again(it, version):
    me = Producer(it.own)
    yield me.init(4)
    yield me.add(3, [0], topic=it.topic)
    yield me.end(version, True)
    yield dataclasses.replace(me.end(version, True, epoch=-1 if version >= 5 else 0), note=MUTATED)
    yield now(me)


@scene('WriteTxnMarkers')
def markers(it, version):
    me = Producer(it.own)
    yield me.init(4)
    yield me.add(3, [0, 1], topic=it.topic)
    yield me.produce(9, 0, topic=it.topic)

    def values(side):
        mine = me.mine(side)
        mine.pop('transactional_id')
        return {'markers': [mine | {'transaction_result': False, 'coordinator_epoch': 0, 'topics': [
            {'name': it.topic, 'partition_indexes': [0, 1]}]}]}
    yield Case('WriteTxnMarkers', version, values, MUTATED)
    yield Case('DescribeProducers', 0, {'topics': [{'name': it.topic, 'partition_indexes': [0]}]}, 'what is open', shape=producers)
    yield me.end(4, False)
    yield now(me)


@scene('DescribeTransactions', 'ListTransactions', 'DescribeProducers')
def transaction_lists(it, version, api):
    me = Producer(it.own)
    yield me.init(4)
    yield me.add(3, [0, 1], topic=it.topic)
    yield me.produce(9, 0, topic=it.topic)
    if api == 'DescribeTransactions':
        yield Case(api, version, {'transactional_ids': [it.own, it.own + '-b']}, MUTATED)
    elif api == 'ListTransactions':
        yield Case(api, version, lambda side: {'state_filters': ['Ongoing', 'Empty'], 'producer_id_filters': [me.mine(side)['producer_id']]} | (
            {'transactional_id_pattern': it.own + '.*'} if version >= 2 else {}), MUTATED,
            shape=lambda a: a | {'transaction_states': [t for t in a['transaction_states'] if t['transactional_id'] == it.own]})
    else:
        yield Case(api, version, {'topics': [{'name': t, 'partition_indexes': [0, 1]} for t in (it.topic, it.empty)]}, MUTATED)
    yield me.end(4, False)
    yield now(me)


# Administration

@scene('DescribeConfigs')
def describe_configs(it, version):
    yield Case('DescribeConfigs', version, {'resources': [
        {'resource_type': 2, 'resource_name': it.topic, 'configuration_keys': ['retention.ms', 'cleanup.policy']},
        {'resource_type': 4, 'resource_name': '1', 'configuration_keys': ['log.retention.ms', 'no.such']}]}, MUTATED, shape=some_configs)


def some_configs(answer):
    """The brokers were started with different ones."""
    for result in answer['results']:
        result['configs'] = [c if 'retention' in c['name'] else c['name'] for c in result['configs']]
    return answer


@scene('AlterConfigs', 'IncrementalAlterConfigs')
def alter_configs(it, version, api):
    operation = {'config_operation': 0} if api == 'IncrementalAlterConfigs' else {}
    yield Case(api, version, {'validate_only': False, 'resources': [{'resource_type': 2, 'resource_name': topic, 'configs': [
        {'name': 'retention.ms', 'value': '86400000', **operation}]}
        for topic in (it.topic, it.empty)]}, MUTATED)


@scene('ListConfigResources')
def config_resources(it, version):
    yield Case('ListConfigResources', version, {'resource_types': [2, 4]} if version else {}, MUTATED,
               shape=lambda a: a | {'config_resources': [r for r in a['config_resources'] if r['resource_name'] in (it.topic, '1')]})


@scene('DescribeLogDirs')
def log_dirs(it, version):
    yield Case('DescribeLogDirs', version, {'topics': [{'topic': t, 'partitions': [0, 1]} for t in (it.topic, it.empty)]}, MUTATED,
               shape=lambda a: admin.by_name(a) | {'results': [r | {'topics': [t for t in r['topics'] if t['name'] in (it.topic, it.empty)]}
                                                               for r in a['results']]})


@scene('AlterReplicaLogDirs')
def move_replicas(it, version):
    yield Case('AlterReplicaLogDirs', version, lambda side: {'dirs': [{'path': admin.log_dir(side), 'topics': [
        {'name': t, 'partitions': [0, 1]} for t in (it.topic, it.empty)]}]}, MUTATED)


@scene('ElectLeaders')
def elect_leaders(it, version):
    yield Case('ElectLeaders', version, {'topic_partitions': [{'topic': t, 'partitions': [0, 1]} for t in (it.topic, it.empty)]}, MUTATED,
               shape=lambda a: a | {'replica_election_results': [
                   r for r in a['replica_election_results'] if r['topic'] in (it.topic, it.empty, '') or it.own in r['topic']]})


@scene('AlterPartitionReassignments')
def reassign(it, version):
    yield Case('AlterPartitionReassignments', version, {'topics': [{'name': t, 'partitions': [
        {'partition_index': i, 'replicas': [1]} for i in (0, 1)]} for t in (it.topic, it.empty)]}, MUTATED)


@scene('ListPartitionReassignments')
def reassignments(it, version):
    yield Case('ListPartitionReassignments', version, {'topics': [{'name': t, 'partition_indexes': [0, 1]} for t in (it.topic, it.empty)]}, MUTATED)


@scene('UpdateFeatures')
def features(it, version):
    if version >= 1:  # v0 can't only validate
        yield Case('UpdateFeatures', version, {'feature_updates': [{'feature': 'metadata.version', 'max_version_level': 30}]}, 'to the newest')
        yield Case('UpdateFeatures', version, {'validate_only': True, 'feature_updates': [
            {'feature': 'transaction.version', 'max_version_level': 2}]}, MUTATED)


@scene('ApiVersions')
def api_versions(it, version):
    yield dataclasses.replace(admin.api_versions('', version), note=MUTATED)


@scene('DescribeCluster')
def cluster(it, version):
    yield Case('DescribeCluster', version, {}, MUTATED)


@scene('DescribeQuorum')
def quorum(it, version):
    def shape(answer):
        for partition in [p for t in answer['topics'] for p in t['partitions']]:
            for key in ('high_watermark', 'leader_epoch', 'current_voters', 'observers'):
                partition[key] = bool(partition[key])
        return answer
    yield Case('DescribeQuorum', version, {'topics': [{'topic_name': '__cluster_metadata', 'partitions': [{'partition_index': 0}]}]}, MUTATED, shape=shape)


@scene('UnregisterBroker')
def unregister(it, version):
    yield Case('UnregisterBroker', version, {'broker_id': 5}, MUTATED)


@scene('AddRaftVoter', 'RemoveRaftVoter')
def voters(it, version, api):
    more = {'timeout_ms': 1000, 'listeners': [{'name': 'CONTROLLER', 'host': 'localhost', 'port': 1}]} if api == 'AddRaftVoter' else {}
    yield Case(api, version, {'cluster_id': None, 'voter_id': 2, 'voter_directory_id': uuid.UUID(int=5), **more}, MUTATED, shape=admin.without_cluster_id)


@scene('GetTelemetrySubscriptions', 'PushTelemetry')
def telemetry(it, version, api):
    me = uuid.uuid5(uuid.NAMESPACE_OID, it.own)
    first = Case('GetTelemetrySubscriptions', 0, {'client_instance_id': me}, 'asks',
                 remember=lambda side, answer: side.memory.update(subscribed=answer['subscription_id']))
    if api == 'GetTelemetrySubscriptions':
        yield dataclasses.replace(first, note=MUTATED, shape=lambda a: a if a['client_instance_id'] == me else a | {'subscription_id': 'some'})
    else:
        yield first
        yield Case('PushTelemetry', 0, lambda side: {'client_instance_id': me, 'subscription_id': side.memory['subscribed'], 'metrics': b'm'}, MUTATED)
