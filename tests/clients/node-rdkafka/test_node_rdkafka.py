"""node-rdkafka, librdkafka's Node: builds it for Debian's librdkafka, and runs scenarios.js."""
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
BUILD = {'BUILD_LIBRDKAFKA': '0', 'npm_config_nodedir': '/usr', 'npm_config_jobs': 'max'}  # the library and headers are the system's
BUILT = HERE / 'node_modules/node-rdkafka/build/Release/node-librdkafka.node'


def test_node_rdkafka(run_client):
    if not BUILT.exists():
        subprocess.run(['npm', 'ci', '--silent', '--no-audit', '--no-fund'], cwd=HERE, env=os.environ | BUILD, check=True)
    run_client('node-rdkafka', ['node', 'scenarios.js'], 'records codecs big times group transactions pause admin', HERE)
