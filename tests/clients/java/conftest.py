"""The stock Java tools, each in three versions: the tutorial's, the last with ZooKeeper, the newest."""
import pytest
from jvm import VERSIONS, Toolbox
from tools import NEWER, Tools


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture(scope='session')
def toolboxes():
    """A function that returns a version's toolbox."""
    made = {}

    def of(version):
        if version not in made:
            made[version] = Toolbox(version)
        return made[version]
    yield of
    for toolbox in made.values():
        toolbox.end()


@pytest.fixture
def recorded(record_run):
    """Has the tools that a test used recorded."""
    made = []

    def record(tools):
        made.append(tools)
        return tools
    yield record
    for tools in made:
        record_run("Kafka's own tools", tools.version, *sorted(tools.used))


@pytest.fixture
def tools(version, broker, toolboxes, recorded):
    return recorded(Tools(version, broker, toolboxes))


@pytest.fixture
def own_tools(version, own_broker, recorded):
    """Each in a JVM of its own, as everybody runs them."""
    return recorded(Tools(version, own_broker))


@pytest.fixture(params=NEWER)
def newer_tools(request, broker, toolboxes, recorded):
    """For tools that came after 2.8."""
    return recorded(Tools(request.param, broker, toolboxes))
