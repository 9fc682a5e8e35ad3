"""All that a broker serves of some topics and groups, to be compared with what another one serves of the same directory."""
import os
import subprocess
import time

import broker as brokers
import wire

CODECS = ('none', 'gzip', 'snappy', 'lz4', 'zstd')
SECONDS = 60  # only against hanging for ever


class Client:
    """Requests to any broker, again and again as long as it isn't ready for them."""

    def __init__(self, broker):
        self.connection = wire.Connection('localhost', broker.port)

    def call(self, api, version, values, ready=lambda answer: True):
        end = time.monotonic() + SECONDS
        while True:
            answer = self.connection.call(api, version, values)
            if ready(answer):
                return answer
            assert time.monotonic() < end, (api, answer)
            time.sleep(0.1)

    def close(self):
        self.connection.close()

    def create(self, name, partitions=1, **configs):
        configs = [{'name': key.replace('_', '.'), 'value': value} for key, value in configs.items()]
        topic = {'name': name, 'num_partitions': partitions, 'replication_factor': 1, 'configs': configs}
        answer = self.call('CreateTopics', 7, {'topics': [topic], 'timeout_ms': 30000})
        assert answer['topics'][0]['error_code'] == 0, answer

    def topics(self):
        """Name to id and number of partitions, of topics that aren't internal."""
        rows = self.call('Metadata', 12, {'topics': None}, lambda a: all(
            p['error_code'] == 0 for t in a['topics'] for p in t['partitions']))['topics']
        return {row['name']: (str(row['topic_id']), len(row['partitions'])) for row in rows if not row['is_internal']}

    def configs(self, name):
        answer = self.call('DescribeConfigs', 4, {'resources': [{'resource_type': 2, 'resource_name': name, 'configuration_keys': None}]})
        return {row['name']: row['value'] for row in answer['results'][0]['configs'] if row['config_source'] == 1}

    def offset(self, name, partition, timestamp):
        values = {'replica_id': -1, 'topics': [{'name': name, 'partitions': [{'partition_index': partition, 'timestamp': timestamp}]}]}
        answer = self.call('ListOffsets', 5, values, lambda a: a['topics'][0]['partitions'][0]['error_code'] == 0)
        return answer['topics'][0]['partitions'][0]['offset']

    def records(self, name, partition, offset, end):
        """The bytes of the batches from offset on."""
        out = b''
        while offset < end:
            row = {'partition': partition, 'fetch_offset': offset, 'partition_max_bytes': 1 << 20}
            values = {'replica_id': -1, 'max_wait_ms': 100, 'min_bytes': 1, 'max_bytes': 1 << 24,
                      'topics': [{'topic': name, 'partitions': [row]}]}
            answer = self.call('Fetch', 11, values, lambda a: a['responses'][0]['partitions'][0]['error_code'] == 0)
            data = answer['responses'][0]['partitions'][0]['records']
            at = 0
            while len(data) - at >= 61:
                size = int.from_bytes(data[at + 8:at + 12], 'big') + 12
                if len(data) - at < size:
                    break
                base = int.from_bytes(data[at:at + 8], 'big')
                next_offset = base + int.from_bytes(data[at + 23:at + 27], 'big') + 1
                if next_offset > offset:
                    out += data[at:at + size]
                    offset = next_offset
                at += size
        return out

    def delete_records(self, name, partition, offset):
        row = {'partition_index': partition, 'offset': offset}
        answer = self.call('DeleteRecords', 2, {'topics': [{'name': name, 'partitions': [row]}], 'timeout_ms': 30000})
        assert answer['topics'][0]['partitions'][0]['error_code'] == 0, answer

    def wait_coordinator(self, group):
        self.call('FindCoordinator', 2, {'key': group, 'key_type': 0}, lambda a: a['error_code'] == 0)

    def commit(self, group, name, offsets):
        self.wait_coordinator(group)
        rows = [{'partition_index': i, 'committed_offset': offset, 'committed_metadata': f'at {offset}'} for i, offset in offsets.items()]
        self.call('OffsetCommit', 7, {'group_id': group, 'generation_id_or_member_epoch': -1, 'member_id': '',
                                      'topics': [{'name': name, 'partitions': rows}]},
                  lambda a: all(p['error_code'] == 0 for t in a['topics'] for p in t['partitions']))

    def committed(self, group):
        self.wait_coordinator(group)
        answer = self.call('OffsetFetch', 5, {'group_id': group, 'topics': None}, lambda a: a['error_code'] == 0)
        return {(topic['name'], row['partition_index']): (row['committed_offset'], row['metadata'])
                for topic in answer['topics'] for row in topic['partitions']}


def take(broker, groups=()):
    client = Client(broker)
    picture = {}
    for name, (topic_id, count) in client.topics().items():
        logs = []
        for partition in range(count):
            start, end = (client.offset(name, partition, at) for at in (-2, -1))
            logs.append((start, end, client.records(name, partition, start, end)))
        picture[name] = topic_id, client.configs(name), logs
    picture['groups'] = {group: client.committed(group) for group in groups}
    client.close()
    return picture


def check_offline(directory, code=0):
    """What odradek check says of a directory."""
    binary = os.environ.get('ODRADEK_BINARY', brokers.ROOT / 'build/odradek')
    done = subprocess.run([binary, 'check', directory], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout
