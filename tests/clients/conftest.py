"""What the tests of all clients share: a broker for everybody, one of one's own, names nobody else has, and clients' programs.

A client's directory holds a program, called with the broker's address and a name that its topics and groups start with. It prints the
client's version and then 'ok SCENARIO' for each of its scenarios, which check themselves and mean the same in every client:

    records            keys, headers, times, nulls and every level of acks read back
    codecs             so does what is compressed, with each codec that the client has
    big                and records nearly as big as a broker takes; bigger ones are refused
    times              offsets are found by time, the first and the last too
    group              members come and go, what they commit is where others go on
    kip848             the same with the newer consumer protocol
    transactions       committed and aborted ones as read_committed sees them, with offsets in them; the older producer is fenced
    pause              partitions give nothing while they are paused
    admin              topics, partitions, configs, groups and deleted records as the client's own administration sees them

What was run is recorded; tools/client_table.py makes README's table of it.
"""
import os
import pathlib
import re
import subprocess
import sys

import broker as brokers
import pytest

SECONDS = 240  # only against hanging for ever
BUILD_SECONDS = 1200


@pytest.fixture(scope='session')
def broker(tmp_path_factory):
    """One broker for all tests that leave it running."""
    # the tests write records of long ago, which retention would take from under them once the broker has run for some minutes
    it = brokers.new(tmp_path_factory.mktemp('broker'), log_retention_check_interval_ms='86400000').start()
    yield it
    it.stop()


@pytest.fixture
def own_broker(tmp_path):
    """A broker for a test that stops or kills it, or wants it empty."""
    it = brokers.new(tmp_path).start()
    yield it
    if it.process.returncode is None:
        it.stop()


@pytest.fixture
def name(request):
    """A topic or group name of the test's own, as no other has its name; without dots and underscores, about which kafka-topics warns."""
    return re.sub(r'[^A-Za-z0-9]+', '-', request.node.name).strip('-')


@pytest.fixture
def record_run(record_property):
    """For README's table: a client, its version, and what the test ran of it."""
    def record(client, version, *what):
        record_property('client', '|'.join((client, version, *what)))
    return record


@pytest.fixture
def run_client(broker, name, record_run):
    """Runs a client's program, which must go through exactly those scenarios."""
    def run(client, command, scenarios, cwd, **settings):
        done = subprocess.run([*command, broker.address, name], cwd=cwd, capture_output=True, text=True, timeout=SECONDS, **settings)
        version, *passed = done.stdout.splitlines() or ['']
        assert passed == [f'ok {scenario}' for scenario in scenarios.split()], done.stdout + done.stderr
        assert done.returncode == 0, done.stderr
        record_run(client, version, *scenarios.split())
    return run


@pytest.fixture
def go_build(tmp_path):
    """Builds a client's program in Go, with the Go that requirements.txt names, and returns where it is."""
    def build(directory):
        program, go = tmp_path / directory.name, pathlib.Path(sys.executable).with_name('go')
        subprocess.run([go, 'build', '-buildvcs=false', '-o', program, '.'], cwd=directory, check=True, timeout=BUILD_SECONDS)
        return program
    return build


@pytest.fixture
def cargo_build():
    """Builds a client's program in Rust and returns where it is. Its lock file, which names a registry, is made anew in a clone."""
    def build(directory):
        target = brokers.ROOT / '.cache/cargo'
        settings = os.environ | {'CARGO_TARGET_DIR': str(target), 'ZSTD_SYS_USE_PKG_CONFIG': '1'}
        subprocess.run(['cargo', 'build', '--quiet'], cwd=directory, check=True, timeout=BUILD_SECONDS, env=settings)
        return target / 'debug' / f'odradek-{directory.name}'
    return build
