"""What is shown: the table, JSON, a plot, and the table in README."""
import datetime
import html
import json
import math
import pathlib
import platform
import re
import statistics

import gates

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = '<!-- measured: tools/bench --readme -->', '<!-- end of measured -->'
PLOT = 'tools/benchmark/measured.svg'


def median(values):
    return statistics.median(values) if values else None


def spread(values):
    """Half of the range, in percent of the median."""
    middle = median(values)
    return None if not values or len(values) < 2 or not middle else (max(values) - min(values)) / 2 / abs(middle) * 100


def number(value):
    if value is None:
        return 'not measured'
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.1f}' if abs(value) >= 10 else f'{value:.2f}'


def machine():
    model = re.search(r'^model name\s*: (.*)$', pathlib.Path('/proc/cpuinfo').read_text(), re.M)
    cores = len(re.findall(r'^processor\s*:', pathlib.Path('/proc/cpuinfo').read_text(), re.M))
    memory = int(re.search(r'^MemTotal:\s*(\d+)', pathlib.Path('/proc/meminfo').read_text(), re.M)[1])
    return {'date': datetime.date.today().isoformat(), 'cpu': model[1] if model else platform.machine(), 'cores': cores,
            'memory_gib': round(memory / (1 << 20)), 'kernel': platform.release()}


class Result:
    """All figures of a run: {contender: {figure: [a value a turn]}}, with the machine's own under 'machine'."""

    def __init__(self, rounds):
        self.rounds = rounds
        self.figures = {}
        self.notes = []
        self.growth = {}  # contender: rows of growth.measure()
        self.versions = {}
        self.machine = machine()

    def add(self, who, figures):
        for name, value in figures.items():
            self.figures.setdefault(who, {}).setdefault(name, []).append(value)

    def values(self, who, name):
        return self.figures.get(who, {}).get(name, [])

    def rows(self):
        """(row, odradek's values, Kafka's, ratio, [(gate, verdict)])."""
        floor = {name: median(values) for name, values in self.figures.get('machine', {}).items()}
        for row in gates.ROWS:
            ours, theirs = self.values('odradek', row.figure), self.values('kafka', row.figure)
            yield row, ours, theirs, gates.better_by(row, median(ours), median(theirs)), gates.judge(row, median(ours), median(theirs), floor)

    def verdicts(self):
        return [verdict for *_, judged in self.rows() for _, verdict in judged]


def with_spread(row, values):
    if not values:
        return ''
    wide = spread(values)
    return f'{number(median(values))} {row.unit}' + ('' if wide is None or row.unit.startswith('%') else f' ±{wide:.0f}%')


def text_rows(result):
    for row, ours, theirs, ratio, judged in result.rows():
        yield (row.title, with_spread(row, ours) or gates.NOT_MEASURED, with_spread(row, theirs), f'{ratio:,.1f}x' if ratio else '',
               '; '.join(f'{gate}: {verdict}' for gate, verdict in judged))
    for row in gates.CLIENT_ROWS:
        ours, theirs = result.values('odradek', row.figure), result.values('kafka', row.figure)
        if ours:
            ratio = gates.better_by(row, median(ours), median(theirs))
            yield row.title, with_spread(row, ours), with_spread(row, theirs), f'{ratio:,.1f}x' if ratio else '', 'mostly the client'
    for row in gates.FLOOR_ROWS:
        yield f'{row.title}', with_spread(row, result.values('machine', row.figure)) or gates.NOT_MEASURED, '', '', 'the machine itself'


def summary(result):
    verdicts = result.verdicts()

    def counts(*kinds):
        return ', '.join(f'{verdicts.count(each)} {each}' for each in kinds)
    return (f'gates: {counts(gates.PASSED, gates.MISSED, gates.NOT_MEASURED)}; '
            f'targets ({gates.TARGET:.0%} of what a bare loop that stores and checks did on another machine, against Kafka there or by itself): '
            f'{counts(gates.REACHED, gates.SHORT)}')


def print_table(result):
    rows = [('', 'odradek', result.versions.get('kafka', ''), 'ratio', 'gates'), *text_rows(result)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        print('  '.join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2, 3)), row[4]]).rstrip())
    print(', '.join(f'{key} {value}' for key, value in result.machine.items()))
    for note in result.notes:
        print(note)
    print(summary(result))


def write_json(result, path):
    rows = [{'title': row.title, 'figure': row.figure, 'unit': row.unit, 'odradek': median(ours), 'kafka': median(theirs), 'ratio': ratio,
             'gates': [{'gate': gate, 'verdict': verdict} for gate, verdict in judged]} for row, ours, theirs, ratio, judged in result.rows()]
    text = json.dumps({'machine': result.machine, 'versions': result.versions, 'notes': result.notes, 'rows': rows,
                       'figures': result.figures, 'growth': result.growth}, indent=1)
    pathlib.Path(path).write_text(text + '\n')


def write_readme(result):
    """The table between the two marks."""
    path = ROOT / 'README.md'
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit('bench: README.md has no place for what was measured')
    where = result.machine
    lines = [f'{where["date"]}, {where["cores"]} cores of {where["cpu"]}, {where["memory_gib"]} GiB, Linux {where["kernel"]}; '
             f'{" and ".join(result.versions.values())}. Load generator and broker share the cores; who is not measured is paused. '
             f'{spoken_rounds(result)} '
             'Latencies are what the broker takes: processors do not fall asleep between two requests, and the load generator polls '
             'around each of them, which takes from whoever is measured a part of one processor, at 10,000/s most of it. Where all '
             'sleep in between, waking up is most of a latency, and is the same for all.',
             '', '| what | odradek | ' + result.versions.get('kafka', 'Kafka') + ' | ratio | gates |', '|---|---|---|---|---|']
    lines += ['| ' + ' | '.join(each.replace('|', '\\|') for each in row) + ' |' for row in text_rows(result)]
    lines += ['', f'{summary(result)}.', *[f'{note[0].upper()}{note[1:]}.' for note in result.notes]]
    if (ROOT / PLOT).exists():
        lines += ['', f'![How many times better than Kafka, and the gates]({PLOT})']
    path.write_text(before + begin + '\n' + '\n'.join(lines) + '\n' + end + after)


def spoken_rounds(result):
    if result.rounds == 1:
        return 'One round.'
    return f'Medians of {result.rounds} rounds, in each of which throughputs and latencies are measured in several turns, ± half their range.'


def write_plot(result, path):
    """Bars on a logarithmic scale: how many times better than Kafka, and where the gate is."""
    drawn = []
    title = ''
    for row, _, _, ratio, _ in result.rows():
        part = row.title.startswith('- ')
        title = title if part else row.title
        if ratio:
            of = title.split(':')[0].removesuffix(', p50')
            drawn.append((f'{of}: {row.title[2:]}' if part else title, ratio, row.times))
    line, left, width = 20, 460, 420
    most = max([ratio for _, ratio, _ in drawn] + [gate or 1 for *_, gate in drawn] + [10])
    decades = math.ceil(math.log10(most))

    def x(value):
        return left + max(0.0, math.log10(max(value, 1e-9))) / decades * width
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{len(drawn) * line + 50}" '
           'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>']
    bottom = len(drawn) * line + 10
    for power in range(decades + 1):
        out.append(f'<line x1="{x(10 ** power):.0f}" x2="{x(10 ** power):.0f}" y1="8" y2="{bottom}" stroke="#ddd"/>'
                   f'<text x="{x(10 ** power):.0f}" y="{bottom + 16}" text-anchor="middle">{10 ** power:,}x</text>')
    for i, (name, ratio, gate) in enumerate(drawn):
        y = 10 + i * line
        color = '#2a7' if gate is None or ratio >= gate else '#c43'
        out.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{html.escape(name)}</text>'
                   f'<rect x="{left}" y="{y + 3}" width="{x(ratio) - left:.1f}" height="{line - 8}" fill="{color}"/>'
                   f'<text x="{x(ratio) + 5:.0f}" y="{y + 13}">{ratio:,.1f}x</text>')
        if gate:
            out.append(f'<line x1="{x(gate):.1f}" x2="{x(gate):.1f}" y1="{y + 1}" y2="{y + line - 3}" stroke="black" stroke-width="2"/>')
    out.append(f'<text x="{left}" y="{bottom + 34}">times better than {html.escape(result.versions.get("kafka", "Kafka"))}; the line is the gate</text></svg>')
    pathlib.Path(path).write_text('\n'.join(out) + '\n')
