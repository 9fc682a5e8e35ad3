"""sarama, a Kafka client written in Go: builds its program and runs it. sarama speaks the versions of requests that the Kafka had which it
is told of: an old one, as programs that were written long ago do; its default; the newest."""
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.mark.timeout(1500)  # it may be the first that is built
@pytest.mark.parametrize('version', ['0.11.0.0', 'default', '4.3.1'])
def test_sarama(run_client, go_build, version):
    run_client('sarama', [go_build(HERE), version], 'records codecs big times group transactions pause admin', HERE)
