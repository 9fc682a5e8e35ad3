"""The stock tools of one version, pointed at one broker."""
import signal
import subprocess
import threading

from broker import ROOT
from jvm import SECONDS, VERSIONS

ALONE = ('kafka-verifiable-producer', 'kafka-verifiable-consumer')  # what they do last is a shutdown hook of their JVM's
NEWER = [version for version in VERSIONS if not version.startswith('2.')]


def heed_ctrl_c():
    """A shell starts its background jobs with SIGINT ignored, and so would everything that these tests start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Tools:
    """The tools of one version, pointed at one broker. Those that end by themselves run in a toolbox, if there is any."""

    def __init__(self, version, broker, toolboxes=None):
        self.version, self.broker, self.toolboxes, self.used = version, broker, toolboxes, set()
        self.old = version.startswith('2.')
        # 4.x prints a warning among the records where it's given the older name of an option
        new = int(version.split('.')[0]) >= 4
        self.reader = '--reader-property' if new else '--property'
        self.formatter = '--formatter-property' if new else '--property'
        self.setting = '--command-property' if new else '--producer-property'

    def of(self, version):
        return Tools(version, self.broker, self.toolboxes)

    def plain(self, tool, *args):
        """A tool that is left running; what it says goes to a pipe."""
        self.used.add(tool)
        return subprocess.Popen([ROOT / 'tools/kafka', self.version, tool, *args], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c)

    def start(self, tool, *args):
        return self.plain(tool, *args, *self.address)

    @property
    def address(self):
        return '--bootstrap-server', self.broker.address

    def call(self, tool, *args, stdin=''):
        """The exit code of a tool, and what it wrote to standard output and error."""
        if self.toolboxes and tool not in ALONE:
            self.used.add(tool)
            return self.toolboxes(self.version).run(tool, args, stdin)
        process = self.plain(tool, *args)
        try:
            out, err = process.communicate(stdin, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f'{tool} hangs: {process.communicate()}') from None
        return process.returncode, out, err

    def checked(self, tool, *args, code=0, stdin=''):
        """What a tool printed on stdout; with code None, one that may fail, and all that it said."""
        ended, out, err = self.call(tool, *args, stdin=stdin)
        if code is None:
            return out + err
        assert ended == code, out + err
        return out

    def run(self, tool, *args, stdin='', code=0):
        return self.checked(tool, *args, *self.address, stdin=stdin, code=code)

    def without_address(self, tool, *args):
        """For tools that take the broker's address in another way."""
        return self.checked(tool, *args)

    def address_first(self, tool, *args, code=0):
        """Tools with a subcommand want the address before it."""
        return self.checked(tool, *self.address, *args, code=code)

    def maybe(self, tool, *args):
        """A tool that may fail: all that it said."""
        return self.run(tool, *args, code=None)

    def fails(self, tool, *args):
        """A tool that must fail: all that it said."""
        code, out, err = self.call(tool, *args, *self.address)
        assert code != 0, out + err
        return out + err

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
