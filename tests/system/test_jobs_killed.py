"""examples/jobs killed between any two steps, and by campaign at any moment."""

import contextlib
import os
import random
import re
import time
from collections import Counter
from signal import SIGKILL

import pytest

from support import REPO, campaign, is_alive, title_of, wait_until
from test_jobs import spool  # noqa: F401

ONE = {"sizing": "static", "max_servers": 1}
BEFORE = r"job (\S+): done before its worker died"


# ---- killed between any two steps ----------------------------------------------------------


STEPS = r"""
#pragma once
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <prefork/prefork.h>

/* The process dies instead of taking its KILL_AT-th step, unless that happened before. */
__attribute__((weak)) void step(const char *name)
{
    static pid_t first, here;
    static int count;
    const char *at = getenv("KILL_AT");
    int fd;

    first = first ? first : getpid();
    count = here == getpid() ? count + 1 : 1;
    here = getpid();
    if (!at || count != atoi(at) || (here == first) != (getenv("KILL_MASTER") != NULL))
        return;
    fd = open(getenv("KILL_MARK"), O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd >= 0 && write(fd, name, strlen(name)) > 0)
        raise(SIGKILL);
}
#define open(...) (step("open"), open(__VA_ARGS__))
#define flock(...) (step("flock"), flock(__VA_ARGS__))
#define rename(...) (step("rename"), rename(__VA_ARGS__))
#define renameat2(...) (step("renameat2"), renameat2(__VA_ARGS__))
#define unlink(...) (step("unlink"), unlink(__VA_ARGS__))
#define access(...) (step("access"), access(__VA_ARGS__))
#define read(...) (step("read"), read(__VA_ARGS__))
#define dprintf(...) (step("dprintf"), dprintf(__VA_ARGS__))
#define fsync(...) (step("fsync"), fsync(__VA_ARGS__))
#define close(...) (step("close"), close(__VA_ARGS__))
#define prefork_log(...) (step("log"), prefork_log(__VA_ARGS__))
#define prefork_access_log(...) (step("log"), prefork_access_log(__VA_ARGS__))
"""


@pytest.fixture
def stepper(server):
    """The example, in which a process can be killed before any step."""
    steps = server.directory / "steps.h"
    steps.write_text(STEPS)
    return server.build('#include "jobs.c"\n', f"-I{REPO / 'examples'}", "-include", str(steps),
                        str(REPO / "examples/spool.c"))


def kill_at(spool, number, **more):
    """The environment for it, and the file that says that it happened."""
    mark = spool.server.directory / f"mark.{spool.path.name}"
    return {"KILL_AT": number, "KILL_MARK": mark, **more}, mark


def fresh(spool, number):
    """The same spool under a new name."""
    spool.path = spool.server.directory / f"spool.{number}"
    spool.access_log = spool.server.directory / f"access.{number}.log"
    spool.started = []
    return spool.make()


def assert_done_once(spool):
    """The one job x."""
    assert spool.result("x") == "56"
    spool.assert_only("x")
    spool.assert_told("x")
    assert len(spool.deaths()) <= 1


def test_a_worker_killed_at_every_step(spool, stepper):
    """With one job; until there is no such step."""
    seen = []
    for number in range(1, 200):
        env, mark = kill_at(fresh(spool, number), number)
        spool.put("x", "sum 28")
        s = spool.start(stepper, env=env, **ONE)
        spool.wait_result("x")
        s.wait_workers(1, "idle")
        assert s.stop() == 0
        assert_done_once(spool)
        if not mark.exists():
            break
        seen.append(mark.read_text())
    assert "renameat2 fsync close close log unlink close" in " ".join(seen)
    assert seen.index("flock") < seen.index("rename") < seen.index("renameat2")


@pytest.mark.parametrize("left", [["held/x"], ["held/x", "done/.x"], ["held/x", "done/x"]])
def test_a_master_killed_at_every_step(spool, stepper, left):
    """While it puts back what a dead server had claimed."""
    seen = []
    for number in range(1, 200):
        env, mark = kill_at(fresh(spool, number), number, KILL_MASTER="1")
        for name in left:
            (spool.path / name).write_text({"held/x": "sum 28\n", "done/x": "56\n"}.get(name, "5"))
        s = spool.start(stepper, env=env, wait=None, **ONE)
        s.pid = s.process.pid
        wait_until(lambda: mark.exists() or s.find_log("notice: ready"), "either")
        if not mark.exists():
            spool.wait_result("x")
            assert s.stop() == 0
            break
        assert s.wait_exit() == -SIGKILL
        seen.append(mark.read_text())
        s = spool.start(stepper, **ONE)
        spool.wait_result("x")
        s.wait_workers(1, "idle")
        assert s.stop() == 0
        assert_done_once(spool)
    assert ("log unlink" if "done/x" in left else "rename log") in " ".join(seen)


# ---- the campaign --------------------------------------------------------------------------


def divisors(n):
    """Their sum."""
    return sum(i + (n // i if i * i != n else 0) for i in range(1, int(n ** 0.5) + 1) if n % i == 0)


class Killer:
    """Kills workers, and now and then the master, as results come in."""

    def __init__(self, spool, dice, jobs, masters):
        self.spool = spool
        self.dice = dice
        self.master_at = [jobs * (n + 1) // (masters + 1) for n in range(masters)]
        self.workers = 0
        self.masters = 0
        self.settings = {"min_servers": 4, "max_servers": 8, "log_level": 3}
        self.s = spool.start(**self.settings)

    def strike(self, done):
        """After so many results."""
        if self.master_at and done >= self.master_at[0]:
            self.master_at.pop(0)
            self.kill_master()
        else:
            self.kill_workers()

    def kill_workers(self):
        """One, or several at once; but a fifth attempt would be the last of a job that did
        nothing wrong, so those at a fourth are left alone."""
        alive = [pid for pid in self.s.workers() if not re.search(r"try[4-9]", title_of(pid))]
        for pid in self.dice.sample(alive, min(len(alive), self.dice.choice([1, 1, 2, 3]))):
            self.kill(pid)

    def kill_master(self):
        """Its workers become orphans, one of which is killed; another server takes over."""
        orphans = self.s.workers()
        self.s.signal(SIGKILL)
        assert self.s.wait_exit() == -SIGKILL
        self.masters += 1
        self.s = self.spool.start(**self.settings)
        for pid in self.dice.sample(orphans, 1):
            self.kill(pid)

    def kill(self, pid):
        """A worker, which may just have ended by itself."""
        if is_alive(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)
                self.workers += 1


def order_of(dice):
    """An order and its result."""
    if dice.random() < 0.5:
        ms = dice.randrange(1, 20)
        return f"sleep {ms}", f"slept {ms} ms"
    n = dice.randrange(1, 100_000)
    return f"sum {n}", str(divisors(n))


def test_campaign_jobs_while_everybody_is_killed(spool, capsys):
    """Every job has its result once; attempts, lines and kills add up."""
    count, masters = campaign(400, 10_000), campaign(2, 8)
    dice = random.Random(20261121)
    orders = {f"job-{n}": order_of(dice) for n in range(count)}
    spool.make()
    for name, (order, _) in orders.items():
        spool.put(name, order)
    began = time.monotonic()
    killer = Killer(spool, dice, count, masters)
    next_at = 0
    while (done := len(spool.names("done"))) < count:
        if done >= next_at and done < count - 10:
            killer.strike(done)
            next_at = done + dice.randrange(2, 24)
        left = count - done
        wait_until(lambda: len(spool.names("done")) >= min(next_at, count) or left <= 10,
                   "more results", details=killer.s.describe)
    killer.s.wait_until(lambda: spool.names("held") == [], "the last claim")
    seconds = time.monotonic() - began
    assert killer.s.stop() == 0
    check_campaign(spool, orders, killer, seconds, capsys)


def check_campaign(spool, orders, killer, seconds, capsys):
    """What the essay of this file promises."""
    spool.assert_only(*orders)
    assert not [name for name, (_, result) in orders.items() if spool.result(name) != result]
    spool.assert_told(*orders)
    ends = {job: int(attempt) for job, attempt, _ in spool.ends()}
    assert {job: result for job, _, result in spool.ends()}.items() <= \
        {name: result for name, (_, result) in orders.items()}.items()
    deaths = Counter(job for job, _ in spool.deaths())
    # A line is missing only where the one who moved the claim was killed right after it.
    retries = sum(max(ends.get(name, 1) - 1, deaths[name]) for name in orders)
    unsaid = retries - sum(deaths.values())
    assert not [name for name in ends if deaths[name] > ends[name] - 1]
    assert unsaid <= killer.workers + killer.masters
    # Who is struck between two jobs leaves nothing to be tried again: few strikes may all be so.
    assert campaign(0, 1) <= retries <= killer.workers
    assert killer.masters == campaign(2, 8) and killer.workers > campaign(0, len(orders) // 100)
    before = len(re.findall(BEFORE, spool.text()))
    with capsys.disabled():
        print(f"\njobs {len(orders)}, workers killed {killer.workers}, masters killed "
              f"{killer.masters}, attempts cut off {retries} (most for one job "
              f"{max(deaths.values())}), done before their worker died {before}, results without "
              f"a line by their worker {len(orders) - len(ends)}, moves without a line {unsaid}, "
              f"{seconds:.1f} s")
