"""The requests that compare.py sends to both brokers, in order; a theme a module."""
from cases.admin import admin_cases, api_versions
from cases.all_configs import all_config_cases
from cases.bad_input import bad_input_cases
from cases.common import Case, versions
from cases.compression import compression_cases
from cases.config_values import config_value_cases
from cases.configs import config_cases
from cases.consumer_groups import consumer_group_cases
from cases.effects import effect_cases
from cases.every_version import every_version_cases
from cases.groups import group_cases
from cases.produce import produce_cases
from cases.read import read_cases, record_deletion_cases
from cases.topics import partition_cases, topic_cases
from cases.transactions import transaction_cases


def warm_up():
    """Requests with what their answers hold once a broker is ready for the cases; they are not compared."""
    yield Case('FindCoordinator', 4, {'coordinator_keys': ['warm-up']}), lambda a: a['coordinators'][0]['error_code'] == 0
    yield Case('FindCoordinator', 4, {'coordinator_keys': ['t'], 'key_type': 1}), lambda a: a['coordinators'][0]['error_code'] == 0
    yield (Case('OffsetFetch', 7, {'group_id': 'warm-up', 'topics': []}), lambda a: a['error_code'] == 0)
    yield (Case('InitProducerId', 1, {'transactional_id': None, 'transaction_timeout_ms': 1000}),
           lambda a: a['error_code'] == 0)


def all_cases():
    for version in versions('ApiVersions'):
        yield api_versions('', version)
    yield Case('ApiVersions', 3, {'client_software_name': '-', 'client_software_version': '1'}, 'bad name')
    yield from topic_cases()
    yield from partition_cases()
    yield from produce_cases()
    yield from read_cases()
    yield from compression_cases()
    yield from config_cases()
    yield from config_value_cases()
    yield from record_deletion_cases()
    yield from group_cases()
    yield from consumer_group_cases()
    yield from transaction_cases()
    yield from admin_cases()
    yield from bad_input_cases()
    yield from all_config_cases()
    yield from effect_cases()
    yield from every_version_cases()
