"""Configs that are changed while records are written: what takes effect, and when it is taken back."""
import time

import records
from cases.common import NOW, Case, create, produce
from cases.compression import batch, stored, timed
from cases.configs import alter

PAUSE = 0.3  # Kafka tells of a change a moment before its log knows


def after(case, kind, name, key, value):
    """The case, once the broker tells of the value."""
    def values(side):
        wanted = {'resources': [{'resource_type': kind, 'resource_name': name, 'configuration_keys': [key]}]}
        for _ in range(100):
            configs = side.call('DescribeConfigs', 4, wanted)['results'][0]['configs']
            if [c['value'] for c in configs] == ([] if value is None else [value]):
                break
            time.sleep(0.1)
        time.sleep(PAUSE)
        return case.values(side) if callable(case.values) else case.values
    return Case(case.api, case.version, values, case.note, shape=case.shape)


def change(kind, name, key, value, then):
    """A change of one config and what is to come after it; value None takes it back."""
    yield alter(kind, name, [(key, value)], f'{key}={value} of {name!r}', operation=int(value is None))
    yield after(then, kind, name, key, value) if value is not None else then


def topic_cases():
    topic = 'live'
    yield create(topic)
    yield produce(batch(), 'as it is', topic=topic)
    for codec in ('gzip', 'zstd', 'uncompressed'):
        yield from change(2, topic, 'compression.type', codec, produce(batch(1), f'in {codec}', topic=topic))
    yield from change(2, topic, 'message.timestamp.type', 'LogAppendTime', timed(produce(batch(), 'stamped', topic=topic)))
    yield from change(2, topic, 'max.message.bytes', '150', produce(batch(), 'too large now', topic=topic))
    yield from change(2, topic, 'max.message.bytes', '100000', timed(produce(batch(), 'not too large any more', topic=topic)))
    yield from change(2, topic, 'cleanup.policy', 'compact', timed(produce(records.batch([b'x'], timestamp=NOW), 'no key', topic=topic)))
    yield from change(2, topic, 'cleanup.policy', 'delete', timed(produce(records.batch([b'x'], timestamp=NOW), 'no key', topic=topic)))
    yield from change(2, topic, 'min.insync.replicas', '2', timed(produce(batch(), 'acks all of two, where there is one', topic=topic, acks=-1)))
    yield timed(produce(batch(), 'acks 1 of two', topic=topic))
    yield from change(2, topic, 'min.insync.replicas', '1', timed(produce(batch(), 'acks all of one', topic=topic, acks=-1)))
    yield from change(2, topic, 'message.timestamp.type', 'CreateTime', produce(batch(), 'with its own time', topic=topic))
    yield from change(2, topic, 'message.timestamp.before.max.ms', '5000', timed(produce(batch(), 'too old now', topic=topic)))
    yield stored('after the changes', topic)


def broker_cases():
    yield create('live-too')
    for kind, name in ((4, ''), (4, '1')):
        yield from change(kind, name, 'compression.type', 'gzip', produce(batch(), f'gzip of {name!r}', topic='live-too'))
        yield from change(kind, name, 'message.max.bytes', '150', produce(batch(), f'too large for {name!r}', topic='live-too'))
        yield alter(kind, name, [('compression.type', None), ('message.max.bytes', None)], f'taken back of {name!r}', operation=1)
        yield after(produce(batch(), f'as before {name!r}', topic='live-too'), 2, 'live-too', 'compression.type', 'producer')
    yield stored('after the changes of the broker', 'live-too')


def effect_cases():
    yield from topic_cases()
    yield from broker_cases()
