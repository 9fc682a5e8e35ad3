"""What a person sees who starts the broker wrongly: one line that says what to do, and the exit code."""
import os
import pathlib
import signal
import socket
import subprocess
import time

import broker as brokers
import pytest
import records
import wire
from conftest import create

BINARY = os.environ.get('ODRADEK_BINARY', brokers.ROOT / 'build/odradek')


def run(*args, env=None, **more):
    return subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={**os.environ, **(env or {})}, **more)


def refused(code, *args, **more):
    """What it said on stderr, which must be all that it said."""
    done = run(*args, **more)
    assert (done.returncode, done.stdout) == (code, ''), done.stderr
    return done.stderr


def test_a_taken_port(tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(3, '--port', port, '--data', tmp_path / 'data')
    assert str(port) in said and '--port' in said and len(said.splitlines()) == 1


def test_a_locked_directory(tmp_path):
    first = brokers.Odradek(tmp_path).start()
    said = refused(4, '--port', 0, '--data', tmp_path / 'data')
    assert str(tmp_path / 'data') in said and len(said.splitlines()) == 1
    assert first.stop() == 0


def test_a_directory_of_something_else(tmp_path):
    (tmp_path / 'meta.properties').write_text('this is no Kafka\n')
    said = refused(4, '--port', 0, '--data', tmp_path)
    assert 'meta.properties' in said and len(said.splitlines()) == 1
    assert os.listdir(tmp_path) == ['meta.properties'] or set(os.listdir(tmp_path)) == {'meta.properties', '.lock'}


def test_files_of_somebody(tmp_path):
    (tmp_path / 'thesis.txt').write_text('precious')
    said = refused(4, '--port', 0, '--data', tmp_path)
    assert str(tmp_path) in said and len(said.splitlines()) == 1
    assert os.listdir(tmp_path) == ['thesis.txt'] and (tmp_path / 'thesis.txt').read_text() == 'precious'


@pytest.mark.parametrize('content', ['version=0\nbroker.id=1\ncluster.id=x\n', 'version=2\nnode.id=1\ncluster.id=x\n', '\0\xff' * 3000])
def test_a_directory_of_another_version(tmp_path, content):
    (tmp_path / 'meta.properties').write_text(content)
    said = refused(4, '--port', 0, '--data', tmp_path)
    assert 'meta.properties' in said and len(said.splitlines()) == 1
    assert os.listdir(tmp_path) == ['meta.properties'] and (tmp_path / 'meta.properties').read_text() == content


def test_a_path_that_is_a_file(tmp_path):
    (tmp_path / 'file').write_text('')
    said = refused(1, '--port', 0, '--data', tmp_path / 'file')
    assert str(tmp_path / 'file') in said and '--data' in said and len(said.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0 and not pathlib.Path('/proc/sys').is_dir(), reason='needs a place where nobody can write')
def test_an_unwritable_directory():
    said = refused(1, '--port', 0, '--data', '/proc/odradek')
    assert '/proc/odradek' in said and '--data' in said and len(said.splitlines()) == 1


@pytest.mark.parametrize('args', [['--no-such-flag'], ['--port', 'many'], ['--port', '70000'], ['--override', 'num.partitions=x'],
                                  ['--override', 'nothing'], ['/no/such/file.properties'], ['/'], ['--port'], ['--data', '']])
def test_a_wrong_command_line(tmp_path, args):
    said = refused(2, '--port', 0, '--data', tmp_path / 'data', *args)
    assert said and not (tmp_path / 'data').exists()


def test_a_wrong_properties_file(tmp_path):
    (tmp_path / 'p').write_text('log.segment.bytes=1\n')
    assert 'log.segment.bytes' in refused(2, tmp_path / 'p', '--data', tmp_path / 'data')


def test_an_unknown_key_is_a_warning_with_a_guess(tmp_path):
    done = run('--port', 0, '--data', tmp_path / 'data', '--override', 'log.retension.ms=5', '--exit-with-stdin')
    assert done.returncode == 0 and 'did you mean' in done.stderr and 'log.retention.ms' in done.stderr


def test_a_misspelt_variable_is_a_warning_with_a_guess(tmp_path):
    done = run('--port', 0, '--data', tmp_path / 'data', '--exit-with-stdin', env={'ODRADEK_LOG_RETENSION_MS': '5'})
    assert done.returncode == 0 and 'ODRADEK_LOG_RETENSION_MS' in done.stderr and 'ODRADEK_LOG_RETENTION_MS' in done.stderr


def test_stdout_is_one_line(tmp_path):
    done = run('--port', 0, '--data', tmp_path / 'data', '--exit-with-stdin')
    word, _, address = done.stdout.strip().partition(' ')
    assert (done.returncode, word, done.stdout.count('\n')) == (0, 'ready', 1)
    assert int(address.rpartition(':')[2]) > 0


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_cleanly(tmp_path, number):
    it = brokers.Odradek(tmp_path).start()
    it.process.send_signal(number)
    assert it.end() == 0
    assert (tmp_path / 'data/.kafka_cleanshutdown').exists()


def test_timers_run_before_anybody_connects(tmp_path):
    it = brokers.Odradek(tmp_path).start()
    call = wire.Connection('localhost', it.port).call
    assert create(call, 'old', configs=[('retention.ms', '1000')])['error_code'] == 0
    row = {'index': 0, 'records': records.batch([b'old'], timestamp=1000000000000)}
    call('Produce', 9, {'acks': 1, 'timeout_ms': 9000, 'topic_data': [{'name': 'old', 'partition_data': [row]}]})
    assert it.stop() == 0
    it = brokers.Odradek(tmp_path, log_retention_check_interval_ms='100').start()
    end = time.monotonic() + 40  # libev looks up once a minute by itself
    while (tmp_path / 'data/old-0/00000000000000000000.log').exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    assert it.stop() == 0


def test_an_ephemeral_directory_is_gone(tmp_path):
    done = run('--port', 0, '--ephemeral', '--exit-with-stdin', env={'TMPDIR': str(tmp_path)})
    assert done.returncode == 0 and os.listdir(tmp_path) == []


def test_one_of_two_gets_the_port(tmp_path):
    """Started together: one serves, the other says that the port is taken."""
    for turn in range(5):
        with socket.create_server(('127.0.0.1', 0)) as free:
            port = free.getsockname()[1]
        both = [subprocess.Popen([BINARY, '--port', str(port), '--data', tmp_path / f'{turn}-{i}', '--exit-with-stdin'],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for i in range(2)]
        lines = [it.stdout.readline() for it in both]
        codes = [it.communicate(b'', timeout=60) and it.returncode for it in both]
        assert sorted(codes) == [0, 3] and sum(line != b'' for line in lines) == 1


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / 'disk'
    place.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', place], capture_output=True).returncode:
        pytest.skip('may not mount a file system')
    yield place
    subprocess.run(['umount', '-l', place], check=True)


def fill(call, topic):
    """Produces until it is refused; answers the code and how many records there are."""
    batch = records.batch([b'x' * 100000])
    for count in range(1000):
        row = call('Produce', 9, {'acks': 1, 'timeout_ms': 9000, 'topic_data': [
            {'name': topic, 'partition_data': [{'index': 0, 'records': batch}]}]})['responses'][0]['partition_responses'][0]
        if row['error_code']:
            return row['error_code'], count
    return 0, 1000


def end_of(call, topic):
    return call('ListOffsets', 5, {'replica_id': -1, 'topics': [
        {'name': topic, 'partitions': [{'partition_index': 0, 'timestamp': -1}]}]})['topics'][0]['partitions'][0]['offset']


def test_a_full_disk(small_disk):
    it = brokers.Odradek(small_disk).start()
    call = wire.Connection('localhost', it.port).call
    assert create(call, 'first')['error_code'] == 0 and create(call, 'second')['error_code'] == 0
    code, count = fill(call, 'first')
    assert (code, end_of(call, 'first')) == (56, count)
    row = call('Fetch', 11, {'max_wait_ms': 1, 'min_bytes': 0, 'topics': [
        {'topic': 'first', 'partitions': [{'partition': 0, 'fetch_offset': count - 1, 'partition_max_bytes': 1 << 20}]}]})
    assert len(row['responses'][0]['partitions'][0]['records']) > 100000
    call('DeleteTopics', 5, {'topic_names': ['first'], 'timeout_ms': 9000})
    assert fill(call, 'second')[1] > 50
    it.kill9()
    it.start()
    call = wire.Connection('localhost', it.port).call
    assert end_of(call, 'second') > 50
    it.stop()


def test_a_start_on_a_full_disk(small_disk):
    (small_disk / 'all').write_bytes(bytes(16 << 20))
    said = refused(1, '--port', 0, '--data', small_disk / 'data')
    assert 'make room' in said and '--data' in said and len(said.splitlines()) == 1
    (small_disk / 'all').unlink()
    assert run('--port', 0, '--data', small_disk / 'data', '--exit-with-stdin').returncode == 0
