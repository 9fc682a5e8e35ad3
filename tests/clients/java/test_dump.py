"""kafka-dump-log, which knows Kafka's files best, reads all of ours without a complaint."""
import re
import subprocess

import broker as brokers
import pytest
import test_directory

# All that it prints of a file in which nothing is wrong; anything else is a complaint.
GOOD = [re.compile(pattern) for pattern in (
    r'Dumping \S+$', r'Log starting offset: \d+$', r'Snapshot end offset: \d+', r'\S+ is empty\.$', r'\S+ passed sanity check\.$',
    r'baseOffset: .* isvalid: true$', r'\| offset: \d+ (?!.*isvalid: false)', r'offset: \d+ position: \d+$',
    r'timestamp: \d+ offset: \d+$', r'version: 0 producerId: \d+ firstOffset: \d+ lastOffset: \d+ lastStableOffset: \d+$',
    r'producerId: \d+ producerEpoch: \d+ coordinatorEpoch: -?\d+ currentTxnFirstOffset: .*$')]

# 4.3.1 says this of every segment that doesn't begin at 0, also of Kafka's own: the offset is the one in the segment's name.
ALWAYS = re.compile(r'Non-consecutive offsets in \S+/0*(\d+)\.log\n  -1 is followed by \1\n')


def dump(version, files, *options):
    files = sorted(map(str, files))
    assert files
    done = subprocess.run([brokers.ROOT / 'tools/kafka', version, 'kafka-dump-log', *options, '--files', ','.join(files)],
                          capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    bad = [line for line in lines if not any(good.match(line) for good in GOOD)]
    complaints = ALWAYS.sub('', done.stderr) if version == '4.3.1' else done.stderr
    assert (done.returncode, complaints, bad[:5]) == (0, '', []), options
    assert sum(line.startswith('Dumping ') for line in lines) == len(files)
    return lines


@pytest.fixture(scope='module', params=test_directory.ENDS)
def directory(request, tmp_path_factory):
    """Of a broker that had much to do, was killed, started again, and ended for good."""
    path = tmp_path_factory.mktemp('dump')
    broker = test_directory.Odradek(path, offsets_topic_num_partitions='2', transaction_state_log_num_partitions='2',
                                    metadata_log_max_record_bytes_between_snapshots='3000').start()
    test_directory.fill(broker)
    broker.kill9()
    broker.start()
    test_directory.write_more(broker)
    test_directory.end(broker, request.param)
    return path / 'data'


def logs(directory, pattern):
    return [path for path in directory.glob(pattern) if path.stat().st_size]


def rolled(directory):
    """Of the segments that aren't written any more, and so have indexes: files that are there, some of which have entries."""
    sealed = [sorted(partition.glob('*.log'))[:-1] for partition in directory.iterdir() if partition.is_dir()]
    return [path for paths in sealed for path in paths]


@pytest.fixture(params=['4.3.1', '3.9.1'])
def version(request):
    return request.param


def test_records(directory, version):
    assert len(rolled(directory)) >= 3
    lines = dump(version, logs(directory, '[a-z]*-*/*.log'), '--deep-iteration', '--print-data-log')
    for codec in ('none', 'gzip', 'snappy', 'lz4', 'zstd'):
        assert any(f'compresscodec: {codec}' in line for line in lines)
    assert sum('payload: ' in line for line in lines) > 5000
    assert any('endTxnMarker: ABORT' in line for line in lines)


@pytest.mark.parametrize('option', ['--index-sanity-check', '--verify-index-only', None])
def test_indexes(directory, version, option):
    files = [path for path in directory.glob('*/*index') if path.suffix in ('.index', '.timeindex')]
    for suffix in ('.index', '.timeindex'):
        assert any(path.with_suffix(suffix).stat().st_size for path in rolled(directory))
    dump(version, files, *filter(None, [option]))


def test_damage_is_seen(directory, version, tmp_path):
    """Otherwise the other tests would show nothing."""
    whole, *_ = rolled(directory)
    for suffix, position in (('.log', 5000), ('.index', 6), ('.timeindex', 3)):
        for each in ('.log', '.index', '.timeindex'):
            data = bytearray(whole.with_suffix(each).read_bytes())
            if each == suffix:
                data[position] ^= 17
            (tmp_path / whole.name).with_suffix(each).write_bytes(data)
        with pytest.raises(AssertionError):
            dump(version, [(tmp_path / whole.name).with_suffix(suffix)], '--deep-iteration')


def test_snapshots_and_aborted_transactions(directory, version):
    assert dump(version, directory.glob('[a-z]*/*.snapshot'))
    assert len(dump(version, logs(directory, 'transactions-*/*.txnindex'))) > 2


def test_metadata(directory, version):
    lines = dump(version, logs(directory, '__cluster_metadata-0/*.log'), '--cluster-metadata-decoder')
    assert any('TOPIC_RECORD' in line for line in lines)
    assert dump(version, directory.glob('__cluster_metadata-0/*.checkpoint'), '--cluster-metadata-decoder')


def test_offsets(directory, version):
    lines = dump(version, logs(directory, '__consumer_offsets-*/*.log'), '--offsets-decoder')
    assert any('group-one' in line for line in lines)


def test_transactions(directory, version):
    lines = dump(version, logs(directory, '__transaction_state-*/*.log'), '--transaction-log-decoder')
    assert any('writer of transactions' in line for line in lines)
