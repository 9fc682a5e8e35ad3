"""Directories as they shouldn't be: each gets a line that names the file and what to do, and nothing is lost or changed in silence."""
import json
import os
import random
import shutil
import subprocess
import uuid

import broker as brokers
import confluent_kafka
import directories
import picture
import pytest
import records

BINARY = os.environ.get('ODRADEK_BINARY', brokers.ROOT / 'build/odradek')
STORAGE_ERROR = 56
ROWS = 40
SEEDS = int(os.environ.get('ODRADEK_TEST_SEEDS', '15'))
VALUE = b'x' * 60000
FILE = '00000000000000000000'


def run(*args):
    return subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def check(directory, code):
    """What it says, as JSON; and that it changes nothing."""
    before = directories.digest(directory)
    done = run('check', directory, '--json')
    assert (done.returncode, directories.digest(directory)) == (code, before), done.stdout + done.stderr
    text = run('check', directory)
    found = json.loads(done.stdout)
    assert text.returncode == code and all(
        (each['file'] in text.stdout or not each['file'].isascii()) and each['remedy'] in text.stdout for each in found['findings'])
    return found


def kinds(found):
    return sorted({each['kind'] for each in found['findings']})


def produce(client, topic, values, **more):
    row = {'index': 0, 'records': records.batch(values, **more)}
    answer = client.call('Produce', 9, {'acks': -1, 'timeout_ms': 30000, 'topic_data': [{'name': topic, 'partition_data': [row]}]})
    return answer['responses'][0]['partition_responses'][0]['error_code']


def fetch(client, topic, offset):
    row = {'partition': 0, 'fetch_offset': offset, 'partition_max_bytes': 1 << 20}
    answer = client.call('Fetch', 11, {'replica_id': -1, 'max_wait_ms': 0, 'min_bytes': 0, 'max_bytes': 1 << 24,
                                       'topics': [{'topic': topic, 'partitions': [row]}]})
    row = answer['responses'][0]['partitions'][0]
    return row['error_code'], row['records']


def fill(path):
    """Three topics, of which 'rolled' has three segments and more; a group."""
    it = brokers.Odradek(path, offsets_topic_num_partitions='2').start()
    client = picture.Client(it)
    for name in ('good', 'bad'):
        client.create(name)
        for number in range(ROWS):
            assert produce(client, name, [f'{name} {number}'.encode()], keys=[b'k']) == 0
    client.create('rolled', segment_bytes=str(1 << 20))
    for _ in range(ROWS + 20):
        assert produce(client, 'rolled', [VALUE]) == 0
    client.commit('group', 'good', {0: 5})
    client.close()
    return it


@pytest.fixture(scope='module')
def stopped(tmp_path_factory):
    path = tmp_path_factory.mktemp('stopped')
    assert fill(path).stop() == 0
    return path / 'data'


@pytest.fixture(scope='module')
def killed(tmp_path_factory):
    """Its recovery points are those of the stop before: all of 'good' and 'rolled' is below, ten more of 'bad' are above."""
    path = tmp_path_factory.mktemp('killed')
    it = fill(path)
    it.restart()
    client = picture.Client(it)
    for number in range(10):
        assert produce(client, 'bad', [b'later %d' % number]) == 0
    client.close()
    it.kill9()
    return path / 'data'


@pytest.fixture
def sound(stopped, tmp_path):
    return shutil.copytree(stopped, tmp_path / 'data', symlinks=True)


@pytest.fixture
def crashed(killed, tmp_path):
    return shutil.copytree(killed, tmp_path / 'data', symlinks=True)


@pytest.fixture
def serve(tmp_path):
    """Starts a broker on the directory; what it says is in tmp_path / 'stderr'."""
    running = []

    def serve():
        it = brokers.Odradek(tmp_path).start()
        running.append((it, picture.Client(it)))
        return running[-1]
    yield serve
    for it, client in running:
        client.close()
        if it.process.returncode is None:
            assert it.stop() == 0


def said(tmp_path):
    return (tmp_path / 'stderr').read_text()


def refused(directory, *words):
    before = directories.digest(directory)
    for args in (['--port', 0, '--data', directory, '--exit-with-stdin'], ['graduate', directory]):
        done = run(*args)
        assert (done.returncode, done.stdout) == (4, ''), done.stderr
        assert all(word in done.stderr for word in (str(directory), *words)), done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert run('check', directory).returncode == 4
    assert directories.digest(directory) == before


# ---- what is not served

OTHER = uuid.UUID(int=0x1234567890)


@pytest.mark.parametrize('values, words', [
    ([directories.metadata_record('FeatureLevelRecord', name='metadata.version', feature_level=31)], ['metadata.version 31', '4.3']),
    ([directories.metadata_record('FeatureLevelRecord', name='something.version', feature_level=1)], ['something.version 1']),
    ([directories.metadata_record('ConfigRecord', resource_type=2, resource_name='good', name='remote.storage.enable', value='true')],
     ['remote storage', 'good']),
    ([directories.metadata_record('RegisterBrokerRecord', 4, broker_id=2, broker_epoch=7)], ['broker 2']),
    ([directories.metadata_record('RegisterBrokerRecord', 4, broker_id=1, log_dirs=[OTHER, uuid.UUID(int=5)])], ['several log directories']),
    ([directories.metadata_record('TopicRecord', name='wide', topic_id=OTHER),
      directories.metadata_record('PartitionRecord', 1, partition_id=0, topic_id=OTHER, replicas=[1, 2], isr=[1], leader=1,
                                  directories=[uuid.UUID(int=0), uuid.UUID(int=0)])], ['wide-0', 'several nodes']),
    ([directories.metadata_record('TopicRecord', name='moved', topic_id=OTHER),
      directories.metadata_record('PartitionRecord', 1, partition_id=0, topic_id=OTHER, replicas=[1], isr=[1], leader=1,
                                  directories=[OTHER])], ['moved-0', 'log directory']),
    ([directories.frame(99, 0, b'\1\2\3')], ['type 99']),
    ([directories.frame(3, 9, b'\1\2\3')], ['type 3', 'version 9']),
    ([directories.frame(21, 0, b'\2\0')], ['ZooKeeper']),
])
def test_what_is_not_served_is_refused(sound, values, words):
    directories.add_metadata(sound, *values)
    refused(sound, *words)


def test_what_is_over_is_nothing_to_refuse(sound, serve):
    directories.add_metadata(
        sound, directories.metadata_record('RegisterBrokerRecord', 4, broker_id=2, broker_epoch=7),
        directories.frame(1, 0, b'\0\0\0\2' + bytes(8) + b'\0'),
        directories.metadata_record('TopicRecord', name='wide', topic_id=OTHER),
        directories.metadata_record('PartitionRecord', 1, partition_id=0, topic_id=OTHER, replicas=[1, 2], isr=[1], leader=1,
                                    directories=[uuid.UUID(int=0), uuid.UUID(int=0)]),
        directories.metadata_record('RemoveTopicRecord', topic_id=OTHER))
    _, client = serve()
    assert sorted(client.topics()) == ['bad', 'good', 'rolled']


@pytest.mark.parametrize('text, word', [
    ('{"clusterId":"","leaderId":1,"leaderEpoch":4,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1},{"voterId":2}],'
     '"data_version":0}', '2 voters'),
    ('{"clusterId":"","leaderId":3,"leaderEpoch":4,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":3}],"data_version":0}',
     'not node 1')])
def test_voters_elsewhere_are_refused(sound, text, word):
    (sound / '__cluster_metadata-0/quorum-state').write_text(text)
    refused(sound, 'quorum-state', word)


def test_a_newer_meta_properties_is_refused(sound):
    path = sound / 'meta.properties'
    path.write_text(path.read_text().replace('version=1', 'version=2'))
    refused(sound, 'meta.properties')


# ---- halves of directories

def test_without_meta_properties(sound):
    (sound / 'meta.properties').unlink()
    refused(sound, 'meta.properties', 'copy')


def test_without_the_metadata_log(sound):
    shutil.rmtree(sound / '__cluster_metadata-0')
    refused(sound, '__cluster_metadata-0', 'copy')


@pytest.mark.parametrize('state', ['sound', 'crashed'])
def test_without_a_partition(state, request, serve, tmp_path):
    directory = request.getfixturevalue(state)
    shutil.rmtree(directory / 'good-0')
    found, = [each for each in check(directory, 1)['findings'] if each['kind'] == 'rot']
    assert found['file'] == str(directory / 'good-0') and 'repair' in found['remedy']
    it, client = serve()
    assert fetch(client, 'good', 0)[0] == STORAGE_ERROR and produce(client, 'good', [b'x']) == STORAGE_ERROR
    assert fetch(client, 'bad', 0)[0] == 0 and 'good-0' in said(tmp_path)
    assert it.stop() == 0
    check(directory, 1)
    done = run('repair', directory)
    assert done.returncode == 0 and f'good-0: begun anew at offset {ROWS}' in done.stdout
    check(directory, 0)
    _, client = serve()
    assert client.offset('good', 0, -2) == client.offset('good', 0, -1) == ROWS and produce(client, 'good', [b'x']) == 0


def test_a_segment_missing_in_the_middle(sound, serve, tmp_path):
    first, second, third, *_ = sorted((sound / 'rolled-0').glob('*.log'))
    for path in sound.glob(f'rolled-0/{second.stem}.*'):
        path.unlink()
    found, = check(sound, 1)['findings']
    assert found['kind'] == 'rot' and found['file'] == str(third) and found['offset'] == int(second.stem) and 'missing' in found['what']
    it, client = serve()
    last = int(second.stem) - 1
    assert fetch(client, 'rolled', last)[0] == 0
    assert fetch(client, 'rolled', last + 1) == (STORAGE_ERROR, b'')  # and not what comes behind, as if it were next
    assert fetch(client, 'rolled', int(third.stem))[0] == 0
    assert second.stem.lstrip('0') in said(tmp_path) and third.name in said(tmp_path)


def test_segments_that_overlap(sound, serve, tmp_path):
    first, second, *_ = sorted((sound / 'rolled-0').glob('*.log'))
    data = first.read_bytes()
    position, size, base = directories.batches(first)[-1]
    assert base + 1 == int(second.stem)
    more = bytearray(data[position:position + size])
    more[:8] = (base + 1).to_bytes(8, 'big')
    first.write_bytes(data + more)
    found, = check(sound, 1)['findings']
    assert found['kind'] == 'rot' and 'overlap' in found['what'] and found['file'] == str(second)
    it, client = serve()
    assert fetch(client, 'rolled', 0)[0] == STORAGE_ERROR and first.name in said(tmp_path) and second.name in said(tmp_path)
    assert fetch(client, 'good', 0)[0] == 0


# ---- rot and torn tails

def bad_log(directory):
    return directory / f'bad-0/{FILE}.log'


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


@pytest.mark.parametrize('name', ['recovery-point-offset-checkpoint', 'replication-offset-checkpoint', 'log-start-offset-checkpoint'])
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


# ---- odd things

def test_odd_files_are_named_and_left_alone(sound, serve):
    (sound / 'notes.txt').write_text('mine')
    (sound / 'good-0/notes.txt').write_text('mine')
    (sound / 'good-0/sub').mkdir()
    (sound / 'strange-0').mkdir()
    (sound / 'link').symlink_to('/etc/passwd')
    (sound / '\x01\xff"odd\\').write_text('')
    os.mkfifo(sound / 'pipe')
    found = check(sound, 0)
    assert kinds(found) == ['odd'] and len(found['findings']) == 7
    it, client = serve()
    assert client.offset('good', 0, -1) == ROWS
    assert it.stop() == 0
    assert (sound / 'notes.txt').read_text() == 'mine' and (sound / 'strange-0').is_dir() and (sound / 'link').is_symlink()
    assert (sound / 'good-0/notes.txt').read_text() == 'mine' and (sound / 'good-0/sub').is_dir()


@pytest.mark.parametrize('what', ['segment', 'partition'])
def test_symbolic_links_are_not_followed(sound, serve, tmp_path, what):
    path = bad_log(sound) if what == 'segment' else sound / 'bad-0'
    elsewhere = tmp_path / 'elsewhere'
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    before = directories.digest(elsewhere) if what == 'partition' else elsewhere.read_bytes()
    found = [each for each in check(sound, 1)['findings'] if each['kind'] == 'rot']
    assert str(path) in [each['file'] for each in found] and any('symbolic link' in each['what'] for each in found)
    it, client = serve()
    assert fetch(client, 'bad', 0)[0] == STORAGE_ERROR and fetch(client, 'good', 0)[0] == 0
    assert it.stop() == 0 and path.is_symlink()
    assert before == (directories.digest(elsewhere) if what == 'partition' else elsewhere.read_bytes())


@pytest.mark.parametrize('name', ['meta.properties', '.kafka_cleanshutdown', 'recovery-point-offset-checkpoint', '__cluster_metadata-0',
                                  'replication-offset-checkpoint', 'log-start-offset-checkpoint', '.failed_sync', f'__cluster_metadata-0/{FILE}.log'])
@pytest.mark.parametrize('how', ['link', 'other kind'])
def test_files_of_the_broker_are_what_they_should_be(sound, tmp_path, name, how):
    path = sound / name
    if name == '.failed_sync':
        path.touch()
    path.rename(tmp_path / 'elsewhere')
    if how == 'link':
        path.symlink_to(tmp_path / 'elsewhere')
    elif name == '__cluster_metadata-0':
        path.write_text('')
    else:
        path.mkdir()
    refused(sound, name, 'symbolic link' if how == 'link' else 'is no ', 'Nothing was changed')


@pytest.mark.parametrize('command', ['start', 'graduate'])
def test_a_failed_sync_is_told_and_made_good(crashed, serve, tmp_path, command):
    marker = crashed / '.failed_sync'
    marker.touch()
    found = check(crashed, 0)
    assert not found['clean_shutdown'] and [each['what'] for each in found['findings'] if each['file'] == str(marker)] == [
        'a sync failed: what was written last may be in memory only, though it can be read']
    if command == 'start':
        it, _ = serve()
        assert it.stop() == 0
        text = said(tmp_path)
    else:
        done = run('graduate', crashed)
        assert done.returncode == 0, done.stderr
        text = done.stderr
    assert 'written again' in text and not marker.exists() and (crashed / '.kafka_cleanshutdown').exists()
    assert check(crashed, 0)['clean_shutdown']


def test_a_start_behind_the_end_is_told(sound):
    (sound / 'log-start-offset-checkpoint').write_text('0\n1\ngood 0 4000\n')
    found, = check(sound, 0)['findings']
    assert found['kind'] == 'odd' and found['file'] == str(sound / 'good-0') and '4000' in found['what']


def test_another_topics_directory(sound, serve, tmp_path):
    shutil.copy(sound / 'good-0/partition.metadata', sound / 'bad-0/partition.metadata')
    found, = check(sound, 1)['findings']
    assert found['file'] == str(sound / 'bad-0/partition.metadata') and 'topic id' in found['what']
    it, client = serve()
    assert fetch(client, 'bad', 0)[0] == STORAGE_ERROR and 'partition.metadata' in said(tmp_path)


def test_a_world_writable_directory_is_a_warning(sound, serve, tmp_path):
    sound.chmod(0o777)
    found, = check(sound, 0)['findings']
    assert found['kind'] == 'odd' and 'chmod' in found['remedy']
    serve()
    assert str(sound) in said(tmp_path) and 'chmod o-w' in said(tmp_path)


def test_a_clock_that_went_back(tmp_path, serve):
    """Records and files that are newer than now: they stay, and so do their offsets."""
    (tmp_path / 'ahead').mkdir()
    it = brokers.Odradek(tmp_path / 'ahead').start()
    client = picture.Client(it)
    client.create('time', message_timestamp_after_max_ms=str((1 << 63) - 1), retention_ms='1000', segment_ms='1000')
    later = 4102444800000  # the year 2100
    for number in range(5):
        assert produce(client, 'time', [b'from the future'], timestamp=later + number * 10000) == 0
    client.close()
    assert it.stop() == 0
    (tmp_path / 'ahead/data').rename(tmp_path / 'data')
    for path in (tmp_path / 'data').rglob('*'):
        os.utime(path, (later // 1000, later // 1000))
    check(tmp_path / 'data', 0)
    it, client = serve()
    assert (client.offset('time', 0, -2), client.offset('time', 0, -1)) == (0, 5)
    assert produce(client, 'time', [b'now']) == 0 and client.offset('time', 0, -1) == 6


# ---- while a broker runs

@pytest.mark.parametrize('command', ['check', 'repair', 'graduate'])
def test_a_directory_in_use_is_left_alone(sound, serve, command):
    it, client = serve()
    done = run(command, sound)
    assert (done.returncode, done.stdout) == (4, '') and str(sound) in done.stderr and 'in use' in done.stderr
    assert fetch(client, 'good', 0)[0] == 0


def test_help_names_the_commands():
    done = run('--help')
    assert all(f'odradek {command} DIR' in done.stdout for command in ('check', 'repair', 'graduate'))


@pytest.mark.parametrize('args', [['check'], ['repair'], ['graduate'], ['check', '--no-such']])
def test_a_wrong_command_line(args):
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, '') and done.stderr


@pytest.mark.parametrize('command', ['check', 'repair', 'graduate'])
def test_nothing_is_made_where_there_is_nothing(command, tmp_path):
    assert run(command, tmp_path / 'none').returncode == 4 and not (tmp_path / 'none').exists()
    (tmp_path / 'empty').mkdir()
    if command != 'graduate':
        assert run(command, tmp_path / 'empty').returncode == 4 and os.listdir(tmp_path / 'empty') == []
