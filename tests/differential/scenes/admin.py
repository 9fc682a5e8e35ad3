"""Administration."""
import dataclasses
import uuid

from cases import admin
from cases.common import Case
from scenes.common import MUTATED, scene


@scene('DescribeConfigs')
def describe_configs(it, version):
    yield Case('DescribeConfigs', version, {'resources': [
        {'resource_type': 2, 'resource_name': it.topic, 'configuration_keys': ['retention.ms', 'cleanup.policy']},
        {'resource_type': 4, 'resource_name': '1', 'configuration_keys': ['log.retention.ms', 'no.such']}]}, MUTATED, shape=some_configs)


def some_configs(answer):
    """The brokers were started with different ones."""
    for result in answer['results']:
        result['configs'] = [c if 'retention' in c['name'] else c['name'] for c in result['configs']]
    return answer


@scene('AlterConfigs', 'IncrementalAlterConfigs')
def alter_configs(it, version, api):
    operation = {'config_operation': 0} if api == 'IncrementalAlterConfigs' else {}
    yield Case(api, version, {'validate_only': False, 'resources': [{'resource_type': 2, 'resource_name': topic, 'configs': [
        {'name': 'retention.ms', 'value': '86400000', **operation}]}
        for topic in (it.topic, it.empty)]}, MUTATED)


@scene('ListConfigResources')
def config_resources(it, version):
    yield Case('ListConfigResources', version, {'resource_types': [2, 4]} if version else {}, MUTATED,
               shape=lambda a: a | {'config_resources': [r for r in a['config_resources'] if r['resource_name'] in (it.topic, '1')]})


@scene('DescribeLogDirs')
def log_dirs(it, version):
    yield Case('DescribeLogDirs', version, {'topics': [{'topic': t, 'partitions': [0, 1]} for t in (it.topic, it.empty)]}, MUTATED,
               shape=lambda a: admin.by_name(a) | {'results': [r | {'topics': [t for t in r['topics'] if t['name'] in (it.topic, it.empty)]}
                                                               for r in a['results']]})


@scene('AlterReplicaLogDirs')
def move_replicas(it, version):
    yield Case('AlterReplicaLogDirs', version, lambda side: {'dirs': [{'path': admin.log_dir(side), 'topics': [
        {'name': t, 'partitions': [0, 1]} for t in (it.topic, it.empty)]}]}, MUTATED)


@scene('ElectLeaders')
def elect_leaders(it, version):
    yield Case('ElectLeaders', version, {'topic_partitions': [{'topic': t, 'partitions': [0, 1]} for t in (it.topic, it.empty)]}, MUTATED,
               shape=lambda a: a | {'replica_election_results': [
                   r for r in a['replica_election_results'] if r['topic'] in (it.topic, it.empty, '') or it.own in r['topic']]})


@scene('AlterPartitionReassignments')
def reassign(it, version):
    yield Case('AlterPartitionReassignments', version, {'topics': [{'name': t, 'partitions': [
        {'partition_index': i, 'replicas': [1]} for i in (0, 1)]} for t in (it.topic, it.empty)]}, MUTATED)


@scene('ListPartitionReassignments')
def reassignments(it, version):
    yield Case('ListPartitionReassignments', version, {'topics': [{'name': t, 'partition_indexes': [0, 1]} for t in (it.topic, it.empty)]}, MUTATED)


@scene('UpdateFeatures')
def features(it, version):
    if version >= 1:  # v0 can't only validate
        yield Case('UpdateFeatures', version, {'feature_updates': [{'feature': 'metadata.version', 'max_version_level': 30}]}, 'to the newest')
        yield Case('UpdateFeatures', version, {'validate_only': True, 'feature_updates': [
            {'feature': 'transaction.version', 'max_version_level': 2}]}, MUTATED)


@scene('ApiVersions')
def api_versions(it, version):
    yield dataclasses.replace(admin.api_versions('', version), note=MUTATED)


@scene('DescribeCluster')
def cluster(it, version):
    yield Case('DescribeCluster', version, {}, MUTATED)


@scene('DescribeQuorum')
def quorum(it, version):
    def shape(answer):
        for partition in [p for t in answer['topics'] for p in t['partitions']]:
            for key in ('high_watermark', 'leader_epoch', 'current_voters', 'observers'):
                partition[key] = bool(partition[key])
        return answer
    yield Case('DescribeQuorum', version, {'topics': [{'topic_name': '__cluster_metadata', 'partitions': [{'partition_index': 0}]}]}, MUTATED, shape=shape)


@scene('UnregisterBroker')
def unregister(it, version):
    yield Case('UnregisterBroker', version, {'broker_id': 5}, MUTATED)


@scene('AddRaftVoter', 'RemoveRaftVoter')
def voters(it, version, api):
    more = {'timeout_ms': 1000, 'listeners': [{'name': 'CONTROLLER', 'host': 'localhost', 'port': 1}]} if api == 'AddRaftVoter' else {}
    yield Case(api, version, {'cluster_id': None, 'voter_id': 2, 'voter_directory_id': uuid.UUID(int=5), **more}, MUTATED, shape=admin.without_cluster_id)


@scene('GetTelemetrySubscriptions', 'PushTelemetry')
def telemetry(it, version, api):
    me = uuid.uuid5(uuid.NAMESPACE_OID, it.own)
    first = Case('GetTelemetrySubscriptions', 0, {'client_instance_id': me}, 'asks',
                 remember=lambda side, answer: side.memory.update(subscribed=answer['subscription_id']))
    if api == 'GetTelemetrySubscriptions':
        yield dataclasses.replace(first, note=MUTATED, shape=lambda a: a if a['client_instance_id'] == me else a | {'subscription_id': 'some'})
    else:
        yield first
        yield Case('PushTelemetry', 0, lambda side: {'client_instance_id': me, 'subscription_id': side.memory['subscribed'], 'metrics': b'm'}, MUTATED)
