"""Section (d) of the description: signals of the parent and its children that no test of
Net::Server looks at, and timers that are not seen elsewhere.

A signal that does nothing is followed by one that does something: when the second was
acted on, the first had its chance.
"""

import os
import re
from datetime import datetime
from signal import SIGALRM, SIGCHLD, SIGHUP, SIGKILL, SIGPIPE, SIGTTIN, SIGUSR1, SIGUSR2

import pytest

from clients import ask_pid, clients, zombies_of  # noqa: F401
from support import is_alive, proc_status


def start(server, **settings):
    """A pool of the test program; nothing in it changes by itself."""
    quiet = {"check_for_waiting": 1000, "spare_timeout": 1000, "min_servers": 2,
             "min_spare_servers": 1, "max_spare_servers": 9, "max_servers": 9}
    return server.start(server.program("pool"), {**quiet, **settings})


def wait_ttin(s):
    """Until SIGTTIN was acted on, which came after all signals with lower numbers."""
    mark = s.mark()
    s.signal(SIGTTIN)
    s.wait_log("SIGTTIN: min_servers", since=mark)


@pytest.mark.shows("signal:parent:PIPE", "signal:parent:CHLD")
@pytest.mark.parametrize("signum", [SIGPIPE, SIGCHLD])
def test_signals_that_change_nothing(server, signum):
    """SIGPIPE, and a SIGCHLD that nobody's death stands behind."""
    s = start(server)
    before = s.wait_workers(2, "idle")
    for _ in range(3):
        s.signal(signum)
        wait_ttin(s)
    assert set(before) <= set(s.workers())
    assert ask_pid(s) in s.workers()


@pytest.mark.shows("signal:parent:CHLD", "hook:cleanup_dead_child_hook")
def test_children_that_ended_are_reaped(server):
    """All of them, and replaced, however many at once."""
    s = start(server, min_servers=6)
    first = s.wait_workers(6, "idle")
    for pid in first:
        os.kill(pid, SIGKILL)
    s.wait_until(lambda: len(s.workers("idle")) == 6 and not set(first) & set(s.workers()),
                 "six others")
    s.wait_until(lambda: not zombies_of(s.pid), "no zombies")


@pytest.mark.shows("signal:parent:USR1")
def test_usr1_ends_nothing(server):
    """There its default action ended the parent."""
    s = start(server)
    before = s.wait_workers(2, "idle")
    s.signal(SIGUSR1)
    wait_ttin(s)
    assert set(before) <= set(s.workers())
    assert ask_pid(s) > 0


@pytest.mark.shows("signal:parent:USR2", "signal:parent:HUP", "hook:hup_children",
                   "hup:sockets-kept", "hup:requests")
@pytest.mark.parametrize("signum", [SIGUSR2, SIGHUP])
def test_a_new_generation(server, clients, signum):
    """All children are replaced; a request that runs is not cut, and the port answers on."""
    s = start(server, min_servers=3, max_recycling=9)
    held, pid = clients.say(s, "hold")
    old = set(s.workers())
    s.signal(signum)
    s.wait_until(lambda: set(s.workers()) & old == {pid}, "new ones beside the busy one")
    assert ask_pid(s) not in old
    assert held.finish()[-1] == "done"
    s.wait_until(lambda: not is_alive(pid), "the end of the last old one")


@pytest.mark.shows("signal:parent:others")
def test_other_signals_have_their_default(server):
    """SIGALRM ends the parent; its children notice."""
    s = start(server)
    pids = s.wait_workers(2, "idle")
    assert s.stop(SIGALRM) == -SIGALRM
    s.wait_until(lambda: not any(map(is_alive, pids)), "the end of the children")


@pytest.mark.shows("signal:child:HUP", "signal:child:PIPE", "signal:child:TTIN",
                   "signal:child:TTOU", "signal:child:CHLD", "signal:child:TERM",
                   "signal:child:INT", "signal:child:QUIT")
def test_children_of_all_generations_have_the_same_signals(server):
    """There the first generation had other dispositions than the later ones."""
    s = start(server, min_servers=3)
    first = {pid: signals_of(pid) for pid in s.wait_workers(3, "idle")}
    s.signal(SIGHUP)
    s.wait_until(lambda: not set(first) & set(s.workers()), "the second generation")
    second = {pid: signals_of(pid) for pid in s.wait_workers(3, "idle")}
    assert set(first.values()) == set(second.values())
    assert len(set(first.values())) == 1


def signals_of(pid):
    """What is blocked, ignored and caught."""
    status = proc_status(pid)
    return tuple(status[key] for key in ("SigBlk", "SigIgn", "SigCgt"))


@pytest.mark.shows("signal:child:HUP")
def test_hup_of_one_child(server):
    """Ends it, and the parent starts another."""
    s = start(server)
    first = s.wait_workers(2, "idle")
    os.kill(first[0], SIGHUP)
    s.wait_until(lambda: first[0] not in s.workers() and len(s.workers("idle")) == 2, "another")
    assert first[1] in s.workers()


# ---- timers --------------------------------------------------------------------------------


def times(s, pattern):
    """When lines were logged, in seconds."""
    found = re.findall(rf"^(\S+ \S+) .*{pattern}", s.text(), re.MULTILINE)
    return [datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").timestamp() for text in found]


@pytest.mark.shows("key:min_child_ttl")
def test_nobody_is_retired_soon_after_a_birth(server, clients):
    """With check_for_waiting far shorter, min_child_ttl decides."""
    s = start(server, min_servers=2, max_spare_servers=2, check_for_waiting=0.1, min_child_ttl=1)
    for client in clients.hold(s, 6).values():
        client.finish()
    s.wait_log("asked to leave .* more idle than max_spare_servers")
    first_to_go = times(s, "asked to leave")[0]
    births = [t for t in times(s, "started [0-9]+ workers?") if t <= first_to_go]
    assert first_to_go - births[-1] >= 0.999


@pytest.mark.shows("key:check_for_spawn")
def test_the_count_is_audited_without_any_event(server):
    """The parent of an idle pool wakes up for it, and at the default of 30 seconds does not."""
    often, seldom = start(server, check_for_spawn=0.1), start(server)
    before = [wakeups(s) for s in (often, seldom)]
    often.wait_until(lambda: wakeups(often) >= before[0] + 10, "ten audits")
    assert wakeups(seldom) < before[1] + 10


def wakeups(s):
    """How often the parent went to sleep."""
    return int(proc_status(s.pid)["voluntary_ctxt_switches"])
