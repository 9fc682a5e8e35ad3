"""Records as the console tools write and print them: keys, headers, acks, codecs, offsets; and the two perf tests."""
import re

import pytest


def new_topic(tools, name, partitions=1):
    tools.run('kafka-topics', '--create', '--topic', name, '--partitions', str(partitions))


def keyed(tools, name, lines):
    tools.produce(name, lines, tools.reader, 'parse.key=true', tools.reader, 'key.separator==')


def test_keys_headers_timestamps_and_offsets_are_printed(tools, name):
    new_topic(tools, name)
    writer = tools.of('3.9.1') if tools.old else tools  # 2.8.0 can print headers, but not write them
    writer.produce(name, ['h1:v1,h2:v2\tk1\tone', 'h1:\tk2\ttwo'], writer.reader, 'parse.key=true', writer.reader,
                   'parse.headers=true')
    keyed(tools, name, ['k3=three=3', 'k4=<null>'])
    shown = [option for what in ('timestamp', 'partition', 'offset', 'headers', 'key')
             for option in (tools.formatter, f'print.{what}=true')]
    lines = tools.consume(name, 4, '--from-beginning', *shown)
    assert [re.sub(r'^CreateTime:1\d{12}\t', '', line) for line in lines] == [
        'Partition:0\tOffset:0\th1:v1,h2:v2\tk1\tone',
        'Partition:0\tOffset:1\th1:\tk2\ttwo',
        'Partition:0\tOffset:2\tNO_HEADERS\tk3\tthree=3',
        'Partition:0\tOffset:3\tNO_HEADERS\tk4\t<null>']


@pytest.mark.parametrize('codec', ['none', 'gzip', 'snappy', 'lz4', 'zstd'])
def test_each_codec_reads_back(tools, name, codec):
    lines = [f'{codec} {number} ' + 'event ' * 20 for number in range(500)]
    tools.produce(name, lines, '--compression-codec', codec)
    assert tools.consume(name, 500, '--from-beginning') == lines


def test_each_level_of_acks_and_idempotence(tools, name):
    new_topic(tools, name)
    lines = []
    for acks, idempotent in (('0', 'false'), ('1', 'false'), ('all', 'false'), ('all', 'true')):
        lines += [f'acks {acks}, idempotent {idempotent}, {number}' for number in range(3)]
        tools.produce(name, lines[-3:], '--request-required-acks', acks, tools.setting, f'enable.idempotence={idempotent}')
    assert tools.consume(name, len(lines), '--from-beginning') == lines


def test_one_partition_from_one_offset(tools, name):
    new_topic(tools, name)
    tools.produce(name, [f'event {number}' for number in range(10)])
    where = ('--partition', '0', '--offset')
    assert tools.consume(name, 3, *where, '4') == ['event 4', 'event 5', 'event 6']
    assert tools.consume(name, 1, *where, 'earliest') == ['event 0']
    tools.run('kafka-configs', '--alter', '--entity-type', 'topics', '--entity-name', name, '--add-config',
              'message.timestamp.type=LogAppendTime')
    tools.produce(name, ['event 10'])
    line, = tools.consume(name, 1, *where, '10', tools.formatter, 'print.timestamp=true')
    assert re.fullmatch(r'LogAppendTime:1\d{12}\tevent 10', line)


def test_offsets_are_found_and_records_deleted(tools, name, tmp_path):
    new_topic(tools, name, partitions=2)
    keyed(tools, name, [f'{key}={key}' for key in 'abcdefgh'])
    read = tools.consume(name, 8, '--from-beginning', tools.formatter, 'print.partition=true')
    ends = [sum(line.startswith(f'Partition:{number}\t') for line in read) for number in (0, 1)]
    assert sum(ends) == 8 and all(ends)
    # 2.8.0 knows the address under an older name only
    where = ('--broker-list', tools.broker.address) if tools.old else ()
    offsets = (tools.without_address if tools.old else tools.run)
    assert offsets('kafka-get-offsets', '--topic', name, *where) == f'{name}:0:{ends[0]}\n{name}:1:{ends[1]}\n'
    assert offsets('kafka-get-offsets', '--topic', name, *where, '--time', '-2') == f'{name}:0:0\n{name}:1:0\n'

    if not tools.old:
        first = tools.consume(name, 1, '--partition', '0', '--offset', 'earliest', tools.formatter, 'print.timestamp=true')[0]
        stamp = re.match(r'CreateTime:(\d+)', first)[1]
        for when, found in (stamp, 0), ('latest', ends[0]), ('earliest', 0), ('-4', 0):
            assert offsets('kafka-get-offsets', '--topic-partitions', f'{name}:0', '--time', when) == f'{name}:0:{found}\n', when
        assert re.fullmatch(rf'{name}:0:\d+\n', offsets('kafka-get-offsets', '--topic-partitions', f'{name}:0', '--time', 'max-timestamp'))

    plan = tmp_path / 'plan.json'
    plan.write_text('{"version": 1, "partitions": [{"topic": "%s", "partition": 0, "offset": 1}]}' % name)
    assert 'low_watermark: 1' in tools.run('kafka-delete-records', '--offset-json-file', str(plan))
    assert offsets('kafka-get-offsets', '--topic', name, *where, '--time', '-2') == f'{name}:0:1\n{name}:1:0\n'
    assert len(tools.consume(name, 7, '--from-beginning')) == 7


def test_perf_tests_count_every_record(tools, name):
    new_topic(tools, name, partitions=2)
    said = tools.without_address('kafka-producer-perf-test', '--topic', name, '--num-records', '20000', '--record-size',
                                 '100', '--throughput', '-1', '--producer-props',
                                 f'bootstrap.servers={tools.broker.address}')
    assert re.search(r'^20000 records sent', said, re.M)
    said = tools.run('kafka-consumer-perf-test', '--topic', name, '--messages', '20000')
    head, values = [line.split(', ') for line in said.splitlines() if ', ' in line]
    assert dict(zip(head, values))['data.consumed.in.nMsg'] == '20000'
