"""Groups of the consumer protocol (KIP-848): heartbeats one after the other, as several members would send them."""
import struct

from cases.common import Case, by_partition, create, topic_id, versions


def partitions(rows):
    rows = [dict(row, partitions=sorted(row['partitions'])) for row in rows]
    return sorted(rows, key=lambda row: (len(row['partitions']), row['partitions']))


def in_order(answer):
    """Kafka lists partitions as its hash tables have them."""
    if answer.get('assignment'):
        answer['assignment']['topic_partitions'] = partitions(answer['assignment']['topic_partitions'])
    return answer


def described_in_order(answer):
    for group in answer['groups']:
        group['members'].sort(key=lambda m: m['member_id'])
        for member in group['members']:
            for part in 'assignment', 'target_assignment':
                member[part]['topic_partitions'] = partitions(member[part]['topic_partitions'])
            member['subscribed_topic_names'].sort()
    return answer


def beat(group, member, epoch, note, version=1, owned=None, timeout=-1, names=None, until=None, **more):
    """owned: partitions by topic; join and full requests say all there is to say."""
    def values(side):
        rows = None if owned is None else [{'topic_id': topic_id(side, t), 'partitions': p} for t, p in owned.items()]
        return {'group_id': group, 'member_id': member, 'member_epoch': epoch, 'rebalance_timeout_ms': timeout,
                'subscribed_topic_names': names, 'topic_partitions': rows, **more}
    return Case('ConsumerGroupHeartbeat', version, values, f'{note} ({group})', shape=in_order, until=until)


def join(group, member, note='joins', names=('cg4',), **more):
    names = list(names) if names is not None else None
    return beat(group, member, 0, note, owned={}, timeout=30000, names=names, **more)


def leave(group, member, epoch=-1, **more):
    return beat(group, member, epoch, 'leaves', **more)


def describe(group, note, version=1):
    return Case('ConsumerGroupDescribe', version, {'group_ids': [group], 'include_authorized_operations': version == 1},
                f'{note} ({group})', shape=described_in_order)


def bad_requests():
    for version in versions('ConsumerGroupHeartbeat'):
        yield beat('bad', '', 0, 'no member id', version, owned={}, timeout=5, names=[])
        yield beat('', 'm', 0, 'no group id', version, owned={}, timeout=5, names=[])
        yield beat('  ', 'm', 0, 'blank group id', version, owned={}, timeout=5, names=[])
        yield beat('never', 'm', 1, 'unknown group', version)
        yield beat('never', 'm', -1, 'leaves an unknown group', version)
    yield beat('bad', 'm', 0, 'no instance id', owned={}, timeout=5, names=[], instance_id='')
    yield beat('bad', 'm', 0, 'no rack id', owned={}, timeout=5, names=[], rack_id='')
    yield beat('bad', 'm', 0, 'no timeout', owned={}, names=[])
    yield beat('bad', 'm', 0, 'no partitions', timeout=5, names=[])
    yield beat('bad', 'm', 0, 'owns something', owned={'cg4': [0]}, timeout=5, names=[])
    yield beat('bad', 'm', 0, 'no subscription', owned={}, timeout=5)
    yield beat('bad', 'm', -2, 'static without an instance id')
    yield beat('bad', 'm', -3, 'no such epoch')
    yield join('bad', 'm', 'unknown assignor', server_assignor='sticky')
    for pattern in ('(', 'a**', '[z', 'x{1001}', '(?=a)', r'\1', 'a++', ')', '*a', r'\8', '[b-a]', '(?<!x)', 'a{2}{3}', r'[[:foo:]]',
                    '\\'):
        yield Case('ConsumerGroupHeartbeat', 1, {'group_id': 'bad', 'member_id': 'm', 'rebalance_timeout_ms': 5, 'topic_partitions': [],
                                                 'subscribed_topic_regex': pattern}, f'pattern {pattern}')
    for version in versions('ConsumerGroupDescribe'):
        yield describe('never', 'unknown', version)
        yield describe('', 'no id', version)


def one_member():
    for version in versions('ConsumerGroupHeartbeat'):
        group = f'one-{version}'
        yield join(group, 'a', version=version)
        yield join(group, 'a', 'joins again', version=version)
        yield describe(group, 'one member', version)
        yield beat(group, 'a', 2, 'goes on', version)
        yield beat(group, 'a', 2, 'says all', version, owned={'cg4': [0, 1, 2, 3]}, timeout=30000, names=['cg4'])
        yield beat(group, 'a', 1, 'old epoch', version)
        yield beat(group, 'a', 0, 'epoch before with partitions', version, owned={}, timeout=30000, names=['cg4'])
        yield beat(group, 'a', 9, 'epoch to come', version)
        yield beat(group, 'b', 2, 'unknown member', version)
        yield beat(group, 'a', 2, 'reads another topic', version, owned={'cg4': [0, 1, 2, 3]}, names=['cg4', 'cg2'])
        yield beat(group, 'a', 3, 'reads a missing topic', version, names=['cg4', 'cg2', 'not-there'])
        yield beat(group, 'a', 4, 'reads one less', version, names=['cg2'])
        yield describe(group, 'revoking', version)
        yield beat(group, 'a', 4, 'still owns', version, owned={'cg4': [3], 'cg2': [0, 1]})
        yield beat(group, 'a', 4, 'has given up', version, owned={'cg2': [0, 1]})
        yield describe(group, 'stable', version)
        yield leave(group, 'a', version=version)
        yield describe(group, 'empty', version)
        yield leave(group, 'a', version=version)


def no_topics():
    yield join('none', 'a', names=[])
    yield beat('none', 'a', 1, 'goes on')
    yield describe('none', 'reads nothing')
    yield beat('none', 'a', 1, 'reads something', owned={}, names=['cg2'])
    yield leave('none', 'a')


def two_members(group='two', **more):
    yield join(group, 'a', **more)
    yield join(group, 'b', **more)
    yield describe(group, 'the second waits')
    yield beat(group, 'b', 3, 'nothing is free yet')
    yield beat(group, 'a', 2, 'has to give up')
    yield describe(group, 'the first gives up')
    yield beat(group, 'a', 2, 'has not given up', owned={'cg4': [0, 1, 2, 3]})
    yield beat(group, 'a', 2, 'gave up', owned={'cg4': [0, 1]})
    yield beat(group, 'b', 3, 'takes over')
    yield describe(group, 'stable')
    yield join(group, 'c', **more)
    yield beat(group, 'a', 3, 'has to give up again')
    yield beat(group, 'b', 3, 'has to give up perhaps')
    yield describe(group, 'three')
    yield leave(group, 'b')
    yield beat(group, 'a', 3, 'old epoch, more to give up', owned={'cg4': [0, 1]})
    yield beat(group, 'c', 4, 'goes on')
    yield describe(group, 'one has left')
    yield beat(group, 'a', 1, 'an epoch of long ago', owned={})
    yield join(group, 'a', 'joins again, in the middle of it', **more)
    yield join(group, 'c', 'joins again', **more)
    yield describe(group, 'both have joined again')
    yield beat(group, 'c', 0, 'joins again, and owns', owned={'cg4': [0]}, timeout=30000, names=['cg4'])


def static_members():
    group = 'static'
    yield join(group, 'a', instance_id='i1')
    yield join(group, 'b', 'joins in the place of another', instance_id='i1')
    yield beat(group, 'b', 2, 'is fenced', instance_id='i1')
    yield beat(group, 'a', 2, 'of no instance', instance_id='i9')
    yield beat(group, 'a', 2, 'goes on', instance_id='i1')
    yield beat(group, 'b', -2, 'leaves for another', instance_id='i1')
    yield beat(group, 'a', -2, 'leaves for a while', instance_id='i1')
    yield describe(group, 'it will be back')
    yield beat(group, 'a', 2, 'is gone', instance_id='i1')
    yield join(group, 'b', 'is back', instance_id='i1')
    yield describe(group, 'it is back')
    yield beat(group, 'a', -2, 'is replaced', instance_id='i1')
    yield join(group, 'c', instance_id='i2')
    yield beat(group, 'b', 2, 'has to give up', instance_id='i1')
    yield leave(group, 'b', instance_id='i1')
    yield describe(group, 'one has left')


def patterns():
    def resolved(answer):
        return answer['member_epoch'] > 1 or answer['error_code']
    yield join('pattern', 'a', names=None, subscribed_topic_regex='cg[3-4]')
    yield beat('pattern', 'a', 1, 'is resolved', until=resolved)
    yield describe('pattern', 'resolved')
    yield join('pattern', 'b', 'the same pattern', names=None, subscribed_topic_regex='cg[3-4]')
    yield beat('pattern', 'a', 2, 'bad pattern', subscribed_topic_regex='(')
    yield beat('pattern', 'a', 2, 'no pattern any more', owned={}, subscribed_topic_regex='', names=['cg4'])
    yield describe('pattern', 'one by name')
    yield leave('pattern', 'b')
    yield describe('pattern', 'none by pattern')


def offsets():
    def commit(version, epoch, member, note, partition=0):
        return Case('OffsetCommit', version, lambda side: {
            'group_id': 'offsets', 'generation_id_or_member_epoch': epoch, 'member_id': member, 'topics': [
                {'partitions': [{'partition_index': partition, 'committed_offset': 3, 'committed_metadata': ''}]} |
                ({'topic_id': topic_id(side, 'cg4')} if version >= 10 else {'name': 'cg4'})]}, f'consumer group, {note}')

    def fetch(version, epoch, member, note):
        return Case('OffsetFetch', version, lambda side: {'groups': [{
            'group_id': 'offsets', 'member_id': member, 'member_epoch': epoch, 'topics': [{'partition_indexes': [0, 1]} | (
                {'topic_id': topic_id(side, 'cg4')} if version >= 10 else {'name': 'cg4'})]}]}, f'consumer group, {note}')
    yield join('offsets', 'a')
    for version in range(7, 11):
        yield commit(version, 2, 'a', 'member')
        yield commit(version, -1, '', 'nobody')
        yield commit(version, 1, 'a', 'old epoch')
        yield commit(version, 3, 'a', 'later epoch')
        yield commit(version, 2, 'b', 'unknown member')
    for version in (9, 10):
        yield fetch(version, 2, 'a', 'member')
        yield fetch(version, -1, None, 'nobody')
        yield fetch(version, 1, 'a', 'old epoch')
        yield fetch(version, 2, 'b', 'unknown member')
    yield beat('offsets', 'a', 2, 'reads more', owned={'cg4': [0, 1, 2, 3]}, names=['cg4', 'cg2'])
    yield commit(9, 2, 'a', 'epoch before, had the partition')
    yield commit(9, 1, 'a', 'epoch at which it had nothing')
    yield Case('Heartbeat', 4, {'group_id': 'offsets', 'generation_id': 3, 'member_id': 'a'}, 'of the other protocol')
    yield Case('SyncGroup', 5, {'group_id': 'offsets', 'generation_id': 3, 'member_id': 'a', 'protocol_type': 'consumer',
                                'protocol_name': 'range'}, 'of the other protocol')
    yield Case('OffsetDelete', 0, {'group_id': 'offsets', 'topics': [{'name': 'cg4', 'partitions': [{'partition_index': 0}]},
                                                                     {'name': 'log', 'partitions': [{'partition_index': 0}]}]},
               'consumer group', shape=lambda a: sorted(by_partition(a)['topics'], key=lambda t: t['name']))
    for version in versions('DescribeGroups'):
        yield Case('DescribeGroups', version, {'groups': ['offsets']}, 'consumer group')
    yield Case('DescribeGroups', 6, {'groups': ['simple'], 'include_authorized_operations': True}, 'authorised operations')
    for version in versions('ListGroups'):
        if version >= 5:
            yield Case('ListGroups', version, {'types_filter': ['consumer']}, 'consumer groups',
                       shape=lambda a: sorted(map(str, a['groups'])))
        if version >= 4:
            yield Case('ListGroups', version, {'states_filter': ['reconciling', 'Assigning']}, 'of their states',
                       shape=lambda a: sorted(map(str, a['groups'])))
    for version in versions('DeleteGroups'):
        yield Case('DeleteGroups', version, {'groups_names': ['offsets']}, 'consumer group')
    yield leave('offsets', 'a')
    yield fetch(9, 2, 'a', 'group that is empty')
    yield commit(9, -1, '', 'nobody, in a group that is empty')
    yield Case('DeleteGroups', 2, {'groups_names': ['offsets']}, 'empty consumer group')
    yield describe('offsets', 'deleted')


def subscription(topics, owned=None):
    """Of a classic consumer, version 1."""
    def text(t):
        return struct.pack('>h', len(t)) + t.encode()
    out = struct.pack('>hi', 1, len(topics)) + b''.join(map(text, topics)) + struct.pack('>i', -1)
    owned = owned or {}
    return out + struct.pack('>i', len(owned)) + b''.join(
        text(t) + struct.pack('>i', len(p)) + b''.join(struct.pack('>i', i) for i in p) for t, p in owned.items())


def assignment(partitions):
    out = struct.pack('>hi', 1, len(partitions))
    for topic, numbers in partitions.items():
        out += struct.pack('>h', len(topic)) + topic.encode() + struct.pack(f'>i{len(numbers)}i', len(numbers), *numbers)
    return out + struct.pack('>i', -1)


def classic_join(group, note, member=None, owned=None, topics=('cg4',), **more):
    def remember(side, answer):
        side.memory['classic'], side.memory['classic generation'] = answer['member_id'], answer['generation_id']
    return Case('JoinGroup', 7, lambda side: {
        'group_id': group, 'session_timeout_ms': 10000, 'rebalance_timeout_ms': 10000, 'protocol_type': 'consumer',
        'member_id': side.memory['classic'] if member is None else member,
        'protocols': [{'name': 'range', 'metadata': subscription(topics, owned)}], **more}, f'{note} ({group})', remember=remember)


def classic(api, version, group, note, generation=0, **more):
    return Case(api, version, lambda side: {'group_id': group, 'member_id': side.memory['classic'],
                                            'generation_id': side.memory['classic generation'] + generation, **more},
                f'{note} ({group})')


def migrations():
    group = 'up'
    yield classic_join(group, 'asks for an id', '')
    yield classic_join(group, 'joins')
    yield join(group, 'new', 'before anything is assigned', server_assignor='range')
    yield classic('Heartbeat', 4, group, 'after that')
    yield classic_join(group, 'joins again', owned={})
    yield classic('SyncGroup', 5, group, 'gets its part', protocol_type='consumer', protocol_name='range')
    yield describe(group, 'mixed')
    yield beat(group, 'new', 2, 'goes on')
    yield classic('Heartbeat', 4, group, 'goes on')
    yield classic('Heartbeat', 4, group, 'wrong generation', generation=1)
    yield classic('SyncGroup', 5, group, 'wrong protocol', protocol_type='consumer', protocol_name='sticky')
    yield Case('JoinGroup', 7, {'group_id': group, 'session_timeout_ms': 10000, 'rebalance_timeout_ms': 10000, 'member_id': 'x',
                                'protocol_type': 'connect', 'protocols': [{'name': 'range', 'metadata': b''}]}, 'another type')
    yield leave(group, 'new')
    yield Case('DescribeGroups', 6, {'groups': [group]}, 'after the downgrade')
    yield Case('ListGroups', 5, {'types_filter': ['classic'], 'states_filter': ['PreparingRebalance']}, 'after the downgrade',
               shape=lambda a: sorted(map(str, a['groups'])))
    yield classic('Heartbeat', 4, group, 'after the downgrade')
    yield Case('JoinGroup', 7, {'group_id': 'connect', 'session_timeout_ms': 10000, 'rebalance_timeout_ms': 10000, 'member_id': '',
                                'group_instance_id': 'c', 'protocol_type': 'connect', 'protocols': [{'name': 'x', 'metadata': b''}]},
               'not a consumer')
    yield join('connect', 'new', 'a group of another kind')


def consumer_group_cases():
    yield create('cg4', partitions=4)
    yield create('cg2', partitions=2)
    yield from bad_requests()
    yield from one_member()
    yield from no_topics()
    yield from two_members()
    yield from two_members('two-range', server_assignor='range')
    yield from static_members()
    yield from patterns()
    yield from offsets()
    yield from migrations()
