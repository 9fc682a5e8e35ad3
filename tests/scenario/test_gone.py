"""Clients that are gone before their answers: what the broker has received is carried out all the same.

Kafka does so with the first request, with more as long as its answers can be sent, and with all that want none (acks=0). Here all are.
"""
import gzip
import socket
import struct
import time

import pytest
import records
from conftest import create

SECONDS = 60  # only against hanging for ever
RECORD_BYTES = 8 << 20  # checked aside, while later requests of the connection wait


def close_in_order(sock):
    sock.close()


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    sock.close()


@pytest.fixture(params=[close_in_order, reset])
def leave(request, connect):
    """Sends requests at once and is gone."""
    def leave(*requests):
        connection = connect()
        connection.call('ApiVersions', 0, {})
        connection.sock.sendall(b''.join(connection.frame(*each) for each in requests))
        request.param(connection.sock)
    return leave


@pytest.fixture
def name(request):
    return ''.join(c if c.isalnum() else '-' for c in request.node.name)


def becomes(expected, look):
    end = time.monotonic() + SECONDS
    while (seen := look()) != expected:
        assert time.monotonic() < end, seen
        time.sleep(0.05)


def partitions(call, *names):
    answer = call('Metadata', 12, {'topics': [{'name': name} for name in names], 'allow_auto_topic_creation': False})
    return [len(topic['partitions']) for topic in answer['topics']]


def end_offset(call, name):
    answer = call('ListOffsets', 5, {'replica_id': -1, 'topics': [
        {'name': name, 'partitions': [{'partition_index': 0, 'timestamp': -1}]}]})
    return answer['topics'][0]['partitions'][0]['offset']


def creation(name, count=1):
    return 'CreateTopics', 7, {'timeout_ms': 30000, 'topics': [{'name': name, 'num_partitions': count, 'replication_factor': 1}]}


def growth(name, count):
    return 'CreatePartitions', 3, {'timeout_ms': 30000, 'topics': [
        {'name': name, 'count': count, 'assignments': None}]}


def write(name, batch, acks):
    return 'Produce', 9, {'acks': acks, 'timeout_ms': 30000, 'topic_data': [
        {'name': name, 'partition_data': [{'index': 0, 'records': batch}]}]}


def big_batch(**more):
    packed = gzip.compress(records.record(0, None, bytes(RECORD_BYTES)))
    return records.batch([b''], attributes=1, raw=packed, **more)


def test_a_topic_is_created(leave, call, name):
    leave(creation(name, 3))
    becomes([3], lambda: partitions(call, name))


def test_topics_are_created_one_after_the_other(leave, call, name):
    names = [f'{name}-{i}' for i in range(5)]
    leave(*[creation(each) for each in names])
    becomes([1] * 5, lambda: partitions(call, *names))


def test_a_topic_is_created_and_grows(leave, call, name):
    leave(creation(name), growth(name, 4))
    becomes([4], lambda: partitions(call, name))


def test_a_topic_is_created_for_who_asks_for_it(leave, call, name):
    leave(('Metadata', 12, {'topics': [{'name': name}], 'allow_auto_topic_creation': True}))
    becomes([1], lambda: partitions(call, name))


@pytest.mark.parametrize('acks', [0, 1, -1])
def test_a_batch_is_checked_and_written(leave, call, name, acks):
    create(call, name)
    leave(write(name, big_batch(), acks))
    becomes(1, lambda: end_offset(call, name))


@pytest.mark.parametrize('acks', [0, 1, -1])
def test_batches_are_checked_and_written_one_after_the_other(leave, call, name, acks):
    create(call, name)
    leave(*[write(name, big_batch() if i % 2 else records.batch([b'x']), acks) for i in range(6)])
    becomes(6, lambda: end_offset(call, name))


def test_batches_of_an_idempotent_producer_are_all_written(leave, call, name):
    create(call, name)
    producer = call('InitProducerId', 4, {'transactional_id': None, 'transaction_timeout_ms': 1000})
    ids = producer['producer_id'], producer['producer_epoch']
    leave(*[write(name, big_batch(producer=(*ids, i)), -1) for i in range(5)])
    becomes(5, lambda: end_offset(call, name))
