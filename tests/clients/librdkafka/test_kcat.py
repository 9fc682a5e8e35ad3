"""kcat, which is Debian's librdkafka: produce, consume, list, query, a balanced group."""
import json
import subprocess

import pytest

SECONDS = 60  # only against hanging for ever


@pytest.fixture
def kcat(broker):
    def run(*args, stdin=''):
        done = subprocess.run(['kcat', '-b', broker.address, '-q', *args], input=stdin, capture_output=True, text=True,
                              timeout=SECONDS)
        assert done.returncode == 0, done
        return done.stdout
    return run


def test_keys_and_headers_read_back(kcat, name):
    kcat('-P', '-t', name, '-p', '0', '-K', ':', '-H', 'a=1', '-H', 'b=2', stdin='k1:one\nk2:two\n')
    kcat('-P', '-t', name, '-p', '0', '-K', ':', '-Z', stdin='k3:\n:four\n')
    assert kcat('-C', '-t', name, '-e', '-f', '%p %o [%h] %K %k %S %s\n').splitlines() == [
        '0 0 [a=1,b=2] 2 k1 3 one', '0 1 [a=1,b=2] 2 k2 3 two', '0 2 [] 2 k3 -1 ', '0 3 [] -1  4 four']
    assert kcat('-C', '-t', name, '-e', '-o', '-1', '-f', '%o\n') == '3\n'
    assert kcat('-C', '-t', name, '-o', '1', '-c', '2', '-f', '%o\n') == '1\n2\n'


@pytest.mark.parametrize('codec', ['none', 'gzip', 'snappy', 'lz4', 'zstd'])
def test_each_codec_reads_back(kcat, name, codec):
    lines = ''.join(f'{codec} {number} {"event " * 20}\n' for number in range(2000))
    kcat('-P', '-t', name, '-z', codec, stdin=lines)
    assert kcat('-C', '-t', name, '-e') == lines


@pytest.mark.parametrize('setting', ['acks=0', 'acks=1', 'acks=all', 'enable.idempotence=true'])
def test_each_level_of_acks(kcat, name, setting):
    lines = ''.join(f'{number}\n' for number in range(100))
    kcat('-P', '-t', name, '-X', setting, stdin=lines)
    assert kcat('-C', '-t', name, '-o', '0', '-c', '100') == lines


def test_the_list_names_broker_and_topic(kcat, name, broker):
    kcat('-P', '-t', name, stdin='one\n')
    listed = json.loads(kcat('-L', '-J'))
    assert [each['name'] for each in listed['brokers']] == [broker.address]
    node = listed['brokers'][0]['id']
    assert listed['controllerid'] == node
    topic, = [each for each in listed['topics'] if each['topic'] == name]
    assert topic['partitions'] == [{'partition': 0, 'leader': node, 'replicas': [{'id': node}], 'isrs': [{'id': node}]}]


def test_offsets_are_queried_by_time(kcat, name):
    kcat('-P', '-t', name, stdin='one\ntwo\n')
    first, second = kcat('-C', '-t', name, '-e', '-f', '%T\n').split()
    assert kcat('-Q', '-t', f'{name}:0:-2', '-t', f'{name}:0:{first}') in (
        f'{name} [0] offset 0\n' * 2, f'{name} [0] offset 0\n')
    assert kcat('-Q', '-t', f'{name}:0:-1') == f'{name} [0] offset 2\n'
    assert kcat('-Q', '-t', f'{name}:0:{int(second) + 1}') == f'{name} [0] offset -1\n'


def test_a_balanced_group_goes_on_where_it_stopped(kcat, name):
    kcat('-P', '-t', name, stdin='one\ntwo\nthree\n')
    group = ('-G', name, '-X', 'auto.offset.reset=earliest', '-c')
    assert kcat(*group, '2', name) == 'one\ntwo\n'
    assert kcat(*group, '1', name) == 'three\n'
