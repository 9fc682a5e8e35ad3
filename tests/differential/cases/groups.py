"""Groups: their offsets, their members."""
from cases.common import Case, by_partition, commit, fetch_committed, versions


def group_cases():
    for version in versions('FindCoordinator'):
        yield Case('FindCoordinator', version, {'coordinator_keys': ['g']} if version >= 4 else {'key': 'g'}, 'group')
        for key_type in (2, 9, -1) if version >= 1 else ():
            yield Case('FindCoordinator', version, {'key_type': key_type} | (
                {'coordinator_keys': ['g']} if version >= 4 else {'key': 'g'}), f'key type {key_type}')
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
    for version in (8, 9, 10):
        yield commit(version, 'generation of an unknown group', group='unknown', generation=3, member='m')
    yield commit(8, 'unknown member, metadata too large', member='nobody', generation=3, metadata='x' * 5000)
    yield commit(8, 'metadata of many bytes', metadata='\u20ac' * 4096)
    yield commit(8, 'metadata of many surrogates', metadata='\U0001f600' * 2048)
    yield commit(8, 'metadata of too many surrogates', metadata='\U0001f600' * 2049)
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
    yield from pending_member_cases()
    yield from static_member_cases()
    for version in versions('DescribeGroups'):
        yield Case('DescribeGroups', version, {'groups': ['simple', 'never-seen']}, '')
    for version in versions('ListGroups'):
        yield Case('ListGroups', version, {}, '', shape=lambda a: sorted(map(str, a['groups'])))
    for group in ('simple', 'never-seen'):
        for version in (3, 6):
            yield Case('DescribeGroups', version, {'groups': [group], 'include_authorized_operations': True}, 'operations')
    yield Case('OffsetDelete', 0, {'group_id': 'simple', 'topics': [{'name': 'log', 'partitions': [
        {'partition_index': 0}, {'partition_index': 7}]}]}, '', shape=by_partition)
    yield Case('OffsetDelete', 0, {'group_id': 'never-seen', 'topics': []}, 'unknown group')
    for version in versions('DeleteGroups'):
        yield Case('DeleteGroups', version, {'groups_names': ['simple', 'never-seen']}, '',
                   shape=lambda a: sorted(map(str, a['results'])))
    yield commit(8, 'to be deleted')
    yield Case('DeleteGroups', 2, {'groups_names': ['simple', 'simple']}, 'twice')
    yield Case('DeleteGroups', 2, {'groups_names': ['']}, 'empty group id')
    yield Case('OffsetDelete', 0, {'group_id': '', 'topics': []}, 'empty group id')


def pending_member_cases():
    """Whoever was given a member id and has not joined with it."""
    def remember(side, answer):
        side.memory['pending'] = answer['member_id']

    def mine(**values):
        return lambda side: {'group_id': 'pending', 'member_id': side.memory['pending']} | values

    yield join(5, 'given an id', group_id='pending', remember=remember)
    yield Case('Heartbeat', 4, mine(generation_id=0), 'of a pending member')
    yield Case('SyncGroup', 3, mine(generation_id=0), 'of a pending member')
    yield Case('DescribeGroups', 6, {'groups': ['pending']}, 'pending')
    yield Case('JoinGroup', 5, mine(session_timeout_ms=10000, rebalance_timeout_ms=10000, group_instance_id='i',
                                    protocol_type='consumer', protocols=protocols('range')), 'static with the id of a dynamic one')
    yield Case('LeaveGroup', 3, lambda side: {'group_id': 'pending', 'members': [
        {'member_id': side.memory['pending'], 'group_instance_id': 'i'}]}, 'pending')
    yield Case('LeaveGroup', 3, lambda side: {'group_id': 'pending', 'members': [{'member_id': side.memory['pending']}]}, 'pending, again')


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
    def join_static(note, member='', instance='i1', version=9, wanted=None):
        def remember(side, answer):
            side.memory['static'], side.memory['generation'] = answer['member_id'], answer['generation_id']
        return Case('JoinGroup', version, {
            'group_id': 'static', 'session_timeout_ms': 10000, 'rebalance_timeout_ms': 10000, 'member_id': member,
            'group_instance_id': instance, 'protocol_type': 'consumer', 'protocols': wanted or protocols('range')}, note,
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
    yield join_static('static with other metadata', wanted=[{'name': 'range', 'metadata': b'other'}])
    yield beat('static with other metadata')
    yield join_static('static with other metadata, old', version=8, wanted=[{'name': 'range', 'metadata': b'third'}])
    yield beat('static with other metadata, old')
    yield join_static('static with another protocol', wanted=protocols('sticky'))
    yield join_static('static with another choice', wanted=protocols('sticky', 'range'))
    yield join_static('static while it assigns', wanted=protocols('range'))
    yield sync('static with another choice')
    yield beat('static with another choice')
    yield join_static('fenced', member='other')
    yield Case('DescribeGroups', 6, {'groups': ['static']}, 'static', shape=without_clients)
    yield Case('LeaveGroup', 5, {'group_id': 'static', 'members': [{'member_id': '', 'group_instance_id': 'i2'}]}, 'unknown instance')
    yield Case('LeaveGroup', 5, {'group_id': 'static', 'members': [{'member_id': 'x', 'group_instance_id': 'i1'}]}, 'fenced')
    yield Case('LeaveGroup', 5, {'group_id': 'static', 'members': [{'member_id': '', 'group_instance_id': 'i1'}]}, 'by instance')


def join(version, note, remember=None, **changes):
    values = {'group_id': 'joined', 'session_timeout_ms': 10000, 'rebalance_timeout_ms': 10000, 'member_id': '',
              'protocol_type': 'consumer', 'protocols': [{'name': 'range', 'metadata': b'm'}], **changes}
    return Case('JoinGroup', version, values, note, remember=remember)
