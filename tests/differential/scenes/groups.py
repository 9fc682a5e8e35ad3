"""Groups of both protocols, and their offsets."""
import dataclasses

from cases import consumer_groups
from cases.common import Case, topic_id
from scenes.common import MUTATED, committed, named, scene


def simple_offsets(it, version, group, epoch=-1, member=''):
    return Case('OffsetCommit', version, lambda side: {
        'group_id': group, 'generation_id_or_member_epoch': value(side, epoch), 'member_id': value(side, member), 'topics': [
            named(version, 10, side, topic) | {'partitions': [
                {'partition_index': i, 'committed_offset': i, 'committed_metadata': 'm'} for i in (0, 1)]} for topic in (it.topic, it.empty)]}, MUTATED)


def value(side, wanted):
    """A value, or what the side was given under a name."""
    return side.memory[wanted[0]] if isinstance(wanted, tuple) else wanted


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


def consumer_group_now(it):
    return dataclasses.replace(consumer_groups.describe(it.own, 'the group now'), settles=True)  # patterns are resolved after the answer


@scene('ConsumerGroupHeartbeat')
def first_beat(it, version):
    yield Case('ConsumerGroupHeartbeat', version, {
        'group_id': it.own, 'member_id': 'me', 'member_epoch': 0, 'rebalance_timeout_ms': 30000, 'topic_partitions': [], 'instance_id': None,
        'subscribed_topic_names': [it.topic, it.empty]}, MUTATED, shape=consumer_groups.in_order)
    yield consumer_group_now(it)


@scene('ConsumerGroupHeartbeat')
def next_beat(it, version):
    static = {'instance_id': 'i'} if version else {}
    yield consumer_groups.join(it.own, 'me', names=(it.topic, it.empty), **static)

    def values(side):
        return {'group_id': it.own, 'member_id': 'me', 'member_epoch': 2, 'rebalance_timeout_ms': 30000, **static,
                'subscribed_topic_names': [it.topic, it.empty], 'topic_partitions': [
                    {'topic_id': topic_id(side, topic), 'partitions': [0, 1]} for topic in (it.topic, it.empty)]}
    yield Case('ConsumerGroupHeartbeat', version, values, MUTATED, shape=consumer_groups.in_order)
    yield consumer_group_now(it)


@scene('ConsumerGroupHeartbeat')
def beat_of_two(it, version):
    yield consumer_groups.join(it.own, 'you', names=(it.topic,))
    yield consumer_groups.join(it.own, 'me', names=(it.topic,))
    yield consumer_groups.beat(it.own, 'you', 2, 'gives up', owned={it.topic: [0]})
    yield dataclasses.replace(consumer_groups.beat(it.own, 'me', 3, '', version, owned={}, timeout=30000, names=[it.topic]), note=MUTATED)
    yield consumer_groups.beat(it.own, 'you', 3, 'goes on')
    yield consumer_group_now(it)


@scene('ConsumerGroupDescribe')
def consumer_describe(it, version):
    yield consumer_groups.join(it.own, 'me', names=(it.topic,))
    yield dataclasses.replace(consumer_groups.describe(it.own, '', version), note=MUTATED, values={'group_ids': [it.own, it.own + '-b']})
