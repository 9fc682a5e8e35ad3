"""Sound requests with a field or two spoilt, by the schema and a seed: both brokers are to answer them alike.

Each mutation is a scene of its own (scenes/) and depends on nothing but the seed and its number, so that one that failed can
be run alone.
"""
import copy
import dataclasses
import itertools
import random
import uuid

import records
import scenes
import wire
from cases.common import create, produce, topic_id, versions

TOPIC_SCENES = 25  # so many scenes share their topics, or fewer: those after a difference get others
INTEGER_MAX = {'int8': 127, 'int16': 2**15 - 1, 'uint16': 2**16 - 1, 'int32': 2**31 - 1, 'uint32': 2**32 - 1, 'int64': 2**63 - 1}
BAD_TOPICS = ('', 'a b', '.', '..', '\u00e9', 'x' * 300)
TAKE_ALL_TOPICS = {'AddPartitionsToTxn', 'Metadata', 'OffsetCommit', 'Produce', 'TxnOffsetCommit'}  # the broker's own, too
IDS = (uuid.UUID(int=0), uuid.UUID(int=1))

# Fields that take only these values, by name, or by API and name. None: never mutated.
VALUES = {
    # others keep a broker busy, or waiting, for long
    'max_wait_ms': (0, -1, -2**31), 'session_timeout_ms': (0, -1, 5999, 6000, 2**31 - 1), 'rebalance_timeout_ms': (0, -1, 9000, -2**31),
    ('JoinGroup', 'rebalance_timeout_ms'): (9000, 2**31 - 1), 'num_partitions': (0, -1, -2, 2, -2**31), 'count': (0, -1, 1, 2, 3, -2**31),
    'timeout_ms': (0, -1, -2**31, 2**31 - 1),
    'acks': (1, 2, -2, 127, -128),                   # 0 is never answered
    'duration_filter': (-1, -2, 3600000, 2**63 - 1, -2**63),  # others take all, or none, as the broker is quick
    'broker_id': (0, 2, -1, 2**31 - 1, -2**31),      # 1 is the broker itself
    'allow_auto_topic_creation': None,               # it answers before the topic is there
    'include_documentation': None,                   # a text of its own
    ('DescribeTopicPartitions', 'partition_index'): (0, 1, 2, 5, -1),  # Kafka's next one overflows
    ('OffsetFetch', 'member_id'): ('', 'x'),         # null is an error that Kafka does not expect
    ('UpdateFeatures', 'validate_only'): None,       # there would be no way back
    ('CreatePartitions', 'name'): None,              # the coordinators' topics can grow in Kafka, which harms them
    'client_instance_id': (uuid.UUID(int=0),),       # Kafka forgets only the last one of a connection
    'transaction_version': (0, 1, 2, 3, 127),        # below, Kafka drops the marker, but says that it was written
    # above these, no marker of the transaction's own coordinator is let in any more, and Kafka never ends it
    'coordinator_epoch': (0, -1, -2, -2**31), ('WriteTxnMarkers', 'producer_epoch'): (-1, -2, -2**15),
    ('WriteTxnMarkers', 'producer_id'): (0, -1, 1 << 40),
    # Kafka fails all of the request, or its connection, or itself, over one part of it
    ('Fetch', 'topic_id'): (uuid.UUID(int=1),), ('ListOffsets', 'isolation_level'): (0, 1),
    'config_operation': (0, 1, 2, 3),
    ('AddRaftVoter', 'name'): None, ('AddRaftVoter', 'host'): None, ('AddRaftVoter', 'port'): None,
}
# Topics named in several pieces, or without partitions: Kafka answers as its hash tables have it.
GATHERED = {'OffsetCommit', 'OffsetDelete', 'Produce', 'TxnOffsetCommit'}
TIMES = {'throttle_time_ms', 'size', 'usable_bytes', 'total_bytes', 'last_timestamp', 'last_fetch_timestamp', 'last_caught_up_timestamp',
         'transaction_start_time_ms', 'timestamp_ms', 'batch_index_error_message'}  # which holds the time of the answer


def slots(fields, values, version):
    """Every field of the request that the version has, with the structure that holds it."""
    for field in fields:
        if not field.low <= version <= field.high:
            continue
        yield field, values
        inner = values.get(field.name)
        if field.is_struct and inner:
            for each in inner if field.array else [inner]:
                yield from slots(field.fields, each, version)


def values_of(api, field):
    return VALUES.get((api, field.name), VALUES.get(field.name, ()))


def may_be_null(field, version):
    return bool(field.null) and field.null[0] <= version <= field.null[1]


def of_array(rng, api, field, now, version, it):
    now = now or []
    choices = [[]] + [None] * may_be_null(field, version)
    if now:
        choices += [now + copy.deepcopy(now[:1]), copy.deepcopy(now) + now, now[::-1], now[1:]]
    if not field.is_struct:
        choices += [now + [of_scalar(rng, api, field, None, version, it)]]
    return rng.choice(choices)


def of_records(rng, now):
    """A batch with a field of its header changed, under a right checksum; or any bit, or a piece more or less."""
    data = bytearray(now or b'')
    if len(data) < 61:
        return rng.choice((None, b''))
    how = rng.choice(('header', 'header', 'header', 'bit', 'cut', 'twice', 'null'))
    if how == 'header':
        at, size = rng.choice(((0, 8), (8, 4), (12, 4), (16, 1), (21, 2), (23, 4), (27, 8), (35, 8), (43, 8), (51, 2), (53, 4), (57, 4)))
        value = int.from_bytes(data[at:at + size], 'big', signed=True)
        top = (1 << 8 * size - 1) - 1
        value = rng.choice((0, 1, -1, -2, top, -top - 1, max(value - 1, -top - 1), min(value + 1, top), value ^ 1 << rng.randrange(8 * size - 1)))
        data[at:at + size] = value.to_bytes(size, 'big', signed=True)
    elif how == 'bit':
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    if how in ('header', 'bit') and rng.random() < .9:
        data[17:21] = records.crc32c(data[21:]).to_bytes(4, 'big')
    return {'cut': data[:rng.randrange(len(data))], 'twice': data * 2, 'null': b''}.get(how, data)


def names(api, field, now, it):
    """No two scenes make anything of the same name."""
    others = BAD_TOPICS if 'topic' in field.name or field.name == 'name' else ('', f'{it.own} \u00e9', it.own + 'x' * 300)
    return [*others, it.topic, it.own, it.own + '-missing', f'{it.own:x<249}', now + 'x', ' ' + now, now.upper(), now[:-1]] + [
        '__consumer_offsets'] * (api in TAKE_ALL_TOPICS)


def of_scalar(rng, api, field, now, version, it):
    if values_of(api, field):
        return rng.choice(values_of(api, field))
    if field.type == 'bool':
        return not now
    if field.type == 'string':
        return rng.choice(names(api, field, now or it.own, it) + [None] * 3 * may_be_null(field, version))
    if field.type == 'bytes':
        return rng.choice([b'', b'\0', b'abc', bytes(70000)] + [None] * may_be_null(field, version))
    if field.type == 'records':
        return bytes(of_records(rng, now) or b'')
    if field.type == 'uuid':
        return rng.choice((*IDS, uuid.uuid5(uuid.NAMESPACE_OID, it.own + '-b')))
    top = INTEGER_MAX[field.type]
    low = 0 if field.type.startswith('u') else -top - 1
    now = now or 0
    return rng.choice([max(low, min(top, v)) for v in (0, 1, -1, 2, -2, 3, 5, top, low, now + 1, now - 1, now ^ 1 << 31)])


def mutate(rng, case, values, it):
    """The values with a field changed, and which one."""
    api, version = case.api, case.version
    values = copy.deepcopy(values)
    found = [(f, v) for f, v in slots(wire.MESSAGES[api + 'Request'].fields, values, version)
             if values_of(api, f) is not None and f.name not in case.fixed]
    if not found:
        return values, 'nothing'
    field, holder = rng.choice(found)
    now = holder.get(field.name, wire.default_of(field))
    if field.array:
        holder[field.name] = of_array(rng, api, field, now, version, it)
    elif field.is_struct:
        holder[field.name] = None if may_be_null(field, version) else now
    else:
        holder[field.name] = of_scalar(rng, api, field, now, version, it)
    return values, f'{field.name}={holder[field.name]!r:.60}'


def spoilt(seed, case, it, side):
    """The case's values for the side, with one or two fields mutated."""
    rng = random.Random(seed)
    sound = case.values(side) if callable(case.values) else case.values
    while True:
        values, notes = sound, []
        for _ in range(1 + (rng.random() < .25)):
            values, note = mutate(rng, case, values, it)
            notes.append(note)
        if not is_no_use(case.api, sound, values):
            return values, ', '.join(notes)


def is_no_use(api, sound, values):
    """Whether Kafka's answer, or silence, is not to be followed."""
    if api == 'ConsumerGroupHeartbeat':  # a member that is given an instance id when it rejoins has nothing, until the next rebalance
        return sound['member_epoch'] != 0 == values['member_epoch'] and values.get('instance_id') not in (None, sound.get('instance_id'))
    if api in ('Produce', 'Fetch'):  # of a partition's entries it carries out one and drops the others
        topics, partitions, index = {'Produce': ('topic_data', 'partition_data', 'index'), 'Fetch': ('topics', 'partitions', 'partition')}[api]
        return has_twice((topic.get('topic_id', topic.get('name', topic.get('topic'))), row[index]) for topic in values[topics] for row in topic[partitions])
    if api == 'JoinGroup':  # a protocol that a member names twice is none that all have
        return has_twice(row['name'] for row in values['protocols'])
    if api == 'UpdateFeatures':  # only the last entry of a feature is looked at
        return has_twice(row['feature'] for row in values['feature_updates'])
    if api == 'AlterConfigs':  # never answered
        return has_twice((row['resource_type'], row['resource_name']) for row in values['resources'])
    if api == 'WriteTxnMarkers':  # never answered, for one of them, or with an error for all because of one
        markers = values['markers']
        bad = len(markers) > 1 and any(marker['producer_id'] == -1 or marker['producer_epoch'] == -1 for marker in markers)
        return bad or has_twice(marker['producer_id'] for marker in markers) or any(
            has_twice((topic['name'], i) for topic in marker['topics'] for i in topic['partition_indexes']) for marker in markers)
    if api == 'AddPartitionsToTxn' and 'transactions' in values:  # never answered, or for one of them
        return not values['transactions'] or has_twice(row['transactional_id'] for row in values['transactions'])
    return False


def has_twice(rows):
    rows = list(rows)
    return len(rows) != len(set(rows))


def comparable(api, answer):
    """An answer without times, and its lists in any order: the recorded cases hold the order, where Kafka has one."""
    if isinstance(answer, dict):
        return {k: comparable(api, v) for k, v in answer.items() if k not in TIMES}
    if not isinstance(answer, list):
        return answer
    rows = [comparable(api, row) for row in answer]
    return sorted(gathered(rows) if api in GATHERED else rows, key=repr)


def gathered(topics):
    """The topics with all of their partitions each, and none without any."""
    found = {}
    for row in topics:
        lists = [k for k, v in row.items() if isinstance(v, list)] if isinstance(row, dict) else []
        if len(lists) != 1:
            return topics
        found.setdefault(row.get('name') or row.get('topic_id'), row | {lists[0]: []})[lists[0]].extend(row[lists[0]])
    return [row | {lists[0]: sorted(row[lists[0]], key=repr)} for row in found.values() if row[lists[0]]]


def served(side):
    """The versions of each API that Kafka serves, of those that the schemas know."""
    keys = {m.key: name[:-len('Request')] for name, m in wire.MESSAGES.items() if name.endswith('Request')}
    answer = side.call('ApiVersions', 3, {'client_software_name': 't', 'client_software_version': '1'})
    ranges = {keys[k['api_key']]: range(k['min_version'], k['max_version'] + 1) for k in answer['api_keys'] if k['api_key'] in keys}
    return {api: [v for v in versions(api) if v in ranges.get(api, versions(api))] for api, _ in scenes.SCENES}


def new_topics(name):
    """Two topics, the first with records, and the requests that make them."""
    it = scenes.Names('', f'{name}-full', f'{name}-empty')
    return it, [create(it.topic, partitions=2), create(it.empty, partitions=2)] + [
        produce(scenes.batch(b'%d' % i, b'v'), 'a record', topic=it.topic, partition=i % 2) for i in range(3)]


def mutant(case, it, seed):
    """The case with its request spoilt; the note tells how, once it was."""
    def values(side):
        spoilt_values, made.note = spoilt(seed, case, it, side)
        return spoilt_values
    made = dataclasses.replace(case, values=values)
    return made


class Mutations:
    """Mutations by number: mutation i is of the same scene in every run, spoilt as the seed has it."""

    def __init__(self, seed, served_versions):
        self.seed, self.versions = seed, served_versions
        self.rows = sorted(scenes.SCENES)
        self.topics, self.left, self.made = None, 0, itertools.count()

    def name(self, number):
        return f'mutation {number} of seed {self.seed}, ' + ' '.join(self.rows[number % len(self.rows)])

    def numbers(self, first, count, only):
        """The numbers of as many mutations whose name has the word."""
        if not any(only in ' '.join(row) for row in self.rows):
            return []
        return itertools.islice((n for n in itertools.count(first) if only in self.name(n)), count)

    def setting(self):
        """The requests that make other topics, when there is need of them."""
        self.left -= 1
        if self.left >= 0:
            return []
        self.left = TOPIC_SCENES
        self.topics, cases = new_topics(f'mutant-{self.seed}-{next(self.made)}')
        return cases

    def begin(self, side):
        """Ids are numbered anew in every scene, those of its topics first."""
        side.ids, side.memory = {}, {}
        for topic in (self.topics.topic, self.topics.empty):
            side.normal(topic_id(side, topic))

    def differed(self):
        """The two brokers no longer hold the same."""
        self.left = 0

    def cases(self, number):
        row = self.rows[number % len(self.rows)]
        rng = random.Random(f'{self.seed} {number}')
        it = dataclasses.replace(self.topics, own=f'mutant-{self.seed}-{number}')
        scene = scenes.SCENES[row]
        version = rng.choice([v for v in self.versions[row[0]] if any(scene(it, v))])  # some are not of every version
        for case in scene(it, version):
            yield mutant(case, it, f'{self.seed} {number} values') if case.note == scenes.MUTATED else case
        if row[0] == 'DeleteTopics':
            self.left = 0  # they may be gone
