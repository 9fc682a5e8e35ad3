"""What the cases of several themes are made of."""
import dataclasses
import time
import typing
import uuid

import wire

NOW = 1_700_000_000_000
OLD_TOPICS = ('created-0', 'created-1', 'doomed-0')  # made, or left, by versions that Kafka 4 no longer serves


@dataclasses.dataclass
class Case:
    api: str
    version: int
    values: typing.Any  # a dictionary, or a function of the side
    note: str = ''
    shape: typing.Callable = None     # reduces the answer to what is compared
    remember: typing.Callable = None  # keeps something of the answer in side.memory
    until: typing.Callable = None     # asked again until the answer is like that: a broker may still be busy
    settles: bool = False             # asked again while the answers differ: a broker does things after it answered
    fixed: tuple = ()                 # fields that mutations leave as they are


def versions(api):
    message = wire.MESSAGES[api + 'Request']
    return range(message.low, message.high + 1)


def topic_id(side, name):
    answer = side.call('Metadata', 12, {'topics': [{'name': name, 'topic_id': uuid.UUID(int=0)}], 'allow_auto_topic_creation': False})
    return answer['topics'][0]['topic_id']


def create(name, note='', version=5, partitions=1, replicas=1, configs=(), **more):
    topic = {'name': name, 'num_partitions': partitions, 'replication_factor': replicas,
             'configs': [{'name': k, 'value': v} for k, v in configs], **more}
    return Case('CreateTopics', version, {'topics': [topic], 'timeout_ms': 30000}, note or name[:30])


def produce(batch, note, version=9, topic='log', partition=0, acks=1, remember=None):
    return Case('Produce', version, lambda side: {
        'acks': acks, 'timeout_ms': 30000, 'topic_data': [
            {'name': topic, 'partition_data': [{'index': partition, 'records': batch}]} if version < 13 else
            {'topic_id': topic_id(side, topic), 'partition_data': [{'index': partition, 'records': batch}]}]}, note, remember=remember)


def list_offsets(version, time, note, topic='log', partition=0, **more):
    row = {'partition_index': partition, 'timestamp': time, **more}
    if version == 0:
        row['max_num_offsets'] = 1
    return Case('ListOffsets', version, {'topics': [{'name': topic, 'partitions': [row]}]}, note)


def fetch(version, offset, note, topic='log', partition=0, **more):
    row = {'partition': partition, 'fetch_offset': offset, 'partition_max_bytes': 1 << 20, **more}
    return Case('Fetch', version, lambda side: {'max_wait_ms': 1, 'min_bytes': 0, 'topics': [
        {'topic': topic, 'partitions': [row]} if version < 13 else
        {'topic_id': topic_id(side, topic), 'partitions': [row]}]}, note)


def commit(version, note, group='simple', generation=-1, member='', offset=5, metadata='note', topic='log', partition=0):
    row = {'partition_index': partition, 'committed_offset': offset, 'committed_metadata': metadata}
    return Case('OffsetCommit', version, lambda side: {
        'group_id': group, 'generation_id_or_member_epoch': generation, 'member_id': member, 'topics': [
            {'name': topic, 'partitions': [row]} if version < 10 else
            {'topic_id': topic_id(side, topic), 'partitions': [row]}]}, note)


def fetch_committed(version, note, group='simple', topic='log', partitions=(0, 1)):
    def values(side):
        wanted = {'name': topic, 'partition_indexes': list(partitions)}
        if version >= 10:
            wanted = {'topic_id': topic_id(side, topic), 'partition_indexes': list(partitions)}
        if version >= 8:
            return {'groups': [{'group_id': group, 'topics': [wanted]}]}
        return {'group_id': group, 'topics': [wanted]}
    return Case('OffsetFetch', version, values, note)


def by_partition(answer):
    for topic in answer['topics']:
        topic['partitions'].sort(key=lambda p: p['partition_index'])
    return answer


def settled(case, api, version, values, ready):
    """The case, put off until another answer is as wanted: Kafka tells of a change before all of it has heard of it."""
    def wait(side):
        for _ in range(100):
            answer = side.call(api, version, values)
            if isinstance(answer, dict) and ready(answer):
                return case.values(side) if callable(case.values) else case.values
            time.sleep(0.1)
        raise SystemExit(f'{side.host}:{side.port} answers {api} with {answer} before {case.api}, {case.note}')
    return dataclasses.replace(case, values=wait)
