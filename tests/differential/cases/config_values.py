"""Values of configs: which are taken, and how they are told."""
import itertools

from cases.common import Case, create
from cases.configs import alter, replace

WHOLE = (' 5000', ' +5000 ', '005000', '-0', '0', '5_000', '0x1000', '5e3', '5000.0', '5000L', '+ 5000', '--5', '', ' ', '99999999999999999999')
DOUBLES = ('0.5', '0.50', '.5', '1.', '5e-1', '0.5f', '0.5D', '0.5ff', ' 0.5 ', '+0.5', '-0.0', '0', '1', '-1', '2', '0.0001', '0.00012345', '1e-400', '4.9e-324',
           '1e400', '-1e400', '2.2250738585072011e-308', '0.30000000000000004', '0.1234567890123456789', '0.' + '3' * 80, '0' * 100 + '.5', '0x1p-1', '0x.8p0d',
           '0x1', '0x1.8', 'NaN', 'nan', '-NaN', 'NaNf', 'Infinity', '+Infinity', '-Infinity', 'inf', 'infinity', '0_5', '', '.', 'e1', '1e', '1.0000000001')
SPELLINGS = {'index.interval.bytes': WHOLE, 'min.cleanable.dirty.ratio': DOUBLES,
             'preallocate': ('TRUE', 'tRuE', 'False', 'false', '1', 'yes', ''),
             'cleanup.policy': ('compact,delete', 'compact, delete', ' compact , delete ', 'delete,compact,delete', ' ', ',', 'compact,', ',compact', 'Compact', '[compact]'),
             'compression.type': (' gzip', 'gzip\t', 'GZIP', ' ')}
BROKER_KEYS = {'index.interval.bytes': 'log.index.interval.bytes', 'min.cleanable.dirty.ratio': 'log.cleaner.min.cleanable.ratio',
               'preallocate': 'log.preallocate', 'cleanup.policy': 'log.cleanup.policy', 'compression.type': 'compression.type'}
OTHERS = [(2, 'leader.replication.throttled.replicas', ('*', ' * ', '0:1, 1:1', ' 0:1,0:1 ', ' ')),
          (32, 'consumer.session.timeout.ms', (' 46000', '046000', '+46000')), (32, 'share.renew.acknowledge.enable', (' true', 'FALSE')),
          (32, 'share.auto.offset.reset', (' earliest', 'by_duration:PT1H ')), (16, 'interval.ms', (' 5000', '05000', '007', '-0')),
          (16, 'metrics', ('a, b', ' a', 'b,a,b', '*')), (16, 'match', ('client_id=a, client_software_name=b', ' client_id=a '))]


def config_value_cases():
    yield from order_cases()
    yield from spelling_cases()
    yield from list_cases()


def order_cases():
    """Of several things that are wrong: unknown names come before values; and what no string of the protocol can hold is no message."""
    yield create('ordered')
    for kind, name, key in ((2, 'ordered', 'retention.ms'), (16, 'ordered', 'interval.ms'), (32, 'ordered', 'consumer.session.timeout.ms'),
                            (4, '1', 'log.retention.ms'), (4, '1', 'custom.long')):
        for value in ('x', 'x' * 32767, 'x' * 32768, '1' * 40000, ' ' * 40000 + '50000'):
            for more in ([], [('no.such', '1')]):
                what = f'{key} {value[:3]!r} of {len(value)} bytes{", and an unknown name" * bool(more)}'
                yield alter(kind, name, [(key, value), *more], what, validate=True)
                yield replace(kind, name, [(key, value), *more], what, validate=True)
                if kind == 2:
                    yield create('never', what, configs=[(key, value), *more])


def spelling_cases():
    """The value is told as it was parsed, and among its synonyms as it was given to the broker."""
    def told(kind, name, key, note):
        return Case('DescribeConfigs', 4, {'resources': [{'resource_type': kind, 'resource_name': name, 'configuration_keys': [key]}], 'include_synonyms': True},
                    note, settles=True)

    yield create('spelt')
    for key, values in SPELLINGS.items():
        for kind, name in ((2, 'spelt'), (4, '1'), (4, '')):
            for value in values if kind == 2 else values[:7]:
                changed = key if kind == 2 else BROKER_KEYS[key]
                yield alter(kind, name, [(changed, value)], f'{changed} {value!r} of {name!r}')
                yield told(kind, name, changed, f'{changed} after {value!r} of {name!r}')
        yield told(2, 'spelt', key, f'{key} at the end')
    yield create('spelt-by-the-broker', version=7)
    yield create('spelt-by-itself', version=7, configs=[(key, values[0]) for key, values in SPELLINGS.items()])
    for kind, key, values in OTHERS:
        for value in values:
            yield alter(kind, 'spelt', [(key, value)], f'{key} {value!r}')
            yield told(kind, 'spelt', key, f'{key} after {value!r}')
    for name in ('1', ''):
        for key in BROKER_KEYS.values():
            yield alter(4, name, [(key, None)], f'{key} of {name!r} as it was', operation=1)
            yield told(2, 'spelt-by-the-broker', next(k for k, v in BROKER_KEYS.items() if v == key), f'{key} of {name!r} as it was')


def list_cases():
    """Lists are added to as they were given, blanks and all, and to the default where the resource has no value of its own."""
    def steps(kind, name, key, given):
        for before, operation, value in itertools.product(given, (2, 3), (
                'delete', ' delete', 'compact', 'compact,compact', 'delete,compact', '', ',', ',delete', 'delete,,', 'x')):
            what = f'{value!r}, operation {operation} on {key} {before!r} of {name!r}'
            yield alter(kind, name, [(key, before)], f'before {what}', operation=before is None)
            yield alter(kind, name, [(key, value)], what, operation=operation)
            yield Case('DescribeConfigs', 4, {'resources': [{'resource_type': kind, 'resource_name': name, 'configuration_keys': [key]}],
                                              'include_synonyms': True}, f'after {what}', settles=True)

    yield create('listed')
    yield alter(4, '', [('log.cleanup.policy', 'compact')], 'another policy of all')
    yield from steps(2, 'listed', 'cleanup.policy', (None, 'compact, delete', 'delete,compact,delete'))
    yield from steps(4, '1', 'log.cleanup.policy', (None,))
    for key in ('1', ''):
        yield alter(4, key, [('log.cleanup.policy', None)], f'policy of {key!r} as it was', operation=1)
    for operation, value in ((0, '0:1, 1:1'), (2, '1:1,2:1,2:1'), (3, '1:1,2:1'), (3, ' 1:1'), (3, '0:1,1:1'), (0, '0:1,0:1,0:1'), (3, '0:1'), (3, '0:1,0:1'), (2, '*')):
        yield alter(2, 'listed', [('leader.replication.throttled.replicas', value)], f'replicas, operation {operation} with {value!r}', operation=operation)
        yield Case('DescribeConfigs', 4, {'resources': [{'resource_type': 2, 'resource_name': 'listed', 'configuration_keys': [
            'leader.replication.throttled.replicas']}]}, f'replicas after operation {operation} with {value!r}', settles=True)
