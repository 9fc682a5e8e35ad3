"""rdkafka, librdkafka for Rust, here with the old one that Debian has: builds its program and runs it."""
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.mark.timeout(1500)  # it may be the first that is built
def test_rdkafka(run_client, cargo_build):
    run_client('rdkafka (Rust)', [cargo_build(HERE)], 'records codecs big times group transactions pause admin', HERE)
