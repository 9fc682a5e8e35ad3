"""Transactions as kafka-transactions lists, describes and aborts them, and as TransactionalMessageCopier makes them."""
import json
import time

import broker as brokers
import pytest
import records
import wire
from tools import NEWER, Tools
from jvm import SECONDS

TRANSACTIONAL = 0x10  # in a batch's attributes
OLD_PRODUCE = 9  # the broker adds partitions by itself only for newer ones
HOUR_MS = 3600000
LOADING = (14, 15, 16)  # the coordinator's topic is being made or read


@pytest.fixture(params=NEWER)
def lax_tools(request, tmp_path, toolboxes, recorded):
    """With a broker that lets producers write to partitions which aren't part of their transaction, as all did before 3.6."""
    broker = brokers.new(tmp_path, transaction_partition_verification_enable='false').start()
    yield recorded(Tools(request.param, broker, toolboxes))
    broker.stop()


def transactions(tools, *args):
    """The table that kafka-transactions prints, as dictionaries; its columns are separated by tabs."""
    head, *lines = [[cell.strip() for cell in line.split('\t')] for line in tools.address_first('kafka-transactions', *args).splitlines()]
    return [dict(zip(head, line)) for line in lines]


class Producer:
    """A transactional producer that leaves its transaction open, or forgets to tell the coordinator of it."""

    def __init__(self, broker, transactional_id):
        host, port = broker.address.split(':')
        self.connection, self.id = wire.Connection(host, int(port)), transactional_id
        made, end = None, time.monotonic() + SECONDS
        while made is None or made['error_code'] in LOADING:
            assert time.monotonic() < end, made
            self.connection.call('FindCoordinator', 3, {'key': self.id, 'key_type': 1})
            made = self.connection.call('InitProducerId', 4, {'transactional_id': self.id, 'transaction_timeout_ms': 60000})
        assert made['error_code'] == 0, made
        self.producer_id, self.epoch = made['producer_id'], made['producer_epoch']

    def add(self, topic, partition=0):
        answer = self.connection.call('AddPartitionsToTxn', 3, {
            'v3_and_below_transactional_id': self.id, 'v3_and_below_producer_id': self.producer_id, 'v3_and_below_producer_epoch': self.epoch,
            'v3_and_below_topics': [{'name': topic, 'partitions': [partition]}]})
        [result] = answer['results_by_topic_v3_and_below'][0]['results_by_partition']
        assert result['partition_error_code'] == 0, answer

    def write(self, topic, value, timestamp=None):
        batch = records.batch([value], producer=(self.producer_id, self.epoch, 0), attributes=TRANSACTIONAL, timestamp=timestamp)
        answer = self.connection.call('Produce', OLD_PRODUCE, {'transactional_id': self.id, 'acks': -1, 'timeout_ms': 30000, 'topic_data': [
            {'name': topic, 'partition_data': [{'index': 0, 'records': batch}]}]})
        assert answer['responses'][0]['partition_responses'][0]['error_code'] == 0, answer


def test_a_hanging_transaction_is_found_and_aborted(lax_tools, name):
    tools = lax_tools
    tools.run('kafka-topics', '--create', '--topic', name)
    tools.produce(name, ['before'])
    lost = Producer(tools.broker, name)
    lost.write(name, b'lost', int(time.time() * 1000) - HOUR_MS)
    tools.produce(name, ['after'])
    committed = ('kafka-console-consumer', '--topic', name, '--from-beginning', '--isolation-level', 'read_committed')
    assert tools.run(*committed, '--max-messages', '1') == 'before\n'
    assert 'after' not in tools.maybe(*committed, '--timeout-ms', '3000')
    assert tools.consume(name, 3, '--from-beginning') == ['before', 'lost', 'after']

    [hanging] = transactions(tools, 'find-hanging', '--broker-id', '1')
    assert (hanging['Topic'], hanging['Partition'], hanging['ProducerId']) == (name, '0', str(lost.producer_id)), hanging
    assert transactions(tools, 'find-hanging', '--topic', name) == [hanging]
    producers = transactions(tools, 'describe-producers', '--topic', name, '--partition', '0')
    assert [row['ProducerId'] for row in producers if row['CurrentTransactionStartOffset'] == '1'] == [str(lost.producer_id)]
    assert tools.address_first('kafka-transactions', 'abort', '--topic', name, '--partition', '0', '--start-offset', '1') == ''
    assert transactions(tools, 'find-hanging', '--broker-id', '1') == []
    assert tools.run(*committed, '--max-messages', '2') == 'before\nafter\n'
    assert 'Could not find any open transactions starting at offset 1' in tools.address_first(
        'kafka-transactions', 'abort', '--topic', name, '--partition', '0', '--start-offset', '1', code=None)


def test_an_open_transaction_is_listed_and_described(newer_tools, name):
    tools = newer_tools
    tools.run('kafka-topics', '--create', '--topic', name)
    writer = Producer(tools.broker, name)
    assert transactions(tools, 'describe', '--transactional-id', name)[0]['TransactionState'] == 'Empty'
    writer.add(name)
    writer.write(name, b'open')
    [listed] = [row for row in transactions(tools, 'list') if row['TransactionalId'] == name]
    assert (listed['ProducerId'], listed['TransactionState']) == (str(writer.producer_id), 'Ongoing')
    [described] = transactions(tools, 'describe', '--transactional-id', name)
    assert (described['TransactionState'], described['TransactionTimeoutMs'], described['TopicPartitions']) == ('Ongoing', '60000', f'{name}-0')
    [producer] = transactions(tools, 'describe-producers', '--topic', name, '--partition', '0')
    assert producer['CurrentTransactionStartOffset'] == '0'
    assert transactions(tools, 'find-hanging', '--topic', name, '--max-transaction-timeout', '0') == []
    if tools.version >= '4':
        assert name not in [row['TransactionalId'] for row in transactions(tools, 'list', '--duration-filter', str(HOUR_MS))]
        assert [row['TransactionalId'] for row in transactions(tools, 'list', '--transactional-id-pattern', f'{name[:-1]}.')] == [name]
        tools.address_first('kafka-transactions', 'forceTerminateTransaction', '--transactionalId', name)
    else:
        tools.address_first('kafka-transactions', 'abort', '--topic', name, '--partition', '0', '--start-offset', '0')
    [producer] = transactions(tools, 'describe-producers', '--topic', name, '--partition', '0')
    assert producer['CurrentTransactionStartOffset'] == 'None'


def test_a_copier_copies_everything_once(tools, name):
    """With transactions aborted at random; it goes on where it stopped."""
    source, target = f'{name}-source', f'{name}-target'
    tools.run('kafka-topics', '--create', '--topic', source)
    tools.run('kafka-topics', '--create', '--topic', target)
    copy = ('kafka-transactional-message-copier', '--input-topic', source, '--input-partition', '0', '--output-topic', target,
            '--broker-list', tools.broker.address, '--transactional-id', name, '--consumer-group', name, '--transaction-size', '30',
            '--enable-random-aborts', '--use-group-metadata')
    for first, mode in ((0, ()), (200, ('--group-mode',))):
        tools.produce(source, range(first, first + 200))
        *_, last = map(json.loads, tools.without_address(*copy, *mode).splitlines())
        assert (last['remaining'], last['consumed' if tools.old else 'totalProcessed']) == (0, 200), last
    assert tools.consume(target, 400, '--from-beginning', '--isolation-level', 'read_committed') == [str(n) for n in range(400)]
