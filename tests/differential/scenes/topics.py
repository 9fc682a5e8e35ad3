"""Records, and the topics that hold them."""
import dataclasses

from cases.common import Case, topic_id
from cases.transactions import RECENT, Producer, without_bytes
from scenes.common import MUTATED, batch, named, now, producers, read, scene, start_of


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


def by_id(version, side, values):
    for row in values['topic_data'] if version >= 13 else ():
        row['topic_id'] = topic_id(side, row.pop('name'))
    return values


@scene('Fetch')
def plain_fetch(it, version):
    yield Case('Fetch', version, lambda side: {'max_wait_ms': 1, 'min_bytes': 0, 'max_bytes': 1 << 20, 'topics': [
        named(version, 13, side, topic, 'topic') | {'partitions': [
            {'partition': i, 'fetch_offset': 0, 'partition_max_bytes': 1 << 20} for i in (0, 1)]} for topic in (it.topic, it.empty)]}, MUTATED,
               shape=without_bytes)


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
            shape=without_bytes, remember=lambda side, answer: epoch or side.memory.update({'mutant session': answer['session_id']}))
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
