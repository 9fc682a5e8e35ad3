"""Configs of topics and of the broker."""
from cases.common import OLD_TOPICS, Case, create, settled, versions


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
    for kind in (0, 1, 3, -1, 99):
        yield Case('DescribeConfigs', 4, {'resources': [{'resource_type': t, 'resource_name': n, 'configuration_keys': None} for t, n in (
            (2, 'c1'), (kind, 'x'), (32, 'g'), (2, 'missing'))]}, f'known types and {kind}')

    def alter(changes, note, version=1, topic='c1', validate=False):
        rows = [{'name': k, 'config_operation': op, 'value': v} for k, op, v in changes]
        return Case('IncrementalAlterConfigs', version, {'resources': [
            {'resource_type': 2, 'resource_name': topic, 'configs': rows}], 'validate_only': validate}, note)

    yield alter([('retention.ms', 0, '5000')], 'set')
    yield alter([('retention.ms', 0, '-7')], 'bad value')
    for key, value in (('retention.ms', '9' * 1500), ('retention.ms', '\u00e9' * 900), ('preallocate', 'x' * 1500), ('compression.type', 'x' * 1500),
                       ('leader.replication.throttled.replicas', 'z:1,' * 600)):  # told in full
        yield alter([(key, 0, value)], f'bad value, long, of {key}')
        yield create('never-made', f'bad value, long, of {key}', configs=[(key, value)])
    for key, value in (('log.retention.ms', '\u00e9' * 900), ('listener.name.x.max.connections', 'x' * 1500)):
        yield Case('IncrementalAlterConfigs', 1, {'resources': [{'resource_type': 4, 'resource_name': '', 'configs': [
            {'name': key, 'config_operation': 0, 'value': value}]}]}, f'bad value, long, of {key}')
    yield alter([('no.such', 0, '1')], 'unknown key')
    yield alter([('cleanup.policy', 2, 'delete')], 'append')
    yield alter([('cleanup.policy', 3, 'compact')], 'subtract')
    yield alter([('retention.ms', 2, '1')], 'append to a number')
    yield alter([('retention.ms', 1, None)], 'delete')
    yield alter([('retention.ms', 0, '1'), ('retention.ms', 0, '2')], 'twice')
    yield alter([('retention.ms', 0, '1')], 'unknown topic', topic='missing')
    for topic in ('', 'a b', 'missing'):
        for operation in (0, 1, 2, 3, 7):
            for key in ('cleanup.policy', 'retention.ms', 'no.such'):
                yield alter([(key, operation, 'compact')], f'operation {operation} on {key} of {topic!r}', topic=topic)
        yield alter([('cleanup.policy', 3, None)], f'without a value, of {topic!r}', topic=topic)
    for topic in ('c1', 'missing'):
        yield alter([('retention.ms', 0, '-7'), ('segment.bytes', 2, '1')], f'bad value before a bad operation, of {topic!r}', topic=topic)
        yield alter([('min.compaction.lag.ms', 0, '9'), ('max.compaction.lag.ms', 0, '8')], f'in conflict, of {topic!r}', topic=topic)
        yield replace(2, topic, [('min.compaction.lag.ms', '9'), ('max.compaction.lag.ms', '8')], f'replaced in conflict, of {topic!r}')
    for kind, key in ((16, 'metrics'), (32, 'share.auto.offset.reset'), (32, 'no.such'), (99, 'x')):
        for operation in (0, 1, 2, 3, 7):
            yield Case('IncrementalAlterConfigs', 1, {'resources': [{'resource_type': kind, 'resource_name': '', 'configs': [
                {'name': key, 'config_operation': operation, 'value': 'x'}]}]}, f'operation {operation} on {key} of no name, type {kind}')
    yield alter([('retention.ms', 0, '77')], 'validate only', validate=True)
    yield describe(2, 'c1', 'after the changes', keys=['retention.ms', 'cleanup.policy'])
    for version in versions('AlterConfigs'):
        yield Case('AlterConfigs', version, {'resources': [{'resource_type': 2, 'resource_name': 'c1', 'configs': [
            {'name': 'segment.bytes', 'value': '20000000'}]}], 'validate_only': False}, 'replace')
    yield describe(2, 'c1', 'after the replacement', keys=['retention.ms', 'cleanup.policy', 'segment.bytes'])
    yield Case('ListConfigResources', 1, {'resource_types': [2]}, 'topics',
               shape=lambda a: sorted(r['resource_name'] for r in a['config_resources'] if r['resource_name'] not in OLD_TOPICS))
    for kind, name in ((2, 'c1'), (16, 'none'), (32, 'none')):
        yield describe(kind, name, f'no keys of type {kind}', keys=[])
    for count in (2, 200):
        yield Case('DescribeConfigs', 4, {'resources': [{'resource_type': 4, 'resource_name': '1', 'configuration_keys': ['log.retention.ms']}] * count},
                   f'the same {count} times', shape=keyed)
    yield from operation_cases()
    yield from min_insync_replicas_cases()
    yield from named_cases()
    yield from custom_cases()
    yield from logger_cases()


def min_insync_replicas_cases():
    """Where eligible leader replicas are on, it is the same for all brokers."""
    for name in ('', '1'):
        for operation, value in ((1, None), (1, '1'), (0, '2'), (0, '1')):
            yield alter(4, name, [('min.insync.replicas', value)], f'min.insync.replicas of {name!r}, operation {operation}', operation=operation, validate=True)
        for values in ([], [('min.insync.replicas', '1')]):
            yield Case('AlterConfigs', 2, {'resources': [{'resource_type': 4, 'resource_name': name, 'configs': [
                {'name': k, 'value': v} for k, v in values]}], 'validate_only': True}, f'min.insync.replicas of {name!r}, replaced by {values}')


def alter(kind, name, changes, note, version=1, validate=False, operation=0):
    rows = [{'name': k, 'config_operation': operation, 'value': v} for k, v in changes]
    return Case('IncrementalAlterConfigs', version, {'resources': [
        {'resource_type': kind, 'resource_name': name, 'configs': rows}], 'validate_only': validate}, note)


def replace(kind, name, changes, note, version=2, validate=False):
    return Case('AlterConfigs', version, {'resources': [{'resource_type': kind, 'resource_name': name, 'configs': [
        {'name': k, 'value': v} for k, v in changes]}], 'validate_only': validate}, note)


def operation_cases():
    for kind, name, key in ((2, 'c1', 'retention.ms'), (4, '1', 'log.retention.ms'), (4, '', 'log.retention.ms'), (8, '1', 'root'),
                            (16, 'm', 'interval.ms'), (32, 'g', 'consumer.session.timeout.ms')):
        yield alter(kind, name, [(key, '1')], f'operation 9 on {kind} {name!r}', operation=9)
        yield alter(kind, name, [(key, None)], f'null for {kind} {name!r}')
    yield from unknown_operation_cases()
    for kind in (0, 1, 64, 99):
        yield alter(kind, 'x', [('a', 'b')], f'unknown type {kind}')
        yield replace(kind, 'x', [('a', 'b')], f'unknown type {kind}')
    for version in versions('IncrementalAlterConfigs'):
        one = {'resource_type': 16, 'resource_name': 'twice', 'configs': [{'name': 'interval.ms', 'config_operation': 0, 'value': '500'}]}
        yield Case('IncrementalAlterConfigs', version, {'resources': [one, dict(one, resource_type=32), one], 'validate_only': True},
                   'a resource twice')


def unknown_operation_cases():
    """One makes Kafka's controller give up all that it was handed, but not what its broker refuses, or does, by itself."""
    def resource(kind, name, *changes):
        return {'resource_type': kind, 'resource_name': name, 'configs': [
            {'name': key, 'config_operation': operation, 'value': value} for key, operation, value in changes]}

    good = [resource(2, 'c1', ('retention.ms', 0, '4444')), resource(4, '1', ('log.retention.ms', 0, '4444')), resource(8, '1', ('root', 0, 'INFO')),
            resource(32, 'g', ('consumer.session.timeout.ms', 0, '46000')), resource(2, 'missing', ('retention.ms', 0, '1')), resource(99, 'x')]
    bad = resource(16, 'm', ('interval.ms', 9, '1000'))
    twice = resource(2, 'c1', ('retention.ms', 0, '1'), ('retention.ms', 0, '2'))
    for note, resources in (('behind', [*good, bad]), ('before', [bad, *good]), ('of a broker', [*good, resource(4, '', ('log.retention.ms', 9, '1'))]),
                            ('of a logger', [*good[:2], resource(8, '1', ('root', 9, 'INFO'))]),
                            ('behind a good one', [resource(2, 'c1', ('retention.ms', 0, '4444'), ('segment.ms', 9, '1'))]),
                            ('behind a null', [good[3], resource(2, 'c1', ('retention.ms', 9, None))]),
                            ('behind no list', [good[3], resource(2, 'c1', ('retention.ms', 2, '1'), ('segment.ms', 9, '1'))]),
                            ('of a config twice', [good[3], resource(2, 'c1', ('retention.ms', 9, '1'), ('retention.ms', 9, '1'))]),
                            ('of a resource twice', [good[3], bad, bad]), ('beside a resource twice', [bad, good[0], good[0]]),
                            ('beside what is wrong', [bad, twice, resource(4, '1', ('log.retention.ms', 0, 'x')), resource(4, '7'), resource(2, ''),
                                                      resource(2, 'c1', ('retention.ms', 0, 'x'))])):
        yield Case('IncrementalAlterConfigs', 1, {'resources': resources, 'validate_only': False}, f'an unknown operation {note}')
        yield Case('DescribeConfigs', 4, {'resources': [{'resource_type': 2, 'resource_name': 'c1', 'configuration_keys': ['retention.ms', 'segment.ms']}]},
                   f'after an unknown operation {note}', settles=True)


CUSTOM = ('no.such', 'LOG.RETENTION.MS', 'retention.ms', 'ssl.foo', 'ssl.keystore.foo', 'sasl.foo', 'listener.foo', 'broker.foo', '', ' ',
          'listener.name.', 'listener.name.x', 'listener.name.x.foo', 'listener.name.x.sasl.jaas.config', 'listener.name.x.max.connections',
          'listener.name.x.ssl.keystore.location', 'listener.name.X.num.network.threads', 'ü')


def custom_cases():
    """Broker configs of names that Kafka does not know, which it takes for those of plugins."""
    def keyed(answer):
        return {c['name']: c | {'documentation': bool(c.get('documentation'))} for c in answer['results'][0]['configs']
                if 'custom' in c['name'] and not c['name'].startswith('remote.')}

    def described(note, given, version=4):
        for name in ('1', ''):
            wanted = {k for k, where in given if name or not where}
            values = {'resources': [{'resource_type': 4, 'resource_name': name, 'configuration_keys': None}], 'include_synonyms': True,
                      **({'include_documentation': True} if version >= 3 else {})}
            yield settled(Case('DescribeConfigs', version, values, f'{note} of {name!r}', shape=keyed), 'DescribeConfigs', 4,
                          values if version == 4 else dict(values, include_documentation=True), lambda a, w=wanted: set(keyed(a)) == w)

    for who in ('1', ''):
        for key in CUSTOM:
            yield alter(4, who, [(key, 'v')], f'unknown {key!r} of {who!r}', validate=True)
        for operation in (2, 3):
            yield alter(4, who, [('log.retention.ms', '1')], f'no list, operation {operation} of {who!r}', operation=operation)
        rows = [{'name': 'num.io.threads', 'config_operation': 0, 'value': '-1'}, {'name': 'num.network.threads', 'config_operation': 2, 'value': '1'}]
        yield Case('IncrementalAlterConfigs', 1, {'resources': [{'resource_type': 4, 'resource_name': who, 'configs': rows}],
                   'validate_only': True}, f'bad value before a bad operation, of {who!r}')
        for operation in (1, 2, 3, 9):
            yield alter(4, who, [('custom.never', 'v')], f'unknown, operation {operation} on {who!r}', operation=operation)
        yield alter(4, who, [('custom.never', None)], f'unknown null of {who!r}')
        yield alter(4, who, [('custom.never', '1'), ('custom.never', '2')], f'unknown twice of {who!r}')
        yield alter(4, who, [('custom.never', '1'), ('log.retention.ms', 'x')], f'unknown beside what is wrong, of {who!r}')
    yield from described('nothing unknown', [])
    yield alter(4, '1', [('custom.a', 'secret'), ('listener.name.custom.max.connections', '7'), ('listener.name.custom.ssl.key.password', 'p')], 'unknown')
    for version in range(1, 5):
        yield from described('unknown', [(k, '1') for k in ('custom.a', 'listener.name.custom.max.connections', 'listener.name.custom.ssl.key.password')],
                             version)
    yield alter(4, '', [('custom.a', 'other'), ('custom.b', '')], 'unknown of all')
    both = [('custom.a', ''), ('custom.b', '')]
    yield from described('unknown, both', both + [('listener.name.custom.max.connections', '1'), ('listener.name.custom.ssl.key.password', '1')])
    yield alter(4, '1', [('custom.a', None), ('listener.name.custom.max.connections', None)], 'unknown deleted', operation=1)
    yield from described('unknown, one deleted', both + [('listener.name.custom.ssl.key.password', '1')])
    yield replace(4, '1', [('custom.c', 'v')], 'unknown, replaced')
    yield from described('unknown, replaced', both + [('custom.c', '1')])
    yield replace(4, '1', [], 'unknown, replaced by nothing')
    yield alter(4, '', [('custom.a', None), ('custom.b', None)], 'unknown of all deleted', operation=1)
    yield from described('unknown, all deleted', [])


def logger_cases():
    """The root logger, which is the only one here; which others Kafka has depends on its logging library."""
    def level(note):
        return Case('DescribeConfigs', 4, {'resources': [{'resource_type': 8, 'resource_name': '1', 'configuration_keys': ['root']}]}, f'root {note}')

    for name in ('', 'x', '2'):
        yield alter(8, name, [('root', 'INFO')], f'loggers of {name!r}')
        yield Case('DescribeConfigs', 4, {'resources': [{'resource_type': 8, 'resource_name': name, 'configuration_keys': None}]}, f'loggers of {name!r}')
    for value in ('TRACE', 'DEBUG', 'INFO', 'WARN', 'FATAL', 'ERROR', 'OFF', 'info', '', ' INFO'):
        yield alter(8, '1', [('root', value)], f'root {value!r}')
        yield level(f'after {value!r}')
    yield alter(8, '1', [('root', 'TRACE')], 'root, validated only', validate=True)
    for operation in (1, 2, 3):
        for name in ('root', 'no.such', ''):
            yield alter(8, '1', [(name, 'INFO')], f'operation {operation} on logger {name!r}', operation=operation)
    yield alter(8, '1', [('no.such', 'INFO'), ('root', 'INFO')], 'a logger that is unknown, and one that is not')
    yield alter(8, '1', [('root', 'INFO'), ('no.such', 'INFO')], 'a logger that is known, and one that is not')
    yield alter(8, '1', [('root', 'INFO'), ('root', 'WARN')], 'a logger twice')
    yield alter(8, '1', [], 'no logger')
    yield replace(8, '1', [('root', 'INFO')], 'logger')
    yield level('at the end')


GROUP_VALUES = {
    'ms': ('-1', '0', '1', '1000', '5001', '44999', '45001', '60001', '2147483648', 'soon', '', ' 45001 '),
    'count': ('-1', '1', '2', '4', '10', '11', '99', '100', '10001', 'x'),
}
DURATIONS = ('PT1H', 'P1D', 'PT0.5S', 'PT0S', 'P1DT2H3M4.5S', 'pt1h', 'PT', 'P', '', '+PT1H', '-PT1H', 'PT+1H', 'PT-1H', '-PT-1H', 'P1W', ' PT1H',
             'PT1H:x', 'PT1.5H', 'PT1,5S', 'PT1M1H', 'PT1H1H', 'P1DT', 'P1D1H', 'PT0.123456789S', 'PT0.1234567891S', '1H', 'T1H')
GROUP_KEYS = ('consumer.assignment.interval.ms consumer.heartbeat.interval.ms consumer.session.timeout.ms share.assignment.interval.ms '
              'share.delivery.count.limit share.heartbeat.interval.ms share.partition.max.record.locks share.record.lock.duration.ms '
              'share.session.timeout.ms streams.assignment.interval.ms streams.heartbeat.interval.ms '
              'streams.initial.rebalance.delay.ms streams.num.standby.replicas streams.session.timeout.ms').split()
PATTERNS = ('', '*', 'client_id', 'client_id=', '=x', 'client_id=x', 'client_id=a=b', 'nope=1', 'client_id=[', 'client_id=(', 'client_id=)', 'client_id=(a)+*',
            'client_id=*', 'client_id=a|*', 'client_id=(?:a|b)*?', r'client_id=\d+\.\d', 'a,,b', 'client_id=a,,client_id=b', 'client_id=x,nope=2',
            ' client_id = x ', 'client_software_name=a.*,client_source_port=1', 'client_id=a{2,3}', 'client_id=a++', 'client_id=[^]a]', 'client_id=\\')


def named_cases():
    """Groups and client metrics: configs of names that need not stand for anything."""
    for kind in (16, 32):
        for changes in ([('x', '1')], []):
            yield alter(kind, '', changes, f'no name, type {kind}')
            yield replace(kind, '', changes, f'no name, type {kind}')
            yield alter(kind, 'n', changes, f'type {kind}')
            yield replace(kind, 'n', changes, f'type {kind}')
        yield alter(kind, 'n', [('no.such', None)], f'deletes the unknown, type {kind}', operation=1)
        for operation in (2, 3):
            yield alter(kind, 'n', [('metrics', 'a')], f'operation {operation} on type {kind}', operation=operation)
    for key in GROUP_KEYS:
        for value in GROUP_VALUES['ms' if key.endswith('.ms') else 'count']:
            yield alter(32, 'checked', [(key, value)], f'{key} {value!r}', validate=True)
    for value in ('earliest', ' latest', 'LATEST', 'none', '', *(f'by_duration:{d}' for d in DURATIONS)):
        yield alter(32, 'checked', [('share.auto.offset.reset', value)], f'reset {value!r}', validate=True)
    for key in ('share.isolation.level', 'share.renew.acknowledge.enable'):
        for value in ('read_committed', 'READ_COMMITTED', 'true', 'FALSE', '', '1'):
            yield alter(32, 'checked', [(key, value)], f'{key} {value!r}', validate=True)
    for value in ('-1', '0', '99', '100', '3600000', '3600001', 'soon', '', '2147483648'):
        yield alter(16, 'checked', [('interval.ms', value)], f'interval {value!r}', validate=True)
    for value in PATTERNS:
        yield alter(16, 'checked', [('match', value)], f'match {value!r}', validate=True)
        yield alter(16, 'checked', [('metrics', value)], f'metrics {value!r}', validate=True)
    yield from life_cases(32, ('consumer.session.timeout.ms', '46000'), ('consumer.heartbeat.interval.ms', '15000'))
    yield from life_cases(16, ('interval.ms', '60000'), ('metrics', 'a,b'))


def life_cases(kind, first, second):
    def keyed(answer):
        return [(r['error_code'], r['error_message'], {c['name']: c for c in r['configs']}) for r in answer['results']]

    def described(note, given, keys=None, version=4):
        """Once the broker has heard of the given configs."""
        own = {16: 7, 32: 8}[kind]
        values = {'resources': [{'resource_type': kind, 'resource_name': 'life ü', 'configuration_keys': keys}], 'include_synonyms': True}
        return settled(Case('DescribeConfigs', version, values, f'{note}, type {kind}', shape=keyed), 'DescribeConfigs', 4, dict(
            values, resources=[dict(values['resources'][0], configuration_keys=None)]),
            lambda a: {c['name']: c['value'] for c in a['results'][0]['configs'] if c['config_source'] == own} == given)

    def listed(note, names):
        for version in (0, 1):
            case = Case('ListConfigResources', version, {'resource_types': [kind]} if version else {}, f'{note}, type {kind}',
                        shape=lambda a: sorted(map(str, a['config_resources'])))
            yield settled(case, 'ListConfigResources', 1, {'resource_types': [kind]},
                          lambda a: [r['resource_name'] for r in a['config_resources'] if r['resource_name'].startswith('life')] == names)

    yield from listed('none', [])
    for version in (1, 2, 3, 4):
        yield described('nothing given', {}, version=version)
    yield alter(kind, 'life ü', [first], 'set', version=0)
    yield described('one given', dict([first]))
    yield described('some of them', dict([first]), keys=[first[0], second[0], 'no.such'])
    yield from listed('one', ['life ü'])
    yield alter(kind, 'life ü', [second, ('no.such', '1')], 'one of them unknown')
    yield alter(kind, 'life ü', [second], 'set another')
    yield described('two given', dict([first, second]))
    yield alter(kind, 'life ü', [(first[0], None)], 'delete', operation=1)
    yield described('one left', dict([second]))
    for version in versions('AlterConfigs'):
        yield replace(kind, 'life ü', [first], 'replace', version)
    yield described('replaced', dict([first]))
    yield alter(kind, 'life ü', [(first[0], None), (second[0], None)], 'delete all', operation=1)
    yield described('all deleted', {})
    yield from listed('none left', [])
    yield replace(kind, 'life ü', [first, second], 'set by replacing')
    yield described('set by replacing', dict([first, second]))
    yield replace(kind, 'life ü', [], 'replace by nothing')
    yield described('replaced by nothing', {})
