"""Which turns of odradek's loop were long under mixed load, and whose fault that was.

The loop tells (with --verbose) of each turn of over 2 ms how much of that was its own: the rest of it, the machine gave the processor to
others, which is what to expect where the load runs on the same cores. A stall that odradek causes is a step of over 2 ms of its own, busy
or waiting for the disk; a turn that has many short steps answers in between.
"""
import collections
import gzip
import re
import threading
import time

import measurements
import records
import wire
from contenders import Odradek, Wrong

SECONDS = 20  # of load, before and after a kill -9
LONG_MS = 2.0
INFLATED_BYTES = 200 << 20
WARMED_BYTES = 2 << 30  # what is in the page cache at a time, with room to spare
QUICK = dict(log_retention_check_interval_ms='200', log_cleaner_backoff_ms='200', log_roll_ms='3000', offsets_retention_check_interval_ms='500')
ROLLING = dict(segment_bytes='16777216', retention_bytes='67108864')
LINE = re.compile(r'a turn took [\d.]+ ms, ([\d.]+) ms of them its own, [\d.]+ ms on a processor; longest step: (.*), ([\d.]+) ms, ([\d.]+) ms on')


def produce_small(bench, contender):
    topic = contender.create(10, **ROLLING)
    contender.run('produce', topic=topic, partitions=10, requests=100_000, **measurements.SMALL)
    contender.delete(topic)


def produce_big(bench, contender):
    topic = contender.create(4, **ROLLING)
    contender.run('produce', topic=topic, partitions=4, requests=500, records=2400, connections=2, in_flight=2)
    contender.delete(topic)


def end_to_end(bench, contender):
    measurements.end_to_end_once(bench, contender, 1000)


def groups(bench, contender):
    topic = contender.create()
    contender.run('groups', topic=topic, group=topic, groups=200, requests=2000, connections=8, in_flight=4)
    contender.delete(topic)


def send(contender, topic, batch, times=1):
    connection = wire.Connection('127.0.0.1', contender.broker.port)
    for _ in range(times):
        answer = connection.call('Produce', 9, {'acks': -1, 'timeout_ms': 60000, 'topic_data': [
            {'name': topic, 'partition_data': [{'index': 0, 'records': batch}]}]})
        code = answer['responses'][0]['partition_responses'][0]['error_code']
        if code:
            raise Wrong(f'Produce is answered with {code}')
    connection.close()


def compact(bench, contender):
    """The same keys over and over."""
    topic = contender.create(cleanup_policy='compact', segment_bytes='1048576', min_cleanable_dirty_ratio='0.01')
    keys = [b'key %d' % i for i in range(100)]
    send(contender, topic, records.batch([b'x' * 100] * 100, keys=keys), 300)
    contender.delete(topic)


def inflate(bench, contender):
    """A few hundred kilobytes that inflate to a thousand times that."""
    topic = contender.create()
    payload = gzip.compress(records.record(0, b'key', bytes(INFLATED_BYTES)), 1)
    send(contender, topic, records.batch([b''], raw=payload, attributes=1))
    contender.delete(topic)


LOADS = [produce_small, produce_big, end_to_end, groups, compact, inflate]


class Load(threading.Thread):
    """One of the loads, over and over."""

    def __init__(self, function, bench, contender, end):
        super().__init__(daemon=True)
        self.function, self.arguments, self.end, self.error = function, (bench, contender), end, None
        self.start()

    def run(self):
        try:
            while time.monotonic() < self.end:
                self.function(*self.arguments)
        except Exception as error:  # told by finish(), on the thread that waits
            self.error = error

    def finish(self):
        self.join()
        if self.error:
            raise Wrong(f'{self.function.__name__}: {self.error}')


def mixed(bench, contender):
    end = time.monotonic() + bench.seconds(SECONDS)
    for load in [Load(function, bench, contender, end) for function in LOADS]:
        load.finish()


def whose(turn_ms, step_ms, cpu_ms):
    if step_ms > LONG_MS:
        return 'busy' if cpu_ms > LONG_MS else 'waited for the disk'
    return 'many short steps' if turn_ms > LONG_MS else 'kept from running'


def measure(bench, scratch):
    """{(whose fault, step): the turns' own milliseconds}"""
    bench.current = 'stalls'
    bench.warm_memory(WARMED_BYTES)
    with Odradek(scratch, **QUICK) as contender:
        contender.stop()
        contender.broker.FLAGS = ('--verbose',)
        contender.start()
        mixed(bench, contender)
        contender.broker.kill9()
        contender.start()
        mixed(bench, contender)
        contender.stop()
        text = (contender.directory / 'stderr').read_text(errors='replace')
    found = collections.defaultdict(list)
    for turn, step, own, cpu in LINE.findall(text):
        found[whose(float(turn), float(own), float(cpu)), step].append(float(turn))
    return found


def print_table(found):
    print(f'{"turns of over 2 ms: why, and the longest step":60}{"turns":>8}{"most own ms":>14}')
    for (fault, step), took in sorted(found.items(), key=lambda row: -max(row[1])):
        print(f'{fault + ": " + step:60}{len(took):8}{max(took):14.1f}')
