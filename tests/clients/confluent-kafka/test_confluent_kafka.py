"""confluent-kafka, librdkafka's Python: runs scenarios.py and, one by one, those of features.py, with Debian's old and the newest."""
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
SECONDS = 200  # only against hanging for ever
PROGRAM = HERE / 'features.py'
NAMES = re.findall(r'\w+', PROGRAM.read_text().split('SCENARIOS = [')[1].split(']')[0])
INTERPRETERS = {'debian': '/usr/bin/python3', 'newest': sys.executable}


def test_confluent_kafka_debian(run_client):
    run_client('confluent-kafka', [INTERPRETERS['debian'], 'scenarios.py'], 'records codecs big times group transactions admin', HERE)


def test_confluent_kafka_newest(run_client):
    run_client('confluent-kafka', [INTERPRETERS['newest'], 'scenarios.py'],
               'records codecs big times group kip848 transactions admin', HERE)


@pytest.mark.parametrize('which', INTERPRETERS)
@pytest.mark.parametrize('scenario', NAMES)
def test_feature(broker, name, scenario, which):
    done = subprocess.run([INTERPRETERS[which], PROGRAM, scenario, broker.address, name], capture_output=True, text=True,
                          timeout=SECONDS)
    assert (done.returncode, done.stdout) == (0, f'ok {scenario}\n'), done.stdout + done.stderr
