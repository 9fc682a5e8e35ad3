"""Directories as they shouldn't be: each gets a line that names the file and what to do, and nothing is lost or changed in silence."""
import os
import shutil
import uuid

import broker as brokers
import directories
import picture
import pytest
from directory_under_test import FILE, ROWS, STORAGE_ERROR, bad_log, check, fetch, kinds, produce, run, said


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


@pytest.mark.parametrize('known', [True, False])
def test_a_metadata_log_that_is_older_than_a_partition(sound, serve, tmp_path, known):
    """Its leader epoch is, too: nothing could be written that goes on in the log."""
    path = sound / f'good-0/{FILE}.log'
    position, _, base = directories.batches(path)[-1]
    data = bytearray(path.read_bytes())
    data[position + 12:position + 16] = (7).to_bytes(4, 'big')
    path.write_bytes(data)
    if known:
        (sound / 'good-0/leader-epoch-checkpoint').write_text(f'0\n2\n0 0\n7 {base}\n')
    else:
        (sound / 'good-0/leader-epoch-checkpoint').unlink()
    it, client = serve()
    assert produce(client, 'good', [b'x']) == 0 and client.offset('good', 0, -1) == ROWS + 1
    assert 'good-0: leader epoch 7' in said(tmp_path)
    assert it.stop() == 0
    check(sound, 0)


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


# ---- odd things

@pytest.mark.parametrize('resource, key, value', [((2, 'good'), 'segment.bytes', '1048=7600'), ((2, 'good'), 'min.cleanable.dirty.ratio', 'half'),
                                                  ((4, ''), 'log.retention.ms', ''), ((32, 'group'), 'consumer.session.timeout.ms', '1s')])
def test_a_config_that_is_no_number_is_passed_over(sound, serve, tmp_path, resource, key, value):
    directories.add_metadata(sound, directories.metadata_record(
        'ConfigRecord', resource_type=resource[0], resource_name=resource[1], name=key, value=value))
    assert kinds(check(sound, 0)) == []
    it, client = serve()
    assert key in said(tmp_path) and f"'{resource[1]}'" in said(tmp_path) and f"'{value}'" in said(tmp_path)
    assert produce(client, 'good', [b'x']) == 0 and client.committed('group') == {('good', 0): (5, 'at 5')}


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


@pytest.mark.parametrize('name', ['recovery-point-offset-checkpoint.tmp', f'good-0/{FILE}.timeindex'])
def test_what_keeps_a_stop_from_being_clean_is_named(sound, serve, tmp_path, name):
    (sound / name).unlink(missing_ok=True)
    os.mkfifo(sound / name)
    it, client = serve()
    assert fetch(client, 'good', 0)[0] == 0 and produce(client, 'good', [b'x']) == 0
    assert it.stop() == 1 and str(sound / name) in said(tmp_path)
    (sound / name).unlink(missing_ok=True)
    it, client = serve()
    assert client.offset('good', 0, -1) == ROWS + 1 and it.stop() == 0
    check(sound, 0)


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
