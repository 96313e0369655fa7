"""SIGUSR2: all workers are replaced, the new ones first.

How many workers there were at which moment is read from the log, whose order is that of the
master's acts: looking at processes while they come and go misses some.
"""

import re
import time
from signal import SIGTTOU, SIGUSR2

import pytest

from clients import Gate, Load, ask_pid, clients, lines  # noqa: F401

NEVER = {"check_for_waiting": 1000, "spare_timeout": 1000, "check_for_spawn": 1000,
         "min_child_ttl": 0, "stop_timeout": 0.2, "kill_timeout": 1, "log_level": 4}
REPLACED = "asked to leave 1 worker: workers are being replaced"


def start(server, env=None, **settings):
    """The test program of the pool, whose size changes only where a test wants it."""
    return server.start(server.program("pool"), {**NEVER, **settings},
                        env={key: str(value) for key, value in (env or {}).items()})


def restart(s):
    """Who is to be replaced by it."""
    old = set(s.workers())
    s.signal(SIGUSR2)
    return old


def wait_replaced(s, old, size):
    s.wait_until(lambda: not old & set(s.workers()) and len(s.workers("idle")) == size,
                 "a new generation")


def course(s):
    """Of each step of the master: workers that serve (nobody asked them to leave), and that
    live."""
    alive = asked = 0
    steps = []
    for line in s.text().splitlines():
        started = re.search(r"started (\d+) worker", line)
        left = re.search(r"asked to leave (\d+) worker", line)
        if started:
            alive += int(started[1])
        elif left:
            asked += int(left[1])
        elif re.search(r"worker \d+ (ended|killed)", line):
            alive -= 1
            asked -= 1
        if started or left:
            steps.append((alive - asked, alive))
    return steps


def test_a_restart_goes_by_one_and_never_below_the_size(server):
    s = start(server, min_servers=4, max_servers=8, min_spare_servers=0)
    old = set(s.wait_workers(4, "idle"))
    restart(s)
    wait_replaced(s, old, 4)
    s.wait_log(r"worker \d+ ended", count=4)
    steps = course(s)
    assert steps[0] == (4, 4) and steps[-1][0] == 4
    assert {serving for serving, _ in steps} == {4, 5}
    assert max(alive for _, alive in steps) == 5


def test_nobody_leaves_before_somebody_else_is_ready(server, tmp_path):
    gate = Gate(tmp_path / "gate")
    s = start(server, {"POOL_GATE": gate, "POOL_BIRTHS": tmp_path / "births"},
              sizing="static", max_servers=6)
    old = set(s.wait_workers(6, "idle"))
    gate.close()
    restart(s)
    s.wait_until(lambda: len(lines(tmp_path / "births")) == 7 and len(s.workers()) == 7,
                 "one that starts")
    assert {ask_pid(s) for _ in range(20)} <= old
    assert old < set(s.workers())
    assert not s.find_log("asked to leave")
    gate.open()
    wait_replaced(s, old, 6)


def test_no_connection_is_lost_and_the_size_is_kept(server):
    s = start(server, sizing="static", max_servers=5)
    with Load(s) as load:
        for _ in range(3):
            old = set(s.workers())
            load.wait_for(20)
            restart(s)
            s.wait_until(lambda old=old: not old & set(s.workers()), "a new generation")
    assert load.failures == []
    s.wait_workers(5, "idle")
    assert min(serving for serving, _ in course(s)) == 5


def test_a_pool_that_has_grown_keeps_its_size(server, clients):
    s = start(server, min_servers=1, min_spare_servers=0, max_spare_servers=9, max_servers=9)
    held = clients.hold(s, 4)
    mark = len(course(s))
    old = restart(s)
    s.wait_log(REPLACED)
    for client in held.values():
        assert client.finish()[-1] == "done"
    wait_replaced(s, old, len(old))
    assert {serving for serving, _ in course(s)[mark:]} == {len(old), len(old) + 1}


def test_all_are_busy_at_max_servers(server, clients):
    """There is room for one more as long as old ones live, and no longer."""
    s = start(server, sizing="static", max_servers=2)
    held = clients.hold(s, 2)
    restart(s)
    s.wait_log(REPLACED)
    assert ask_pid(s) not in held
    assert len(s.workers()) == 3
    for client in held.values():
        assert client.finish()[-1] == "done"
    wait_replaced(s, set(held), 2)
    assert max(alive for _, alive in course(s)) == 3


def test_idle_ones_go_before_busy_ones(server, clients):
    s = start(server, sizing="static", max_servers=4)
    held = clients.hold(s, 2)
    old = restart(s)
    s.wait_until(lambda: set(s.workers()) & old == set(held), "the end of the idle ones")
    assert all(client.finish()[-1] == "done" for client in held.values())
    wait_replaced(s, old, 4)


def test_a_second_restart_replaces_those_of_the_first(server, tmp_path):
    gate = Gate(tmp_path / "gate")
    s = start(server, {"POOL_GATE": gate, "POOL_BIRTHS": tmp_path / "births"},
              sizing="static", max_servers=3)
    s.wait_workers(3, "idle")
    gate.close()
    restart(s)
    s.wait_until(lambda: len(lines(tmp_path / "births")) == 4, "one that starts")
    old = set(s.workers())
    restart(s)
    s.wait_log("SIGUSR2: waiting for the end of the one under way")
    gate.open()
    wait_replaced(s, old, 3)
    s.wait_log("replacing all workers", count=2)
    assert max(alive for _, alive in course(s)) == 4


def test_a_restart_that_comes_to_nothing_leaves_the_old_ones(server, tmp_path):
    sick = tmp_path / "sick"
    s = start(server, {"POOL_SICK": sick}, sizing="static", max_servers=3)
    old = set(s.wait_workers(3, "idle"))
    sick.touch()
    restart(s)
    s.wait_log("bad starts in a row", count=2)
    assert {ask_pid(s) for _ in range(10)} <= old
    assert not s.find_log("asked to leave")
    sick.unlink()
    wait_replaced(s, old, 3)


def test_ttou_during_a_restart(server, tmp_path):
    gate = Gate(tmp_path / "gate")
    s = start(server, {"POOL_GATE": gate, "POOL_BIRTHS": tmp_path / "births"},
              sizing="static", max_servers=4)
    old = set(s.wait_workers(4, "idle"))
    gate.close()
    restart(s)
    s.wait_until(lambda: len(lines(tmp_path / "births")) == 5, "one that starts")
    s.signal(SIGTTOU)
    s.wait_workers(4)
    gate.open()
    wait_replaced(s, old, 3)


# ---- workers that do not leave ----


def test_who_does_not_leave_is_ended_after_graceful_timeout(server, clients):
    s = start(server, sizing="static", max_servers=2, graceful_timeout=0.3)
    client, pid = clients.say(s, "hold")
    restart(s)
    s.wait_log("sent SIGTERM to 1 worker: did not leave within graceful_timeout")
    assert client.is_cut()
    wait_replaced(s, {pid}, 2)
    assert not s.find_log("bad start")


def test_and_killed_if_need_be(server, clients):
    s = start(server, sizing="static", max_servers=2, graceful_timeout=0, kill_timeout=0.2)
    client, pid = clients.say(s, "stubborn")
    restart(s)
    s.wait_log("sent SIGKILL to 1 worker: still there kill_timeout after SIGTERM")
    assert client.is_cut()
    wait_replaced(s, {pid}, 2)


@pytest.mark.shows("key:leave_children_open_on_hup")
def test_leave_children_open_on_hup_gives_them_all_the_time_they_want(server, clients):
    """Nor do they keep the others waiting: one generation after the other comes and goes."""
    s = start(server, min_servers=3, max_servers=9, min_spare_servers=0, graceful_timeout=0.1,
              leave_children_open_on_hup=1)
    held = clients.hold(s, 2)
    begun = time.monotonic()
    while time.monotonic() < begun + 1:
        old = restart(s)
        s.wait_until(lambda old=old: set(s.workers()) & old == set(held), "a new generation")
    assert ask_pid(s) not in held
    assert [client.finish()[-1] for client in held.values()] == ["done"] * 2
    s.wait_workers(3, "idle")
    assert not s.find_log("SIGTERM")
