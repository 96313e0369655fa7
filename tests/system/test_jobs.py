"""examples/jobs: a spool directory, a pool of workers, and kills at any moment.

What is proven, for every job that was put into the spool: its result is in done/ once, and
nothing of it is anywhere else. What was begun and cut off is counted in attempts.

Lines about a job: its worker writes one when the result is stored and before the claim is
removed. If it is killed before that line, the claim is there, and whoever removes it writes a
line before doing so. So a result has one line by its worker at most, and one of either kind
at least. A line "its worker died" is written after the claim was moved, so it may be missing
where the one who moved it was killed in between, and is never there twice.
"""

import os
import re
from collections import Counter
from signal import SIGHUP, SIGKILL, SIGQUIT, SIGTERM

import pytest

from support import EXAMPLES, is_alive, title_of, wait_until

ONE = {"sizing": "static", "max_servers": 1}
CONFIG = 78
DIED = r"job (\S+): its worker died in attempt (\d+)"
BEFORE = r"job (\S+): done before its worker died"


class Spool:
    """A spool directory, its jobs, and the servers that work on it."""

    def __init__(self, server):
        self.server = server
        self.path = server.directory / "spool"
        self.access_log = server.directory / "access.log"
        self.started = []

    def start(self, what="jobs", env=None, **settings):
        """A server on this spool."""
        settings.setdefault("port", None)
        settings.setdefault("access_log_path", self.access_log)
        s = self.server.start(what, env={"JOBS_SPOOL": self.path, **(env or {})}, **settings)
        self.started.append(s)
        return s

    def make(self):
        """The rooms, for jobs that are there before the first server."""
        for room in ("new", "held", "done", "failed"):
            (self.path / room).mkdir(parents=True, exist_ok=True)
        return self

    def put(self, name, order):
        """A new job, whole at once."""
        hidden = self.path / "new" / f".{name}"
        hidden.write_text(f"{order}\n")
        hidden.rename(self.path / "new" / name)

    def names(self, room):
        """What is in a room."""
        return sorted(os.listdir(self.path / room))

    def result(self, name):
        """What is in done/, or None."""
        try:
            return (self.path / "done" / name).read_text().rstrip("\n")
        except FileNotFoundError:
            return None

    def wait_result(self, name, value=None, timeout=None):
        """Wait until it is stored and its claim is gone."""
        s = self.started[-1]
        s.wait_until(lambda: self.result(name) is not None and not self.claims(name),
                     f"the result of {name}", timeout)
        assert value is None or self.result(name) == value

    def claims(self, name):
        """Claims of a job, of any attempt."""
        return [n for n in self.names("held") if re.fullmatch(rf"{name}(\.try\d+)?", n)]

    def wait_claim(self, name):
        """Wait until a worker has it."""
        s = self.started[-1]
        return s.wait_until(lambda: self.claims(name), f"a claim of {name}")[0]

    def worker_of(self, name):
        """The worker whose label names the job, once there is one."""
        s = self.started[-1]
        return s.wait_until(lambda: [pid for pid in s.workers()
                                     if f"job {name}" in title_of(pid)], f"job {name}")[0]

    def text(self):
        """What all servers said."""
        return "".join(s.text() for s in self.started)

    def lines(self, name=r"\S+"):
        """(job, attempt, worker, result), once for each job that its worker saw to the end."""
        text = self.access_log.read_text() if self.access_log.exists() else ""
        return re.findall(rf"^job ({name}), attempt (\d+), worker (\d+): (.*)$", text,
                          re.MULTILINE)

    def ends(self, name=r"\S+"):
        """The same without the worker."""
        return [(job, attempt, result) for job, attempt, _, result in self.lines(name)]

    def ended_by(self, name):
        """The workers of these lines."""
        return [int(worker) for _, _, worker, _ in self.lines(name)]

    def deaths(self):
        """(job, attempt) of attempts that were cut off, as the lines tell."""
        return [(job, int(attempt)) for job, attempt in re.findall(DIED, self.text())]

    def assert_only(self, *names):
        """These have a result, and there is nothing else in the spool."""
        assert self.names("done") == sorted(names)
        for room in ("new", "held", "failed"):
            assert self.names(room) == [], room

    def assert_told(self, *names):
        """The relation of lines and results at the top of this file."""
        ends = Counter(job for job, _, _ in self.ends())
        before = Counter(re.findall(BEFORE, self.text()))
        assert not [job for job, n in ends.items() if n > 1]
        assert not [name for name in names if ends[name] + before[name] < 1]
        assert not [death for death, n in Counter(self.deaths()).items() if n > 1]


@pytest.fixture
def spool(server):
    """A spool and its servers."""
    return Spool(server)


# ---- jobs ----------------------------------------------------------------------------------


def test_jobs_are_done(spool):
    """Those that are there at the start, and those that come later; the rooms are made."""
    spool.make().put("early", "sum 28")
    s = spool.start(min_servers=2, max_servers=4)
    spool.wait_result("early", "56")
    for name, order, result in (("prime", "sum 1000003", "1000004"), ("one", "sum 1", "1"),
                                ("square", "sum 36", "91"), ("zero", "sum 0", "0"),
                                ("blanks", "  sum   6  ", "12"), ("nap", "sleep 5", "slept 5 ms")):
        spool.put(name, order)
        spool.wait_result(name, result)
    spool.assert_only("blanks", "early", "nap", "one", "prime", "square", "zero")
    assert spool.ends("early") == [("early", "1", "56")]
    assert len(spool.ends()) == 7
    assert s.stop() == 0
    assert s.wait_log("stopped after 7 connections")


@pytest.mark.parametrize("order", ["", "sum", "sum -1", "sum 1 2", "sum 1x", "crash 1", "sleep",
                                   "sum 12345678901", "touch /tmp/x", "\0sum 1", "x" * 5000])
def test_what_is_no_order(spool, order):
    """It has a result like any other."""
    s = spool.start(**ONE)
    spool.put("odd", order)
    spool.wait_result("odd", "not understood: sum N, sleep MS or crash")
    assert s.stop() == 0


def test_rooms_are_made_at_start(spool):
    """And files that begin with a dot are nobody's but their owner's."""
    s = spool.start(**ONE)
    assert sorted(os.listdir(spool.path)) == ["done", "failed", "held", "new"]
    (spool.path / "new" / ".half").write_text("sum 3")
    spool.put("whole", "sum 3")
    spool.wait_result("whole", "4")
    assert spool.names("new") == [".half"]
    assert s.stop() == 0


@pytest.mark.parametrize("env, sentence", [
    ({"JOBS_SPOOL": None}, "JOBS_SPOOL is not set; it names the spool directory"),
    ({"JOBS_SPOOL": "spool"}, 'spool: needs an absolute path, and not "spool"'),
    ({"JOBS_SPOOL": "/" + "x" * 4090}, "spool: needs an absolute path"),
    ({"JOBS_SPOOL": "{}/no/such"}, "spool: cannot use {}/no/such/new/: No such file or directory"),
    ({"JOBS_SPOOL": "{}/file"}, "spool: cannot use {}/file/new/: Not a directory"),
])
def test_a_spool_that_cannot_be(server, env, sentence):
    """The start says what is wrong."""
    (server.directory / "file").touch()
    env = {key: value and value.format(server.directory) for key, value in env.items()}
    done = server.command(EXAMPLES / "jobs", env=env)
    assert done.returncode == CONFIG
    assert sentence.format(server.directory) in done.stderr


def test_label_says_which_job(spool):
    """And is given back when it is done; meanwhile the worker is busy."""
    s = spool.start(min_servers=1, max_servers=2, min_spare_servers=1)
    s.wait_workers(1, "idle")
    spool.put("slow", "sleep 1000")
    worker = spool.worker_of("slow")
    assert title_of(worker) == "jobs: job slow"
    s.wait_workers(2)  # one is busy, so another idle one is wanted
    spool.wait_result("slow")
    s.wait_until(lambda: title_of(worker) == "jobs: worker idle", "the label to go")
    assert s.stop() == 0


def test_the_pool_grows_to_its_limit_and_back(spool):
    """max_servers while there are jobs for all, min_servers when there are none."""
    s = spool.start(min_servers=2, max_servers=6, min_spare_servers=1, max_spare_servers=2,
                    check_for_waiting=0.1, spare_timeout=0.2, min_child_ttl=0)
    s.wait_workers(2, "idle")
    for n in range(40):
        spool.put(f"j{n}", "sleep 100")
    s.wait_workers(6)
    s.wait_workers(2)
    spool.assert_only(*(f"j{n}" for n in range(40)))
    assert s.stop() == 0
    assert s.wait_log("asked to leave .*: (never needed|not needed)")
    spool.assert_told(*(f"j{n}" for n in range(40)))


def test_what_inotify_does_not_tell(spool):
    """A link(2) is no rename: such a job is found by the next look."""
    s = spool.start(**ONE)
    s.wait_workers(1, "idle")
    (spool.path / "source").write_text("sum 4")
    os.link(spool.path / "source", spool.path / "new" / "linked")
    spool.wait_result("linked", "7")
    assert s.stop() == 0


# ---- leaving -------------------------------------------------------------------------------


def test_reload_waits_for_the_job(spool):
    """SIGHUP replaces workers, the busy one when its job is done."""
    s = spool.start(sizing="static", max_servers=2)
    old = s.wait_workers(2, "idle")
    spool.put("slow", "sleep 400")
    worker = spool.worker_of("slow")
    s.signal(SIGHUP)
    s.wait_until(lambda: len(set(s.workers()) - set(old)) == 2, "two new workers")
    spool.wait_result("slow")
    assert spool.ends() == [("slow", "1", "slept 400 ms")]
    assert spool.ended_by("slow") == [worker]
    assert s.stop() == 0


@pytest.mark.parametrize("signum", [SIGTERM, SIGQUIT])
def test_stop_waits_for_the_present_job(spool, signum):
    """Which is finished; the next is not begun."""
    s = spool.start(**ONE)
    spool.put("present", "sleep 300")
    spool.worker_of("present")
    spool.put("next", "sum 1")
    assert s.stop(signum) == 0
    assert spool.result("present") == "slept 300 ms"
    assert spool.names("new") == ["next"]
    assert spool.names("held") == []


def test_a_job_that_stop_cuts_off(spool):
    """Is put back before the server ends, and the attempt counts."""
    s = spool.start(**ONE, stop_timeout=0)
    spool.put("long", "sleep 100000")
    spool.worker_of("long")
    assert s.stop() == 0
    assert spool.names("new") == ["long.try2"]
    assert spool.deaths() == [("long", 1)]


# ---- the dead ------------------------------------------------------------------------------


def test_a_killed_worker_s_job_is_done_by_another(spool):
    """At once, as the second attempt."""
    s = spool.start(min_servers=2, max_servers=2)
    spool.put("j", "sleep 300")
    first = spool.worker_of("j")
    os.kill(first, SIGKILL)
    spool.wait_result("j", "slept 300 ms")
    assert spool.ends() == [("j", "2", "slept 300 ms")]
    assert spool.deaths() == [("j", 1)]
    assert s.stop() == 0
    spool.assert_only("j")


def test_a_job_that_kills_its_workers(spool):
    """After five attempts it is in failed/, others are done meanwhile, and the pool lives."""
    s = spool.start(min_servers=2, max_servers=4)
    spool.put("poison", "crash")
    spool.put("good", "sum 2")
    s.wait_log("job poison: its worker died in attempt 5, the last")
    spool.wait_result("good", "3")
    assert spool.names("failed") == ["poison"]
    assert (spool.path / "failed" / "poison").read_text() == "crash\n"
    assert sorted(spool.deaths()) == [("poison", n) for n in range(1, 6)]
    spool.put("after", "sum 3")
    spool.wait_result("after", "4")
    assert s.stop() == 0
    assert (spool.names("new"), spool.names("held")) == ([], [])


def test_a_job_that_hangs(spool):
    """With request_timeout it is cut off each time, and then given up."""
    s = spool.start(**ONE, request_timeout=0.05, kill_timeout=0.05)
    spool.put("hang", "sleep 100000")
    s.wait_until(lambda: spool.names("failed") == ["hang"], "the end of the job")
    assert spool.deaths() == [("hang", n) for n in range(1, 6)]
    spool.put("after", "sum 3")
    spool.wait_result("after", "4")
    assert s.stop() == 0


def test_orphans_keep_their_jobs(spool):
    """The master is killed: its worker finishes, and the next server leaves the claim alone."""
    first = spool.start(**ONE)
    spool.put("j", "sleep 700")
    worker = spool.worker_of("j")
    first.signal(SIGKILL)
    assert first.wait_exit() == -SIGKILL
    second = spool.start(**ONE)
    assert spool.names("held") == ["j"] and is_alive(worker)
    spool.wait_result("j", "slept 700 ms")
    assert spool.ends() == [("j", "1", "slept 700 ms")]
    assert spool.ended_by("j") == [worker]
    assert second.stop() == 0
    spool.assert_only("j")


def test_an_orphan_that_dies_later(spool):
    """No master sees it: the next look of any worker does."""
    first = spool.start(**ONE)
    spool.put("j", "sleep 100000")
    worker = spool.worker_of("j")
    first.signal(SIGKILL)
    assert first.wait_exit() == -SIGKILL
    second = spool.start(**ONE)
    second.wait_workers(1, "idle")
    assert spool.names("held") == ["j"]
    (spool.path / "held" / "j").write_text("sleep 1")  # for whoever takes it next
    os.kill(worker, SIGKILL)
    wait_until(lambda: not is_alive(worker), "the end of the orphan")
    spool.put("bell", "sum 1")
    spool.wait_result("j", "slept 1 ms")
    spool.wait_result("bell", "1")
    assert spool.ends("j") == [("j", "2", "slept 1 ms")]
    assert second.stop() == 0
    spool.assert_only("bell", "j")


def test_two_servers_on_one_spool(spool):
    """Share the jobs, and leave each other's claims alone."""
    names = [f"j{n}" for n in range(60)]
    servers = [spool.start(min_servers=3, max_servers=3) for _ in range(2)]
    workers = [set(s.workers()) for s in servers]
    for name in names:
        spool.put(name, "sleep 20")
    os.kill(spool.started[0].workers()[0], SIGKILL)
    for name in names:
        spool.wait_result(name, "slept 20 ms")
    assert all(own & set(spool.ended_by(r"j\d+")) for own in workers)
    assert [s.stop() for s in servers] == [0, 0]
    spool.assert_only(*names)
    spool.assert_told(*names)
    assert len(spool.deaths()) <= 1


@pytest.mark.parametrize("beside, told", [
    ([], r"job x: its worker died in attempt 1"),
    (["done/.x"], r"job x: its worker died in attempt 1"),
    (["done/x"], r"job x: done before its worker died"),
])
def test_what_a_dead_server_left(spool, beside, told):
    """A claim; with half a result; with the result, which stays as it is."""
    spool.make()
    (spool.path / "held" / "x").write_text("sum 6\n")
    for name in beside:
        (spool.path / name).write_text("12\n" if name == "done/x" else "1")
    made = (spool.path / "done/x").stat() if "done/x" in beside else None
    s = spool.start(**ONE)
    spool.wait_result("x", "12")
    assert s.wait_log(told)
    assert made is None or (spool.path / "done/x").stat().st_mtime_ns == made.st_mtime_ns
    assert s.stop() == 0
    spool.assert_only("x")


def test_a_name_that_was_used(spool):
    """The first result stands."""
    s = spool.start(**ONE)
    spool.put("x", "sum 6")
    spool.wait_result("x", "12")
    spool.put("x", "sum 7")
    s.wait_until(lambda: len(spool.ends("x")) == 2, "the second end")
    spool.wait_result("x", "12")
    assert spool.ends("x")[1] == ("x", "1", "was done already")
    assert s.stop() == 0
    spool.assert_only("x")
    assert spool.result("x") == "12"
