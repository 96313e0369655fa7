"""The bench: prefork beside its peers and the limit, in one run, as ratios.

    bench.py BUILD_DIR [quick] [ROW ...]

Servers that are compared run in turns (A B A B ...), so that a machine that gets slower gets
slower for all, and ratios are of the same round. Every line says what was measured, the
bound if there is one, and whether it holds. A run of all rows writes bench/results/DATE.md,
DATE.json and plots; any other one writes them below the build directory.

`quick` runs the rows that have little to do, in fewer rounds. The exit status is 1 if a bound
was missed; of `quick`, if one was that does not depend on the speed of the machine.
"""

import os
import signal
import subprocess
import sys
import traceback

import psutil

import machine
import report
from peers import PEERS, NotMeasured
from results import Results, lines_of
from rows import ROWS

HERE = os.path.dirname(os.path.abspath(__file__))
FAILURES = (NotMeasured, RuntimeError, OSError, subprocess.SubprocessError, ValueError,
            psutil.Error)


class Bench:
    """Where the programs are, how much is to be done, and what was found."""

    def __init__(self, build, quick=False):
        self.build = os.path.abspath(build)
        self.quick = quick
        self.results = Results(machine.describe(PEERS))
        self.missed = 0
        self.counts = True  # a bound that is missed now decides the exit status

    def path(self, name):
        """A program of bench/."""
        return os.path.join(self.build, "bench", name)

    def rounds(self, normal, quick=1):
        """How often."""
        return quick if self.quick else normal

    def interleave(self, sides, rounds):
        """What the functions return, in turns. A side that fails is reported and left out; if
        it is the first one, there is nothing to compare and the row ends."""
        samples = {side: [] for side in sides}
        first = next(iter(sides))
        for _ in range(rounds):
            for side, measure in sides.items():
                if side not in samples:
                    continue
                try:
                    samples[side].append(measure())
                except FAILURES as error:
                    if side == first:
                        raise
                    del samples[side]
                    self.absent(self.row, side, str(error))
        return samples

    def compare(self, row, what, samples, unit, ours="prefork", bounds=None, note=""):
        """Samples of interleave(); bounds are of the median of the ratios ours/other."""
        self.say(self.results.compare(row, what, samples, unit, ours, bounds or {}, note))

    def value(self, row, what, number, unit="", bound=None, note=""):
        """One number."""
        self.say(self.results.value(row, what, number, unit, bound, note))

    def series(self, row, name, points, x, y):
        """A line for a plot."""
        self.results.series(row, name, points, x, y)

    def absent(self, row, what, why):
        """Something that cannot be measured here."""
        self.say(self.results.absent(row, what, why))

    def write(self, path):
        """Everything: PATH.json, PATH.md, and the pictures beside them."""
        pictures = draw_if_possible(f"{path}.json", os.path.dirname(path))
        with open(f"{path}.md", "w") as file:
            file.write(report.markdown(self.results, ROWS, pictures))
        print(f"# {path}.md", flush=True)

    def say(self, record):
        """Print it, and count the bounds that it misses."""
        words = {None: "    ", True: "ok  ", False: "MISS"}
        for held, text in lines_of(record):
            self.missed += held is False and self.counts
            print(f"{record['row']:10} {words[held]} {text}", flush=True)

    def run(self, name):
        """One row. That it breaks does not stop the others."""
        self.row, row = name, ROWS[name]
        self.counts = not self.quick or getattr(row, "STEADY", False)
        try:
            row.run(self)
        except Exception as error:
            traceback.print_exc()
            self.absent(name, name, f"{type(error).__name__}: {error}")
            self.missed += self.counts


def draw_if_possible(path, directory):
    """The pictures by row. Numbers are worth having without them."""
    try:
        import plots
    except ImportError as error:
        print(f"# no pictures: {error}", flush=True)
        return {}
    return plots.draw(Results.load(path), directory)


def parse(words):
    """The build directory, whether it is to be quick, and the rows."""
    build, quick, names = words[0], "quick" in words[1:], [w for w in words[1:] if w != "quick"]
    for name in names:
        if name not in ROWS:
            sys.exit(f"bench: no row \"{name}\"; there are: {' '.join(ROWS)}")
    every = [n for n in ROWS if not quick or getattr(ROWS[n], "QUICK", False)]
    return build, quick, names or every, not names and not quick


def main():
    """All of it."""
    build, quick, names, is_whole = parse(sys.argv[1:])
    bench = Bench(build, quick)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # end servers first
    print(f"# {machine.sentence(bench.results.machine)}", flush=True)
    directory = os.path.join(HERE if is_whole else build, "results")
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, bench.results.machine["date"])
    for name in names:
        bench.run(name)
        bench.results.save(f"{path}.json")  # what there is, if somebody ends the run
    bench.write(path)
    sys.exit(1 if bench.missed else 0)


if __name__ == "__main__":
    main()
