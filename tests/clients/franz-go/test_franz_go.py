"""franz-go, a Kafka client written in Go: builds its program and runs it."""
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.mark.timeout(1500)  # it may be the first that is built
def test_franz_go(run_client, go_build):
    run_client('franz-go', [go_build(HERE)], 'records codecs big times group kip848 transactions pause admin', HERE)
