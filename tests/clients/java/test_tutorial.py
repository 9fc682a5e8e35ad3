"""The event-sourcing tutorial, word for word, and its replay after a restart and a kill."""
EVENTS = ['{"event":"UserRegistered", "userId":"123", "timestamp":"2023-10-01T12:00:00Z"}',
          '{"event":"UserLoggedIn", "userId":"123", "timestamp":"2023-10-01T12:10:00Z"}']
REPLAY = ''.join(f'{event}\n' for event in EVENTS)


def test_events_replay_as_often_as_wanted(own_tools):
    tools = own_tools
    assert tools.run('kafka-topics', '--create', '--topic', 'events', '--partitions', '1',
                     '--replication-factor', '1') == 'Created topic events.\n'
    assert tools.run('kafka-topics', '--list') == 'events\n'
    assert tools.run('kafka-console-producer', '--topic', 'events', stdin=REPLAY).strip('>') == ''
    assert tools.replay('events', len(EVENTS), times=2) == [REPLAY, REPLAY]

    tools.broker.restart()
    assert tools.replay('events', len(EVENTS)) == [REPLAY]

    tools.broker.kill9()
    tools.broker.start()
    assert tools.replay('events', len(EVENTS)) == [REPLAY]

    tools.produce('events', ['{"event":"UserLoggedOut"}'])
    assert tools.replay('events', 3) == [REPLAY + '{"event":"UserLoggedOut"}\n']
