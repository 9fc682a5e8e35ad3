"""A data directory that somebody looks into, spoils, and starts a broker on."""
import json
import os
import subprocess

import broker as brokers
import directories
import picture
import records

BINARY = os.environ.get('ODRADEK_BINARY', brokers.ROOT / 'build/odradek')
STORAGE_ERROR = 56
ROWS = 40
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


def bad_log(directory):
    return directory / f'bad-0/{FILE}.log'


def said(tmp_path):
    return (tmp_path / 'stderr').read_text()
