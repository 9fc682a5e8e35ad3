"""What users of the common clients see: librdkafka, and the performance tools of Apache Kafka. The client is most of it."""
import re
import shutil
import subprocess

import broker as brokers
from contenders import LOADGEN, ROOT, SECONDS, Wrong

RECORDS = 1_000_000
RDKAFKA = LOADGEN.parent / 'rdkafka_load'


def run(*command):
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, timeout=SECONDS)
    if done.returncode != 0:
        raise Wrong(f'{command}: {done.stderr.strip()[-500:]}')
    return done.stdout


def java_perf(bench, contender):
    topic, count = contender.create(), bench.sized(RECORDS)
    address = f'127.0.0.1:{contender.broker.port}'
    said = run(ROOT / 'tools/kafka', brokers.KAFKA_VERSION, 'kafka-producer-perf-test', '--topic', topic, '--num-records', count,
               '--record-size', 100, '--throughput', -1, '--producer-props', f'bootstrap.servers={address}', 'acks=1')
    produced = re.findall(rf'^{count} records sent, ([\d.]+) records/sec.*?(?:, ([\d.]+) ms avg latency)', said, re.M)[-1]
    said = run(ROOT / 'tools/kafka', brokers.KAFKA_VERSION, 'kafka-consumer-perf-test', '--bootstrap-server', address, '--topic', topic,
               '--messages', count)
    header, row = [line.split(', ') for line in said.splitlines() if ', ' in line][-2:]
    consumed = dict(zip(header, row))
    if int(consumed['data.consumed.in.nMsg']) != count:
        raise Wrong(f'kafka-consumer-perf-test read {consumed} of {count}')
    contender.delete(topic)
    return {'java_produce_rate': float(produced[0]), 'java_produce_ms': float(produced[1]),
            'java_consume_rate': float(consumed.get('fetch.nMsg.sec', consumed.get('nMsg.sec')))}


def librdkafka(bench, contender):
    topic, count = contender.create(), bench.sized(RECORDS)
    said = run(RDKAFKA, f'127.0.0.1:{contender.broker.port}', topic, count).split()
    contender.delete(topic)
    return {'rdkafka_produce_rate': float(said[0]), 'rdkafka_consume_rate': float(said[1])}


def why_no_java():
    return None if shutil.which('java') else 'java is not installed'


def why_no_librdkafka():
    return None if RDKAFKA.exists() else 'librdkafka-dev is not installed'
