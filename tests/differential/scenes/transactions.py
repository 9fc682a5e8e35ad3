"""Transactions and their producers."""
import dataclasses

from cases.common import Case
from cases.transactions import Producer
from scenes.common import MUTATED, committed, now, producers, scene
from scenes.groups import classic_member


@scene('InitProducerId')
def init_producer(it, version):
    me = Producer(it.own)
    yield me.init(version)
    yield dataclasses.replace(me.init(version, recover=version >= 3), note=MUTATED)
    yield now(me)


@scene('InitProducerId')
def init_ongoing(it, version):
    me = Producer(it.own)
    yield me.init(version)
    yield me.add(3, [0], topic=it.topic)
    yield dataclasses.replace(me.init(version, recover=version >= 3), note=MUTATED)
    yield now(me)


@scene('AddPartitionsToTxn')
def add_partitions(it, version):
    me = Producer(it.own)
    yield me.init(4)
    yield dataclasses.replace(me.add(version, [0, 1], topic=it.topic), note=MUTATED)
    yield now(me)
    yield me.end(4, False)
    yield now(me)


@scene('AddPartitionsToTxn')
def verify_partitions(it, version):
    me = Producer(it.own)
    if version >= 4:
        yield me.init(4)
        yield me.add(3, [0], topic=it.topic)
        yield dataclasses.replace(me.add(version, [0, 1], topic=it.topic, verify=True), note=MUTATED)
        yield me.end(4, False)
        yield now(me)


@scene('AddOffsetsToTxn', 'TxnOffsetCommit')
def transaction_offsets(it, version, api):
    me = Producer(it.own)
    yield me.init(4)
    if api == 'AddOffsetsToTxn':
        yield dataclasses.replace(me.add_offsets(version, it.own), note=MUTATED)
    else:
        yield me.add_offsets(min(version, 4), it.own)
        yield dataclasses.replace(me.commit_offsets(version, it.own, 7), note=MUTATED, values=lambda side: me.mine(side) | {
            'group_id': it.own, 'topics': [{'name': t, 'partitions': [
                {'partition_index': i, 'committed_offset': 7, 'committed_metadata': 'm'} for i in (0, 1)]} for t in (it.topic, it.empty)]})
    yield now(me)
    yield me.end(4, True)
    yield dataclasses.replace(committed(it, it.own), values={'group_id': it.own, 'require_stable': True, 'topics': [
        {'name': it.topic, 'partition_indexes': [0, 1]}]}, until=lambda a: "error_code': 88" not in str(a))


@scene('TxnOffsetCommit')
def offsets_of_members(it, version):
    me = Producer(it.own)
    if version >= 3:
        yield from classic_member(it)
        yield me.init(4)
        yield me.add_offsets(4, it.own)
        yield dataclasses.replace(me.commit_offsets(version, it.own, 7), note=MUTATED, values=lambda side: me.mine(side) | {
            'group_id': it.own, 'member_id': side.memory['mutant'], 'generation_id': side.memory['mutant generation'], 'topics': [
                {'name': it.topic, 'partitions': [{'partition_index': 0, 'committed_offset': 7, 'committed_metadata': 'm'}]}]})
        yield me.end(4, True)
        yield now(me)


@scene('EndTxn')
def end_transaction(it, version):
    me = Producer(it.own)
    yield me.init(4)
    yield me.add(3, [0, 1], topic=it.topic)
    yield dataclasses.replace(me.end(version, True), note=MUTATED)
    yield now(me)


@scene('EndTxn')
def end_again(it, version):
    me = Producer(it.own)
    yield me.init(4)
    yield me.add(3, [0], topic=it.topic)
    yield me.end(version, True)
    yield dataclasses.replace(me.end(version, True, epoch=-1 if version >= 5 else 0), note=MUTATED)
    yield now(me)


@scene('WriteTxnMarkers')
def markers(it, version):
    me = Producer(it.own)
    yield me.init(4)
    yield me.add(3, [0, 1], topic=it.topic)
    yield me.produce(9, 0, topic=it.topic)

    def values(side):
        mine = me.mine(side)
        mine.pop('transactional_id')
        return {'markers': [mine | {'transaction_result': False, 'coordinator_epoch': 0, 'topics': [
            {'name': it.topic, 'partition_indexes': [0, 1]}]}]}
    yield Case('WriteTxnMarkers', version, values, MUTATED)
    yield Case('DescribeProducers', 0, {'topics': [{'name': it.topic, 'partition_indexes': [0]}]}, 'what is open', shape=producers)
    yield me.end(4, False)
    yield now(me)


@scene('DescribeTransactions', 'ListTransactions', 'DescribeProducers')
def transaction_lists(it, version, api):
    me = Producer(it.own)
    yield me.init(4)
    yield me.add(3, [0, 1], topic=it.topic)
    yield me.produce(9, 0, topic=it.topic)
    if api == 'DescribeTransactions':
        yield Case(api, version, {'transactional_ids': [it.own, it.own + '-b']}, MUTATED)
    elif api == 'ListTransactions':
        yield Case(api, version, lambda side: {'state_filters': ['Ongoing', 'Empty'], 'producer_id_filters': [me.mine(side)['producer_id']]} | (
            {'transactional_id_pattern': it.own + '.*'} if version >= 2 else {}), MUTATED,
            shape=lambda a: a | {'transaction_states': [t for t in a['transaction_states'] if t['transactional_id'] == it.own]})
    else:
        yield Case(api, version, {'topics': [{'name': t, 'partition_indexes': [0, 1]} for t in (it.topic, it.empty)]}, MUTATED)
    yield me.end(4, False)
    yield now(me)
