"""kafka-topics, kafka-configs and kafka-broker-api-versions: what people try after the tutorial's first topic."""
import re

from tools import Tools

APIS = ['Produce', 'Fetch', 'ListOffsets', 'Metadata', 'OffsetCommit', 'OffsetFetch', 'FindCoordinator', 'JoinGroup',
        'Heartbeat', 'LeaveGroup', 'SyncGroup', 'DescribeGroups', 'ListGroups', 'ApiVersions', 'CreateTopics',
        'DeleteTopics', 'InitProducerId', 'DescribeConfigs', 'CreatePartitions', 'DeleteGroups', 'OffsetDelete',
        'IncrementalAlterConfigs', 'AlterConfigs', 'DeleteRecords']


def fields(line):
    return dict(part.split(': ', 1) if ': ' in part else (part.rstrip(':'), '') for part in line.strip().split('\t'))


def describe(tools, topic):
    first, *rest = tools.run('kafka-topics', '--describe', '--topic', topic).splitlines()
    return fields(first), [fields(line) for line in rest]


def missing(topic, said):
    return re.search(rf"Topic '(Optional\[)?{topic}\]?' does not exist as expected", said)


def test_describe_then_add_partitions(tools, name):
    assert tools.run('kafka-topics', '--create', '--topic', name, '--partitions', '2', '--config',
                     'retention.ms=86400000') == f'Created topic {name}.\n'
    topic, partitions = describe(tools, name)
    assert (topic['Topic'], topic['PartitionCount'], topic['ReplicationFactor']) == (name, '2', '1')
    assert 'retention.ms=86400000' in topic['Configs'].split(',')
    # 2.8.0 is from before topic ids, but knows them
    assert re.fullmatch(r'[A-Za-z0-9_-]{22}', topic['TopicId']) and topic['TopicId'] != 'A' * 22
    leader = partitions[0]['Leader']
    assert leader.isdigit()
    for number, partition in enumerate(partitions):
        assert (partition['Topic'], partition['Partition']) == (name, str(number))
        assert partition['Replicas'] == partition['Isr'] == partition['Leader'] == leader

    assert tools.run('kafka-topics', '--alter', '--topic', name, '--partitions', '5') == ''
    topic, partitions = describe(tools, name)
    assert topic['PartitionCount'] == '5'
    assert [partition['Partition'] for partition in partitions] == ['0', '1', '2', '3', '4']
    said = tools.fails('kafka-topics', '--alter', '--topic', name, '--partitions', '3')
    assert 'InvalidPartitionsException' in said
    assert f'The topic {name} currently has 5 partition(s); 3 would not be an increase.' in said


def test_a_deleted_topic_is_gone_and_its_name_is_free(tools, name):
    tools.run('kafka-topics', '--create', '--topic', name)
    tools.produce(name, ['before'])
    assert tools.run('kafka-topics', '--delete', '--topic', name) == ''
    assert name not in tools.run('kafka-topics', '--list').splitlines()
    assert missing(name, tools.fails('kafka-topics', '--delete', '--topic', name))
    tools.run('kafka-topics', '--create', '--topic', name)
    tools.produce(name, ['after'])
    assert tools.consume(name, 1, '--partition', '0', '--offset', 'earliest') == ['after']


def test_bad_topics_are_refused_in_kafkas_words(tools, name):
    create = ('kafka-topics', '--create', '--topic')
    tools.run(*create, name)
    again = tools.fails(*create, name)
    assert f"TopicExistsException: Topic '{name}' already exists." in again
    assert tools.run(*create, name, '--if-not-exists') in ('', f"Topic '{name}' already exists.\n")
    assert "Topic name is invalid: 'no spaces' contains one or more characters other than ASCII alphanumerics" in \
        tools.fails(*create, 'no spaces')
    assert "Topic name is invalid: '..' is not allowed" in tools.fails(*create, '..')
    assert 'InvalidReplicationFactorException' in tools.fails(*create, name + '-3', '--replication-factor', '3')
    assert 'Invalid value -2 for configuration retention.ms: Value must be at least -1' in tools.fails(
        'kafka-configs', '--alter', '--entity-type', 'topics', '--entity-name', name, '--add-config', 'retention.ms=-2')
    assert [topic for topic in tools.run('kafka-topics', '--list').splitlines() if topic.startswith(name)] == [name]


def test_configs_are_described_and_altered(tools, name):
    tools.run('kafka-topics', '--create', '--topic', name, '--config', 'cleanup.policy=compact')
    entity = ('--entity-type', 'topics', '--entity-name', name)
    tools.run('kafka-configs', '--alter', *entity, '--add-config', 'retention.ms=1234567')
    described = tools.run('kafka-configs', '--describe', *entity)
    assert f'Dynamic configs for topic {name} are:' in described
    assert re.search(r'^  cleanup.policy=compact sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,'
                     r' DEFAULT_CONFIG:log.cleanup.policy=delete\}$', described, re.M)
    assert re.search(r'^  retention.ms=1234567 sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:retention.ms=1234567',
                     described, re.M)
    every = tools.run('kafka-configs', '--describe', '--all', *entity)
    assert re.search(r'^  segment.bytes=1073741824 sensitive=false', every, re.M)
    tools.run('kafka-configs', '--alter', *entity, '--delete-config', 'retention.ms')
    assert 'retention.ms=1234567' not in tools.run('kafka-configs', '--describe', *entity)


def test_configs_of_brokers_are_described_and_altered(own_broker, toolboxes, recorded, version):
    """Those of one broker go before those of all."""
    tools, key = recorded(Tools(version, own_broker, toolboxes)), 'log.retention.ms'
    one, all_of_them = [('--entity-type', 'brokers', *which) for which in (('--entity-name', '1'), ('--entity-default',))]
    tools.run('kafka-configs', '--alter', *all_of_them, '--add-config', f'{key}=7000000,log.cleaner.threads=2')
    tools.run('kafka-configs', '--alter', *one, '--add-config', f'{key}=8000000')
    described = tools.run('kafka-configs', '--describe', *all_of_them)
    assert re.search(rf'^  {key}=7000000 sensitive=false synonyms=\{{DYNAMIC_DEFAULT_BROKER_CONFIG:{key}=7000000', described, re.M)
    wanted = f'DYNAMIC_BROKER_CONFIG:{key}=8000000, DYNAMIC_DEFAULT_BROKER_CONFIG:{key}=7000000'
    assert f'  {key}=8000000 sensitive=false synonyms={{{wanted}' in tools.run('kafka-configs', '--describe', *one)
    every = tools.run('kafka-configs', '--describe', '--all', *one)
    assert f'  {key}=8000000 sensitive=false synonyms={{{wanted}' in every
    assert re.search(r'^  log.cleaner.threads=2 sensitive=false synonyms=\{DYNAMIC_DEFAULT_BROKER_CONFIG:log.cleaner.threads=2, '
                     r'DEFAULT_CONFIG:log.cleaner.threads=1\}$', every, re.M) and len(every.splitlines()) > 300
    assert 'Cannot update these configs dynamically: [broker.id]' in tools.fails('kafka-configs', '--alter', *one, '--add-config', 'broker.id=2')
    tools.run('kafka-configs', '--alter', *one, '--delete-config', key)
    assert f'  {key}=' not in tools.run('kafka-configs', '--describe', *one)
    tools.run('kafka-configs', '--alter', *all_of_them, '--delete-config', f'{key},log.cleaner.threads')
    assert f'  {key}=' not in tools.run('kafka-configs', '--describe', *all_of_them)
    assert '  root=' in tools.run('kafka-configs', '--describe', '--entity-type', 'broker-loggers', '--entity-name', '1')


def test_every_api_of_the_tutorial_is_usable(tools):
    said = tools.run('kafka-broker-api-versions')
    assert said.startswith(f'{tools.broker.address} (id: ')
    usable = dict(re.findall(r'^\t(\w+)\(\d+\): .*\[usable: (\d+)\]', said, re.M))
    assert [api for api in APIS if api not in usable] == []


def test_an_unknown_topic_is_named(tools, name):
    assert missing(name, tools.fails('kafka-topics', '--describe', '--topic', name))
