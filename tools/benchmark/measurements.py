"""What is measured: a function a measurement, which returns its figures by name. MEASUREMENTS lists them in the order they run.

Each function gets the bench (sizes, scratch directory) and a contender that runs and is warm, or its class where it needs a broker of its
own. Every produce is read back.
"""
import contextlib
import dataclasses
import os
import statistics
import tempfile
import time

from contenders import Background, loadgen, store, topic_names

GIB = 1 << 30
STOLEN_MOST = 0.004  # of the processors' time, by the host: in a quiet minute it is a tenth to a fifth of a percent
DISTURBED_RUNS = 5
SMALL = dict(connections=16, in_flight=20)  # of one record of 100 bytes


@dataclasses.dataclass
class Measurement:
    name: str
    function: object
    own_broker: bool = False  # it starts brokers itself
    once: bool = False        # in one round where odradek is measured alone
    alone: bool = False       # of odradek only: its gates are not against Kafka
    turns: int = 1            # of each contender in a round, against another: processors are quick now and slow then, by a third


def read_back(contender, topic, records, partitions=1, rounds=1, **more):
    return contender.run('fetch', topic=topic, partitions=partitions, expect=records, rounds=rounds, **more)


def produce(bench, contender, requests, partitions=1, records=1, configs=None, keep=False, **options):
    """Produces to a fresh topic and reads it back. The result, and the topic's name where it is kept."""
    topic = contender.create(partitions, **(configs or {}))
    requests = max(bench.sized(requests), 2 * options.get('unmeasured', 0))
    bench.warm_memory(requests * (records * 110 + 200))
    result = contender.run('produce', topic=topic, partitions=partitions, records=records, requests=requests, **options)
    read_back(contender, topic, result['records'], partitions)
    bench.note_generator(result)
    if keep:
        return result, topic
    contender.delete(topic)
    return result


# Starts.

def start(bench, kind):
    with kind(bench.scratch) as contender:
        topic = contender.create()
        contender.run('produce', topic=topic, requests=1)
        contender.stop()
        took = contender.start_until_acknowledged(topic)
        contender.stop()
    return {'start_ms': took}


def first_start(bench, kind):
    contender = kind(bench.scratch)
    try:
        took = contender.first_start('bench')
        contender.stop()
    finally:
        contender.__exit__()
    return {'first_start_ms': took}


# At rest.

def idle(bench, kind):
    """A broker with one topic and a record in it, when it has settled down."""
    with kind(bench.scratch) as contender:
        topic = contender.create()
        contender.run('produce', topic=topic, requests=1)
        time.sleep(bench.seconds(bench.times(3, 1)))
        before, begun = contender.wake_ups(), time.monotonic()
        time.sleep(bench.seconds(bench.times(5, 3)))
        wake_ups = (contender.wake_ups() - before) / (time.monotonic() - begun)
        memory = contender.memory()
        contender.stop()
    return {'idle_mb': memory['Rss'] * 1024 / 1e6, 'idle_pss_mb': memory['Pss'] * 1024 / 1e6, 'idle_wake_ups': wake_ups}


def idle_connections(bench, contender):
    count = bench.sized(1000)
    before = contender.memory()['Anonymous']
    with contender.hold('idle', connections=count):
        grown = contender.memory()['Anonymous'] - before
    return {'connection_bytes': grown * 1024 / count}


# Requests and bytes.

def small(bench, contender, partitions):
    """To each in turn."""
    result = produce(bench, contender, int(bench.work(1_500_000) * contender.speed), partitions, **SMALL)
    return {f'small{partitions}_rate': result['requests'] / result['seconds'],
            f'small{partitions}_cpu_us': result['broker_cpu_s'] / result['requests'] * 1e6}


def small_1(bench, contender):
    return small(bench, contender, 1)


def small_100(bench, contender):
    return small(bench, contender, 100)


def small_1000(bench, contender):
    return small(bench, contender, 1000)


def big(bench, contender, name, partitions, records, in_flight, requests):
    result = produce(bench, contender, bench.work(requests), partitions, records, connections=4, in_flight=in_flight)
    gigabytes = result['bytes_out'] / 1e9
    return {f'{name}_rate': gigabytes * 1000 / result['seconds'], f'{name}_cpu_s': result['broker_cpu_s'] / gigabytes}


def batch16_1(bench, contender):
    return big(bench, contender, 'batch16_1', 1, 150, 8, 90_000)


def batch16_100(bench, contender):
    return big(bench, contender, 'batch16_100', 100, 150, 8, 90_000)


def batch256(bench, contender):
    return big(bench, contender, 'batch256', 1, 2400, 4, 6_000)


def catch_up(bench, contender):
    result, topic = produce(bench, contender, bench.work(60_000), records=150, connections=4, in_flight=8, keep=True)
    fetched = read_back(contender, topic, result['records'], rounds=3, bytes=1 << 20)
    contender.delete(topic)
    gigabytes = fetched['bytes_in'] / 1e9
    return {'catch_up_rate': gigabytes * 1000 / fetched['seconds'], 'catch_up_cpu_s': fetched['broker_cpu_s'] / gigabytes}


# Latencies.

def stolen_seconds():
    """That this machine's processors worked for others of the same host, since it was booted."""
    with open('/proc/stat') as rows:
        return int(rows.readline().split()[8]) / os.sysconf('SC_CLK_TCK')


def undisturbed(bench, measure):
    """Measures again where the host took the processors away for so long that a p99 would show little else. Of runs that were all
    disturbed, the one that was it least."""
    runs = []
    for _ in range(1 if bench.smoke else DISTURBED_RUNS):
        stolen, begun = stolen_seconds(), time.monotonic()
        result = measure()
        runs.append(((stolen_seconds() - stolen) / (time.monotonic() - begun) / os.cpu_count(), len(runs), result))
        if runs[-1][0] <= STOLEN_MOST:
            break
    bench.note_disturbed(len(runs) - 1, min(runs)[0] > STOLEN_MOST)
    return min(runs)[-1]


def awake_and_asleep(bench, name, measure):
    """The quantiles of an open loop whose generator polls for what it is about to send and to get, with processors that are kept awake: what
    the broker takes. And those where the generator and the processors sleep between the requests: what its users get."""
    with Background('awake'):
        awake = undisturbed(bench, lambda: measure(poll=1))
    asleep = undisturbed(bench, lambda: measure(poll=0))
    return {f'{name}{kind}_{quantile}_us': result[f'{quantile}_us']
            for kind, result in (('', awake), ('_asleep', asleep)) for quantile in ('p50', 'p99', 'p999')}


def latency(bench, contender):
    return awake_and_asleep(bench, 'produce', lambda **how: produce(bench, contender, 2000 * bench.times(5, 2), rate=2000, **how))


def end_to_end_once(bench, contender, rate, **how):
    topic = contender.create()
    result = contender.run('end-to-end', topic=topic, rate=rate, requests=bench.sized(rate * bench.times(3, 2)), **how)
    contender.delete(topic)
    return result


def end_to_end(bench, contender, rate):
    return awake_and_asleep(bench, f'e2e{rate}', lambda **how: end_to_end_once(bench, contender, rate, **how))


def end_to_end_2000(bench, contender):
    return end_to_end(bench, contender, 2000)


def end_to_end_10000(bench, contender):
    return end_to_end(bench, contender, 10000)


# What must not cost more.

def cpu_us(result):
    return result['broker_cpu_s'] / result['requests'] * 1e6


@contextlib.contextmanager
def short_runs(bench, contender, count):
    """A function for so many runs of a tenth of a second, each to a topic of its own, that returns the broker's CPU time a request."""
    topic, requests = contender.create(topics=count), bench.sized(int(60_000 * contender.speed))
    names = iter(topic_names(topic, count))
    bench.warm_memory(count * requests * 310)

    def cost(**options):
        result = contender.run('produce', topic=next(names), requests=requests, **SMALL, **options)
        bench.note_generator(result)
        return cpu_us(result)
    yield cost
    read_back(contender, topic, count * requests, topics=count)
    contender.delete(topic, topics=count)


def percent_more(name, this, than, pairs):
    """How much more this costs than that: the median over pairs, which take turns in being first. What a request costs is now one figure, now
    another half as large again, as the machine's processors share something or not; that changes within a second, so that many short runs
    agree to 1 to 3 % where a few long ones are off by 10. No figure where runs are too short for the kernel to see any time, as in a smoke."""
    ratios = []
    for i in range(pairs):
        us = {which: which() for which in ((this, than) if i % 2 else (than, this))}
        ratios += [us[this] / us[than]] if us[than] else []
    return {name: (statistics.median(ratios) - 1) * 100} if ratios else {}


def parked(bench, kind):
    """What a producer costs a broker with fetches that wait on other partitions, and another without, once their coming is over."""
    waiting, pairs = bench.sized(8000), bench.times(120, 30)
    with kind(bench.scratch) as busy, kind(bench.scratch) as free:
        with short_runs(bench, busy, pairs) as beside, short_runs(bench, free, pairs) as alone, \
                busy.hold('parked', topic=busy.create(100), partitions=100, connections=waiting, wait_ms=600_000):
            time.sleep(bench.seconds(0.5))
            figures = percent_more('parked_percent', beside, alone, pairs)
        busy.stop()
        free.stop()
    return figures


def acks_all(bench, contender):
    pairs = bench.times(50, 20)
    with short_runs(bench, contender, 2 * pairs) as cost:
        return percent_more('acks_all_percent', lambda: cost(acks=-1), lambda: cost(acks=1), pairs)


# Durability.

def durable(bench, contender):
    """Acknowledgements a second where each is synced before, from as many producers as make a group commit."""
    result = produce(bench, contender, int(60_000 * contender.speed), configs={'flush_messages': '1'}, connections=64, in_flight=20)
    return {'durable_rate': result['requests'] / result['seconds']}


def recovery(bench, kind):
    """Seconds a GiB that a start after a kill takes longer with a log of which nothing is known to be on disk than with an empty one. Sessions
    are short because Kafka refuses itself until that of the broker that was killed is over."""
    times = bench.times(3, 1)
    with kind(bench.scratch, broker_session_timeout_ms='1000', broker_heartbeat_interval_ms='200') as contender:
        topic = contender.create()
        contender.run('produce', topic=topic, requests=1)
        nothing_ms = statistics.median(contender.recover(topic) for _ in range(times))
        result, topic = produce(bench, contender, 64_000, records=150, connections=4, in_flight=8, keep=True)
        recovering_ms = statistics.median(contender.recover(topic) for _ in range(times))
        read_back(contender, topic, result['records'] + times)
        log = max((contender.data / f'{topic}-0').glob('*.log'), key=lambda path: path.stat().st_size)
        plain = loadgen('checksum', file=log)
        contender.stop()
    return {'recovery_s': (recovering_ms - nothing_ms) / 1000 / (result['bytes_out'] / GIB),
            'plain_read_s': plain['seconds'] / (plain['bytes'] / GIB)}


def many_partitions(bench, kind):
    """10,000 partitions: requests to one beside them, and to each in turn (the first to each apart), memory, and restarts."""
    count = bench.sized(10_000)
    with kind(bench.scratch) as contender:
        contender.keeps_directory = True
        contender.run('produce', topic=contender.create(), requests=1)
        before = contender.memory()
        topic = contender.create(count)
        result = contender.run('produce', topic=topic, partitions=count, requests=50 * count, unmeasured=count, **SMALL)
        grown = contender.memory()['Rss'] - before['Rss']
        read_back(contender, topic, result['records'], count)
        beside = produce(bench, contender, 50 * count, **SMALL)
        contender.stop()
        clean = contender.start_until_acknowledged(topic)
        contender.broker.kill9()
        killed = contender.start_until_acknowledged(topic)
        read_back(contender, topic, result['records'] + 2, count)
        contender.stop()
    return {'many_beside_cpu_us': cpu_us(beside), 'many_cpu_us': cpu_us(result), 'many_first_us': result['unmeasured_cpu_s'] / count * 1e6,
            'many_bytes': grown * 1024 / count, 'many_clean_s': clean / 1000, 'many_killed_s': killed / 1000}


# The machine itself: contender is not used.

def floor_echo(bench, _):
    with Background('echo-server') as server:
        address = dict(port=server.said['port'], pid=server.process.pid, record_bytes=208)
        slow = awake_and_asleep(bench, 'echo', lambda **how: loadgen('echo', rate=2000, requests=bench.sized(2000 * bench.times(10, 2)), **how, **address))
        quick = loadgen('echo', requests=bench.sized(1_000_000), **SMALL, **address)
    return slow | {'echo_rate': quick['requests'] / quick['seconds'], 'echo_cpu_us': cpu_us(quick)}


def floor_bytes(bench, _):
    moved = loadgen('receive', bytes=bench.sized(4 * 10**9))
    gigabytes = moved['bytes'] / 1e9
    out = {'loopback_rate': gigabytes * 1000 / moved['seconds'], 'receive_cpu_s': moved['receive_cpu_s'] / gigabytes,
           'send_cpu_s': moved['send_cpu_s'] / gigabytes}
    for kib in (16, 256):
        bench.warm_memory(bench.sized(GIB))
        stored = store(bench.sized(GIB), kib, bench.scratch)
        out[f'store{kib}_rate'] = stored['bytes'] / 1e6 / stored['seconds']
        out[f'store{kib}_cpu_s'] = stored['own_cpu_s'] / (stored['bytes'] / 1e9)
    return out


def floor_sync(bench, _):
    synced = loadgen('fdatasync', requests=bench.sized(200), record_bytes=1024, directory=bench.scratch)
    return {'sync_rate': synced['requests'] / synced['seconds'], 'sync_p50_us': synced['p50_us']}


def floor_files(bench, _):
    """As many files as there are partitions in many_partitions(), and requests of the same size."""
    count = bench.sized(10_000)
    directory = tempfile.mkdtemp(dir=bench.scratch)  # it stays, as Contender.keeps_directory says why
    wrote = loadgen('files', partitions=count, requests=50 * count, record_bytes=170, directory=directory)
    return {'files_cpu_us': wrote['own_cpu_s'] / wrote['requests'] * 1e6}


FLOOR = [Measurement('echo', floor_echo), Measurement('bytes', floor_bytes), Measurement('fdatasync', floor_sync),
         Measurement('files', floor_files)]

MEASUREMENTS = [
    Measurement('start', start, own_broker=True),
    Measurement('first start', first_start, own_broker=True),
    Measurement('at rest', idle, own_broker=True, once=True),
    Measurement('10,000 partitions', many_partitions, own_broker=True, once=True, alone=True),
    Measurement('1 record a request', small_1, turns=3),
    Measurement('100 partitions', small_100, turns=3),
    Measurement('16 KiB batches', batch16_1, turns=3),
    Measurement('16 KiB batches, 100 partitions', batch16_100, turns=3),
    Measurement('256 KiB batches', batch256, turns=5),
    Measurement('catch-up', catch_up, turns=3),
    Measurement('latency', latency, turns=3),
    Measurement('end to end, 2,000/s', end_to_end_2000, turns=3),
    Measurement('end to end, 10,000/s', end_to_end_10000),
    Measurement('acks=all', acks_all, once=True, alone=True),
    Measurement('durable', durable, once=True),
    Measurement('idle connections', idle_connections, once=True, alone=True),
    Measurement('parked fetches', parked, own_broker=True, once=True, alone=True),
    Measurement('recovery', recovery, own_broker=True, once=True),
    Measurement('1,000 partitions', small_1000),
]
