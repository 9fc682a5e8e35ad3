"""JVMs with the jars of one of Kafka's versions: how they are started, and one that runs many tools."""
import os
import pathlib
import struct
import subprocess
import threading

from broker import ROOT

VERSIONS = os.environ.get('ODRADEK_KAFKA_VERSIONS', '2.8.0 3.9.1 4.3.1').split()
SECONDS = 60  # only against hanging for ever
HERE = pathlib.Path(__file__).parent


def ask(version, *question):
    """What tools/kafka says of a version."""
    return subprocess.run([ROOT / 'tools/kafka', version, *question], check=True, capture_output=True, text=True).stdout.strip()


def command(jars, source, *args):
    """Compiles a source file and runs it, in a JVM that is quick to start."""
    return ['java', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xmx512M', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
            '-cp', ':'.join(map(str, jars)), HERE / source, *map(str, args)]


class Toolbox:
    """A JVM that runs a version's tools one after another: see Toolbox.java."""

    def __init__(self, version):
        self.version, self.classes = version, {}
        jars = pathlib.Path(ask(version, 'fetch'))
        tools = [jar for pattern in ('kafka_2.13-*.jar', 'kafka-tools-[0-9]*.jar') for jar in jars.glob(pattern)]
        rest = [jar for jar in jars.glob('*.jar') if jar not in tools]
        self.process = subprocess.Popen(command(rest, 'Toolbox.java', *tools), stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def end(self):
        self.process.stdin.close()
        self.process.wait(SECONDS)

    def run(self, tool, args, stdin):
        """The exit code of a tool, and what it wrote to standard output and error."""
        if tool not in self.classes:
            self.classes[tool] = ask(self.version, 'class', tool)
        strings = [text.encode() for text in (self.classes[tool], stdin, *args)]
        self.process.stdin.write(struct.pack('>i', len(strings)) + b''.join(struct.pack('>i', len(each)) + each for each in strings))
        self.process.stdin.flush()
        watchdog = threading.Timer(SECONDS, self.process.kill)
        watchdog.start()
        try:
            code, out, err = [self.read(struct.unpack('>i', self.read(4))[0]).decode() for _ in range(3)]
        finally:
            watchdog.cancel()
        return int(code), out, err

    def read(self, size):
        read = self.process.stdout.read(size)
        assert len(read) == size, "a tool hangs, or ended its JVM without Kafka's own Exit"
        return read


class Toolboxes(dict):
    def __missing__(self, version):
        self[version] = Toolbox(version)
        return self[version]
