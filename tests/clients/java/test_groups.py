"""Consumer groups as the console tools make, show, reset and delete them."""
import re
import time

SECONDS = 60


def rows(text):
    """The table that kafka-consumer-groups prints, as dictionaries."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith('Consumer group')]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def positions(tools, group):
    described = rows(tools.run('kafka-consumer-groups', '--describe', '--group', group))
    return {(row['TOPIC'], row['PARTITION']): (row['CURRENT-OFFSET'], row['LOG-END-OFFSET'], row['LAG'])
            for row in described}


def test_a_group_goes_on_where_it_stopped(tools, name):
    tools.run('kafka-topics', '--create', '--topic', name, '--partitions', '1')
    tools.produce(name, [f'event {number}' for number in range(6)])
    member = ('--group', name)
    assert tools.consume(name, 4, '--from-beginning', *member) == [f'event {number}' for number in range(4)]
    assert tools.consume(name, 2, *member) == ['event 4', 'event 5']
    tools.produce(name, ['event 6'])
    assert positions(tools, name) == {(name, '0'): ('6', '7', '1')}
    assert name in tools.run('kafka-consumer-groups', '--list').splitlines()
    state = tools.run('kafka-consumer-groups', '--describe', '--state', '--group', name)
    assert re.search(rf'^{name} +{tools.broker.address} +\(\d+\) .*\bEmpty +0 *$', state, re.M)


def test_offsets_are_reset_and_deleted(tools, name):
    groups = 'kafka-consumer-groups'
    tools.produce(name, [f'event {number}' for number in range(5)])
    tools.consume(name, 5, '--from-beginning', '--group', name)
    only = ('--group', name, '--topic', name)
    plan = tools.run(groups, '--reset-offsets', '--shift-by', '-3', '--dry-run', *only)
    assert plan.split() == ['GROUP', 'TOPIC', 'PARTITION', 'NEW-OFFSET', name, name, '0', '2']
    assert positions(tools, name) == {(name, '0'): ('5', '5', '0')}
    tools.run(groups, '--reset-offsets', '--shift-by', '-3', '--execute', *only)
    assert tools.consume(name, 3, '--group', name) == ['event 2', 'event 3', 'event 4']
    tools.run(groups, '--reset-offsets', '--to-earliest', '--execute', *only)
    assert positions(tools, name) == {(name, '0'): ('0', '5', '5')}
    assert 'Successful' in tools.run(groups, '--delete-offsets', *only)
    assert f"Deletion of requested consumer groups ('{name}') was successful." in tools.run(groups, '--delete', '--group', name)
    assert name not in tools.run(groups, '--list').splitlines()


def test_a_running_member_is_shown_and_protects_its_group(tools, name):
    groups = 'kafka-consumer-groups'
    tools.run('kafka-topics', '--create', '--topic', name, '--partitions', '3')
    member = tools.start('kafka-console-consumer', '--topic', name, '--group', name, '--from-beginning')
    try:
        end = time.monotonic() + SECONDS
        state = {}
        while state.get('#MEMBERS') != '1' or 'Stable' not in state.values():
            assert time.monotonic() < end, state
            table = tools.maybe(groups, '--describe', '--state', '--group', name)
            lines = rows(re.sub(r' \(\d+\)', '', table).replace('COORDINATOR (ID)', 'COORDINATOR'))
            state = lines[0] if lines else {}
        described = rows(tools.run(groups, '--describe', '--group', name, '--members', '--verbose'))
        assert len(described) == 1 and described[0]['#PARTITIONS'] == '3'
        refusal = tools.maybe(groups, '--delete', '--group', name)
        assert 'GroupNotEmptyException' in refusal
        assert f"Assignments can only be reset if the group '{name}' is inactive" in tools.maybe(
            groups, '--reset-offsets', '--to-latest', '--execute', '--group', name, '--all-topics')
    finally:
        member.terminate()
        member.communicate(timeout=SECONDS)
    assert 'was successful' in tools.run(groups, '--delete', '--group', name)


def test_every_way_to_reset_offsets(tools, name, tmp_path):
    """As the dry run tells, and as one of them was exported and imported again."""
    groups, both = 'kafka-consumer-groups', ('--group', name, '--topic', name)
    tools.run('kafka-topics', '--create', '--topic', name, '--partitions', '1')
    tools.produce(name, [f'event {number}' for number in range(5)])
    between = int(time.time()) + 1
    time.sleep(between + 0.1 - time.time())
    tools.produce(name, [f'event {number}' for number in range(5, 10)])
    tools.consume(name, 7, '--from-beginning', '--group', name)
    date = time.strftime('%Y-%m-%dT%H:%M:%S.000', time.gmtime(between))
    for way, offset in ((('--to-earliest',), '0'), (('--to-latest',), '10'), (('--to-current',), '7'), (('--to-offset', '4'), '4'),
                        (('--to-offset', '99'), '10'), (('--shift-by', '2'), '9'), (('--shift-by', '-99'), '0'), (('--to-datetime', date), '5'),
                        (('--by-duration', 'PT1H'), '0'), (('--by-duration', 'PT0S'), '10')):
        plan = tools.run(groups, '--reset-offsets', *way, '--dry-run', *both)
        assert plan.split()[-3:] == [name, '0', offset], way
    exported = tools.run(groups, '--reset-offsets', '--shift-by', '-2', '--export', '--dry-run', '--group', name, '--all-topics')
    assert exported.strip() == f'"{name}",0,5'
    (tmp_path / 'plan.csv').write_text(exported)
    tools.run(groups, '--reset-offsets', '--from-file', str(tmp_path / 'plan.csv'), '--execute', '--group', name)
    assert positions(tools, name) == {(name, '0'): ('5', '10', '5')}
    tools.run(groups, '--reset-offsets', '--to-offset', '3', '--execute', '--group', name, '--topic', f'{name}:0')
    assert positions(tools, name) == {(name, '0'): ('3', '10', '7')}


def test_groups_of_both_protocols_are_listed_by_state_and_type(newer_tools, name):
    tools, groups = newer_tools, 'kafka-consumer-groups'
    tools.produce(name, ['event'])
    tools.consume(name, 1, '--from-beginning', '--group', f'{name}-classic')
    setting = '--command-property' if tools.version >= '4' else '--consumer-property'
    tools.consume(name, 1, '--from-beginning', '--group', f'{name}-newer', setting, 'group.protocol=consumer')
    states = rows(tools.run(groups, '--list', '--state', 'Empty'))
    assert {row['STATE'] for row in states} == {'Empty'} and {f'{name}-classic', f'{name}-newer'} <= {row['GROUP'] for row in states}
    types = {row['GROUP']: row['TYPE'] for row in rows(tools.run(groups, '--list', '--type'))}
    assert (types[f'{name}-classic'], types[f'{name}-newer']) == ('Classic', 'Consumer')
    assert positions(tools, f'{name}-newer') == {(name, '0'): ('1', '1', '0')}
    if tools.version >= '4':
        listed = {row['GROUP']: row['TYPE'] for row in rows(tools.run('kafka-groups', '--list', '--consumer'))}
        assert (listed[f'{name}-classic'], listed[f'{name}-newer']) == ('Classic', 'Consumer')
        assert name not in tools.run('kafka-groups', '--list', '--group-type', 'share')
    for group in f'{name}-classic', f'{name}-newer':
        assert 'Successful' in tools.run(groups, '--delete-offsets', '--group', group, '--topic', name)
        assert 'was successful' in tools.run(groups, '--delete', '--group', group)
    assert 'GroupIdNotFoundException' in tools.maybe(groups, '--delete', '--group', f'{name}-newer')
