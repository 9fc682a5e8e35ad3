"""kafkajs, a Kafka client written in JavaScript: runs scenarios.js."""
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent


def test_kafkajs(run_client):
    if not (HERE / 'node_modules/kafkajs').exists():
        subprocess.run(['npm', 'ci', '--silent', '--no-audit', '--no-fund'], cwd=HERE, check=True)
    run_client('kafkajs', ['node', 'scenarios.js'], 'records codecs big times group transactions pause admin', HERE)
