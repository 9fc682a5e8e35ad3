"""What a careless or hostile client sends: everything twice, wrong or stale epochs, ids, sequences and sessions, and more than fits."""
import dataclasses
import uuid

import records
from cases.common import NOW, Case, by_partition, create, topic_id, versions
from cases.topics import named_and_by_id

TOPIC = 'bad-input'
NOBODY = uuid.UUID(int=0x77)
ZERO = uuid.UUID(int=0)


def good(**more):
    return records.batch([b'one', b'two'], timestamp=NOW, **more)


def named(version, side, name, since):
    return {'topic_id': topic_id(side, name)} if version >= since else {'name': name}


def gathered(topics, partitions, index):
    """A topic may be told of in several pieces, in any order."""
    def shape(answer):
        found = {}
        for row in answer[topics]:
            name = row.get('name') or row.get('topic') or row.get('topic_id')
            found.setdefault(str(name), []).extend(row[partitions])
        rows = {name: sorted(rows, key=lambda r: r[index]) for name, rows in sorted(found.items()) if rows}
        return answer | {topics: rows}
    return shape


PRODUCED = gathered('responses', 'partition_responses', 'index')
FETCHED = gathered('responses', 'partitions', 'partition_index')
TOLD = gathered('topics', 'partitions', 'partition_index')


def as_told(topics, partitions):
    """Topics and partitions in any order, but as many of them as were told."""
    def shape(answer):
        for topic in answer[topics]:
            topic[partitions].sort(key=repr)
        answer[topics].sort(key=repr)
        return answer
    return shape


def by_code(answer):
    """Ids are numbered in the order in which they come."""
    return sorted((p['partition_index'], p['error_code']) for t in answer.get('topics', answer.get('responses')) for p in t['partitions'])


def sorted_rows(key, *path):
    """Kafka keeps some answers in hash maps."""
    def shape(answer):
        rows = answer
        for step in path:
            rows = rows[step]
        rows.sort(key=lambda row: str(row[key]))
        return answer
    return shape


def mixed_writers():
    """Batches of several producers in one transactional request: as soon as two are to be written, all are refused."""
    def of(pid, epoch=0, attributes=0x10):
        return good(producer=(pid, epoch, 0), attributes=attributes)

    for note, rows in (('two', [(TOPIC, [(0, of(5)), (1, of(6))])]), ('two epochs', [(TOPIC, [(0, of(5)), (1, of(5, 1))])]),
                       ('two, of which one has no place', [(TOPIC, [(0, of(5)), (9, of(6))]), ('missing', [(0, of(7))])]),
                       ('three, of which one has no place', [(TOPIC, [(0, of(5)), (9, of(6)), (1, of(7))]), ('missing', [(0, of(8))])]),
                       ('two, of which one is in no transaction', [(TOPIC, [(0, of(5)), (1, of(6, attributes=0))])]),
                       ('two, in an internal topic', [(TOPIC, [(0, of(5))]), ('__consumer_offsets', [(0, of(6))])]),
                       ('one without a producer', [(TOPIC, [(0, of(5)), (1, good(attributes=0x10))])])):
        for version, acks in ((9, -1), (12, -1), (12, 2)):
            yield Case('Produce', version, {'acks': acks, 'timeout_ms': 9000, 'transactional_id': 'mixed', 'topic_data': [
                {'name': topic, 'partition_data': [{'index': i, 'records': data} for i, data in partitions]} for topic, partitions in rows]},
                f'acks {acks}, producers: {note}', shape=PRODUCED)


def produce_cases():
    yield from mixed_writers()

    def request(note, rows, version=9, acks=1, timeout=9000, **more):
        return Case('Produce', version, {'acks': acks, 'timeout_ms': timeout, 'topic_data': [
            {'name': topic, 'partition_data': [{'index': i, 'records': data} for i, data in partitions]} for topic, partitions in rows], **more}, note, shape=PRODUCED)

    yield request('no topics', [])
    yield request('no partitions', [(TOPIC, [])])
    yield request('good and bad', [(TOPIC, [(0, good()), (9, good()), (-1, good())]), ('missing', [(0, good())]), ('a b', [(0, good())])])
    for acks in (2, -2, 127):
        yield request(f'acks {acks}', [(TOPIC, [(0, good()), (9, good())]), ('missing', [(0, good())]), ('__consumer_offsets', [(0, good())])],
                      acks=acks)
        yield request(f'acks {acks} outside a transaction', [(TOPIC, [(0, good(attributes=0x10)), (9, good())])], acks=acks)
        yield request(f'acks {acks}, in a transaction of nobody', [(TOPIC, [(0, good(producer=(5, 0, 0), attributes=0x10)), (1, good())])], acks=acks,
                      transactional_id='nobody')
    for acks in (2, 1):  # what the records are not is told first
        for note, data in (('no batch', b''), ('magic 1', good(magic=1)), ('two batches', good() * 2), ('half a batch', good()[:40]),
                           ('a batch and a half', good() + good()[:40]), ('a bad CRC', good(crc=1))):
            yield request(f'acks {acks}, {note}', [(TOPIC, [(0, data), (1, good())]), ('__consumer_offsets', [(0, data)])], acks=acks)
        for version in (6, 7):
            for note, data in (('zstd', good(attributes=4)), ('two of zstd', good(attributes=4) * 2), ('half of zstd', good(attributes=4)[:-1]),
                               ('zstd of magic 1', good(attributes=4, magic=1))):
                yield request(f'acks {acks}, {note}', [(TOPIC, [(0, data), (1, good())])], version, acks=acks)
    for timeout in (0, -1, -2**31):
        yield request(f'timeout {timeout}', [(TOPIC, [(0, good())])], acks=-1, timeout=timeout)
    for id_ in (ZERO, NOBODY):
        yield Case('Produce', 13, {'acks': 1, 'timeout_ms': 9000, 'topic_data': [
            {'topic_id': id_, 'partition_data': [{'index': 0, 'records': good()}, {'index': 5, 'records': good()}]}]}, f'topic id {id_.int}',
                   shape=lambda a: sorted((p['index'], p['error_code']) for r in a['responses'] for p in r['partition_responses']))
    for producer in ((-1, 0, 0), (-1, -1, 5), (-2, 0, 0), (2**62, 0, 0), (123456, 0, 7), (123457, -1, 0), (123458, 0, -1), (123459, 5, -7),
                     (123460, 32767, 0)):
        yield request(f'producer {producer}', [(TOPIC, [(0, good(producer=producer))])])
    yield request('in a transaction, without an id', [(TOPIC, [(0, good(producer=(5, 0, 0), attributes=0x10))])])
    yield request('in a transaction of nobody', [(TOPIC, [(0, good(producer=(5, 0, 0), attributes=0x10))])], transactional_id='nobody')
    part = good(producer=(5, 0, 0), attributes=0x10)
    for note, data in (('two batches', part * 2), ('and more', part + b'x'), ('half a batch', part[:-1])):
        yield request(f'in a transaction of nobody, {note}', [(TOPIC, [(0, data)])], transactional_id='nobody')
    yield request('in a transaction, without a producer', [(TOPIC, [(0, good(attributes=0x10))])], transactional_id='nobody')
    yield request('not in a transaction, with an id', [(TOPIC, [(0, good())])], transactional_id='nobody')
    yield request('some in a transaction', [(TOPIC, [(0, good()), (1, good(producer=(5, 0, 0), attributes=0x10))])])
    yield request('a base offset', [(TOPIC, [(0, good(base_offset=7))])])
    yield request('unknown attributes', [(TOPIC, [(0, good(attributes=0x400))])])
    for sequence in (2**31 - 2, 2**31 - 1, 0, 1, 3):  # they begin again at 0
        yield request(f'sequence around the end, {sequence}', [(TOPIC, [(0, records.batch([b'v'], timestamp=NOW, producer=(123461, 0, sequence)))])])
    yield request('two records over the end of sequences', [(TOPIC, [(0, good(producer=(123462, 0, 2**31 - 1)))])])
    yield request('goes on after the end of sequences', [(TOPIC, [(0, good(producer=(123462, 0, 1)))])])
    yield create('written-twice', partitions=2)
    yield request('a partition twice', [('written-twice', [(0, good()), (0, good())])])
    yield request('a topic twice', [('written-twice', [(1, good())]), ('written-twice', [(0, good()), (1, good())])])


def fetch_cases():
    def row(partition=0, offset=0, **more):
        return {'partition': partition, 'fetch_offset': offset, 'partition_max_bytes': 1 << 20, **more}

    def request(note, rows, version=12, **more):
        return Case('Fetch', version, lambda side: {'max_wait_ms': 1, 'min_bytes': 0, 'topics': [
            {'partitions': partitions} | ({'topic': topic} if version < 13 else {'topic_id': topic_id(side, topic) if topic else NOBODY})
            for topic, partitions in rows], **more}, note, shape=FETCHED if version < 13 else by_code)

    yield request('a partition twice', [(TOPIC, [row(), row(offset=1)])])
    yield request('a topic twice', [(TOPIC, [row()]), (TOPIC, [row(1), row()])])
    yield request('nothing', [])
    yield request('no partitions', [(TOPIC, [])])
    for version in versions('Fetch'):
        yield request('unknown among known', [(TOPIC, [row(), row(9), row(-1)]), ('missing' if version < 13 else None, [row(), row(1)])], version)
        if version >= 9:
            for epoch in (-1, 0, 1, 7, -5):
                yield request(f'leader epoch {epoch}', [(TOPIC, [row(current_leader_epoch=epoch)])], version)
    for version in (12, 18):
        for epoch in (-1, 0, 1, -3):
            for offset in (0, 2, 10**6):
                yield request(f'last fetched epoch {epoch} at {offset}', [(TOPIC, [row(offset=offset, last_fetched_epoch=epoch)])], version)
            yield request(f'last fetched epoch {epoch} of nothing', [('never-written', [row(last_fetched_epoch=epoch)])], version)
    for limit in (0, -1, 1, 2**31 - 1, -2**31):
        yield request(f'max bytes {limit}', [(TOPIC, [row(), row(1)])], max_bytes=limit)
        yield request(f'partition max bytes {limit}', [(TOPIC, [row() | {'partition_max_bytes': limit}, row(1)])])
    for wait, least in ((0, 1 << 20), (-1, 1 << 20), (1, -1), (10, 2**31 - 1), (-2**31, 5)):
        yield request(f'wait {wait} for {least}', [(TOPIC, [row(offset=1)])], max_wait_ms=wait, min_bytes=least)
    for level in (0, 1, 2, -1):
        yield request(f'isolation {level}', [(TOPIC, [row()])], isolation_level=level)
    for replica in (-1, -2, -3, 0, 1, 2):
        rows = [(TOPIC, [row(), row(1, offset=99), row(9)]), ('missing', [row()])]
        yield request(f'replica {replica}', rows, 11, replica_id=replica)
        yield request(f'replica {replica}, at once', [(TOPIC, [row(offset=2)])], 11, replica_id=replica, max_wait_ms=9000, min_bytes=1 << 20) \
            if replica >= 0 else request(f'replica {replica} in an epoch', [(TOPIC, [row(current_leader_epoch=7)])], 11, replica_id=replica)
        yield request(f'replica {replica}', [(TOPIC, [row()])], 18, replica_state={'replica_id': replica, 'replica_epoch': -1})
    for version in (4, 11, 12, 13, 18):
        for level in (2, -1):
            yield request(f'unknown at isolation {level}', [('missing' if version < 13 else None, [row(), row(1)])], version, isolation_level=level)
            yield request(f'known and unknown at isolation {level}', [(TOPIC, [row(9), row()])], version, isolation_level=level)
            yield request(f'nothing at isolation {level}', [], version, isolation_level=level)
    yield request('a rack', [(TOPIC, [row()])], rack_id='somewhere')
    for session, epoch in ((0, 5), (5, 0), (5, 1), (5, -1), (-1, 0), (-1, 1), (0, -1), (0, -2), (5, -2), (2**31 - 100, 2**31 - 1)):
        yield request(f'session {session} epoch {epoch}', [(TOPIC, [row()])], session_id=session, session_epoch=epoch)
    for session in (2**31 - 1, 2**31 - 8, 2**31 - 9, -2**28 + 2, -2**28 + 1, -2**28, -2**31):  # for some there is no place
        for version, epoch in ((11, 0), (12, 1), (13, -1), (18, 1)):
            yield request(f'session {session} epoch {epoch}', [(TOPIC, [row(), row(9)])], version, session_id=session, session_epoch=epoch)
    for note, wanted, gone in (('all', [], [0, 1]), ('all that it adds', [row(0), row(9)], [0, 1, 9]), ('some', [row(9)], [0, 9])):
        yield Case('Fetch', 12, {'max_wait_ms': 1, 'topics': [{'topic': TOPIC, 'partitions': [row(), row(1)]}]}, f'a session that forgets {note}',
                   shape=FETCHED, remember=lambda side, answer: side.memory.update(forgetful=answer['session_id']))
        for epoch in (1, 2):
            yield Case('Fetch', 12, lambda side, wanted=wanted, gone=gone, epoch=epoch: {
                'max_wait_ms': 1, 'min_bytes': 0, 'session_id': side.memory['forgetful'], 'session_epoch': epoch, 'topics': [{'topic': TOPIC, 'partitions': wanted}],
                'forgotten_topics_data': [{'topic': TOPIC, 'partitions': gone}]}, f'forgets {note}, epoch {epoch}', shape=FETCHED)
    yield request('forgets without a session', [(TOPIC, [row()])], forgotten_topics_data=[{'topic': TOPIC, 'partitions': [0]}])


def topics_by_size(answer):
    """Kafka lists topics as its hash tables have them."""
    for group in answer.get('groups', [answer]):
        group['topics'].sort(key=lambda topic: len(topic['partitions']))
    return answer


def offset_cases():
    for version in versions('ListOffsets'):
        if version == 0:
            continue  # Kafka 4 no longer serves it
        def request(note, rows, version=version, **more):
            return Case('ListOffsets', version, {'topics': [{'name': t, 'partitions': p} for t, p in rows], **more}, note, shape=TOLD)

        def row(partition=0, timestamp=-1, **more):
            return {'partition_index': partition, 'timestamp': timestamp, **more}

        yield request('a partition twice', [(TOPIC, [row(), row()])])
        yield request('a topic twice', [(TOPIC, [row()]), (TOPIC, [row(), row(1)])])
        yield request('none', [])
        yield request('of all kinds', [(TOPIC, [row(), row(9), row(-1)]), ('missing', [row()]), ('a b', [row()])])
        if version >= 4:
            for epoch in (-1, 0, 1, -5):
                yield request(f'leader epoch {epoch}', [(TOPIC, [row(current_leader_epoch=epoch)])])
        yield dataclasses.replace(request('without partitions', [(TOPIC, []), ('missing', [])]), shape=as_told('topics', 'partitions'))
        yield dataclasses.replace(request('in pieces', [(TOPIC, [row()]), ('missing', [row()]), (TOPIC, []), (TOPIC, [row(1), row()]), ('missing', [row(1)])]),
                                  shape=as_told('topics', 'partitions'))
        for timestamp in (-8, -100, -2**63, 2**63 - 1):
            yield request(f'time {timestamp}', [(TOPIC, [row(timestamp=timestamp)])])
        for replica in (-1, -2, -3):
            yield request(f'replica {replica}', [(TOPIC, [row()])], replica_id=replica)
        if version >= 2:
            for level in (0, 1, 2, -1):
                yield request(f'isolation {level}', [(TOPIC, [row()])], isolation_level=level)
    for version in range(2, 5):
        def epochs(note, rows, version=version, **more):
            replica = {'replica_id': -2} if version >= 3 else {}
            return Case('OffsetForLeaderEpoch', version, {'topics': [{'topic': t, 'partitions': [
                {'partition': p, 'current_leader_epoch': c, 'leader_epoch': e} for p, c, e in ps]} for t, ps in rows], **replica, **more}, note)
        yield epochs('twice', [(TOPIC, [(0, -1, 0), (0, -1, 0)]), (TOPIC, [(0, -1, 0)])])
        yield epochs('of all kinds', [(TOPIC, [(0, 0, 0), (0, 1, 0), (0, -1, 5), (0, -2, 0), (0, -1, -1), (0, -1, -2), (9, -1, 0), (-1, -1, 0)]), ('missing', [(0, -1, 0)])])
    for version in versions('DeleteRecords'):
        yield Case('DeleteRecords', version, {'timeout_ms': 9000, 'topics': [{'name': TOPIC, 'partitions': [
            {'partition_index': 0, 'offset': 1}, {'partition_index': 0, 'offset': 2}, {'partition_index': 9, 'offset': 0}]}]}, 'twice',
            shape=by_partition)
        yield Case('DeleteRecords', version, {'timeout_ms': 9000, 'topics': [{'name': 'a b', 'partitions': [{'partition_index': 0, 'offset': 1}]}, {
            'name': '__consumer_offsets', 'partitions': [{'partition_index': 0, 'offset': 0}]}]}, 'bad topics', shape=sorted_rows('name', 'topics'))
        yield Case('DeleteRecords', version, {'timeout_ms': 9000, 'topics': [
            {'name': t, 'partitions': [{'partition_index': i, 'offset': 0} for i in p]}
            for t, p in ((TOPIC, []), ('missing', [0]), (TOPIC, [0, 1, 0]), ('missing', []), (TOPIC, [1]))]}, 'in pieces', shape=as_told('topics', 'partitions'))


def commit_rows(version, side, rows, group='bad-input', **more):
    key = 'generation_id_or_member_epoch'
    return {'group_id': group, key: -1, 'member_id': '', 'topics': [
        {'partitions': [{'partition_index': p, 'committed_offset': o, 'committed_metadata': m} for p, o, m in partitions]} |
        ({'name': topic} if version < 10 else {'topic_id': topic_id(side, topic) if topic else NOBODY}) for topic, partitions in rows]} | more


def group_offset_cases():
    for version in range(2, 11):
        def commit(note, rows, version=version, shape=None, **more):
            return Case('OffsetCommit', version, lambda side: commit_rows(version, side, rows, **more), note, shape=shape)

        yield commit('twice', [(TOPIC, [(0, 1, 'a'), (0, 2, 'b')]), (TOPIC, [(1, 1, ''), (0, 3, 'c')])])
        yield commit('nothing', [])
        yield commit('without partitions', [(TOPIC, []), (TOPIC, [(0, 1, 'a')])])
        yield commit('unknown without partitions', [('missing' if version < 10 else None, []), (TOPIC, [])], shape=lambda a: [t['partitions'] for t in a['topics']])
        yield commit('of all kinds', [(TOPIC, [(0, 5, 'x' * 5000), (1, 6, None), (9, 1, ''), (-1, 1, '')]), ('missing' if version < 10 else None, [(0, 1, '')])],
                     shape=TOLD if version < 10 else by_code)
        missing = 'missing' if version < 10 else None
        for note, rows in (('known after unknown', [(TOPIC, [(0, 1, ''), (9, 1, ''), (1, 2, '')]), ('never-written', [(0, 1, '')]), (missing, [(0, 1, ''), (1, 1, '')])]),
                           ('unknown between', [('never-written', [(0, 1, '')]), (missing, []), (TOPIC, [(1, 1, ''), (-1, 1, ''), (0, 2, '')])]),
                           ('in pieces', [(TOPIC, [(0, 1, '')]), ('never-written', [(0, 1, '')]), (TOPIC, []), (TOPIC, [(1, 1, '')])]),
                           ('in pieces, some unknown', [(TOPIC, [(0, 1, '')]), (missing, [(0, 1, '')]), ('never-written', [(0, 1, '')]), (TOPIC, [(9, 1, ''), (1, 2, '')]),
                                                        (missing, [(1, 1, '')]), ('never-written', [(0, 3, '')]), (TOPIC, [(8, 1, ''), (0, 2, 'x' * 5000)])]),
                           ('in pieces, a topic unknown', [(TOPIC, [(0, 1, '')]), (TOPIC, [(1, 1, '')]), (missing, []), (TOPIC, [(0, 2, '')])])):
            yield commit(note, rows, shape=None if version < 10 else lambda a: [[(p['partition_index'], p['error_code']) for p in t['partitions']] for t in a['topics']])
        for offset in (-1, -2, -2**63, 2**63 - 1):
            yield commit(f'offset {offset}', [(TOPIC, [(0, offset, '')])])
        yield commit('generation without a member', [(TOPIC, [(0, 1, '')])], generation_id_or_member_epoch=0)
        yield commit('member without a generation', [(TOPIC, [(0, 1, '')])], member_id='x')
        yield commit('another generation', [(TOPIC, [(0, 1, '')])], member_id='x', generation_id_or_member_epoch=7)
        if version >= 7:
            yield commit('an instance', [(TOPIC, [(0, 1, '')])], group_instance_id='i')
        if version >= 6:
            yield Case('OffsetCommit', version, lambda side, version=version: {'group_id': 'bad-input', 'generation_id_or_member_epoch': -1, 'topics': [
                {'partitions': [{'partition_index': 0, 'committed_offset': 1, 'committed_leader_epoch': e} for e in (-1, 0, 9, -7)]} |
                named(version, side, TOPIC, 10)]}, 'leader epochs')
    for version in versions('OffsetFetch'):
        if version == 0:
            continue  # Kafka 4 no longer serves it
        def fetch(note, rows, group='bad-input', version=version, shape=None, **more):
            def values(side):
                topics = None if rows is None else [{'partition_indexes': p} | (
                    {'name': t} if version < 10 else {'topic_id': topic_id(side, t) if t else NOBODY}) for t, p in rows]
                return {'groups': [{'group_id': group, 'topics': topics, **more}]} if version >= 8 else {'group_id': group, 'topics': topics, **more}
            return Case('OffsetFetch', version, values, note, shape=shape)
        yield fetch('twice', [(TOPIC, [0, 0]), (TOPIC, [1])])
        yield fetch('of all kinds', [(TOPIC, [0, 9, -1]), ('missing' if version < 10 else None, [0])])
        yield fetch('no topics', [])
        if version >= 2:
            yield fetch('all', None, shape=topics_by_size)
        yield fetch('empty group id', [(TOPIC, [0])], group='')
        yield fetch('unknown group', [(TOPIC, [0])], group='nobody knows')
        if version >= 9:
            for member, epoch in (('x', 1), ('', 0), ('x', -1), (None, 5)):
                yield fetch(f'member {member} at {epoch}', [(TOPIC, [0])], member_id=member, member_epoch=epoch)
    yield Case('OffsetFetch', 8, {'groups': [{'group_id': 'bad-input', 'topics': [{'name': TOPIC, 'partition_indexes': [0]}]}] * 2}, 'a group twice')
    yield Case('OffsetFetch', 8, {'groups': []}, 'no groups')
    yield Case('OffsetDelete', 0, {'group_id': 'bad-input', 'topics': [{'name': TOPIC, 'partitions': [{'partition_index': 0}] * 2}]}, 'twice',
               shape=by_partition)


def group_cases():
    def join(version, note, group='bad-members', **more):
        return Case('JoinGroup', version, {'group_id': group, 'session_timeout_ms': 10000, 'rebalance_timeout_ms': 10000, 'member_id': '',
                                           'protocol_type': 'consumer', 'protocols': [{'name': 'range', 'metadata': b'm'}], **more}, note)

    for version in versions('JoinGroup'):
        yield join(version, 'no protocol type', protocol_type='')
        yield join(version, 'no protocols', protocols=[])
        yield join(version, 'session too long', session_timeout_ms=2**31 - 1)
        yield join(version, 'negative session', session_timeout_ms=-1)
        if version >= 5:
            for instance in ('', 'a b', '.', 'x' * 249, 'x' * 250, 'üü'):
                yield join(version, f'instance {instance[:4]} of {len(instance)}', group=f'bad-instance-{len(instance)}-{version}', group_instance_id=instance,
                           protocol_type='' if len(instance) == 249 else 'consumer')
        yield join(version, 'an unknown member', member_id='x' * 3000)
    for version in versions('SyncGroup'):
        for member, generation in (('', 0), ('x', -1), ('x', 2**31 - 1)):
            yield Case('SyncGroup', version, {'group_id': 'bad-members', 'member_id': member, 'generation_id': generation}, f'{member} at {generation}')
        yield Case('SyncGroup', version, {'group_id': '', 'member_id': 'x', 'generation_id': 1}, 'empty group id')
    for version in versions('Heartbeat'):
        for member, generation in (('', 0), ('x', -1), ('x', 2**31 - 1)):
            yield Case('Heartbeat', version, {'group_id': 'bad-members', 'member_id': member, 'generation_id': generation}, f'{member} at {generation}')
        yield Case('Heartbeat', version, {'group_id': '', 'member_id': 'x', 'generation_id': 1}, 'empty group id')
    for version in versions('LeaveGroup'):
        if version >= 3:
            yield Case('LeaveGroup', version, {'group_id': 'bad-input', 'members': [{'member_id': 'x'}, {'member_id': 'x'}, {'member_id': ''}]}, 'twice')
            yield Case('LeaveGroup', version, {'group_id': 'bad-input', 'members': []}, 'nobody')
            yield Case('LeaveGroup', version, {'group_id': '', 'members': [{'member_id': 'x'}]}, 'empty group id')
        else:
            yield Case('LeaveGroup', version, {'group_id': '', 'member_id': 'x'}, 'empty group id')
            yield Case('LeaveGroup', version, {'group_id': 'bad-input', 'member_id': ''}, 'no member')
    for version in versions('DescribeGroups'):
        yield Case('DescribeGroups', version, {'groups': ['bad-input', 'bad-input', '', 'nobody knows']}, 'twice')
        yield Case('DescribeGroups', version, {'groups': []}, 'none')
    for version in versions('ListGroups'):
        if version >= 4:
            yield Case('ListGroups', version, {'states_filter': ['Nonsense', '']}, 'no such state')
        if version >= 5:
            yield Case('ListGroups', version, {'types_filter': ['nonsense', 'CLASSIC']}, 'no such type', shape=lambda a: a['error_code'])
    for version in versions('FindCoordinator'):
        if version >= 4:
            yield Case('FindCoordinator', version, {'coordinator_keys': ['g', 'g', '', 'h']}, 'keys twice')
            yield Case('FindCoordinator', version, {'coordinator_keys': []}, 'no keys')
            yield Case('FindCoordinator', version, {'coordinator_keys': ['', 't', 't'], 'key_type': 1}, 'transactional ids twice')
        else:
            yield Case('FindCoordinator', version, {'key': ''}, 'no key')
    for version in versions('ConsumerGroupDescribe'):
        yield Case('ConsumerGroupDescribe', version, {'group_ids': ['nobody knows'] * 2 + ['bad-input']}, 'twice')
        yield Case('ConsumerGroupDescribe', version, {'group_ids': []}, 'none')


def many(side, count=400):
    """As many groups, each with an offset; ListGroups then has to tell them all."""
    for i in range(count):
        side.call('OffsetCommit', 8, commit_rows(8, side, [(TOPIC, [(0, i, '')])], group=f'many-{i}'))
    return {}


def size_cases():
    huge = 'x' * 32767
    yield Case('ListGroups', 5, many, 'many', shape=lambda a: sorted(str(g) for g in a['groups'] if 'many-' in str(g)))
    yield Case('DescribeGroups', 5, {'groups': [f'many-{i}' for i in range(5000)]}, 'thousands')
    yield Case('DeleteGroups', 2, {'groups_names': [f'many-{i}' for i in range(500)]}, 'hundreds', shape=sorted_rows('group_id', 'results'))
    yield Case('OffsetCommit', 8, lambda side: commit_rows(8, side, [(TOPIC, [(0, 1, '')])], group=huge), 'long group id')
    yield Case('OffsetFetch', 7, {'group_id': huge, 'topics': [{'name': TOPIC, 'partition_indexes': [0]}]}, 'long group id')
    yield Case('DeleteGroups', 2, {'groups_names': [huge]}, 'long group id')
    yield Case('InitProducerId', 4, {'transactional_id': huge, 'transaction_timeout_ms': 1000}, 'long transactional id')
    yield Case('Metadata', 9, {'topics': [{'name': huge}, {'name': 'x' * 249}, {'name': 'x' * 250}], 'allow_auto_topic_creation': False}, 'long names')
    large = [(0, 1, 'm' * 4000)]
    yield Case('OffsetCommit', 8, lambda side: commit_rows(8, side, [(TOPIC, large * 300)], group='large'), 'more than a batch holds')
    yield Case('OffsetCommit', 8, lambda side: commit_rows(8, side, [(TOPIC, large * 200)], group='large'), 'as much as a batch holds')
    yield Case('OffsetFetch', 7, {'group_id': 'large', 'topics': [{'name': TOPIC, 'partition_indexes': [0]}]}, 'after large ones')

    def remember(side, answer):
        side.memory['large'], side.memory['large generation'] = answer['member_id'], answer['generation_id']

    for size in (500_000, 1_500_000):
        group = f'large-{size}'
        yield Case('JoinGroup', 3, {'group_id': group, 'session_timeout_ms': 10000, 'rebalance_timeout_ms': 10000, 'member_id': '',
                                    'protocol_type': 'consumer', 'protocols': [{'name': 'range', 'metadata': bytes(size)}]}, group, remember=remember,
                   shape=lambda a: a | {'members': len(a['members'])})
        yield Case('SyncGroup', 3, lambda side, group=group: {
            'group_id': group, 'member_id': side.memory['large'], 'generation_id': side.memory['large generation'],
            'assignments': [{'member_id': side.memory['large'], 'assignment': b'a'}]}, group)
        yield Case('Heartbeat', 3, lambda side, group=group: {
            'group_id': group, 'member_id': side.memory['large'], 'generation_id': side.memory['large generation']}, group)
        yield Case('DescribeGroups', 5, {'groups': [group]}, group, shape=lambda a: [(g['group_state'], len(g['members'])) for g in a['groups']])
    for count in (2000, 6000):
        yield Case('ConsumerGroupHeartbeat', 1, {
            'group_id': f'names-{count}', 'member_id': 'm', 'member_epoch': 0, 'rebalance_timeout_ms': 5000, 'topic_partitions': [],
            'subscribed_topic_names': [f'{i:06}' + 'n' * 240 for i in range(count)]}, f'{count} names')
        yield Case('ConsumerGroupDescribe', 1, {'group_ids': [f'names-{count}']}, f'{count} names',
                   shape=lambda a: [(g['error_code'], g['group_state'], len(g['members'])) for g in a['groups']])


def own(side, name='bad-input'):
    """A transactional id with the producer that has it."""
    if name not in side.memory:
        answer = side.call('InitProducerId', 4, {'transactional_id': name, 'transaction_timeout_ms': 60000})
        side.memory[name] = answer['producer_id'], answer['producer_epoch']
    pid, epoch = side.memory[name]
    return {'transactional_id': name, 'producer_id': pid, 'producer_epoch': epoch}


def adding_cases():
    def in_order(answer):
        for topics in [answer.get('results_by_topic_v3_and_below', [])] + [r['topic_results'] for r in answer.get('results_by_transaction', [])]:
            topics.sort(key=lambda t: t['name'])
            for topic in topics:
                topic['results_by_partition'].sort(key=lambda p: (p['partition_index'], p['partition_error_code']))
        return answer

    for version in versions('AddPartitionsToTxn'):
        def add(note, topics, version=version, **more):
            def values(side):
                mine = own(side) | more
                rows = [{'name': t, 'partitions': p} for t, p in topics]
                if version >= 4:
                    return {'transactions': [mine | {'topics': rows}]}
                return {f'v3_and_below_{k}': v for k, v in mine.items()} | {'v3_and_below_topics': rows}
            return Case('AddPartitionsToTxn', version, values, note, shape=in_order, until=lambda a: "error_code': 51" not in str(a))
        yield add('no topics', [])
        yield add('no partitions', [(TOPIC, [])])
        yield add('a partition twice', [(TOPIC, [0, 0])])
        yield add('known and unknown', [(TOPIC, [0, 9, -1]), ('missing', [0])])
        yield add('known in pieces', [(TOPIC, [0]), (TOPIC, []), (TOPIC, [1, 0])])
        yield add('known and unknown in pieces', [(TOPIC, [0]), ('missing', []), (TOPIC, [1, 0]), ('missing', [0]), (TOPIC, [])])
        if version >= 4:
            yield add('asked for in pieces', [(TOPIC, [0]), (TOPIC, []), (TOPIC, [1, 0])], verify_only=True)
        yield add('internal', [('__consumer_offsets', [0])])
        for pid, epoch in ((-1, -1), (0, 0), (2**62, 0)):
            yield add(f'producer {pid} {epoch}', [(TOPIC, [0])], producer_id=pid, producer_epoch=epoch)


def adding_offsets_cases():
    for version in versions('AddOffsetsToTxn'):
        for group in ('', 'bad-input'):
            yield Case('AddOffsetsToTxn', version, lambda side, group=group: own(side) | {'group_id': group}, f'group {group}')
        yield Case('AddOffsetsToTxn', version, lambda side: own(side) | {'group_id': 'g', 'transactional_id': 'nobody'}, 'unknown id')
        yield Case('AddOffsetsToTxn', version, lambda side: own(side) | {'group_id': 'g', 'transactional_id': ''}, 'no id')
        yield Case('AddOffsetsToTxn', version, lambda side: own(side) | {'group_id': 'g', 'producer_epoch': 77}, 'epoch to come')
    for version in versions('TxnOffsetCommit'):
        def offsets(note, rows=((TOPIC, [0]),), version=version, **more):
            return Case('TxnOffsetCommit', version, lambda side: own(side) | {'group_id': 'bad-input', 'topics': [
                {'name': t, 'partitions': [{'partition_index': i, 'committed_offset': 1, 'committed_metadata': ''} for i in p]} for t, p in rows]} | more, note)
        yield offsets('twice', [(TOPIC, [0, 0]), (TOPIC, [1])])
        yield offsets('unknown', [(TOPIC, [9, -1]), ('missing', [0])])
        yield offsets('unknown between', [('never-written', [0]), (TOPIC, [1, 9, 0]), ('missing', [1, 0])])
        yield offsets('in pieces', [(TOPIC, [0]), ('never-written', [0]), (TOPIC, []), (TOPIC, [1])])
        yield offsets('in pieces, some unknown', [(TOPIC, [0]), ('missing', [0]), ('never-written', [0]), (TOPIC, [9, 1]), ('missing', [1]),
                                                  ('never-written', [0]), (TOPIC, [8, 0])])
        yield offsets('in pieces, a topic unknown', [(TOPIC, [0]), (TOPIC, [1]), ('missing', []), (TOPIC, [0])])
        yield offsets('in pieces, some unknown, of another producer', [(TOPIC, [0]), (TOPIC, [9]), ('never-written', [0]), (TOPIC, [1])], producer_id=5)
        yield offsets('nothing', [])
        yield offsets('without partitions', [(TOPIC, []), (TOPIC, [0])])
        yield offsets('unknown without partitions', [('missing', []), (TOPIC, [])])
        yield offsets('no group', group_id='')
        yield offsets('no id', transactional_id='')
        yield offsets('unknown id', transactional_id='nobody')
        yield offsets('another producer', producer_id=5)
        yield offsets('epoch to come', producer_epoch=99)
        if version >= 3:
            yield offsets('generation without a member', generation_id=3)
            yield offsets('unknown member', member_id='x', generation_id=3)
            yield offsets('unknown instance', member_id='x', generation_id=3, group_instance_id='i')


def transaction_cases():
    yield from adding_cases()
    yield from adding_offsets_cases()
    for version in versions('EndTxn'):
        for note, more in (('unknown id', {'transactional_id': 'nobody'}), ('no id', {'transactional_id': ''}), ('epoch to come', {'producer_epoch': 55}),
                           ('no producer', {'producer_id': -1, 'producer_epoch': -1})):
            yield Case('EndTxn', version, lambda side, more=more: own(side) | {'committed': True} | more, note)
    for version in versions('InitProducerId'):
        for note, more in (('negative timeout', {'transaction_timeout_ms': -5}), ('no timeout', {'transaction_timeout_ms': 0}),
                           ('too long', {'transaction_timeout_ms': 2**31 - 1})):
            yield Case('InitProducerId', version, {'transactional_id': 'bad', **more}, note)
            yield Case('InitProducerId', version, {'transactional_id': None, **more}, f'idempotent, {note}')
        if version >= 3:
            for pid, epoch in ((5, 0), (-1, 5), (5, -1), (-5, -5), (2**62, 32767)):
                yield Case('InitProducerId', version, {'transactional_id': 'bad-2', 'transaction_timeout_ms': 1000, 'producer_id': pid,
                                                       'producer_epoch': epoch}, f'of {pid} {epoch}')
                yield Case('InitProducerId', version, {'transactional_id': None, 'transaction_timeout_ms': 1000, 'producer_id': pid,
                                                       'producer_epoch': epoch}, f'idempotent, of {pid} {epoch}')
    for version in (1, 2):
        marker = {'producer_id': 424242, 'producer_epoch': 0, 'transaction_result': False, 'coordinator_epoch': 0,
                  'topics': [{'name': TOPIC, 'partition_indexes': [1]}]}
        yield Case('WriteTxnMarkers', version, {'markers': [marker]}, 'of a stranger')
        yield Case('WriteTxnMarkers', version, {'markers': []}, 'none')
        for epoch in (-1, -2, -2**15):
            yield Case('WriteTxnMarkers', version, {'markers': [marker | {'producer_epoch': epoch, 'topics': [
                {'name': TOPIC, 'partition_indexes': [1, 9]}]}]}, f'epoch {epoch}', shape=lambda a: sorted(
                    (p['partition_index'], p['error_code']) for m in a['markers'] for t in m['topics'] for p in t['partitions']))
            yield Case('WriteTxnMarkers', version, {'markers': [marker | {'producer_epoch': epoch, 'topics': [
                {'name': TOPIC, 'partition_indexes': [9]}]}]}, f'epoch {epoch} nowhere')
        for epoch in (-2, -2**31):
            yield Case('WriteTxnMarkers', version, {'markers': [marker | {'producer_id': 424243, 'coordinator_epoch': epoch}]}, f'coordinator epoch {epoch}')
        yield Case('WriteTxnMarkers', version, {'markers': [marker | {'topics': []}]}, 'no topics')
        yield Case('WriteTxnMarkers', version, {'markers': [marker | {'topics': [{'name': TOPIC, 'partition_indexes': []}]}, marker | {'topics': [
            {'name': 'missing', 'partition_indexes': []}, {'name': TOPIC, 'partition_indexes': [9]}]}]}, 'no partitions')
        yield Case('WriteTxnMarkers', version, {'markers': [marker | {'producer_id': -1, 'topics': [{'name': TOPIC, 'partition_indexes': [0]}]}]}, 'no producer')
    yield Case('DescribeTransactions', 0, {'transactional_ids': ['nobody', 'nobody']}, 'twice')
    yield Case('DescribeTransactions', 0, {'transactional_ids': []}, 'none')


def admin_cases():
    for version in versions('Metadata'):
        names = {'topics': [{'name': TOPIC}, {'name': TOPIC}] + [{'name': 'missing'}] * 2 * (version >= 4)}
        yield Case('Metadata', version, names | ({'allow_auto_topic_creation': False} if version >= 4 else {}), 'twice')
        yield Case('Metadata', version, {'topics': [{'name': ''}]} | ({'allow_auto_topic_creation': False} if version >= 4 else {}), 'no name')
    for version in (10, 11):
        yield Case('Metadata', version, {'topics': [{'name': TOPIC}, {'name': 'missing', 'topic_id': NOBODY}], 'allow_auto_topic_creation': False}, 'by an id, too early',
                   shape=lambda a: a | {'topics': [(t['error_code'], t['name']) for t in a['topics']]})
        yield Case('Metadata', version, {'topics': [{'name': TOPIC}, {'name': None}], 'allow_auto_topic_creation': False}, 'by no name')
    for version in (12, 13):
        yield Case('Metadata', version, lambda side: {'topics': [{'name': None, 'topic_id': i} for i in (topic_id(side, TOPIC), NOBODY)]}, 'by ids',
                   shape=lambda a: sorted((t['error_code'], str(t['name'])) for t in a['topics']))
        yield Case('Metadata', version, lambda side: {'topics': [{'name': TOPIC, 'topic_id': topic_id(side, TOPIC)}]}, 'by id and name')
        yield Case('Metadata', version, {'topics': [{'name': None, 'topic_id': ZERO}]}, 'by nothing')
        yield Case('Metadata', version, lambda side: {'allow_auto_topic_creation': True, 'topics': [
            {'name': None, 'topic_id': ZERO}, {'name': TOPIC, 'topic_id': topic_id(side, TOPIC)}, {'name': 'never-made', 'topic_id': ZERO}]}, 'by nothing, an id and a name')
        yield Case('Metadata', version, {'topics': [{'name': TOPIC}, {'name': TOPIC, 'topic_id': NOBODY}]}, 'by name and an unknown id',
                   shape=lambda a: [(t['error_code'], t['name']) for t in a['topics']])
        yield Case('Metadata', version, {'topics': []}, 'of nothing')
    for version in versions('DeleteTopics'):
        if version == 0:
            continue  # Kafka 4 no longer serves it
        if version < 6:
            yield Case('DeleteTopics', version, {'topic_names': ['missing', 'missing', 'a b', ''], 'timeout_ms': 9000}, 'twice',
                       shape=sorted_rows('name', 'responses'))
        else:
            yield Case('DeleteTopics', version, {'topics': [{'name': 'missing'}, {'name': 'missing'}], 'timeout_ms': 9000}, 'twice',
                       shape=sorted_rows('name', 'responses'))
            yield Case('DeleteTopics', version, {'topics': [{'name': None, 'topic_id': ZERO}, {'name': 'both', 'topic_id': NOBODY}], 'timeout_ms': 9000}, 'neither, both',
                       shape=sorted_rows('name', 'responses'))
            yield from named_and_by_id(version)
    twice = {'resource_type': 2, 'resource_name': TOPIC, 'configuration_keys': ['retention.ms', 'retention.ms']}
    for version in versions('DescribeConfigs'):
        if version == 0:
            continue  # Kafka 4 no longer serves it
        yield Case('DescribeConfigs', version, {'resources': [twice, twice, twice | {'resource_name': ''}, twice | {'resource_name': 'a b'}]}, 'twice')
        yield Case('DescribeConfigs', version, {'resources': []}, 'none')
    for topics, more in (([TOPIC, TOPIC], {}), ([''], {}), ([TOPIC, ''], {'cursor': {'topic_name': TOPIC, 'partition_index': 0}}),
                         ([TOPIC, ''], {'cursor': {'topic_name': '', 'partition_index': 0}}), (['a b'], {}), (['x' * 300], {}), ([TOPIC], {'response_partition_limit': 0}),
                         ([TOPIC], {'response_partition_limit': -1}), ([TOPIC, 'compacted'], {'cursor': {'topic_name': TOPIC, 'partition_index': 1}}),
                         ([TOPIC], {'cursor': {'topic_name': TOPIC, 'partition_index': 99}}), ([TOPIC], {'cursor': {'topic_name': TOPIC, 'partition_index': -1}}),
                         ([TOPIC], {'cursor': {'topic_name': 'zzz', 'partition_index': 0}}), ([TOPIC], {'cursor': {'topic_name': 'aaa', 'partition_index': 0}})):
        yield Case('DescribeTopicPartitions', 0, {'topics': [{'name': t} for t in topics], **more}, f'{[t[:9] for t in topics]} {more}')
    for name in ('x' * 3000, 'a b' * 500, '\u00e9' * 900):  # told in full
        yield create(name)
        yield Case('DescribeConfigs', 4, {'resources': [{'resource_type': 2, 'resource_name': name, 'configuration_keys': None}]}, f'{name[:3]}...')
        for api, version in (('AlterConfigs', 2), ('IncrementalAlterConfigs', 1)):
            yield Case(api, version, {'resources': [{'resource_type': 2, 'resource_name': name, 'configs': []}]}, f'{name[:3]}...')
        yield Case('DescribeProducers', 0, {'topics': [{'name': name, 'partition_indexes': [0]}]}, f'{name[:3]}...')
    for version in versions('CreateTopics'):
        if version < 2:
            continue  # Kafka 4 no longer serves them
        def make(note, version=version, **more):
            return Case('CreateTopics', version, {'topics': [{'name': 'never-made', 'num_partitions': 1, 'replication_factor': 1, **more}], 'timeout_ms': 9000}, note)
        yield make('bad config', configs=[{'name': 'no.such', 'value': '1'}])
        yield make('a config twice', configs=[{'name': 'retention.ms', 'value': '1'}, {'name': 'retention.ms', 'value': 'x'}])
        yield make('a config without a value', configs=[{'name': 'retention.ms', 'value': None}])
        for key, value in (('retention.ms', ' 5'), ('retention.ms', '+5'), ('preallocate', 'TRUE '), ('min.cleanable.dirty.ratio', ' 0.5'),
                           ('compression.type', ' zstd '), ('cleanup.policy', ' compact , delete'), ('segment.bytes', '\t1048576\n')):
            checked = make(f'{key}={value!r}', configs=[{'name': key, 'value': value}])
            yield dataclasses.replace(checked, values=checked.values | {'validate_only': True})
        yield make('no partitions', num_partitions=0)
        yield make('negative partitions', num_partitions=-7)
        yield make('no replicas', replication_factor=0)
        yield make('partition twice', num_partitions=-1, replication_factor=-1, assignments=[{'partition_index': 0, 'broker_ids': [1]}] * 2)
        yield make('a gap', num_partitions=-1, replication_factor=-1, assignments=[{'partition_index': 1, 'broker_ids': [1]}])
        yield make('a replica twice', num_partitions=-1, replication_factor=-1, assignments=[{'partition_index': 0, 'broker_ids': [1, 1]}])
        yield make('unknown replica', num_partitions=-1, replication_factor=-1, assignments=[{'partition_index': 0, 'broker_ids': [9]}])
        yield make('negative replica', num_partitions=-1, replication_factor=-1, assignments=[{'partition_index': 0, 'broker_ids': [-1]}])
        yield make('no assignment', num_partitions=-1, replication_factor=-1, assignments=[{'partition_index': 0, 'broker_ids': []}])


def bad_input_cases():
    yield create(TOPIC, partitions=2)
    yield create('never-written')
    yield from produce_cases()
    yield from fetch_cases()
    yield from offset_cases()
    yield from group_offset_cases()
    yield from group_cases()
    yield from size_cases()
    yield from transaction_cases()
    yield from admin_cases()
