"""aiokafka, a Kafka client for asyncio: runs scenarios.py."""
import pathlib
import sys

HERE = pathlib.Path(__file__).parent


def test_aiokafka(run_client):
    run_client('aiokafka', [sys.executable, 'scenarios.py'], 'records codecs big times group transactions admin', HERE)
