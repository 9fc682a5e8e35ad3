"""What is read: offsets, fetches and their sessions, deleted records."""
import records
from cases.common import NOW, Case, create, fetch, list_offsets, produce, topic_id, versions


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
        for epoch in (0, 1, 7, -1, -2, -2**31):
            if version >= 2:
                yield Case('OffsetForLeaderEpoch', version, {'replica_id': -2, 'topics': [{'topic': topic, 'partitions': [
                    {'partition': 0, 'current_leader_epoch': -1, 'leader_epoch': epoch}]} for topic in ('log', 'a1')]}, f'epoch {epoch}')
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
        third = f'session-c{version}'
        yield create(third)
        yield session('opens where one has records', 0, [(first, [0]), (third, [0])], session_id=0)
        yield produce(batch, 'into a session', topic=third)
        yield session('tells two in the order of the first answer', 1)


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
