"""franz-go, a Kafka client written in Go: builds main.go and runs its scenarios."""
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
SECONDS = 240  # only against hanging for ever


def test_franz_go(broker, name, tmp_path):
    program = tmp_path / 'franz-go'
    subprocess.run(['go', 'build', '-o', program, '.'], cwd=HERE, check=True, timeout=SECONDS)
    done = subprocess.run([program, broker.address, name], capture_output=True, text=True, timeout=SECONDS)
    assert done.stdout.splitlines() == ['ok codecs', 'ok acks', 'ok timestamps', 'ok groups'], done.stderr
    assert done.returncode == 0
