"""Directories that a disk, or somebody, has damaged: the damage is told and not served, and nothing else is lost."""
import os
import random

import confluent_kafka
import directories
import pytest
from directory_under_test import FILE, ROWS, STORAGE_ERROR, bad_log, check, fetch, kinds, produce, run, said

SEEDS = int(os.environ.get('ODRADEK_TEST_SEEDS', '15'))


# ---- rot and torn tails

def damage_below(directory):
    """A byte in the middle of what was on disk."""
    position, _, base = directories.batches(bad_log(directory))[ROWS // 2]
    directories.flip(bad_log(directory), position + 65)
    return position, base


@pytest.mark.parametrize('state', ['sound', 'crashed'])
def test_without_segments(state, request, serve, tmp_path):
    """Half a copy of a partition: to begin anew would give offsets away a second time."""
    directory = request.getfixturevalue(state)
    bad_log(directory).unlink()
    found, *_ = [each for each in check(directory, 1)['findings'] if each['kind'] == 'rot']
    assert found['file'] == str(directory / 'bad-0') and 'no segment' in found['what']
    it, client = serve()
    assert fetch(client, 'bad', 0)[0] == STORAGE_ERROR and produce(client, 'bad', [b'x']) == STORAGE_ERROR
    assert fetch(client, 'good', 0)[0] == 0 and 'bad-0: holds no segment' in said(tmp_path)
    assert it.stop() == 0
    done = run('repair', directory)
    assert done.returncode == 0 and f'bad-0: begun anew at offset {ROWS}' in done.stdout
    check(directory, 0)
    _, client = serve()
    assert client.offset('bad', 0, -2) == client.offset('bad', 0, -1) == ROWS and produce(client, 'bad', [b'x']) == 0


@pytest.mark.parametrize('state', ['sound', 'crashed'])
def test_rot_is_told_and_repaired(state, request, serve):
    directory = request.getfixturevalue(state)
    whole = bad_log(directory).read_bytes()
    position, base = damage_below(directory)
    rotten = bad_log(directory).read_bytes()
    found = check(directory, 1)
    rot, = [each for each in found['findings'] if each['kind'] == 'rot']
    assert (rot['file'], rot['position'], rot['offset']) == (str(bad_log(directory)), position, base)
    assert rot['bytes'] == len(whole) - position and 'checksum' in rot['what']

    done = run('repair', directory)
    assert done.returncode == 0 and f'cut at offset {base}; {len(whole) - position} bytes' in done.stdout, done.stdout + done.stderr
    assert bad_log(directory).read_bytes() == whole[:position]
    assert (directory / f'bad-0/{FILE}.log.cut-{position}').read_bytes() == rotten[position:]
    assert 'rot' not in kinds(check(directory, 0))
    again = run('repair', directory)
    assert again.returncode == 0 and '0 partitions were cut' in again.stdout
    _, client = serve()
    assert client.offset('bad', 0, -1) == base and produce(client, 'bad', [b'goes on']) == 0
    assert client.records('bad', 0, 0, base)[:position] == whole[:position]
    assert client.offset('good', 0, -1) == ROWS and client.committed('group') == {('good', 0): (5, 'at 5')}


@pytest.mark.parametrize('how', ['link', 'pipe', 'directory'])
@pytest.mark.parametrize('which', [0, 1])
def test_a_segment_that_is_no_file_is_not_cut_at(sound, serve, tmp_path, how, which):
    """What lies behind it may be sound, once the file is where it should be."""
    path = sorted((sound / 'rolled-0').glob('*.log'))[which]
    path.rename(tmp_path / 'elsewhere')
    if how == 'link':
        path.symlink_to(tmp_path / 'elsewhere')
    elif how == 'pipe':
        os.mkfifo(path)
    else:
        path.mkdir()
    assert str(path) in [each['file'] for each in check(sound, 1)['findings'] if each['kind'] == 'rot']
    before = directories.digest(sound)
    done = run('repair', sound)
    assert done.returncode == 1 and f'{path}: is ' in done.stdout and 'put the file itself there' in done.stdout
    assert directories.digest(sound) == before
    it, client = serve()
    assert fetch(client, 'rolled', 0)[0] == STORAGE_ERROR and f"'{path}' is " in said(tmp_path)
    assert fetch(client, 'good', 0)[0] == 0 and it.stop() == 0
    path.rmdir() if how == 'directory' else path.unlink()
    (tmp_path / 'elsewhere').rename(path)
    check(sound, 0)


def test_a_damaged_end_after_a_clean_stop_is_rot(sound, serve, tmp_path):
    data = bad_log(sound).read_bytes()
    bad_log(sound).write_bytes(data[:-7])
    assert kinds(check(sound, 1)) == ['rot']
    it, client = serve()
    assert fetch(client, 'bad', 0)[0] == STORAGE_ERROR and produce(client, 'bad', [b'x']) == STORAGE_ERROR
    assert fetch(client, 'good', 0)[0] == 0 and produce(client, 'good', [b'x']) == 0
    assert 'bad-0' in said(tmp_path) and 'odradek check' in said(tmp_path)
    assert it.stop() == 0
    assert bad_log(sound).read_bytes() == data[:-7]
    # the stop was clean for the others, but that doesn't make this one sound
    assert kinds(check(sound, 1)) == ['rot']
    _, client = serve()
    assert fetch(client, 'bad', 0)[0] == STORAGE_ERROR and client.offset('good', 0, -1) == ROWS + 1


def test_whole_batches_that_are_missing_at_the_end_are_rot(sound, serve):
    position, _, base = directories.batches(bad_log(sound))[-3]
    bad_log(sound).write_bytes(bad_log(sound).read_bytes()[:position])
    found, = [each for each in check(sound, 1)['findings'] if each['kind'] == 'rot']
    assert found['offset'] == base and str(ROWS) in found['what']
    it, client = serve()
    assert fetch(client, 'bad', 0)[0] == STORAGE_ERROR
    assert it.stop() == 0
    assert run('repair', sound).returncode == 0
    check(sound, 0)
    _, client = serve()
    assert client.offset('bad', 0, -1) == base


def test_a_torn_tail_is_no_damage(crashed, serve):
    path = bad_log(crashed)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[-50:])
    found = check(crashed, 0)
    torn, = [each for each in found['findings'] if each['kind'] == 'torn']
    assert torn['file'] == str(path) and torn['position'] == len(whole) and torn['offset'] == ROWS + 10 and torn['bytes'] == 50
    _, client = serve()
    assert client.offset('bad', 0, -1) == ROWS + 10
    assert list(path.parent.glob('*.torn-*'))[0].read_bytes() == whole[-50:]


def test_rot_in_the_metadata_log_stops_the_start(sound, serve):
    path = sound / f'__cluster_metadata-0/{FILE}.log'
    directories.flip(path, path.stat().st_size - 30)
    assert 'rot' in kinds(check(sound, 1))
    data = path.read_bytes()
    done = run('--port', 0, '--data', sound, '--exit-with-stdin')
    assert done.returncode == 1 and '__cluster_metadata-0' in done.stderr and path.read_bytes() == data
    done = run('repair', sound)
    assert done.returncode == 0 and '__cluster_metadata-0: cut at' in done.stdout
    # the last topic was made in what was cut: nobody is to think that it is all right, or that its records are gone
    for partition in sound.glob('__consumer_offsets-*'):
        assert f'left: {partition}: is a partition that no topic' in done.stdout and 'kafka-dump-log' in done.stdout
    assert 'odd' in kinds(check(sound, 0))
    _, client = serve()
    assert client.offset('good', 0, -1) == ROWS


@pytest.mark.parametrize('torn', [False, True])
def test_nobody_hears_that_a_damaged_group_committed_nothing(sound, serve, torn):
    log, = [path for path in sound.glob(f'__consumer_offsets-*/{FILE}.log') if path.stat().st_size]
    if torn:
        log.write_bytes(log.read_bytes()[:-3])
    else:
        directories.flip(log, log.stat().st_size - 5)
    it, client = serve()
    assert client.connection.call('FindCoordinator', 2, {'key': 'group', 'key_type': 0})['error_code'] == 15
    values = {'group_id': 'group', 'topics': [{'name': 'good', 'partition_indexes': [0]}]}
    assert client.connection.call('OffsetFetch', 5, values)['error_code'] == 16
    values = {'groups': [{'group_id': 'group', 'topics': [{'name': 'good', 'partition_indexes': [0]}]}]}
    assert client.connection.call('OffsetFetch', 8, values)['groups'][0]['error_code'] == 16
    others = [f'group {i}' for i in range(20)]
    assert 0 in [client.connection.call('FindCoordinator', 2, {'key': other, 'key_type': 0})['error_code'] for other in others]


def commit_transaction(it, topic):
    producer = confluent_kafka.Producer({'bootstrap.servers': it.address, 'transactional.id': 'writer'})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(topic, 'value', partition=0)
    producer.commit_transaction(60)


def test_what_is_left_of_the_transactions_log_decides_nothing(sound, serve):
    """Without its last record it says that a transaction is to be committed, which was long ago: no marker for that."""
    it, client = serve()
    commit_transaction(it, 'good')
    assert it.stop() == 0
    log, = [path for path in sound.glob(f'__transaction_state-*/{FILE}.log') if path.stat().st_size]
    log.write_bytes(log.read_bytes()[:-3])
    it, client = serve()
    assert client.offset('good', 0, -1) == ROWS + 2
    assert client.connection.call('FindCoordinator', 2, {'key': 'writer', 'key_type': 1})['error_code'] == 15
    assert client.connection.call('InitProducerId', 2, {'transactional_id': 'writer', 'transaction_timeout_ms': 60000})['error_code'] == 15
    assert client.connection.call('EndTxn', 1, {'transactional_id': 'writer', 'committed': True})['error_code'] == 15
    assert it.stop() == 0 and run('repair', sound).returncode == 0
    it, client = serve()
    assert client.offset('good', 0, -1) == ROWS + 3  # the marker of the decision, which is the last that is known now
    commit_transaction(it, 'good')


# ---- derived files

@pytest.mark.parametrize('suffix, content', [
    ('index', b'\0\0\0\1\0\0\0\x21'), ('index', b'\0\0\0'), ('index', b'\x7f\xff\xff\xff\0\0\0\0'),
    ('timeindex', (1 << 60).to_bytes(8, 'big') + b'\0\0\0\1'), ('timeindex', b'\0' * 11), ('snapshot', b'\0\1\0\0')])
def test_derived_files_that_lie(sound, serve, suffix, content):
    _, second, *_ = sorted((sound / 'rolled-0').glob('*.log'))
    (second.with_suffix(f'.{suffix}')).write_bytes(content)
    found = check(sound, 1)
    assert kinds(found) == ['derived'] and found['findings'][0]['file'] == str(second.with_suffix(f'.{suffix}'))
    assert run('repair', sound).returncode == 0
    assert kinds(check(sound, 0)) == []


@pytest.mark.parametrize('data', [b'\0\0\0\1\0\0\0\x21', b'\0\0\0\1\0\1\0\0', b''])
def test_an_index_from_the_future_misleads_nobody(sound, serve, data):
    """Of a log that was written again, say: its entries point anywhere."""
    _, second, *_ = sorted((sound / 'rolled-0').glob('*.log'))
    second.with_suffix('.index').write_bytes(data)
    expected = {base: position for position, _, base in directories.batches(second)}
    _, client = serve()
    for base in expected:
        code, got = fetch(client, 'rolled', base)
        assert code == 0 and int.from_bytes(got[:8], 'big') == base


@pytest.mark.parametrize('name', ['recovery-point-offset-checkpoint', 'replication-offset-checkpoint', 'log-start-offset-checkpoint',
                                  'cleaner-offset-checkpoint'])
def test_a_malformed_checkpoint_is_done_without(crashed, serve, name, tmp_path):
    (crashed / name).write_text('0\n7\ngood')
    assert kinds(check(crashed, 1)) == ['derived']
    it, client = serve()
    assert client.offset('good', 0, -1) == ROWS and client.offset('bad', 0, -1) == ROWS + 10
    assert it.stop() == 0
    check(crashed, 0)


def damage(directory, random):
    """Something that a bad disk, or somebody with a mouse, does to a file or two."""
    files = [path for path in sorted(directory.rglob('*')) if path.is_file() and path.name not in ('meta.properties', '.lock')]
    for path in random.sample(files, random.randint(1, 3)):
        data = bytearray(path.read_bytes())
        what = random.choice(['flip', 'cut', 'zeros', 'remove', 'twice', 'noise'])
        at = random.randrange(len(data) + 1)
        if what == 'flip' and data:
            data[at % len(data)] ^= 1 << random.randrange(8)
        elif what == 'cut':
            del data[at:]
        elif what == 'zeros':
            data[at:at + 100] = bytes(len(data[at:at + 100]))
        elif what == 'twice':
            data += data[at:]
        elif what == 'noise':
            data += random.randbytes(70)
        path.write_bytes(data)
        if what == 'remove':
            path.unlink()


@pytest.mark.parametrize('state', ['sound', 'crashed'])
@pytest.mark.parametrize('seed', range(SEEDS))
def test_any_damage_is_survived(state, request, seed):
    """Checks, starts and repairs end with a word and not with a crash; what was repaired is fine afterwards."""
    directory = request.getfixturevalue(state)
    damage(directory, random.Random(seed))
    for command in ('check', None, 'check', 'repair', 'check', None, 'check'):
        done = run(command, directory) if command else run('--port', 0, '--data', directory, '--exit-with-stdin')
        assert done.returncode in (0, 1, 4) and 'Sanitizer' not in done.stderr and 'runtime error' not in done.stderr, done.stderr
        assert done.returncode == 0 or done.stderr or done.stdout
        if command == 'repair':
            repair = done
    if repair.returncode == 1:
        assert 'left: ' in repair.stdout
    else:
        assert done.returncode == repair.returncode, done.stdout
