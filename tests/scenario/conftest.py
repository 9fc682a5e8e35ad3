"""What the scenarios share: one broker for those that leave it running, and a connection of the test's own; directories that brokers left,
of which each test gets a copy."""
import re
import shutil

import broker as brokers
import picture
import pytest
import wire
from directory_under_test import fill, produce


@pytest.fixture(scope='session')
def broker(tmp_path_factory):
    it = brokers.new(tmp_path_factory.mktemp('broker')).start()
    yield it
    assert it.stop() in it.CLEAN


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


@pytest.fixture(scope='session')
def stopped(tmp_path_factory):
    path = tmp_path_factory.mktemp('stopped')
    assert fill(path).stop() == 0
    return path / 'data'


@pytest.fixture(scope='session')
def killed(tmp_path_factory):
    """Its recovery points are those of the stop before: all of 'good' and 'rolled' is below, ten more of 'bad' are above."""
    path = tmp_path_factory.mktemp('killed')
    it = fill(path)
    it.restart()
    client = picture.Client(it)
    for number in range(10):
        assert produce(client, 'bad', [b'later %d' % number]) == 0
    client.close()
    it.kill9()
    return path / 'data'


@pytest.fixture
def sound(stopped, tmp_path):
    return shutil.copytree(stopped, tmp_path / 'data', symlinks=True)


@pytest.fixture
def crashed(killed, tmp_path):
    return shutil.copytree(killed, tmp_path / 'data', symlinks=True)


@pytest.fixture
def serve(tmp_path):
    """Starts a broker on the directory; what it says is in tmp_path / 'stderr'."""
    running = []

    def serve():
        it = brokers.Odradek(tmp_path).start()
        running.append((it, picture.Client(it)))
        return running[-1]
    yield serve
    for it, client in running:
        client.close()
        if it.process.returncode is None:
            assert it.stop() == 0
