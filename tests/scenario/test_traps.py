"""What trips up clients of a broker that is nearly Kafka: each of these broke somebody once."""
import socket
import struct
import time
import uuid

import broker as brokers
import pytest
import records
import wire
from conftest import create

NO_ID = uuid.UUID(int=0)


def metadata(call, topic, version=12):
    return call('Metadata', version, {'topics': [{'name': topic, 'topic_id': NO_ID}]})


def id_of(call, topic):
    return metadata(call, topic)['topics'][0]['topic_id']


def produce(call, topic, batch, version=9):
    answer = call('Produce', version, {'acks': -1, 'timeout_ms': 9000, 'topic_data': [
        ({'topic_id': id_of(call, topic)} if version >= 13 else {'name': topic}) | {
            'partition_data': [{'index': 0, 'records': batch}]}]})
    return answer['responses'][0]['partition_responses'][0]


def fetch(call, topic, offset=0, version=12, **more):
    answer = call('Fetch', version, {'max_wait_ms': 100, 'min_bytes': 1, 'topics': [
        ({'topic_id': id_of(call, topic)} if version >= 13 else {'topic': topic}) | {
            'partitions': [{'partition': 0, 'fetch_offset': offset, 'partition_max_bytes': 1 << 20}]}]} | more)
    return answer['responses'][0]['partitions'][0]


def join(version, **more):
    return {'group_id': f'traps-{version}', 'session_timeout_ms': 10000, 'rebalance_timeout_ms': 10000, 'member_id': '',
            'protocol_type': 'consumer', 'protocols': [{'name': 'range', 'metadata': b''}]} | more


def test_api_versions_of_an_unknown_version_is_answered_as_version_0(connect):
    connection = connect()
    connection.sock.sendall(struct.pack('>ihhih', 10, 18, 99, 7, -1))
    data = connection.receive(struct.unpack('>i', connection.receive(4))[0])
    assert data[:4] == struct.pack('>i', 7)  # header version 0: no tagged fields
    answer = wire.decode('ApiVersionsResponse', 0, data[4:])
    message = wire.MESSAGES['ApiVersionsRequest']
    assert answer == {'error_code': 35, 'api_keys': [{'api_key': 18, 'min_version': 0, 'max_version': message.high}]}


@pytest.mark.parametrize('version', [0, 3, 4])
def test_api_versions_has_a_header_of_version_0(connect, version):
    connection = connect()
    connection.send('ApiVersions', version, {'client_software_name': 'a', 'client_software_version': '1'} if version >= 3 else {})
    data = connection.receive(struct.unpack('>i', connection.receive(4))[0])
    assert wire.decode('ApiVersionsResponse', version, data[4:])['error_code'] == 0


def test_produce_is_advertised_from_0_and_served_from_3(call, connect):
    keys = {k['api_key']: k for k in call('ApiVersions', 0, {})['api_keys']}
    assert (keys[0]['min_version'], keys[1]['min_version']) == (0, 4)
    connection = connect()
    connection.sock.sendall(struct.pack('>ihhih', 10, 0, 2, 7, -1))
    with pytest.raises(wire.Closed):
        connection.receive(4)


def test_this_node_is_the_controller(call, topic):
    for version in (1, 8, 13):
        assert call('Metadata', version, {'topics': []})['controller_id'] == 1
    assert call('DescribeCluster', 0, {})['controller_id'] == 1


def test_topic_ids_are_real(call, topic):
    topic_id = id_of(call, topic)
    assert topic_id != NO_ID
    assert produce(call, topic, records.batch([b'x']), 13)['error_code'] == 0
    assert len(fetch(call, topic, version=13)['records']) > 61
    answer = call('OffsetCommit', 10, {'group_id': 'by-id', 'generation_id_or_member_epoch': -1, 'member_id': '', 'topics': [
        {'topic_id': topic_id, 'partitions': [{'partition_index': 0, 'committed_offset': 1, 'committed_metadata': ''}]}]})
    assert answer['topics'][0]['partitions'][0]['error_code'] == 0


@pytest.mark.parametrize('version', range(0, 10))
def test_a_member_id_is_required_from_version_4_on(call, version):
    answer = call('JoinGroup', version, join(version))
    assert (answer['error_code'] == 79) == (version >= 4)
    assert answer['member_id']


def test_a_static_member_needs_no_member_id(call):
    assert call('JoinGroup', 9, join(9, group_id='static-traps', group_instance_id='one'))['error_code'] == 0


@pytest.mark.parametrize('version', range(4, 19))
def test_a_fetch_without_records_has_none_and_not_null(call, topic, version):
    assert fetch(call, topic, version=version)['records'] == b''


def test_an_offset_inside_a_batch_gives_the_whole_batch(call, topic):
    produce(call, topic, records.batch([b'a', b'b', b'c']))
    data = fetch(call, topic, offset=2)['records']
    assert struct.unpack_from('>q', data)[0] == 0 and data.endswith(b'\x02c\x00')


def test_a_long_poll_ends_without_data(call, topic):
    assert fetch(call, topic, min_bytes=1 << 20, max_wait_ms=50)['error_code'] == 0


def test_a_long_poll_ends_with_data(connect, topic):
    waiting, writing = connect(), connect()
    waiting.send('Fetch', 12, {'max_wait_ms': 30000, 'min_bytes': 1, 'topics': [
        {'topic': topic, 'partitions': [{'partition': 0, 'fetch_offset': 0, 'partition_max_bytes': 1 << 20}]}]})
    time.sleep(0.1)
    produce(writing.call, topic, records.batch([b'x']))
    waiting.sock.settimeout(20)
    assert waiting.read('Fetch', 12)['responses'][0]['partitions'][0]['high_watermark'] == 1


def test_a_commit_without_generation_makes_a_simple_group(call, topic):
    answer = call('OffsetCommit', 8, {'group_id': 'simple', 'generation_id_or_member_epoch': -1, 'member_id': '', 'topics': [
        {'name': topic, 'partitions': [{'partition_index': 0, 'committed_offset': 7, 'committed_metadata': 'm€'}]}]})
    assert answer['topics'][0]['partitions'][0]['error_code'] == 0
    row = call('OffsetFetch', 7, {'group_id': 'simple', 'topics': [{'name': topic, 'partition_indexes': [0]}]})['topics'][0]['partitions'][0]
    assert (row['committed_offset'], row['metadata'], row['error_code']) == (7, 'm€', 0)


def test_every_config_has_its_default_and_source(call):
    create(call, '_schemas', configs=[('cleanup.policy', 'compact')])
    answer = call('DescribeConfigs', 4, {'include_synonyms': True, 'resources': [
        {'resource_type': 2, 'resource_name': '_schemas', 'configuration_keys': None}]})['results'][0]
    configs = {c['name']: c for c in answer['configs']}
    assert (configs['cleanup.policy']['value'], configs['cleanup.policy']['config_source']) == ('compact', 1)
    assert configs['cleanup.policy']['synonyms'][-1] == {'name': 'log.cleanup.policy', 'value': 'delete', 'source': 5}
    assert len(configs) > 25 and all(c['config_source'] for c in configs.values())


def test_a_record_without_key_is_not_for_a_compacted_topic(call):
    create(call, 'keys-only', configs=[('cleanup.policy', 'compact')])
    assert produce(call, 'keys-only', records.batch([b'x']))['error_code'] == 87
    assert produce(call, 'keys-only', records.batch([b'x'], keys=[b'k']))['error_code'] == 0


@pytest.mark.parametrize('version', range(0, 7))
def test_an_unknown_group_is_dead_and_from_version_6_on_not_found(call, version):
    group = call('DescribeGroups', version, {'groups': ['never-seen']})['groups'][0]
    assert (group['group_state'], group['error_code']) == ('Dead', 69 if version >= 6 else 0)


@pytest.mark.parametrize('version', range(1, 12))
def test_special_times_belong_to_their_versions(call, topic, version):
    for time_, since in ((-1, 0), (-2, 0), (-3, 7), (-4, 8), (-5, 9), (-6, 11)):
        row = call('ListOffsets', version, {'replica_id': -1, 'topics': [
            {'name': topic, 'partitions': [{'partition_index': 0, 'timestamp': time_}]}]})['topics'][0]['partitions'][0]
        assert row['error_code'] == (0 if version >= since else 35), time_


def test_a_partition_asked_for_twice_is_refused(call, topic):
    row = {'partition_index': 0, 'timestamp': -1}
    answer = call('ListOffsets', 5, {'replica_id': -1, 'topics': [{'name': topic, 'partitions': [row, row]}]})
    assert [p['error_code'] for p in answer['topics'][0]['partitions']] == [42]


def test_offsets_come_with_their_epoch(call, topic):
    produce(call, topic, records.batch([b'x']))
    for time_ in (-1, -2, 0):
        row = call('ListOffsets', 5, {'replica_id': -1, 'topics': [
            {'name': topic, 'partitions': [{'partition_index': 0, 'timestamp': time_}]}]})['topics'][0]['partitions'][0]
        assert row['leader_epoch'] == 0


@pytest.mark.parametrize('family, address', [(socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')])
def test_localhost_is_both_families(broker, family, address):
    with socket.socket(family) as sock:
        sock.connect((address, broker.port))


def test_one_node_has_no_second_replica(call):
    assert create(call, 'two-replicas', replicas=2)['error_code'] == 38


def test_any_replication_factor_stores_1(tmp_path):
    class Lenient(brokers.Odradek):
        FLAGS = ('--any-replication-factor',)
    it = Lenient(tmp_path).start()
    call = wire.Connection('localhost', it.port).call
    assert create(call, 'three', replicas=3)['error_code'] == 0
    partition = metadata(call, 'three')['topics'][0]['partitions'][0]
    assert partition['replica_nodes'] == partition['isr_nodes'] == [1]
    assert it.stop() == 0


def test_topics_are_there_with_the_answer_and_gone_with_the_answer(call):
    for turn in range(20):
        assert create(call, 'now')['error_code'] == 0
        assert produce(call, 'now', records.batch([b'x']))['base_offset'] == 0
        call('DeleteTopics', 5, {'topic_names': ['now'], 'timeout_ms': 9000})
        assert produce(call, 'now', records.batch([b'x']))['error_code'] == 3
