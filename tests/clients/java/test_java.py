"""The Java client, which all of Kafka's own tools are made with, in three versions: runs Scenarios.java."""
import jvm
import pytest

SCENARIOS = 'records codecs big times group kip848 transactions admin'


@pytest.mark.parametrize('version', jvm.VERSIONS)
def test_scenarios(run_client, version):
    scenarios = SCENARIOS.replace('kip848 ', '') if version.startswith('2.') else SCENARIOS
    jars = f'{jvm.ask(version, "fetch")}/*'
    run_client('Java (org.apache.kafka)', jvm.command([jars], 'Scenarios.java'), scenarios, jvm.HERE)
