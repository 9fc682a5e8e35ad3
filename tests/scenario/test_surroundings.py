"""What a process may find around itself: files that it may not read, limits, standard streams that are closed or full, signals."""
import os
import pathlib
import resource
import signal
import socket
import subprocess

import broker as brokers
import directories
import picture
import pytest
import wire
from conftest import create
from directory_under_test import BINARY, FILE, ROWS, STORAGE_ERROR, fetch, produce, run, said
from test_starts import end_of, fill, refused

# Root may read everything, unless it gives that up.
OTHERS = ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] if os.geteuid() == 0 else []

others = pytest.mark.skipif(bool(OTHERS) and subprocess.run([*OTHERS, 'true'], capture_output=True).returncode != 0,
                            reason='root may not give up its rights here')


class Other(brokers.Odradek):
    def launch(self, errors):
        command = [*OTHERS, BINARY, '--port', '0', '--data', self.directory / 'data', '--exit-with-stdin']
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)


def run_as_other(*args):
    return subprocess.run([*OTHERS, BINARY, *map(str, args)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


@others
@pytest.mark.parametrize('name', ['.lock', 'meta.properties', '__cluster_metadata-0', f'__cluster_metadata-0/{FILE}.log',
                                  'recovery-point-offset-checkpoint', 'log-start-offset-checkpoint', 'cleaner-offset-checkpoint'])
def test_a_file_that_may_not_be_read_is_named(sound, name):
    mode = (sound / name).stat().st_mode
    (sound / name).chmod(0)
    done = run_as_other('--port', 0, '--data', sound, '--exit-with-stdin')
    last = done.stderr.splitlines()[-1]
    assert (done.returncode, done.stdout) == (1, '')
    assert name.partition('/')[0] in last and 'Permission denied' in last and 'let this user read' in last, done.stderr
    checked = run_as_other('check', sound)
    assert checked.returncode == 1 and name.partition('/')[0] in checked.stderr + checked.stdout, checked
    (sound / name).chmod(mode)
    assert run('check', sound).returncode == 0


@others
@pytest.mark.parametrize('name', ['good-0', f'good-0/{FILE}.log'])
@pytest.mark.parametrize('state', ['sound', 'crashed'])
def test_a_partition_that_may_not_be_read(state, request, tmp_path, name):
    """It is not begun anew, and comes back when it may be read."""
    directory = request.getfixturevalue(state)
    mode = (directory / name).stat().st_mode
    (directory / name).chmod(0)
    it = Other(tmp_path).start()
    client = picture.Client(it)
    assert fetch(client, 'good', 0)[0] == produce(client, 'good', [b'x']) == STORAGE_ERROR and fetch(client, 'bad', 0)[0] == 0
    client.close()
    assert it.stop() == 0 and 'good-0 is not served: Permission denied' in said(tmp_path)
    (directory / name).chmod(mode)
    it = brokers.Odradek(tmp_path).start()
    client = picture.Client(it)
    assert client.offset('good', 0, -1) == ROWS and produce(client, 'good', [b'x']) == 0
    client.close()
    assert it.stop() == 0


@others
def test_a_directory_to_which_nothing_may_be_written(sound):
    before = directories.digest(sound)
    sound.chmod(0o500)
    said = run_as_other('--port', 0, '--data', sound, '--exit-with-stdin')
    assert said.returncode == 1 and str(sound) in said.stderr and 'write there' in said.stderr
    assert run_as_other('check', sound).returncode == 0
    sound.chmod(0o700)
    assert directories.digest(sound) == before


@pytest.mark.parametrize('length', [3600, 4090, 5000])
def test_a_path_that_leaves_no_room(tmp_path, length):
    """What the system would cut, or could not add names of files to."""
    path = str(tmp_path) + '/d' + '/long-name' * (length // 10)
    said = refused(2, '--port', 0, '--data', path)
    assert 'shorter' in said and '--data' in said and str(tmp_path) in said and len(said.splitlines()) == 1
    assert os.listdir(tmp_path) == []


def test_a_path_that_leaves_just_enough(tmp_path):
    path = str(tmp_path) + '/' + '/'.join(['n' * 200] * 14)
    it = subprocess.Popen([BINARY, '--port', '0', '--data', path + '/' + '/'.join(['n' * 100] * 8)[:3584 - 1 - len(path)], '--exit-with-stdin'], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True)
    call = wire.Connection('localhost', int(it.stdout.readline().rpartition(':')[2])).call
    assert create(call, 't' * 249)['error_code'] == 0
    call('DeleteTopics', 5, {'topic_names': ['t' * 249], 'timeout_ms': 9000})
    assert it.communicate('', timeout=60) and it.returncode == 0


def test_no_place_for_an_ephemeral_directory(tmp_path):
    said = refused(2, '--port', 0, '--ephemeral', env={'TMPDIR': str(tmp_path / 'none')})
    assert str(tmp_path / 'none') in said and 'TMPDIR' in said


def test_a_path_is_one_line(tmp_path):
    place = tmp_path / 'odd\n\033[31m'
    place.mkdir()
    (place / 'thesis.txt').touch()
    said = refused(4, '--port', 0, '--data', place)
    assert len(said.splitlines()) == 1 and '\033' not in said and 'odd??[31m' in said


def test_a_properties_file_without_end(tmp_path):
    assert '/dev/zero' in refused(2, '/dev/zero', '--port', 0, '--data', tmp_path / 'data')


@pytest.mark.parametrize('text', ['num.partitions=3\n'.encode('utf-16'), b'num.partitions=3\0\n'])
def test_a_properties_file_that_is_no_text(tmp_path, text):
    (tmp_path / 'p').write_bytes(text)
    assert 'plain text' in refused(2, tmp_path / 'p', '--port', 0, '--data', tmp_path / 'data')


@pytest.mark.parametrize('name, escaped', [('année €😀', r'ann\u00e9e \u20ac\ud83d\ude00'), ('back\\slash\nand line', r'back\\slash\u000aand line')])
def test_what_graduate_prints_names_the_directory(sound, tmp_path, name, escaped):
    """In ASCII: Java reads properties byte by byte."""
    sound.rename(tmp_path / name)
    done = run('graduate', tmp_path / name)
    assert done.returncode == 0 and done.stdout.isascii() and f'\nlog.dirs={tmp_path}/{escaped}\n' in done.stdout, done
    (tmp_path / 'properties').write_text('\n'.join(line for line in done.stdout.splitlines() if line.startswith('log.dirs=')))
    assert run(tmp_path / 'properties', '--port', 0, '--exit-with-stdin').returncode == 0
    assert sorted(os.listdir(tmp_path)) == sorted([name, 'properties'])


@pytest.mark.parametrize('args', [['--help'], ['--version'], ['check'], ['repair'], ['graduate']])
def test_an_answer_that_cannot_be_written(sound, args):
    with open('/dev/full', 'w') as full:
        done = subprocess.run([BINARY, *args, *([] if args[0][0] == '-' else [sound])], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=60)
    assert done.returncode == 1 and 'standard output' in done.stderr


@pytest.mark.skipif(not os.path.isdir('/proc/self/fd'), reason='needs /proc')
def test_nothing_gets_the_number_of_a_closed_standard_descriptor(tmp_path):
    it = brokers.Odradek(tmp_path)
    it.port, = brokers.free_ports(1)
    it.process = subprocess.Popen(['sh', '-c', 'exec "$0" "$@" <&- >&- 2>&-', BINARY, '--port', str(it.port), '--data', tmp_path / 'data'])
    brokers.Kafka.wait_ready(it)
    behind = [os.readlink(f'/proc/{it.process.pid}/fd/{fd}') for fd in range(3)]
    assert it.stop() == 0 and behind == ['/dev/null'] * 3
    assert run('check', tmp_path / 'data').returncode == 0


def test_closed_is_the_end_of_standard_input(tmp_path):
    done = subprocess.run(['sh', '-c', 'exec "$0" "$@" <&-', BINARY, '--port', '0', '--data', tmp_path / 'data', '--exit-with-stdin'], timeout=60)
    assert done.returncode == 0 and (tmp_path / 'data/.kafka_cleanshutdown').exists()


@pytest.mark.parametrize('limit', [7, 10, 14, 18, 20, 21, 22, 24])
def test_few_descriptors(tmp_path, limit):
    """It serves, or says what is missing."""
    done = subprocess.run(['sh', '-c', f'ulimit -n {limit} && exec "$0" "$@"', BINARY, '--port', '0', '--data', tmp_path / 'data',
                           '--exit-with-stdin'], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if done.returncode:
        assert (done.returncode, done.stdout) == (1, '') and 'ulimit -n' in done.stderr and len(done.stderr.splitlines()) == 1, done
    assert run('--port', 0, '--data', tmp_path / 'data', '--exit-with-stdin').returncode == 0


def test_a_limit_for_files_is_no_end(tmp_path):
    it = brokers.Odradek(tmp_path).start()
    call = wire.Connection('localhost', it.port).call
    assert create(call, 'first')['error_code'] == 0
    before = resource.prlimit(it.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(it.process.pid, resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    code, count = fill(call, 'first')
    assert (code, end_of(call, 'first')) == (56, count) and 0 < count < 12
    resource.prlimit(it.process.pid, resource.RLIMIT_FSIZE, before)
    assert fill(call, 'first') == (0, 1000)
    assert it.stop() == 0
    assert run('check', tmp_path / 'data').returncode == 0


def test_no_memory_for_a_request(tmp_path):
    it = brokers.Odradek(tmp_path).start()
    call = wire.Connection('localhost', it.port).call
    assert create(call, 'first')['error_code'] == 0
    before = resource.prlimit(it.process.pid, resource.RLIMIT_AS)
    pages = int(pathlib.Path(f'/proc/{it.process.pid}/statm').read_text().split()[0])
    resource.prlimit(it.process.pid, resource.RLIMIT_AS, (pages * resource.getpagesize() + (16 << 20), before[1]))
    with socket.create_connection(('localhost', it.port), 60) as big:
        with pytest.raises(ConnectionError):
            big.sendall((60 << 20).to_bytes(4, 'big') + bytes(60 << 20))
    assert 'no memory for a request: closing the connection of ' in said(tmp_path)
    assert create(call, 'second')['error_code'] == 0
    resource.prlimit(it.process.pid, resource.RLIMIT_AS, before)
    assert it.stop() == 0


@pytest.mark.parametrize('first, spoken', [(bytes.fromhex('1603010200010001fc0303'), 'TLS'), (b'GET / HTTP/1.1\r\n\r\n', 'HTTP'),
                                           (b'PRI * HTTP/2.0\r\n\r\n', 'HTTP'), (bytes([255] * 8), '')])
def test_another_protocol_is_named(tmp_path, first, spoken):
    it = brokers.Odradek(tmp_path).start()
    with socket.create_connection(('localhost', it.port), 60) as other:
        other.sendall(first)
        assert other.recv(1) == b''
    told = said(tmp_path)
    assert 'a request of ' in told and [each for each in ('TLS', 'HTTP') if each in told] == [spoken][:bool(spoken)]
    assert it.stop() == 0


@pytest.mark.parametrize('how', ['removed', 'replaced'])
@pytest.mark.parametrize('when', ['later', 'at the stop'])
def test_a_directory_that_is_gone(tmp_path, how, when):
    """What is written then is lost, and the files of whoever came after are not to be touched."""
    properties = {'log.flush.offset.checkpoint.interval.ms': '100'} if when == 'later' else {}
    it = brokers.Odradek(tmp_path, **properties).start()
    client = picture.Client(it)
    client.create('good')
    assert produce(client, 'good', [b'x']) == 0
    (tmp_path / 'data').rename(tmp_path / 'moved')
    if how == 'replaced':
        (tmp_path / 'next').mkdir()
        other = brokers.Odradek(tmp_path / 'next')
        (tmp_path / 'next/data').symlink_to(tmp_path / 'data')
        (tmp_path / 'data').mkdir()
        other.start()
        before = {path.name: path.read_bytes() for path in (tmp_path / 'data').iterdir() if path.is_file()}
    try:
        acknowledged = 1 + (produce(client, 'good', [b'x']) == 0)
    except (OSError, wire.Closed):
        acknowledged = 1
    if when == 'later':
        assert it.process.wait(60) == 1
    assert it.stop() == 1 and 'removed or replaced' in said(tmp_path)
    client.close()
    if how == 'replaced':
        assert before == {path.name: path.read_bytes() for path in (tmp_path / 'data').iterdir() if path.is_file()}
        assert other.stop() == 0
        (tmp_path / 'data').rename(tmp_path / 'other')
    (tmp_path / 'moved').rename(tmp_path / 'data')
    it = brokers.Odradek(tmp_path).start()
    client = picture.Client(it)
    assert client.offset('good', 0, -1) >= acknowledged
    client.close()
    assert it.stop() == 0


def start_with(tmp_path, disposition):
    """A broker whose parent had SIGHUP so."""
    before = signal.signal(signal.SIGHUP, disposition)
    try:
        return brokers.Odradek(tmp_path).start()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_end_of_the_terminal_is_a_clean_end(tmp_path):
    it = start_with(tmp_path, signal.SIG_DFL)
    it.process.send_signal(signal.SIGHUP)
    assert it.end() == 0 and (tmp_path / 'data/.kafka_cleanshutdown').exists()


def test_it_may_outlive_the_terminal(tmp_path):
    it = start_with(tmp_path, signal.SIG_IGN)  # as nohup has it
    it.process.send_signal(signal.SIGHUP)
    call = wire.Connection('localhost', it.port).call
    assert create(call, 'later')['error_code'] == 0
    assert it.stop() == 0
