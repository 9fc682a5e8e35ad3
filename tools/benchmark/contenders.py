"""The brokers that are measured, and what the kernel says of their processes."""
import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import broker as brokers
import wire

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOADGEN = ROOT / 'build/tools/loadgen/loadgen'
SECONDS = 600  # only against hanging for ever
SETTLE_SECONDS = 1  # for what became due while a contender was paused
SETTINGS = {'offsets_topic_num_partitions': '50', 'log_segment_delete_delay_ms': '100'}
brokers.START_SECONDS = SECONDS

# What Kafka's own start script gives the JVM.
KAFKA_JVM = ('-Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35'
             ' -XX:+ExplicitGCInvokesConcurrent -XX:MaxInlineLevel=15').split()


class Wrong(Exception):
    """A broker or the load generator ended with a failure: no figure of this run counts."""


def loadgen(mode, **options):
    """Runs the load generator and returns the object it prints."""
    command = [LOADGEN, mode]
    for name, value in options.items():
        command += ['--' + name.replace('_', '-'), str(value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=SECONDS)
    if done.returncode != 0:
        raise Wrong(f'{mode} {options}: {done.stderr.strip()}')
    return json.loads(done.stdout)


def store(size, kib, directory):
    """Writes that many bytes to a file that is deleted, in pieces of so many KiB with a checksum each."""
    return loadgen('storage', bytes=size, record_bytes=kib << 10, directory=directory)


def topic_names(name, count):
    """What several topics are called, as in tools/loadgen."""
    return [name] if count == 1 else [f'{name}-{i:05}' for i in range(count)]


class Background:
    """A load generator that goes on until it is closed; its first object is in .said."""

    def __init__(self, mode, **options):
        command = [LOADGEN, mode]
        for name, value in options.items():
            command += ['--' + name.replace('_', '-'), str(value)]
        self.mode = mode
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self):
        readable, _, _ = select.select([self.process.stdout], [], [], SECONDS)
        line = self.process.stdout.readline() if readable else ''
        if not line:
            self.process.kill()
            self.process.wait()
            raise Wrong(f'{self.mode} ended early')
        return json.loads(line)

    def __enter__(self):
        self.said = self.read()
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        code = self.process.wait(SECONDS)
        self.process.stdout.close()
        if code != 0 and kind is None:
            raise Wrong(f'{self.mode} ended with {code}')


class Contender:
    """One running broker with a directory of its own. Subclasses say which."""
    name = version = None
    most = 10_000  # partitions, topics, connections ... that it can have here
    speed = 1  # of small requests, roughly, beside odradek: what a run of some seconds is made of

    def __init__(self, scratch, **properties):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f'{self.name}-', dir=scratch))
        self.broker = self.make(**properties)
        self.topics = 0
        # Until the whole bench is over, where there are many files: for minutes ext4 looks at each that was deleted whenever it makes
        # another, which takes ten times as long then.
        self.keeps_directory = False

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.broker.process and self.broker.process.poll() is None:
            self.broker.kill9()
        if not self.keeps_directory:
            shutil.rmtree(self.directory)

    def start(self):
        self.broker.start()
        return self

    def stop(self):
        if self.broker.stop() not in self.broker.CLEAN:
            raise Wrong(f'{self.name} did not stop cleanly')

    @contextlib.contextmanager
    def paused(self):
        self.broker.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.broker.process.send_signal(signal.SIGCONT)
            time.sleep(SETTLE_SECONDS)

    @property
    def pid(self):
        return self.broker.process.pid

    @property
    def data(self):
        return self.directory / 'data'

    def run(self, mode, **options):
        """The load generator against this broker."""
        return loadgen(mode, port=self.broker.port, pid=self.pid, **options)

    def hold(self, mode, **options):
        return Background(mode, port=self.broker.port, **options)

    def start_until_acknowledged(self, topic, create=0):
        """Milliseconds from exec to the first acknowledged produce; the broker stays."""
        first = Background('first', port=self.broker.port, topic=topic, create=create)
        begun = time.monotonic_ns()
        with open(self.directory / 'stderr', 'ab') as errors:
            self.broker.process = self.broker.launch(errors)
        acknowledged = first.read()['acknowledged_ns']
        first.__exit__(None)
        return (acknowledged - begun) / 1e6

    def kill_and_forget(self):
        self.broker.kill9()
        (self.data / 'recovery-point-offset-checkpoint').unlink(missing_ok=True)

    # What it is asked outside of any timing.

    def call(self, api, version, values, ready):
        connection = wire.Connection('127.0.0.1', self.broker.port)
        connection.sock.settimeout(SECONDS)
        end = time.monotonic() + SECONDS
        try:
            while True:
                answer = connection.call(api, version, values)
                if ready(answer):
                    return answer
                if time.monotonic() > end:
                    raise Wrong(f'{self.name} answers {api} with {answer}')
                time.sleep(0.05)
        finally:
            connection.close()

    def create(self, partitions=1, topics=1, **configs):
        """Makes a topic (or several, NAME-00000 ...) and waits until all can be written to; returns its name."""
        self.topics += 1
        name = f'bench{self.topics}'
        names = topic_names(name, topics)
        configs = [{'name': key.replace('_', '.'), 'value': value} for key, value in configs.items()]
        for i in range(0, len(names), 500):
            self.call('CreateTopics', 5, {'timeout_ms': 60000, 'topics': [
                {'name': each, 'num_partitions': partitions, 'replication_factor': 1, 'configs': configs} for each in names[i:i + 500]]},
                lambda answer: all(row['error_code'] in (0, 36) for row in answer['topics']))
        rows = [{'partition_index': i, 'timestamp': -1} for i in range(partitions)]
        for i in range(0, len(names), 500):
            self.call('ListOffsets', 5, {'topics': [{'name': each, 'partitions': rows} for each in names[i:i + 500]]},
                      lambda answer: all(p['error_code'] == 0 for t in answer['topics'] for p in t['partitions']))
        return name

    def delete(self, name, topics=1):
        """Until its files are gone, too: to unlink a GiB takes processor time, which must not fall into what is measured next."""
        names = topic_names(name, topics)
        for i in range(0, len(names), 500):
            self.call('DeleteTopics', 5, {'topic_names': names[i:i + 500], 'timeout_ms': 60000},
                      lambda answer: all(row['error_code'] in (0, 3) for row in answer['responses']))
        end = time.monotonic() + SECONDS
        while any(self.data.glob('*-delete')):
            if time.monotonic() > end:
                raise Wrong(f'{self.name} does not delete the files of {name}')
            time.sleep(0.05)

    def wait_coordinator(self):
        """Kafka makes its topic of offsets when it is first asked for a coordinator."""
        self.call('FindCoordinator', 2, {'key': 'bench', 'key_type': 0}, lambda answer: answer['error_code'] == 0)
        self.call('OffsetFetch', 5, {'group_id': 'bench', 'topics': None}, lambda answer: answer['error_code'] == 0)

    # What the kernel says of it.

    def status(self, name):
        """A number of /proc/PID/status."""
        for line in pathlib.Path(f'/proc/{self.pid}/status').read_text().splitlines():
            if line.startswith(name + ':'):
                return int(line.split()[1])
        raise Wrong(f'no {name} in status')

    def memory(self):
        """KiB: resident, its own part of that, and what is not of files."""
        wanted = ('Rss', 'Pss', 'Anonymous')
        out = {}
        for line in pathlib.Path(f'/proc/{self.pid}/smaps_rollup').read_text().splitlines():
            key, _, rest = line.partition(':')
            if key in wanted:
                out[key] = int(rest.split()[0])
        return out

    def wake_ups(self):
        """Voluntary context switches of all its threads so far."""
        return sum(int(line.split()[1]) for status in pathlib.Path(f'/proc/{self.pid}/task').glob('*/status')
                   for line in status.read_text().splitlines() if line.startswith('voluntary_ctxt_switches:'))


class Odradek(Contender):
    name = 'odradek'

    def make(self, **properties):
        more_groups = {'odradek_max_groups': '1000000'}  # for --growth
        broker = brokers.Odradek(self.directory, **SETTINGS, **more_groups, **properties)
        (broker.port,) = brokers.free_ports(1)
        return broker

    def first_start(self, topic):
        return self.start_until_acknowledged(topic, create=1)

    def recover(self, topic):
        """Milliseconds of a start after a kill when nothing is known to be on disk."""
        self.kill_and_forget()
        return self.start_until_acknowledged(topic)


class KafkaProcess(brokers.Kafka):
    """Without tools/kafka, which looks for the class first: a start is timed here."""

    def java(self, options, name):
        jars = subprocess.run([ROOT / 'tools/kafka', self.version, 'fetch'], capture_output=True, text=True, check=True).stdout.strip()
        levels = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-Dorg.slf4j.simpleLogger.log.kafka.log.LogManager=info'
        return ['java', *options, *levels, '-cp', f'{jars}/*', name]

    def configure(self, controller):
        self.server = self.java(KAFKA_JVM, 'kafka.Kafka')
        self.storage = self.java(['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'], 'kafka.tools.StorageTool')
        self.format_ms = 0.0
        super().configure(controller)

    def format(self, *arguments):
        begun = time.monotonic_ns()
        subprocess.run([*self.storage, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.format_ms = (time.monotonic_ns() - begun) / 1e6

    def launch(self, errors):
        if not self.port:
            self.port, controller = brokers.free_ports(2)
            self.configure(controller)
        return subprocess.Popen([*self.server, self.directory / 'properties'], stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)


class Kafka(Contender):
    name = 'kafka'
    version = brokers.KAFKA_VERSION
    speed = 0.1
    most = 1_000  # each partition takes three descriptors and two mappings

    def make(self, **properties):
        first_deletion = {'log_initial_task_delay_ms': '100'}  # else it comes after half a minute
        return KafkaProcess(self.directory, **SETTINGS, **first_deletion, **properties)

    def first_start(self, topic):
        """Formatting the directory included."""
        self.broker.port, controller = brokers.free_ports(2)
        self.broker.configure(controller)
        return self.broker.format_ms + self.start_until_acknowledged(topic, create=1)

    def recover(self, topic):
        """Milliseconds of the same by Kafka's own log, and of this topic alone: the whole start differs by a second from one to the next,
        and a broker that was killed is refused until its session is over, whether it recovers meanwhile or not."""
        self.kill_and_forget()
        self.start_until_acknowledged(topic)
        return int(re.findall(rf'Completed load of .*topic={topic}, .* in (\d+)ms', (self.directory / 'stderr').read_text())[-1])


def odradek_version(binary):
    return subprocess.run([binary, '--version'], capture_output=True, text=True, check=True).stdout.strip()


def why_no_kafka(scratch):
    """What Kafka would need and this machine lacks, or None."""
    missing = [command for command in ('java', 'mvn') if not shutil.which(command)]
    jars = pathlib.Path(os.environ.get('XDG_CACHE_HOME', pathlib.Path.home() / '.cache')) / 'odradek/kafka' / brokers.KAFKA_VERSION
    if jars.exists() and shutil.which('java'):
        missing = []
    if missing:
        return f'{" and ".join(missing)} not installed'
    free = next(int(line.split()[1]) for line in pathlib.Path('/proc/meminfo').read_text().splitlines() if line.startswith('MemAvailable'))
    if free < 4 << 20:
        return f'{free >> 10} MiB of memory are free, of 4096 that it takes'
    if shutil.disk_usage(scratch).free < 10 << 30:
        return 'less than 10 GiB of disk are free'
    fetched = subprocess.run([ROOT / 'tools/kafka', brokers.KAFKA_VERSION, 'fetch'], capture_output=True, text=True)
    return None if fetched.returncode == 0 else f'it cannot be fetched: {fetched.stderr.strip().splitlines()[-1]}'
