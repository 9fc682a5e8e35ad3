"""Every config of topics, brokers, groups and client metrics: what is told of it, and which values it takes."""
import pathlib
import re

from cases.common import Case, create
from cases.configs import alter

ROOT = pathlib.Path(__file__).resolve().parents[3]
VALUES = ('-2', '-1', '0', '1', '2147483647', '2147483648', '9223372036854775808', '1.5', 'x', '', ' 7 ', 'true', 'TRUE', 'a,b', 'compact,delete')
GIVEN = re.compile(r'^(listeners|log\.dirs|process\.roles|controller\.(listener\.names|quorum\.voters)'
                   r'|(offsets\.topic|transaction\.state\.log)\.(replication\.factor|min\.isr))$')  # by how the two were started


def keys(table):
    """The names in one of the tables of the broker, but for those that are odradek's own."""
    names = re.findall(r'^\s+\{ "([^"]+)"', (ROOT / 'broker' / table).read_text(), re.M)
    return [name for name in names if not name.startswith('odradek.')]


def described(answer):
    """Texts differ, but where Kafka explains a config, so it is here."""
    rows = {}
    for result in answer['results']:
        for config in result['configs']:
            if not GIVEN.match(config['name']):
                rows[config['name']] = config | {'documentation': bool(config.get('documentation'))}
    return rows


def all_config_cases():
    yield create('every-config')
    for kind, name in ((2, 'every-config'), (4, '1'), (4, ''), (32, 'every'), (16, 'every')):
        for version in range(1, 5):
            more = {'include_documentation': True} if version >= 3 else {}
            yield Case('DescribeConfigs', version, {'resources': [{'resource_type': kind, 'resource_name': name, 'configuration_keys': None}],
                                                    'include_synonyms': True, **more}, f'all of {kind} {name!r}', shape=described)
    for key in keys('config_topic_keys.c'):
        for value in VALUES:
            yield alter(2, 'every-config', [(key, value)], f'{key}={value!r} of a topic', validate=True)
    for key in keys('config_broker_keys.c'):
        for value in ('-2', '0', 'x', ''):
            yield alter(4, '1', [(key, value)], f'{key}={value!r} of the broker', validate=True)
        yield alter(4, '', [(key, '1')], f'{key}=1 of all brokers', validate=True)
