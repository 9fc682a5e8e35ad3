"""What a request costs while there is ever more that is idle beside it: flat is flat.

A kind of growth is a row of GROWTH: what there is COUNTS of, and a function that measures the broker's CPU time of a request then. The
slope is that of log(cost) over log(count): 0 is flat, 1 is proportional. Of several runs the smallest counts, since what else runs on the
machine only ever adds.
"""
import math
import statistics

import report
from measurements import SMALL, cpu_us, produce, read_back

COUNTS = (1, 10, 100, 1_000, 10_000)
REQUESTS = 400_000
RUNS = 3


def over_partitions(bench, contender, count):
    """Produce in turn to each partition of one topic; the first request to each is not counted."""
    return cpu_us(produce(bench, contender, REQUESTS, count, unmeasured=count, **SMALL))


def beside_partitions(bench, contender, count):
    """Produce to one partition, while others are there."""
    idle = contender.create(count)
    contender.run('produce', topic=idle, partitions=count, requests=count, **SMALL)
    cost = cpu_us(produce(bench, contender, REQUESTS, **SMALL))
    contender.delete(idle)
    return cost


def over_topics(bench, contender, count):
    """Produce in turn to each of many topics."""
    topic = contender.create(1, topics=count)
    requests = max(bench.sized(REQUESTS), 2 * count)
    result = contender.run('produce', topic=topic, topics=count, requests=requests, unmeasured=count, **SMALL)
    read_back(contender, topic, requests, topics=count)
    contender.delete(topic, topics=count)
    return cpu_us(result)


def beside_connections(bench, contender, count):
    with contender.hold('idle', connections=count):
        return cpu_us(produce(bench, contender, REQUESTS, **SMALL))


def beside_parked(bench, contender, count):
    """Fetches wait on a hundred other partitions."""
    idle = contender.create(100)
    with contender.hold('parked', topic=idle, partitions=100, connections=count, wait_ms=600_000):
        cost = cpu_us(produce(bench, contender, REQUESTS, **SMALL))
    contender.delete(idle)
    return cost


def group_phase(phase):
    def measure(bench, contender, count):
        contender.wait_coordinator()
        topic = contender.create()
        result = contender.run('groups', topic=topic, group=f'{topic}-{phase}', groups=count, requests=bench.sized(50_000), **SMALL)
        contender.delete(topic)
        return cpu_us(result[phase])
    return measure


def group_joins(bench, contender, count):
    """New groups, while others are there."""
    contender.wait_coordinator()
    topic = contender.create()
    contender.run('groups', topic=topic, group=f'{topic}-there', groups=count, requests=count, **SMALL)
    result = contender.run('groups', topic=topic, group=f'{topic}-new', groups=bench.sized(1000), requests=1, **SMALL)
    contender.delete(topic)
    return cpu_us(result['join'])


def metadata(bench, contender, count):
    """Of all partitions: the answer grows with them."""
    topic = contender.create(count)
    result = contender.run('metadata', topic=topic, partitions=count, connections=4, in_flight=2, requests=max(100, bench.sized(20_000) // count))
    contender.delete(topic)
    return cpu_us(result)


GROWTH = [  # (what grows, measurement, whether the cost is to stay)
    ('partitions that are written to in turn', over_partitions, True),
    ('topics that are written to in turn', over_topics, True),
    ('partitions beside the one written to', beside_partitions, True),
    ('idle connections beside a producer', beside_connections, True),
    ('parked fetches beside a producer', beside_parked, True),
    ('groups: a join beside others', group_joins, True),
    ('groups: a heartbeat', group_phase('heartbeat'), True),
    ('groups: a commit', group_phase('commit'), True),
    ('partitions in an answer to Metadata', metadata, False),
]


def slope(costs):
    """Least squares over the logarithms of {count: cost}."""
    xs, ys = [math.log(count) for count in costs], [math.log(max(cost, 1e-3)) for cost in costs.values()]
    x, y = statistics.mean(xs), statistics.mean(ys)
    below = sum((each - x) ** 2 for each in xs)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys)) / below if below else 0.0


def measure(bench, contender, say):
    """[(what, {count: us}, slope, is_flat)]"""
    out = []
    for what, function, flat in GROWTH:
        costs = {}
        for count in (COUNTS[:2] if bench.smoke else [each for each in COUNTS if each <= contender.most]):
            bench.current = f'growth of {what}'
            costs[count] = min(function(bench, contender, count) for _ in range(1 if bench.smoke else RUNS))
        out.append((what, costs, slope(costs), flat))
        say(f'{what}: ' + ', '.join(f'{count:,}: {report.number(cost)} us' for count, cost in costs.items()))
    return out


def print_table(rows):
    print('broker CPU a request, us'.ljust(42) + ''.join(f'{count:>10,}' for count in COUNTS) + '     slope')
    for what, costs, gradient, flat in rows:
        cells = ''.join(f'{report.number(costs[count]) if count in costs else "":>10}' for count in COUNTS)
        print(f'{what:42}{cells}{gradient:10.2f}' + ('' if flat else '  (grows with the answer)'))
