"""What administrators use: log directories, leaders, reassignments, features, the quorum, producers, metrics of clients."""
import json
import re


def log_dirs(tools, *args):
    said = tools.run('kafka-log-dirs', '--describe', *args)
    return json.loads(said[said.index('{'):])['brokers']


def test_log_directories_and_sizes(tools, name):
    tools.run('kafka-topics', '--create', '--topic', name, '--partitions', '2')
    tools.produce(name, ['x' * 1000])
    [broker] = log_dirs(tools, '--topic-list', name)
    [directory] = broker['logDirs']
    assert directory['error'] is None and directory['logDir'] == str(tools.broker.directory / 'data')
    sizes = {row['partition']: row['size'] for row in directory['partitions']}
    assert set(sizes) == {f'{name}-0', f'{name}-1'} and 1000 < sum(sizes.values()) < 1200
    assert all(row['offsetLag'] == 0 and not row['isFuture'] for row in directory['partitions'])
    everything = [row['partition'] for row in log_dirs(tools)[0]['logDirs'][0]['partitions']]
    assert f'{name}-0' in everything and len(everything) == len(set(everything))


def test_leaders_need_no_election(tools, name):
    tools.run('kafka-topics', '--create', '--topic', name, '--partitions', '2')
    assert tools.run('kafka-leader-election', '--election-type', 'preferred', '--all-topic-partitions') == ''
    for kind in ('preferred', 'unclean'):
        elected = tools.run('kafka-leader-election', '--election-type', kind, '--topic', name, '--partition', '1')
        assert elected.strip() == f'Valid replica already elected for partitions {"" if tools.old else f"{name}-1"}'.strip()
    assert 'UnknownTopicOrPartitionException' in tools.fails(
        'kafka-leader-election', '--election-type', 'preferred', '--topic', name, '--partition', '7')


def test_partitions_are_reassigned_to_where_they_are(tools, name, tmp_path):
    tools.run('kafka-topics', '--create', '--topic', name)
    plan = tmp_path / 'plan.json'
    plan.write_text(json.dumps({'version': 1, 'partitions': [
        {'topic': name, 'partition': 0, 'replicas': [1], 'log_dirs': [str(tools.broker.directory / 'data')]}]}))
    reassign = ('kafka-reassign-partitions', '--reassignment-json-file', str(plan))
    assert f'Successfully started partition reassignment for {name}-0' in tools.run(*reassign, '--execute')
    done = tools.run(*reassign, '--verify')
    assert re.search(rf'^Reassignment of partition {name}-0 is complete', done, re.M)
    assert f'Reassignment of replica {name}-0-1 completed successfully' in done
    assert 'None of the specified partition reassignments are active.' in tools.run(*reassign, '--cancel')
    assert tools.run('kafka-reassign-partitions', '--list') == 'No partition reassignments found.\n'
    plan.write_text(json.dumps({'version': 1, 'partitions': [{'topic': name, 'partition': 0, 'replicas': [2]}]}))
    assert 'Unknown broker id 2' in tools.fails(*reassign, '--execute')


def test_features_are_described_and_changed(newer_tools):
    def features(*args, code=0):
        return newer_tools.address_first('kafka-features', *args, code=code)

    def epoch():
        row = re.search(r'^Feature: metadata.version\s.*FinalizedVersionLevel: (?:4.0-IV3|UNKNOWN 25)\s+Epoch: (\d+)', features('describe'), re.M)
        return int(row.group(1))

    before = epoch()
    assert features('upgrade', '--feature', 'metadata.version=26') == 'metadata.version was upgraded to 26.\n'
    assert features('downgrade', '--feature', 'metadata.version=25') == 'metadata.version was downgraded to 25.\n'
    assert epoch() > before
    refused = features('upgrade', '--feature', 'metadata.version=31', code=None)
    assert 'Local controller 1 only supports versions 7-30' in refused
    assert 'does not support this feature' in features('upgrade', '--feature', 'no.such=1', code=None)


def test_the_quorum_is_one_node(newer_tools):
    status = newer_tools.address_first('kafka-metadata-quorum', 'describe', '--status')
    rows = dict(re.split(r':\s+', line, maxsplit=1) for line in status.splitlines())
    assert (rows['LeaderId'], rows['MaxFollowerLag'], rows['CurrentObservers']) == ('1', '0', '[]')
    assert int(rows['HighWatermark']) > 0
    [voter] = json.loads(rows['CurrentVoters'])
    assert voter['id'] == 1
    for options in (), ('--human-readable',):
        _, row = newer_tools.address_first('kafka-metadata-quorum', 'describe', '--replication', *options).splitlines()
        assert row.split()[0] == '1' and row.split()[-1] == 'Leader' and ('ms ago' in row) == bool(options)


def test_producers_of_a_partition(newer_tools, name):
    newer_tools.run('kafka-topics', '--create', '--topic', name)
    newer_tools.produce(name, ['one', 'two'], newer_tools.setting, 'enable.idempotence=true')
    header, row = newer_tools.address_first('kafka-transactions', 'describe-producers', '--topic', name, '--partition', '0').splitlines()
    producer = dict(zip(header.split(), row.split()))
    assert (producer['ProducerEpoch'], producer['LastSequence'], producer['CurrentTransactionStartOffset']) == ('0', '1', 'None')


def test_the_cluster_is_described(tools):
    cluster = re.fullmatch(r'Cluster ID: (\S+)\n', tools.run('kafka-cluster', 'cluster-id'))
    assert re.fullmatch(r'[A-Za-z0-9_-]{22}', cluster[1])
    if tools.version >= '4':
        _, row = tools.run('kafka-cluster', 'list-endpoints').splitlines()
        assert row.split()[:3] == ['1', 'localhost', str(tools.broker.port)]


def test_a_broker_cannot_unregister_itself(newer_tools):
    assert 'InvalidRequestException' in newer_tools.fails('kafka-cluster', 'unregister', '--id', '1')
    assert 'not currently registered' in newer_tools.maybe('kafka-cluster', 'unregister', '--id', '7') or newer_tools.version < '4'
    newer_tools.run('kafka-topics', '--list')


def test_client_metrics(newer_tools, name):
    tools, configs = newer_tools, ('kafka-configs', '--entity-type', 'client-metrics', '--entity-name', name)
    tools.run('kafka-client-metrics', '--alter', '--name', name, '--metrics', 'org.apache.kafka.producer.,org.apache.kafka.consumer.',
              '--interval', '10000', '--match', 'client_id=a.*')
    assert name in tools.run('kafka-client-metrics', '--list').splitlines()
    described = tools.run('kafka-client-metrics', '--describe', '--name', name)
    assert described.splitlines() == [f'Client metrics configs for {name} are:', '  interval.ms=10000', '  match=client_id=a.*',
                                      '  metrics=org.apache.kafka.producer.,org.apache.kafka.consumer.']
    assert '  interval.ms=10000 sensitive=false synonyms={DYNAMIC_CLIENT_METRICS_CONFIG:interval.ms=10000}' in \
        tools.run(*configs, '--describe').splitlines()
    assert 'Invalid value 7 for interval.ms' in tools.fails(*configs, '--alter', '--add-config', 'interval.ms=7')
    assert 'Illegal client matching pattern: nonsense' in tools.fails(*configs, '--alter', '--add-config', 'match=nonsense')
    tools.run('kafka-client-metrics', '--delete', '--name', name)
    assert name not in tools.run('kafka-client-metrics', '--list').splitlines()


def test_group_configs(newer_tools, name):
    tools, entity = newer_tools, ('--entity-type', 'groups', '--entity-name', name)
    if tools.version < '4':  # its tool knows no groups
        assert 'Invalid entity type groups' in tools.fails('kafka-configs', '--describe', *entity)
        return
    tools.run('kafka-configs', '--alter', *entity, '--add-config', 'consumer.session.timeout.ms=50000')
    assert tools.run('kafka-configs', '--describe', *entity).splitlines() == [
        f'Dynamic configs for group {name} are:',
        '  consumer.session.timeout.ms=50000 sensitive=false synonyms={DYNAMIC_GROUP_CONFIG:consumer.session.timeout.ms=50000, '
        'DEFAULT_CONFIG:group.consumer.session.timeout.ms=45000}']
    assert f'Dynamic configs for group {name} are:' in tools.run('kafka-configs', '--describe', '--entity-type', 'groups')
    assert 'must be less than or equal to group.consumer.max.session.timeout.ms' in tools.fails(
        'kafka-configs', '--alter', *entity, '--add-config', 'consumer.session.timeout.ms=70000')
    tools.run('kafka-configs', '--alter', *entity, '--delete-config', 'consumer.session.timeout.ms')
    assert 'consumer.session.timeout.ms=' not in tools.run('kafka-configs', '--describe', *entity)
