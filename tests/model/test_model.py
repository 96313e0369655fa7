"""The model of the hand-over between masters (handover.pml), searched in full by spin(1).

README.md says what is modelled and what each property means. Runs differ in how much may
happen; each is searched to its end. A failure names the property and tells how spin
came there, rule by rule. Last come the mistakes: each must be found.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).with_name("handover.pml")
NUMBERS = ("KEEPER", "CRASHES", "KILLS", "CLIENTS", "REQUESTS", "TERMS")
DEPTH = 10000

pytestmark = pytest.mark.timeout(600)

# Names of runs, and the NUMBERS of each.
RUNS = {
    "alone": (0, 1, 1, 1, 2, 1),
    "death": (1, 1, 1, 1, 1, 0),
    "two-deaths": (1, 2, 0, 1, 1, 1),
    "end": (1, 1, 0, 0, 2, 1),
}
FORMULAS = {
    "served-alone": ("served", (0, 1, 1, 1, 1, 0)),
    "served": ("served", (1, 1, 0, 1, 1, 1)),
    "answered": ("answered", (1, 1, 0, 0, 2, 0)),
    "ended-alone": ("ended", (0, 1, 0, 0, 1, 1)),
    "ended": ("ended", (1, 1, 0, 1, 1, 1)),
}
# What each mistake breaks, in which run.
MISTAKES = {
    "ASK_BEFORE_READY": ("old_stays_until_new_is_ready", RUNS["death"]),
    "BIRTHS_OUTLIVE": ("no_stray_worker", RUNS["death"]),
    "BUSY_LEAVES": ("served_by_who_took_it", RUNS["death"]),
    "CHECK_LISTENS": ("accepted_by_somebody", RUNS["alone"]),
    "CHECK_OUTLIVES": ("answered_in_the_end", RUNS["death"]),
    "CLOSE_BEFORE_ADOPT": ("master_listens", RUNS["alone"]),
    "DEAD_ARE_ADOPTED": ("served_in_the_end", RUNS["death"]),
    "DONE_BEFORE_STORED": ("good_image_serves", RUNS["death"]),
    "EXEC_FORGETS_REQUEST": ("answered_in_the_end", RUNS["end"]),
    "FAILED_BEFORE_BACK": ("answer_is_true", RUNS["alone"]),
    "KEEPER_FORGETS_TERM": ("stopped_is_stopped", RUNS["end"]),
    "KEEPER_GIVES_AWAY": ("somebody_listens", RUNS["two-deaths"]),
    "KEEPER_STARTS_BEFORE_READING": ("no_stray_worker", RUNS["death"]),
    "KEEPER_STARTS_BEFORE_REAP": ("one_master", RUNS["death"]),
    "ONE_LIST_OF_WAITERS": ("answer_is_to_the_question", RUNS["alone"]),
    "ONE_NAME_FOR_PROGRAMS": ("program_is_there", RUNS["death"]),
    "REMOVE_STATE_FIRST": ("state_is_there", RUNS["death"]),
    "STRANGERS_STAY": ("no_stray_worker", RUNS["death"]),
    "TURN_FORGOTTEN": ("good_image_serves", RUNS["death"]),
    "WORKERS_INHERIT_WAITERS": ("answered_in_the_end", RUNS["death"]),
}
MISTAKEN_FORMULAS = {
    "DEAD_ARE_ADOPTED": ("served", RUNS["death"]),
    "EXEC_FORGETS_REQUEST": ("answered", (0, 0, 0, 0, 2, 0)),
    "BIRTHS_OUTLIVE": ("ended", (1, 1, 0, 0, 1, 1)),
}


def run(where, *command):
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class Search:
    """One search of the model: what spin makes of it, compiled and run in a directory."""

    def __init__(self, where, numbers, words=(), flags=("-DSAFETY",), options=()):
        self.where = where
        self.words = [f"-D{name}={n}" for name, n in zip(NUMBERS, numbers)]
        self.words += [f"-D{word}" for word in words]
        shutil.copy(MODEL, where)
        run(where, "spin", "-a", *self.words, MODEL.name)
        # Warnings are of code that spin wrote. What is searched in full is worth optimizing.
        optimize = "-O0" if any(word.startswith("BREAK_") for word in words) else "-O2"
        run(where, "gcc", optimize, "-w", "-DCOLLAPSE", *flags, "-o", "pan", "pan.c")
        self.out = subprocess.run(["./pan", f"-m{DEPTH}", *options], cwd=where, text=True,
                                  capture_output=True, check=False).stdout
        assert "max search depth too small" not in self.out, self.out
        assert "out of memory" not in self.out, self.out
        found = re.search(r"errors: (\d+)", self.out)
        assert found, self.out
        self.errors = int(found.group(1))

    def violated(self):
        """The name of what did not hold, and how it came to that."""
        way = run(self.where, "spin", "-t", "-p", *self.words, MODEL.name)
        place = re.search(r"pml:(\d+), Error: assertion violated", way)
        assert place, self.out
        lines = MODEL.read_text(encoding="utf-8").splitlines()[int(place.group(1)) - 1:]
        return re.search(r"/\* (\w+) \*/", "\n".join(lines)).group(1), way

    def must_hold(self, name=None):
        if self.errors:
            broken, way = (name, run(self.where, "spin", "-t", "-p", *self.words, MODEL.name)) \
                if name else self.violated()
            pytest.fail(f"{broken} does not hold:\n{way}", pytrace=False)
        assert "Search not completed" not in self.out, self.out


def formula(where, name, numbers, words=()):
    """A search for a history in which the formula does not come true, under weak fairness."""
    return Search(where, numbers, ("FORMULAS", *words), ("-DNFAIR=4",), ("-a", "-f", "-N", name))


@pytest.mark.parametrize("name", RUNS)
def test_properties_hold(tmp_path, name):
    Search(tmp_path, RUNS[name]).must_hold()


@pytest.mark.parametrize("name", ["alone", "two-deaths"])
def test_every_history_ends(tmp_path, name):
    """There are no cycles: what holds where nothing moves holds in the end of every history."""
    Search(tmp_path, RUNS[name], flags=("-DNP",), options=("-l",)).must_hold("every_history_ends")


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_hold(tmp_path, name):
    what, numbers = FORMULAS[name]
    formula(tmp_path, what, numbers).must_hold(what)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(tmp_path, mistake):
    what, numbers = MISTAKES[mistake]
    search = Search(tmp_path, numbers, [f"BREAK_{mistake}"])
    assert search.errors == 1, search.out
    assert search.violated()[0] == what


@pytest.mark.parametrize("mistake", MISTAKEN_FORMULAS)
def test_a_mistake_breaks_a_formula(tmp_path, mistake):
    what, numbers = MISTAKEN_FORMULAS[mistake]
    search = formula(tmp_path, what, numbers, [f"BREAK_{mistake}"])
    assert search.errors == 1, search.out
    assert "acceptance cycle" in search.out, search.out


def test_every_mistake_is_tried():
    text = MODEL.read_text(encoding="utf-8")
    assert set(re.findall(r"BREAK_([A-Z_]+)", text)) == set(MISTAKES)
