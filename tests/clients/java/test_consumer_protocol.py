"""The consumer protocol (KIP-848) as the newest stock tools speak it; older ones don't know it."""
import re
import time

import pytest
from test_groups import SECONDS, positions, rows

GROUPS = 'kafka-consumer-groups'
MEMBER = ('--command-property', 'group.protocol=consumer')


@pytest.fixture
def version():
    return '4.3.1'


def wait_state(tools, group, members):
    """The row of --describe --state, once the group is stable with so many members."""
    end = time.monotonic() + SECONDS
    while True:
        table = tools.maybe(GROUPS, '--describe', '--state', '--group', group)
        state = re.search(r'(\S+) +(\S+) +(\d+) *$', table.strip())
        if state and state[2] == 'Stable' and state[3] == str(members):
            return state
        assert time.monotonic() < end, table


def test_console_consumers_share_a_topic_and_are_shown(tools, name):
    tools.run('kafka-topics', '--create', '--topic', name, '--partitions', '4')
    running = [tools.start('kafka-console-consumer', '--topic', name, '--group', name, '--from-beginning', *MEMBER)
               for _ in range(2)]
    try:
        assert wait_state(tools, name, 2)[1] == 'uniform'
        described = rows(tools.run(GROUPS, '--describe', '--group', name, '--members'))
        assert [row['#PARTITIONS'] for row in described] == ['2', '2']
        assert name in tools.run(GROUPS, '--list', '--type', 'consumer').split()
        assert name not in tools.run(GROUPS, '--list', '--type', 'classic').split()
        assert 'GroupNotEmptyException' in tools.maybe(GROUPS, '--delete', '--group', name)
        tools.produce(name, [f'event {number}' for number in range(8)])
        end = time.monotonic() + SECONDS
        while sum(int(current) for current, _, _ in positions(tools, name).values() if current != '-') < 8:
            assert time.monotonic() < end
    finally:
        outputs = []
        for process in running:
            process.terminate()
            outputs.append(process.communicate(timeout=SECONDS)[0])
    lines = sorted(line for output in outputs for line in output.splitlines() if line.startswith('event'))
    assert lines == [f'event {number}' for number in range(8)]
    assert 'was successful' in tools.run(GROUPS, '--delete', '--group', name)


def test_a_group_goes_on_where_a_classic_one_stopped(tools, name):
    tools.run('kafka-topics', '--create', '--topic', name, '--partitions', '1')
    tools.produce(name, [f'event {number}' for number in range(6)])
    group = ('--group', name)
    assert tools.consume(name, 3, '--from-beginning', *group) == ['event 0', 'event 1', 'event 2']
    assert tools.consume(name, 2, *group, *MEMBER) == ['event 3', 'event 4']
    assert tools.consume(name, 1, *group) == ['event 5']
    assert positions(tools, name) == {(name, '0'): ('6', '6', '0')}


def test_a_pattern(tools, name):
    for suffix in 'one', 'two':
        tools.run('kafka-topics', '--create', '--topic', f'{name}-{suffix}', '--partitions', '1')
        tools.produce(f'{name}-{suffix}', [suffix])
    out = tools.run('kafka-console-consumer', '--include', f'{name}-(one|two)', '--max-messages', '2', '--from-beginning',
                    '--group', name, *MEMBER)
    assert sorted(out.splitlines()) == ['one', 'two']


def test_the_dump_tool_reads_the_records(own_tools, name):
    own_tools.run('kafka-topics', '--create', '--topic', name, '--partitions', '2')
    own_tools.produce(name, ['event'])
    assert own_tools.consume(name, 1, '--from-beginning', '--group', name, *MEMBER) == ['event']
    own_tools.broker.stop()
    logs = sorted((own_tools.broker.directory / 'data').glob('__consumer_offsets-*/*.log'))
    filled = [str(log) for log in logs if log.stat().st_size and log.read_bytes()[:64].strip(b'\0')]
    out = own_tools.without_address('kafka-dump-log', '--offsets-decoder', '--files', ','.join(filled))
    for number in (3, 5, 6, 7, 8):
        assert f'"type":"{number}"' in out, out
    assert '"assignmentEpochs"' in out and 'Unknown' not in out and 'Error' not in out
