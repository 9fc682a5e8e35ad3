"""What the tests of all clients share: a broker for everybody, one of one's own, and names nobody else has."""
import re

import broker as brokers
import pytest


@pytest.fixture(scope='session')
def broker(tmp_path_factory):
    """One broker for all tests that leave it running."""
    it = brokers.new(tmp_path_factory.mktemp('broker')).start()
    yield it
    it.stop()


@pytest.fixture
def own_broker(tmp_path):
    """A broker for a test that stops or kills it, or wants it empty."""
    it = brokers.new(tmp_path).start()
    yield it
    if it.process.returncode is None:
        it.stop()


@pytest.fixture
def name(request):
    """A topic or group name of the test's own; without dots and underscores, about which kafka-topics warns."""
    return re.sub(r'[^A-Za-z0-9]+', '-', request.node.name).strip('-')
