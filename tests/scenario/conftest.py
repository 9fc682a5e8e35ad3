"""What the scenarios share: one broker for those that leave it running, and a connection of the test's own."""
import re

import broker as brokers
import pytest
import wire


@pytest.fixture(scope='session')
def broker(tmp_path_factory):
    it = brokers.Odradek(tmp_path_factory.mktemp('broker')).start()
    yield it
    assert it.stop() == 0


@pytest.fixture
def connect(broker):
    """Makes connections to the broker, as many as the test wants."""
    made = []

    def connect():
        made.append(wire.Connection('localhost', broker.port))
        return made[-1]
    yield connect
    for connection in made:
        connection.close()


@pytest.fixture
def call(connect):
    return connect().call


@pytest.fixture
def topic(request, call):
    """A topic of one partition that is the test's own."""
    name = re.sub('[^A-Za-z0-9]', '-', request.node.name)
    create(call, name)
    return name


def create(call, name, partitions=1, replicas=1, configs=()):
    answer = call('CreateTopics', 7, {'timeout_ms': 30000, 'topics': [
        {'name': name, 'num_partitions': partitions, 'replication_factor': replicas,
         'configs': [{'name': k, 'value': v} for k, v in configs]}]})
    return answer['topics'][0]
