"""The rows of the table: which figure, and what it has to reach. A row of PERFORMANCE is a row of ROWS."""
import dataclasses

PASSED, MISSED, NOT_MEASURED = 'passed', 'missed', 'not measured'
REACHED, SHORT = 'reached', 'not reached'
TARGET = 0.8  # of what the prototype did: an aim, not a gate
LESS, MORE = 'less', 'more'  # is better


@dataclasses.dataclass
class Row:
    title: str
    figure: str
    unit: str
    better: str
    times: float = None  # so many times better than Kafka
    limit: float = None  # at most, where less is better; at least, where more is
    floor: tuple = None  # (factor, figure of the machine, what that is): the limit is so many times it
    prototype: tuple = None  # (so many times better than Kafka, figure) of a bare loop that stores and checks, once, on another machine


ROWS = [
    Row('exec to first acknowledged produce, one topic on disk', 'start_ms', 'ms', LESS, times=150, limit=10, prototype=(500, 4)),
    Row('first start with an empty directory, format included', 'first_start_ms', 'ms', LESS, times=150, limit=10),
    Row('idle resident memory', 'idle_mb', 'MB', LESS, times=60, limit=6, prototype=(185, 2.1)),
    Row('- without what it shares (Pss)', 'idle_pss_mb', 'MB', LESS),
    Row('wake-ups when idle', 'idle_wake_ups', '/s', LESS, limit=0),
    Row('1 record a request, 16 connections x 20 in flight', 'small1_rate', 'requests/s', MORE, times=10, prototype=(18, 1_210_000)),
    Row('- broker CPU a request', 'small1_cpu_us', 'us', LESS, times=15, prototype=(31, 0.76)),
    Row('1 record a request, 100 partitions', 'small100_rate', 'requests/s', MORE, times=8, prototype=(16, 911_000)),
    Row('- broker CPU a request', 'small100_cpu_us', 'us', LESS, times=12, prototype=(27, 1.03)),
    Row('1 record a request, 1,000 partitions', 'small1000_rate', 'requests/s', MORE),
    Row('- broker CPU a request', 'small1000_cpu_us', 'us', LESS),
    Row('16 KiB batches of 100 B records', 'batch16_1_rate', 'MB/s', MORE, times=2.5, prototype=(3.2, 1187)),
    Row('- broker CPU a GB', 'batch16_1_cpu_s', 's', LESS, times=4, prototype=(5.6, 0.69)),
    Row('16 KiB batches of 100 B records, 100 partitions', 'batch16_100_rate', 'MB/s', MORE, times=2.5, prototype=(3.2, 1326)),
    Row('- broker CPU a GB', 'batch16_100_cpu_s', 's', LESS, times=4, prototype=(6.6, 0.57)),
    Row('256 KiB batches', 'batch256_rate', 'MB/s', MORE, times=2, prototype=(2.5, 2622)),
    Row('- broker CPU a GB', 'batch256_cpu_s', 's', LESS, times=3.5, prototype=(4.1, 0.31)),
    Row('catch-up fetch, 1 connection, 1 MiB', 'catch_up_rate', 'MB/s', MORE, times=1.15, prototype=(1.17, 4310)),
    Row('- broker CPU a GB', 'catch_up_cpu_s', 's', LESS),
    Row('produce, open loop 2,000/s, p50', 'produce_p50_us', 'us', LESS, times=1.4, floor=(2, 'echo_p50_us', 'the echo server'), prototype=(1.5, 44)),
    Row('- p99', 'produce_p99_us', 'us', LESS, times=3, prototype=(10, 264)),
    Row('- p50 where all sleep in between', 'produce_asleep_p50_us', 'us', LESS),
    Row('- p99 where all sleep in between', 'produce_asleep_p99_us', 'us', LESS),
    Row('end to end, 2,000/s, p50', 'e2e2000_p50_us', 'us', LESS, times=2.5, prototype=(3.1, 46)),
    Row('- p99', 'e2e2000_p99_us', 'us', LESS, prototype=(16, 1581)),
    Row('- p50 where all sleep in between', 'e2e2000_asleep_p50_us', 'us', LESS),
    Row('- p99 where all sleep in between', 'e2e2000_asleep_p99_us', 'us', LESS),
    Row('end to end, 10,000/s, p50', 'e2e10000_p50_us', 'us', LESS, times=4, prototype=(5, 44)),
    Row('- p99', 'e2e10000_p99_us', 'us', LESS, prototype=(6, 16_187)),
    Row('- p50 where all sleep in between', 'e2e10000_asleep_p50_us', 'us', LESS),
    Row('- p99 where all sleep in between', 'e2e10000_asleep_p99_us', 'us', LESS),
    Row('acks=all against acks=1, broker CPU', 'acks_all_percent', '% more', LESS, limit=5),
    Row('synced acknowledgements (flush.messages=1)', 'durable_rate', '/s', MORE, floor=(25, 'sync_rate', 'a sync each')),
    Row('an idle connection, of 1,000: private memory', 'connection_bytes', 'bytes', LESS, limit=1024),
    Row('8,000 parked fetches: cost to a producer', 'parked_percent', '% more', LESS, limit=5),
    Row('recovery of an unflushed GiB (Kafka: by its own log)', 'recovery_s', 's', LESS, times=10),
    Row('10,000 partitions: broker CPU a request to one beside them', 'many_beside_cpu_us', 'us', LESS, limit=2),
    Row('- to each of them in turn, with few of their files open', 'many_cpu_us', 'us', LESS),
    Row('- the first request to each', 'many_first_us', 'us', LESS),
    Row('- memory each', 'many_bytes', 'bytes', LESS, limit=4096),
    Row('- restart to first acknowledged produce', 'many_clean_s', 's', LESS, limit=0.5),
    Row('- the same after kill -9', 'many_killed_s', 's', LESS, limit=1),
]

# What common clients see, where it was asked for.
CLIENT_ROWS = [
    Row('librdkafka on its defaults: produce', 'rdkafka_produce_rate', 'records/s', MORE),
    Row('- consume', 'rdkafka_consume_rate', 'records/s', MORE),
    Row('kafka-producer-perf-test, 100 B', 'java_produce_rate', 'records/s', MORE),
    Row('- average latency', 'java_produce_ms', 'ms', LESS),
    Row('kafka-consumer-perf-test', 'java_consume_rate', 'records/s', MORE),
]

# Of the machine, without a broker.
FLOOR_ROWS = [
    Row('echo server: round trip at 2,000/s, p50', 'echo_p50_us', 'us', LESS),
    Row('- p99', 'echo_p99_us', 'us', LESS),
    Row('- p50 where all sleep in between', 'echo_asleep_p50_us', 'us', LESS),
    Row('- p99 where all sleep in between', 'echo_asleep_p99_us', 'us', LESS),
    Row('echo server: 16 connections x 20 in flight', 'echo_rate', 'requests/s', MORE),
    Row('- its CPU a request', 'echo_cpu_us', 'us', LESS),
    Row('loopback, from a hot buffer into another', 'loopback_rate', 'MB/s', MORE),
    Row('- CPU a GB to receive', 'receive_cpu_s', 's', LESS),
    Row('- CPU a GB to send', 'send_cpu_s', 's', LESS),
    Row('CRC-32C and pwritev, 16 KiB', 'store16_rate', 'MB/s', MORE),
    Row('- CPU a GB', 'store16_cpu_s', 's', LESS),
    Row('CRC-32C and pwritev, 256 KiB', 'store256_rate', 'MB/s', MORE),
    Row('- CPU a GB', 'store256_cpu_s', 's', LESS),
    Row('1 KiB and fdatasync', 'sync_rate', '/s', MORE),
    Row('opening, writing to and closing one of 10,000 files, CPU', 'files_cpu_us', 'us', LESS),
    Row('reading and checksumming a GiB of log', 'plain_read_s', 's', LESS),
]


def better_by(row, ours, theirs):
    """How many times better ours is; None where that says nothing."""
    if not ours or not theirs or ours < 0 or theirs < 0:
        return None
    return ours / theirs if row.better == MORE else theirs / ours


def within(row, value, limit):
    return value >= limit if row.better == MORE else value <= limit


def judge(row, ours, theirs, floor):
    """(what is asked, verdict) for each gate of a row, and for its target where both were measured; the arguments are medians or None."""
    sign = '>=' if row.better == MORE else '<='
    ratio = better_by(row, ours, theirs)
    out = []
    if row.times is not None:
        out.append((f'>= {row.times:g}x', NOT_MEASURED if ratio is None else PASSED if ratio >= row.times else MISSED))
    if row.limit is not None:
        out.append((f'{sign} {row.limit:g} {row.unit}', NOT_MEASURED if ours is None else PASSED if within(row, ours, row.limit) else MISSED))
    if row.floor is not None:
        factor, name, spoken = row.floor
        limit = None if floor.get(name) is None else factor * floor[name]
        text = f'{sign} {factor:g}x {spoken}' + ('' if limit is None else f' ({limit:,.0f})')
        out.append((text, NOT_MEASURED if ours is None or limit is None else PASSED if within(row, ours, limit) else MISSED))
    if row.prototype is not None and ratio is not None:
        times, figure = TARGET * row.prototype[0], row.prototype[1] * TARGET ** (1 if row.better == MORE else -1)
        reached = ratio >= times or within(row, ours, figure)
        out.append((f'target {times:.3g}x or {figure:{",.0f" if figure >= 100 else ".3g"}} {row.unit}', REACHED if reached else SHORT))
    return out
