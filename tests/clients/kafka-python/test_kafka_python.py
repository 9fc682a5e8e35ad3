"""kafka-python, a Kafka client written in Python: runs scenarios.py with the newest, and with 2.0.2."""
import pathlib
import shutil
import subprocess
import sys

from broker import ROOT

HERE = pathlib.Path(__file__).parent
COMMAND = [sys.executable, 'scenarios.py']


def test_kafka_python_newest(run_client):
    run_client('kafka-python', COMMAND, 'records codecs big times group transactions admin', HERE)


def test_kafka_python_2_0_2(run_client, tmp_path):
    directory = ROOT / '.cache/kafka-python-2.0.2'
    if not directory.exists():
        unfinished = tmp_path / 'kafka-python'
        install = [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--target', unfinished]
        subprocess.run([*install, 'kafka-python==2.0.2'], check=True)
        shutil.move(unfinished, directory)
    run_client('kafka-python', COMMAND, 'records codecs big times group admin', HERE, env={'PYTHONPATH': str(directory)})
