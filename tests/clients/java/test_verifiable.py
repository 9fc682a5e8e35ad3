"""The tools of Kafka's own system tests: VerifiableProducer and VerifiableConsumer; and the end-to-end latency test."""
import json
import re

import pytest
from tools import NEWER


def events(said):
    return [json.loads(line) for line in said.splitlines() if line.startswith('{')]


def address(tools):
    return ('--broker-list', tools.broker.address) if tools.old else tools.address


def consume(tools, topic, count, *args):
    """The offsets that a VerifiableConsumer reports, by its own commits and with each record that it read."""
    said = events(tools.without_address('kafka-verifiable-consumer', '--topic', topic, '--group-id', topic, '--max-messages', str(count),
                                        '--verbose', *args, *address(tools)))
    names = [event['name'] for event in said]
    assert {'startup_complete', 'partitions_assigned', 'shutdown_complete'} <= set(names), names
    assert all(event['success'] for event in said if event['name'] == 'offsets_committed'), said
    read = [event for event in said if event['name'] == 'record_data']
    commits = [part for event in said if event['name'] == 'offsets_committed' for part in event['offsets']]
    return [int(event['value']) for event in read], {part['partition']: part['offset'] for part in commits}


def test_what_was_acknowledged_is_consumed(tools, name):
    tools.run('kafka-topics', '--create', '--topic', name)
    said = events(tools.without_address('kafka-verifiable-producer', '--topic', name, '--max-messages', '500', *address(tools)))
    sent = [event for event in said if event['name'] == 'producer_send_success']
    assert [(int(event['value']), event['offset']) for event in sent] == [(number, number) for number in range(500)]
    assert (said[-1]['name'], said[-1]['acked']) == ('tool_data', 500) and said[-2]['name'] == 'shutdown_complete', said[-2:]
    assert consume(tools, name, 200) == (list(range(200)), {0: 200})
    assert consume(tools, name, 300) == (list(range(200, 500)), {0: 500})


@pytest.mark.parametrize('version', [NEWER[-1]])
def test_the_newer_protocol(tools, name):
    tools.run('kafka-topics', '--create', '--topic', name, '--partitions', '3')
    tools.produce(name, range(90))
    read, commits = [], {}
    for count in 40, 50:
        more, later = consume(tools, name, count, '--group-protocol', 'consumer', '--group-remote-assignor', 'range')
        read, commits = read + more, commits | later
    assert (sorted(read), sum(commits.values())) == (list(range(90)), 90)


def test_every_record_comes_out_before_the_next_goes_in(tools, name):
    tools.run('kafka-topics', '--create', '--topic', name)
    said = tools.without_address('kafka-e2e-latency', tools.broker.address, name, '50', 'all', '100')
    assert re.search(r'^Avg latency: \d+\.\d+ ms', said, re.M) and re.search(r'^Percentiles: 50th = \d+', said, re.M), said
