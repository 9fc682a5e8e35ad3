"""Kafka Streams with exactly_once_v2: WordCount.java, stopped, killed and started again, counts every word once."""
import collections
import random
import subprocess
import threading

import jvm
import pytest
from tools import NEWER

WORDS = ['alpha', 'beta', 'gamma', 'delta', 'epsilon']


class Application:
    def __init__(self, version, address, name, directory):
        jars = f'{jvm.ask(version, "fetch", "kafka-streams")}/*'
        self.process = subprocess.Popen(jvm.command([jars], 'WordCount.java', address, name, directory), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(2 * jvm.SECONDS, self.process.kill)
        watchdog.start()
        self.version = self.process.stdout.readline().strip()
        watchdog.cancel()
        assert self.version == version

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(jvm.SECONDS) == 0

    def kill9(self):
        self.process.kill()
        self.process.wait(jvm.SECONDS)


class Lines:
    """What goes into the application, and what has to come out: every word with 1, 2, 3 and so on as its counts."""

    def __init__(self, tools, name):
        self.tools, self.name, self.random, self.words = tools, name, random.Random(name), []

    def write(self, count):
        lines = [[self.random.choice(WORDS) for _ in range(4)] for _ in range(count)]
        self.tools.produce(f'{self.name}-lines', map(' '.join, lines))
        self.words += [word for line in lines for word in line]

    def counts(self):
        tools = self.tools
        lines = tools.consume(f'{self.name}-counts', len(self.words), '--from-beginning', '--isolation-level', 'read_committed',
                              '--timeout-ms', str(1000 * jvm.SECONDS), tools.formatter, 'print.key=true', *(
                                  () if tools.version < '4' else (tools.formatter, 'key.separator=\t')),
                              tools.formatter, 'value.deserializer=org.apache.kafka.common.serialization.LongDeserializer')
        found = collections.defaultdict(list)
        for word, count in (line.split('\t') for line in lines):
            found[word].append(int(count))
        return found

    def check(self):
        wanted = {word: list(range(1, count + 1)) for word, count in collections.Counter(self.words).items()}
        assert self.counts() == wanted


@pytest.mark.parametrize('version', NEWER)
def test_words_are_counted_once(version, tools, name, tmp_path, record_run):
    for topic, partitions in ('lines', 3), ('counts', 2):
        tools.run('kafka-topics', '--create', '--topic', f'{name}-{topic}', '--partitions', str(partitions))
    lines = Lines(tools, name)

    def start():
        return Application(version, tools.broker.address, name, tmp_path)

    application = start()
    lines.write(100)
    lines.check()
    lines.write(300)
    application.stop()

    application = start()
    lines.write(300)
    lines.check()
    lines.write(2000)
    application.kill9()

    lines.write(20)
    application = start()
    lines.check()
    application.stop()

    internal = sorted(f'{name}-{part}' for part in ('counts-changelog', 'counts-repartition'))
    assert [topic for topic in tools.run('kafka-topics', '--list').splitlines() if topic in internal] == internal
    reset = ('kafka-streams-application-reset', '--application-id', name, '--input-topics', f'{name}-lines')
    assert f'Topic: {name}-lines Partition: 0 Offset: 0' in tools.run(*reset, '--force', '--dry-run')
    tools.run(*reset, '--force')  # members don't leave when they end, they only time out
    assert not [topic for topic in tools.run('kafka-topics', '--list').splitlines() if topic in internal]
    offsets = tools.run('kafka-consumer-groups', '--describe', '--group', name, '--offsets')
    assert all(line.split()[3] == '0' for line in offsets.splitlines() if f'{name}-lines' in line), offsets
    record_run('Kafka Streams', application.version, 'exactly_once_v2', 'repartition and changelog topics', 'application reset')
