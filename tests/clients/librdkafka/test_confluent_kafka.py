"""The scenarios of scenarios.py, with Debian's old confluent-kafka and with the newest."""
import pathlib
import re
import subprocess
import sys

import pytest

SECONDS = 200  # only against hanging for ever
PROGRAM = pathlib.Path(__file__).with_name('scenarios.py')
NAMES = re.findall(r'\w+', PROGRAM.read_text().split('SCENARIOS = [')[1].split(']')[0])
INTERPRETERS = {'debian': '/usr/bin/python3', 'newest': sys.executable}


@pytest.mark.parametrize('which', INTERPRETERS)
@pytest.mark.parametrize('scenario', NAMES)
def test_scenario(broker, name, scenario, which):
    done = subprocess.run([INTERPRETERS[which], PROGRAM, scenario, broker.address, name], capture_output=True, text=True,
                          timeout=SECONDS)
    assert (done.returncode, done.stdout) == (0, f'ok {scenario}\n'), done.stdout + done.stderr
