"""Configs of topics and of the broker."""
from cases.common import OLD_TOPICS, Case, versions


def config_cases():
    def keyed(answer):
        return [(r['error_code'], r['error_message'], {c['name']: c for c in r['configs']}) for r in answer['results']]

    def describe(kind, name, note, version=4, keys=None, shape=keyed):
        return Case('DescribeConfigs', version, {'resources': [{'resource_type': kind, 'resource_name': name,
                    'configuration_keys': keys}], 'include_synonyms': version >= 1}, note, shape=shape)

    for version in versions('DescribeConfigs'):
        if version >= 1:
            yield describe(2, 'c1', 'topic', version, keys=['retention.ms', 'cleanup.policy', 'segment.bytes', 'no.such'])
    yield describe(2, 'c1', 'all of a topic')
    yield describe(2, 'missing', 'unknown topic')
    yield describe(4, 'x', 'broker that is no number')
    yield describe(4, '99', 'another broker')
    yield describe(99, 'x', 'unknown resource type')

    def alter(changes, note, version=1, topic='c1', validate=False):
        rows = [{'name': k, 'config_operation': op, 'value': v} for k, op, v in changes]
        return Case('IncrementalAlterConfigs', version, {'resources': [
            {'resource_type': 2, 'resource_name': topic, 'configs': rows}], 'validate_only': validate}, note)

    yield alter([('retention.ms', 0, '5000')], 'set')
    yield alter([('retention.ms', 0, '-7')], 'bad value')
    yield alter([('no.such', 0, '1')], 'unknown key')
    yield alter([('cleanup.policy', 2, 'delete')], 'append')
    yield alter([('cleanup.policy', 3, 'compact')], 'subtract')
    yield alter([('retention.ms', 2, '1')], 'append to a number')
    yield alter([('retention.ms', 1, None)], 'delete')
    yield alter([('retention.ms', 0, '1'), ('retention.ms', 0, '2')], 'twice')
    yield alter([('retention.ms', 0, '1')], 'unknown topic', topic='missing')
    yield alter([('retention.ms', 0, '77')], 'validate only', validate=True)
    yield describe(2, 'c1', 'after the changes', keys=['retention.ms', 'cleanup.policy'])
    for version in versions('AlterConfigs'):
        yield Case('AlterConfigs', version, {'resources': [{'resource_type': 2, 'resource_name': 'c1', 'configs': [
            {'name': 'segment.bytes', 'value': '20000000'}]}], 'validate_only': False}, 'replace')
    yield describe(2, 'c1', 'after the replacement', keys=['retention.ms', 'cleanup.policy', 'segment.bytes'])
    yield Case('ListConfigResources', 1, {'resource_types': [2]}, 'topics',
               shape=lambda a: sorted(r['resource_name'] for r in a['config_resources'] if r['resource_name'] not in OLD_TOPICS))
