"""Brokers that tests start, restart and kill: odradek, or Apache Kafka itself, against which a test is proven right."""
import os
import pathlib
import select
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 180  # only against hanging for ever
KAFKA_VERSION = '4.3.1'

# What makes group tests quick; both brokers take Kafka's names.
PROPERTIES = {'group.initial.rebalance.delay.ms': '0', 'group.min.session.timeout.ms': '1000',
              'group.consumer.heartbeat.interval.ms': '500', 'group.consumer.min.heartbeat.interval.ms': '500'}


class Broker:
    """A process on localhost that keeps its data in a directory; its port stays the same over restarts."""

    def __init__(self, directory, **properties):
        self.directory = pathlib.Path(directory)
        self.properties = PROPERTIES | {name.replace('_', '.'): value for name, value in properties.items()}
        self.process, self.port = None, 0

    @property
    def address(self):
        return f'localhost:{self.port}'

    def start(self):
        with open(self.directory / 'stderr', 'ab') as errors:
            self.process = self.launch(errors)
        try:
            self.wait_ready()
        except AssertionError:
            self.kill9()
            raise AssertionError('the broker did not start: ' + (self.directory / 'stderr').read_text()) from None
        return self

    def stop(self):
        """A clean end; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def kill9(self):
        self.process.kill()
        return self.end()

    def end(self):
        code = self.process.wait(START_SECONDS)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        return code

    def restart(self):
        code = self.stop()
        assert code in self.CLEAN, f'the broker ended with {code}'
        return self.start()


class Odradek(Broker):
    CLEAN = (0,)
    FLAGS = ()
    BINARY = None

    def launch(self, errors):
        binary = self.BINARY or os.environ.get('ODRADEK_BINARY', ROOT / 'build/odradek')
        command = [binary, '--port', str(self.port), '--data', self.directory / 'data', '--exit-with-stdin', *self.FLAGS]
        for name, value in self.properties.items():
            command += ['--override', f'{name}={value}']
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)

    def wait_ready(self):
        readable, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        assert readable
        word, _, address = self.process.stdout.readline().decode().partition(' ')
        assert word == 'ready'
        self.port = int(address.rpartition(':')[2])


class Kafka(Broker):
    CLEAN = (0, 128 + signal.SIGTERM)  # what a JVM makes of a SIGTERM
    STANDALONE = False  # formatted as a quorum of one that could grow (kraft.version 1)
    DIRECTORIES = ('data',)

    def __init__(self, directory, version=KAFKA_VERSION, **properties):
        super().__init__(directory, **properties)
        self.version = version

    def launch(self, errors):
        if not self.port:
            self.port, controller = free_ports(2)
            self.configure(controller)
        return subprocess.Popen([ROOT / 'tools/kafka', self.version, 'kafka-server-start', self.directory / 'properties'],
                                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)

    def configure(self, controller):
        path = self.directory / 'properties'
        values = {'offsets.topic.num.partitions': '4'} | self.properties | {
            'process.roles': 'broker,controller', 'node.id': '1', 'log.dirs': ','.join(str(self.directory / name) for name in self.DIRECTORIES),
            **({'controller.quorum.bootstrap.servers': f'localhost:{controller}'} if self.STANDALONE else
               {'controller.quorum.voters': f'1@localhost:{controller}'}), 'controller.listener.names': 'CONTROLLER',
            'listeners': f'PLAINTEXT://localhost:{self.port},CONTROLLER://localhost:{controller}',
            'offsets.topic.replication.factor': '1',
            'transaction.state.log.replication.factor': '1', 'transaction.state.log.min.isr': '1'}
        path.write_text(''.join(f'{name}={value}\n' for name, value in values.items()))
        self.format('format', '-t', 'b2RyYWRlay10ZXN0LTAwMA', '-c', path, *['--standalone'] * self.STANDALONE)

    def format(self, *arguments):
        subprocess.run([ROOT / 'tools/kafka', self.version, 'kafka-storage', *arguments], check=True, stdout=subprocess.DEVNULL)

    def wait_ready(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            assert self.process.poll() is None
            with socket.socket() as probe:
                if probe.connect_ex(('127.0.0.1', self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(('127.0.0.1', 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('127.0.0.1', port))
        except OSError:
            return False
    return True


def new(directory, **properties):
    """The broker that ODRADEK_TEST_AGAINST names: odradek (the default) or kafka."""
    kind = {'odradek': Odradek, 'kafka': Kafka}[os.environ.get('ODRADEK_TEST_AGAINST', 'odradek')]
    return kind(directory, **properties)
