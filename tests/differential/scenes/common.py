"""What the scenes of several themes are made of."""
import dataclasses

import records
from cases.common import Case, topic_id
from cases.transactions import RECENT, without_bytes

MUTATED = 'mutated'
SCENES = {}  # (API, name): generator


@dataclasses.dataclass
class Names:
    """What a scene may use: a name that nobody else has, and two topics of two partitions, of which the first holds records."""
    own: str
    topic: str
    empty: str


def scene(*apis):
    """A scene of one API, or of several: then it is told which."""
    def register(function):
        for api in apis:
            make = function if len(apis) == 1 else lambda it, version, api=api: function(it, version, api)
            SCENES[(api, function.__name__)] = make
        return function
    return register


def named(version, since, side, topic, key='name'):
    return {'topic_id': topic_id(side, topic)} if version >= since else {key: topic}


def batch(*values, **more):
    return records.batch(list(values or (b'one', b'two')), timestamp=RECENT, **more)


def read(topic, partition=0):
    return Case('Fetch', 11, {'max_wait_ms': 1, 'min_bytes': 0, 'topics': [{'topic': topic, 'partitions': [
        {'partition': partition, 'fetch_offset': 0, 'partition_max_bytes': 1 << 20}]}]}, 'what is there', shape=without_bytes)


def start_of(topic):
    return Case('ListOffsets', 5, {'topics': [{'name': topic, 'partitions': [{'partition_index': i, 'timestamp': -2} for i in (0, 1)]}]}, 'where it starts')


def now(producer):
    return producer.describe('the transaction now')


def producers(answer):
    """Without times, and without those of the scenes before."""
    return [sorted((p['producer_epoch'], p['last_sequence'], p['coordinator_epoch'], p['current_txn_start_offset']) for p in partition['active_producers'])
            for topic in answer['topics'] for partition in topic['partitions']]


def committed(it, group):
    return Case('OffsetFetch', 7, {'group_id': group, 'topics': [{'name': t, 'partition_indexes': [0, 1]} for t in (it.topic, it.empty)]}, 'what is committed')
