"""The stock Java tools, each in three versions: the tutorial's, the last with ZooKeeper, the newest."""
import os
import signal
import subprocess
import threading

import pytest
from broker import ROOT

VERSIONS = os.environ.get('ODRADEK_KAFKA_VERSIONS', '2.8.0 3.9.1 4.3.1').split()
SECONDS = 60  # only against hanging for ever


def heed_ctrl_c():
    """A shell starts its background jobs with SIGINT ignored, and so would everything that these tests start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Tools:
    """The tools of one version, pointed at one broker."""

    def __init__(self, version, broker):
        self.version, self.broker = version, broker
        self.old = version.startswith('2.')
        # 4.x prints a warning among the records where it's given the older name of an option
        new = int(version.split('.')[0]) >= 4
        self.reader = '--reader-property' if new else '--property'
        self.formatter = '--formatter-property' if new else '--property'
        self.setting = '--command-property' if new else '--producer-property'

    def of(self, version):
        return Tools(version, self.broker)

    def plain(self, tool, *args):
        """A tool that is left running; what it says goes to a pipe."""
        return subprocess.Popen([ROOT / 'tools/kafka', self.version, tool, *args], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c)

    def start(self, tool, *args):
        return self.plain(tool, *args, '--bootstrap-server', self.broker.address)

    def finish(self, process, stdin='', code=0):
        try:
            out, err = process.communicate(stdin, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f'{process.args[2]} hangs: {process.communicate()}') from None
        if code is None:
            return out + err
        assert process.returncode == code, out + err
        return out

    def run(self, tool, *args, stdin='', code=0):
        """A tool that ends by itself: what it printed on stdout."""
        return self.finish(self.start(tool, *args), stdin, code)

    def without_address(self, tool, *args):
        """For tools that take the broker's address in another way."""
        return self.finish(self.plain(tool, *args))

    def address_first(self, tool, *args, code=0):
        """Tools with a subcommand want the address before it; with code None, one that may fail, and all that it said."""
        return self.finish(self.plain(tool, '--bootstrap-server', self.broker.address, *args), code=code)

    def maybe(self, tool, *args):
        """A tool that may fail: all that it said."""
        return self.finish(self.start(tool, *args), code=None)

    def fails(self, tool, *args):
        """A tool that must fail: all that it said."""
        process = self.start(tool, *args)
        said = self.finish(process, code=None)
        assert process.returncode != 0, said
        return said

    def produce(self, topic, lines, *args):
        self.run('kafka-console-producer', '--topic', topic, *args, stdin=''.join(f'{line}\n' for line in lines))

    def consume(self, topic, count, *args):
        """The lines that a console consumer prints until it has count records."""
        return self.run('kafka-console-consumer', '--topic', topic, '--max-messages', str(count), *args).splitlines()

    def replay(self, topic, lines, times=1):
        """The tutorial's consumer, which never ends by itself: after so many lines it's interrupted, as with Ctrl-C."""
        running = [self.start('kafka-console-consumer', '--topic', topic, '--from-beginning') for _ in range(times)]
        outputs = []
        for process in running:
            watchdog = threading.Timer(SECONDS, process.kill)
            watchdog.start()
            first = ''.join(process.stdout.readline() for _ in range(lines))
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=SECONDS)
            watchdog.cancel()
            outputs.append(first + rest)
        return outputs


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def tools(version, broker):
    return Tools(version, broker)


@pytest.fixture
def own_tools(version, own_broker):
    return Tools(version, own_broker)


@pytest.fixture(params=[version for version in VERSIONS if not version.startswith('2.')])
def newer_tools(request, broker):
    """For tools that came after 2.8."""
    return Tools(request.param, broker)
