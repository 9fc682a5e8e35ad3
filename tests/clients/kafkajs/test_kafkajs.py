"""kafkajs, a Kafka client written in JavaScript: runs scenarios.js."""
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
SECONDS = 240  # only against hanging for ever


def test_kafkajs(broker, name):
    if not (HERE / 'node_modules/kafkajs').exists():
        subprocess.run(['npm', 'ci', '--silent', '--no-audit', '--no-fund'], cwd=HERE, check=True, timeout=SECONDS)
    done = subprocess.run(['node', 'scenarios.js', broker.address, name], cwd=HERE, capture_output=True, text=True,
                          timeout=SECONDS)
    assert done.stdout.splitlines() == ['ok records', 'ok timestamps', 'ok groups', 'ok pauseAndResume'], done.stderr
    assert done.returncode == 0
