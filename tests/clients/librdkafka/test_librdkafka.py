"""librdkafka, the client in C: builds scenarios.c with Debian's, and runs that with it, with 1.x, and with the newest.

The others come out of confluent-kafka's wheels for Python, which bring their own librdkafka; whichever is loaded takes part.
"""
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import sysconfig

import pytest
from broker import ROOT

HERE = pathlib.Path(__file__).parent
FLAGS = ['-std=gnu11', '-D_GNU_SOURCE', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter',
         '-Wno-missing-field-initializers', f'-I{ROOT}']
OLDER = 'records codecs big times group admin'
SCENARIOS = 'records codecs big times group transactions admin'
NEWEST = 'records codecs big times group kip848 transactions admin'


@pytest.fixture
def run_with(run_client, tmp_path):
    def run(library, scenarios):
        program = tmp_path / 'scenarios'
        subprocess.run(['cc', *FLAGS, '-o', program, *sorted(HERE.glob('*.c')), '-lrdkafka'], check=True)
        run_client('librdkafka', [program], scenarios, HERE, env=os.environ | ({'LD_LIBRARY_PATH': str(library)} if library else {}))
    return run


def library_in(wheel, directory):
    """A directory that has the library of an unpacked wheel by the name that programs load it by."""
    bundled, = wheel.rglob('librdkafka-*.so*')
    shutil.copytree(bundled.parent, directory)
    (directory / 'librdkafka.so.1').symlink_to(bundled.name)
    return directory


def library_of(version, python, abi, tmp_path):
    """The same of a wheel for a Python that may not be here."""
    directory = ROOT / f'.cache/librdkafka-{version}'
    if not directory.exists():
        if platform.machine() != 'x86_64':
            pytest.skip('that old, it was only built for x86_64')
        platforms = [f'--platform={each}_x86_64' for each in ('manylinux1', 'manylinux2014')]
        subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--only-binary=:all:', f'--python-version={python}',
                        '--implementation=cp', f'--abi={abi}', *platforms, '--target', tmp_path / 'wheel', f'confluent-kafka=={version}'],
                       check=True)
        shutil.move(library_in(tmp_path / 'wheel', tmp_path / 'libraries'), directory)
    return directory


def test_librdkafka_debian(run_with):
    run_with(None, SCENARIOS)


def test_librdkafka_newest(run_with, tmp_path):
    wheel = pathlib.Path(sysconfig.get_path('purelib'))
    run_with(library_in(wheel, tmp_path / 'libraries'), NEWEST)


def test_librdkafka_1_9_2(run_with, tmp_path):
    run_with(library_of('1.9.2', '310', 'cp310', tmp_path), SCENARIOS)


def test_librdkafka_1_0_0(run_with, tmp_path):
    run_with(library_of('1.0.0', '37', 'cp37m', tmp_path), OLDER)
