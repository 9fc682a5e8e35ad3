"""rskafka, a Kafka client written in Rust, with neither groups nor transactions: builds its program and runs it."""
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.mark.timeout(1500)  # it may be the first that is built
def test_rskafka(run_client, cargo_build):
    run_client('rskafka', [cargo_build(HERE)], 'records codecs big times admin', HERE)
