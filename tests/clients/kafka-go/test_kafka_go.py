"""kafka-go, a Kafka client written in Go, of which much speaks fixed old versions of requests: builds its program and runs it."""
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.mark.timeout(1500)  # it may be the first that is built
def test_kafka_go(run_client, go_build):
    run_client('kafka-go', [go_build(HERE)], 'records codecs big times group admin', HERE)
