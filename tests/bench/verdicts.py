#!/usr/bin/env python3
"""What the benchmark says of made-up figures: nothing passes that was not measured, and a disturbed run does not count where a quiet one does."""
import pathlib
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / 'tools/benchmark'), str(ROOT / 'tests/lib')]
import gates  # noqa: E402
import measurements  # noqa: E402
import report  # noqa: E402


def verdicts(row, ours, theirs, **floor):
    return [verdict for _, verdict in gates.judge(row, ours, theirs, floor)]


def check_verdicts():
    fast = gates.Row('', 'rate', '/s', gates.MORE, times=2, limit=10)
    assert verdicts(fast, 20, 10) == [gates.PASSED, gates.PASSED]
    assert verdicts(fast, 19, 10) == [gates.MISSED, gates.PASSED]
    assert verdicts(fast, 9, 4) == [gates.PASSED, gates.MISSED]
    assert verdicts(fast, 20, None) == [gates.NOT_MEASURED, gates.PASSED]
    assert verdicts(fast, None, 10) == [gates.NOT_MEASURED, gates.NOT_MEASURED]
    late = gates.Row('', 'p99', 'us', gates.LESS, times=3, floor=(2, 'echo', 'the echo server'), prototype=(10, 8))
    assert verdicts(late, 10, 80, echo=5) == [gates.PASSED, gates.PASSED, gates.REACHED]
    assert verdicts(late, 11, 80, echo=5) == [gates.PASSED, gates.MISSED, gates.SHORT]
    assert verdicts(late, 10, 20, echo=5) == [gates.MISSED, gates.PASSED, gates.REACHED]
    assert verdicts(late, 30, 80) == [gates.MISSED, gates.NOT_MEASURED, gates.SHORT]
    assert verdicts(late, 30, None, echo=20) == [gates.NOT_MEASURED, gates.PASSED]
    much = gates.Row('', 'rate', '/s', gates.MORE, prototype=(5, 100))
    assert verdicts(much, 80, 40) == [gates.REACHED]
    assert verdicts(much, 79, 20) == [gates.SHORT]
    assert verdicts(much, 79, 19) == [gates.REACHED]
    nothing = report.Result(1).verdicts()
    assert nothing and set(nothing) == {gates.NOT_MEASURED}


def check_disturbed(parts, kept):
    """Runs of a second of which the host took these parts; the one that is kept, by its place."""
    seconds, runs, noted = iter(range(100)), iter(range(100)), []
    taken = iter([each for part in parts for each in (0, part * measurements.os.cpu_count())])
    measurements.time = types.SimpleNamespace(monotonic=lambda: next(seconds))
    measurements.stolen_seconds = lambda: next(taken)
    bench = types.SimpleNamespace(smoke=False, note_disturbed=lambda *what: noted.append(what))
    assert measurements.undisturbed(bench, lambda: next(runs)) == kept
    assert noted == [(len(parts) - 1, min(parts) > measurements.STOLEN_MOST)]


check_verdicts()
check_disturbed([0.001], 0)
check_disturbed([0.02, 0.001], 1)
check_disturbed([0.02, 0.03, 0.01, 0.05, 0.04], 2)
