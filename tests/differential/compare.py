#!/usr/bin/env python3
"""Sends the same requests to Apache Kafka and to odradek and compares the answers field by field.

usage: compare.py [--only WORD] [--verbose] [--against KAFKA_HOST:PORT ODRADEK_HOST:PORT] [--no-cases] [--no-frames] [--mutations COUNT] ...

Starts both brokers, each with an empty directory, unless two fresh ones are named. The cases stand in cases/, in order,
since later ones build on earlier ones; malformed frames follow (frames.py), random walks (walks.py) and mutations of sound requests (mutations.py). Ids,
addresses and times are normalised; each difference that is allowed stands in ALLOWED with its reason. The last line counts them all.

One mutation again:  --no-cases --no-frames --walks 0 --seed SEED --first NUMBER --mutations 1
One walk again:      --no-cases --no-frames --walks 1 --seed SEED --first NUMBER --mutations 0
For long:            --no-cases --no-frames --seed SEED --mutations 20000 --walks 300
"""
import argparse
import contextlib
import pathlib
import re
import sys
import tempfile
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
import broker as brokers  # noqa: E402
import cases  # noqa: E402
import frames  # noqa: E402
import walks  # noqa: E402
import wire  # noqa: E402
from mutations import Mutations, comparable, served  # noqa: E402

BUSY_SECONDS = 10
MUTATIONS = 670  # ten of each scene
WALKS = 12       # three of each kind

# (case, path of the field, reason): regular expressions, searched.
ALLOWED = [
    (r'^ApiVersions', r'api_keys\.(2|8|9|19|20|23|27|32|34|35)\.min_version', 'Kafka 4 no longer serves these versions; older clients need them'),
    (r'^ApiVersions', r'(supported|finalized)\.(group|share|streams)\.version', 'the APIs behind them are not served yet'),
    (r'^ApiVersions', r'(supported|finalized)\.(kraft|eligible\.leader\.replicas)\.version', 'they mean nothing on one node'),
    (r'^ApiVersions', r'finalized\.metadata\.version', 'the lowest that holds the log, so that every Kafka 4 can take it over'),
    (r'^UpdateFeatures .*(group|share|streams|eligible\.leader\.replicas)\.version 3', r'error_message',
     'the range of levels is empty yet'),
    (r'^DescribeQuorum v2 ', r'nodes\[0\]\.listeners\[0\]', 'there is no listener for controllers only'),
    (r'(CreateTopics v[01]|DeleteTopics v0|DescribeLogDirs v0|AlterReplicaLogDirs v0|ListOffsets v0|OffsetForLeaderEpoch v[01]|OffsetCommit v[01]|OffsetFetch v0) ', r'^$',
     'Kafka 4 no longer serves these versions; older clients need them'),
    (r'Produce .* null records', r'^$', 'Kafka never answers; here it is INVALID_RECORD'),
    (r'Produce .* magic 3', r'error_message', 'Kafka gives up the whole request with this text; here it is the one partition'),
    (r'listener(s|\.security\.protocol\.map)=', r'error_message', 'the sockets of a running broker stay as they are; Kafka parses what it will refuse'),
    (r'from the future', r'error_message', 'holds the time of the answer'),
    (r'(Produce|Fetch) .*(a partition|a topic)? twice', r'responses\.',
     "Kafka keeps the last of a partition's entries in a request and drops the others, records too; here each is carried out and answered"),
    (r' more tags than can be counted', r'^$', 'Kafka takes the count for a negative one, which it takes for none'),
]


class Side:
    """One broker, and what is needed to make its answers comparable."""

    def __init__(self, address):
        host, port = address.rsplit(':', 1)
        self.host, self.port = host.strip('[]'), int(port)
        self.connection, self.ids, self.memory = None, {}, {}

    def call(self, api, version, values):
        if self.connection is None:
            self.connection = wire.Connection(self.host, self.port)
        try:
            return self.connection.call(api, version, values)
        except (wire.Closed, TimeoutError) as error:
            self.connection = None
            return 'closed' if isinstance(error, wire.Closed) else 'no answer'

    def normal(self, value, name=''):
        if isinstance(value, dict):
            return {k: self.normal(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.normal(v, name) for v in value]
        if isinstance(value, uuid.UUID) and value.int:
            return f'id {self.ids.setdefault(value, len(self.ids) + 1)}'
        if name == 'port' and value == self.port:
            return 'port'
        if name == 'host' and value in (self.host, 'localhost'):
            return 'host'
        if name in ('member_id', 'leader') and value:
            return f'member {self.ids.setdefault(value, len(self.ids) + 1)}'
        if name == 'session_id' and value:
            return f'session {self.ids.setdefault(value, len(self.ids) + 1)}'
        if name in ('cluster_id', 'producer_id', 'log_dir'):
            return name
        return value


def differences(left, right, path=''):
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted({*left, *right}):
            yield from differences(left.get(key, 'absent'), right.get(key, 'absent'), f'{path}.{key}')
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for i, (a, b) in enumerate(zip(left, right)):
            yield from differences(a, b, f'{path}[{i}]')
    elif left != right:
        yield path, left, right


def wait_answer(side, case, ready):
    """Sends a request until its answer is as wanted: Kafka accepts before it can do everything."""
    end = time.monotonic() + brokers.START_SECONDS
    while time.monotonic() < end:
        answer = side.call(case.api, case.version, case.values)
        if isinstance(answer, dict) and ready(answer):
            return
        time.sleep(0.05)
    raise SystemExit(f'{side.host}:{side.port} answers {case.api} with {answer}')


def wait_led(side, answer):
    """Kafka answers CreateTopics before its broker leads the partitions."""
    for topic in answer['topics']:
        rows = [{'partition_index': i, 'timestamp': -1} for i in range(topic.get('num_partitions', 0))]
        if topic['error_code'] == 0 and rows:
            wait_answer(side, cases.Case('ListOffsets', 5, {'topics': [{'name': topic['name'], 'partitions': rows}]}),
                        lambda a: all(p['error_code'] == 0 for p in a['topics'][0]['partitions']))


def wait_marked(side, transactional_id):
    """Kafka answers EndTxn before the markers are in the logs."""
    wait_answer(side, cases.Case('DescribeTransactions', 0, {'transactional_ids': [transactional_id]}),
                lambda a: not a['transaction_states'][0]['transaction_state'].startswith('Prepare'))


def ask(side, case):
    """The side's answer, and what it was asked: more than once where the case says so."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        values = case.values(side) if callable(case.values) else case.values
        answer = side.call(case.api, case.version, values)
        if not case.until or not isinstance(answer, dict) or case.until(answer) or time.monotonic() > end:
            return values, answer
        time.sleep(0.05)


def settled(case, kafka, odradek, shape):
    """The answers of both, asked again where the case may settle and they differ."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        answers = [answer_of(side, case, shape) for side in (kafka, odradek)]
        if not case.settles or answers[0] == answers[1] or time.monotonic() > end:
            return answers
        time.sleep(0.05)


def answer_of(side, case, shape):
    values, answer = ask(side, case)
    if case.api == 'CreateTopics' and isinstance(answer, dict) and not values.get('validate_only'):
        wait_led(side, answer)
    if case.api == 'EndTxn' and isinstance(answer, dict) and answer['error_code'] == 0:
        wait_marked(side, values['transactional_id'])
    if case.remember and isinstance(answer, dict):
        case.remember(side, answer)
    answer = side.normal(case.shape(answer) if case.shape and isinstance(answer, dict) else answer)
    return shape(case.api, answer) if shape else answer


def run_case(case, kafka, odradek, verbose, last_shape=None):
    """Whether the answers are alike; last_shape is given the API and what has its case's shape and is normalised."""
    answers = settled(case, kafka, odradek, last_shape)
    return report(f'{case.api} v{case.version} {case.note} ', answers, verbose)


def report(name, answers, verbose):
    """Whether the answers are alike, but for what is allowed."""
    found = [d for d in differences(*answers)
             if not any(re.search(c, name) and re.search(p, d[0]) for c, p, _ in ALLOWED)]
    if verbose or found:
        print(f'{"FAILED" if found else "ok"}: {name}')
    for path, left, right in found:
        print(f'  {path or "answer"}: Kafka {left!r}, odradek {right!r}')
    return not found


def wait_ready(side):
    """Until there are producer ids and a coordinator, whose topic the first question creates."""
    for case, ready in cases.warm_up():
        wait_answer(side, case, ready)


@contextlib.contextmanager
def fresh_brokers():
    properties = {'offsets_topic_num_partitions': '1', 'transaction_state_log_num_partitions': '1',
                  'group_min_session_timeout_ms': '6000', 'log_flush_interval_ms': '1000000',
                  'group_consumer_assignment_interval_ms': '0', 'log_initial_task_delay_ms': '1000000',  # records of long ago stay
                  'log_retention_check_interval_ms': '1000000', 'log_cleaner_backoff_ms': '1000000'}
    with tempfile.TemporaryDirectory(prefix='odradek-differential-') as root, contextlib.ExitStack() as stack:
        addresses = []
        for kind in (brokers.Kafka, brokers.Odradek):
            directory = pathlib.Path(root) / kind.__name__
            directory.mkdir()
            broker = kind(directory, **properties)
            stack.callback(lambda it: it.process and it.process.poll() is None and it.kill9(), broker)
            addresses.append(broker.start().address)
        yield addresses


def run_mutation(number, mutations, kafka, odradek, verbose):
    for case in mutations.setting():
        run_case(case, kafka, odradek, verbose)
    for side in (kafka, odradek):
        mutations.begin(side)
    alike = [run_case(case, kafka, odradek, verbose, comparable) for case in mutations.cases(number)]
    if not all(alike):
        print(f'FAILED: {mutations.name(number)}')
        mutations.differed()
    return all(alike)


def run_walk(number, seed, kafka, odradek, verbose):
    """As far as the first difference: behind it the two brokers no longer hold the same."""
    for side in (kafka, odradek):
        side.ids, side.memory = {}, {}
    results = []
    for case in walks.walk(seed, number):
        results.append(run_case(case, kafka, odradek, verbose))
        if not results[-1]:
            print(f'FAILED: {walks.name(seed, number)}, request {len(results)}')
            break
    return results


def run_frame(frame, kafka, odradek, verbose):
    return report(f'{frame.note} ', [frames.exchange(side.host, side.port, frame) for side in (kafka, odradek)], verbose)


def compare(addresses, args):
    kafka, odradek = map(Side, addresses)
    wait_ready(kafka)
    wait_ready(odradek)
    results = []
    if args.cases:
        results += [run_case(case, kafka, odradek, args.verbose) for case in cases.all_cases() if args.only in f'{case.api} {case.note}']
    versions = served(kafka)
    if args.frames:
        results += [run_frame(frame, kafka, odradek, args.verbose) for frame in frames.all_frames(versions) if args.only in frame.note]
    for number in range(args.first, args.first + args.walks):
        if args.only in walks.name(args.seed, number):
            results += run_walk(number, args.seed, kafka, odradek, args.verbose)
    mutations = Mutations(args.seed, versions)
    return results + [run_mutation(number, mutations, kafka, odradek, args.verbose)
                      for number in mutations.numbers(args.first, args.mutations, args.only)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--against', nargs=2, metavar=('KAFKA', 'ODRADEK'), help='addresses of two fresh brokers')
    parser.add_argument('--only', default='', metavar='WORD', help='in the name of the API or the note')
    parser.add_argument('--verbose', action='store_true')
    parser.add_argument('--cases', action=argparse.BooleanOptionalAction, default=True, help='the recorded requests')
    parser.add_argument('--frames', action=argparse.BooleanOptionalAction, default=True, help='frames that no client library sends')
    parser.add_argument('--mutations', type=int, default=MUTATIONS, metavar='COUNT', help='how many mutations follow them (%(default)s)')
    parser.add_argument('--walks', type=int, default=WALKS, metavar='COUNT', help='how many random walks go before these (%(default)s)')
    parser.add_argument('--first', type=int, default=0, metavar='NUMBER', help='of the first mutation, and walk')
    parser.add_argument('--seed', type=int, default=1, help='of the mutations and walks')
    args = parser.parse_args()
    with contextlib.nullcontext(args.against) if args.against else fresh_brokers() as addresses:
        results = compare(addresses, args)
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped')
    return 0 if results and all(results) else 1


if __name__ == '__main__':
    sys.exit(main())
