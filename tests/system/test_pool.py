"""The pool: how many workers there are, and what happens to the number.

Every test holds the pool in a state that cannot pass by itself. Clients that hold a worker
keep it busy until the test lets go; a locked file (Gate) keeps workers from becoming ready.
Where a test says "never", a thread counts the master's child processes without a pause,
zombies included, for that is what the kernel has to carry.

Timers that a test is about are short, all others so long that nothing they do can be
mistaken for what the test looks for.
"""

import os
import resource
import shutil
from signal import SIGHUP, SIGKILL, SIGTTIN, SIGTTOU

import pytest

from clients import (Gate, Load, Watch, ask_pid, choose_worker, clients,  # noqa: F401
                     children_of, lines, next_tick, zombies_of)
from support import ANY_PORT, is_alive, proc_fds

NEVER = {"check_for_waiting": 1000, "spare_timeout": 1000, "check_for_spawn": 1000,
         "min_child_ttl": 0, "stop_timeout": 0.2, "kill_timeout": 1}


def start(server, *settings, **more):
    """The test program with long timers and whatever a test changes."""
    return server.start(server.program("pool"), {**NEVER, **dict(*settings), **more})


def start_with(server, env, wait="ready", **settings):
    """The same with an environment, and perhaps before it is ready."""
    return server.start(server.program("pool"), {**NEVER, **settings}, wait=wait,
                        env={key: str(value) for key, value in env.items()})


# ---- growing ----


@pytest.mark.shows("key:min_servers", "hook:run_n_children")
def test_min_servers_are_started_at_once(server):
    s = start(server, min_servers=4)
    s.wait_workers(4, "idle")
    assert s.wait_log("started 4 workers: fewer than min_servers")


@pytest.mark.shows("key:min_spare_servers", "hook:coordinate_children")
def test_spares_are_kept_while_clients_hold_workers(server, clients):
    s = start(server, min_servers=2, min_spare_servers=2, max_servers=20)
    held = clients.hold(s, 6)
    assert len(held) == 6
    s.wait_until(lambda: len(s.workers("idle")) >= 2, "two spares")
    assert set(held) <= set(s.workers())


@pytest.mark.shows("key:max_servers")
def test_there_are_never_more_than_max_servers(server, clients):
    s = start(server, min_servers=2, max_servers=8)
    with Watch(s) as watch:
        crowd = [clients.send(s, "hold\n") for _ in range(24)]
        s.wait_workers(8, "busy")
        answers = [client.finish() for client in crowd]
    assert all(words[1] == "holds" and words[3] == "done" for words in answers)
    assert watch.most == 8


def test_a_burst_of_slow_clients_does_not_keep_the_next_one_waiting(server, clients):
    s = start(server, min_servers=5, max_servers=60)
    for _ in range(50):
        clients.send(s, "pi")  # half a request
    assert ask_pid(s) in s.workers()
    assert len(s.workers()) > 50


# ---- shrinking ----


@pytest.mark.shows("key:max_spare_servers", "key:check_for_waiting", "hook:kill_n_children",
                   "hook:coordinate_children")
def test_a_surplus_above_max_spare_servers_is_retired(server, clients):
    s = start(server, min_servers=2, max_spare_servers=4, check_for_waiting=0.2,
              check_for_spawn=0.1)
    for _ in range(2):  # the second time shows that the first left exactly four
        held = clients.hold(s, 9)
        with Watch(s) as watch:
            for client in held.values():
                client.finish()
            watch.settle(4)
        assert watch.least == 4
    assert s.wait_log("asked to leave .*: never needed, more idle than max_spare_servers")


def test_a_quiet_pool_goes_back_to_min_servers(server, clients):
    s = start(server, min_servers=3, min_spare_servers=2, spare_timeout=0.2,
              check_for_spawn=0.1)
    for client in clients.hold(s, 9).values():
        client.finish()
    s.wait_workers(3)
    assert s.wait_log("asked to leave .*: not needed for spare_timeout")


def test_workers_that_serve_are_not_retired(server, clients):
    s = start(server, min_servers=2, min_spare_servers=2, spare_timeout=0.2,
              check_for_spawn=0.1)
    held = clients.hold(s, 8)
    busy = dict(list(held.items())[:3])
    for pid, client in held.items():
        if pid not in busy:
            client.finish()
    s.wait_workers(5)  # three busy, two spares
    assert set(busy) <= set(s.workers())
    assert [client.finish()[-1] for client in busy.values()] == ["done"] * 3


def test_the_longest_idle_are_retired_first(server, clients):
    s = start(server, min_servers=2, min_spare_servers=1, max_spare_servers=2,
              check_for_waiting=0.2, check_for_spawn=0.1)
    held = clients.hold(s, 6)
    for pid, client in held.items():
        client.finish()
        s.wait_until(lambda p=pid: p not in s.workers("busy"), f"{pid} to be idle")
        next_tick()
    left = [pid for pid in held if pid in s.wait_workers(2)]
    assert left and left == list(held)[-len(left):]  # one may have been born meanwhile


@pytest.mark.shows("key:max_servers")
def test_a_static_pool_keeps_its_size(server, clients):
    s = start(server, sizing="static", max_servers=4, check_for_waiting=0.1, spare_timeout=0.1)
    s.wait_workers(4, "idle")
    with Watch(s) as watch:
        held = clients.hold(s, 4)
        fifth = clients.send(s, "hold\n")
        list(held.values())[0].finish()
        assert fifth.hear_pid() in held
    assert (watch.least, watch.most) == (4, 4)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_pool_on_demand_comes_and_goes(server, tmp_path, kind):
    s = start(server, sizing="ondemand", spare_timeout=0.2, max_spare_servers=1,
              check_for_waiting=0.2, port=ANY_PORT if kind == "tcp" else tmp_path / "sock")
    for _ in range(3):
        s.wait_workers(0)
        assert ask_pid(s) > 0


# ---- turnover ----


@pytest.mark.shows("key:max_requests")
def test_max_requests_costs_nobody_a_connection(server, tmp_path):
    s = start_with(server, {"POOL_ENDS": tmp_path / "ends"}, min_servers=4, max_servers=6,
                   max_requests=20)
    with Load(s) as load, Watch(s) as watch:
        load.wait_for(400)
    assert load.failures == []
    assert watch.most <= 6
    s.stop()
    served = [int(line[2]) for line in lines(tmp_path / "ends")]
    assert max(served) <= 20 and sum(served) >= 400


def test_workers_due_to_leave_go_on_serving_until_it_is_their_turn(server, tmp_path):
    gate = Gate(tmp_path / "gate")
    s = start_with(server, {"POOL_GATE": gate, "POOL_BIRTHS": tmp_path / "births"},
                   sizing="static", max_servers=6, max_recycling=1, accept_order="fair",
                   max_requests=300, max_requests_jitter=90)
    s.wait_workers(6, "idle")
    gate.close()
    with Load(s, word="pid") as load:
        s.wait_log("asked to leave 1 worker: max_requests")
        load.wait_for(50)  # fewer than the others may still accept
    assert load.failures == []
    assert len(s.find_log("asked to leave")) == 1
    gate.open()
    s.wait_workers(6, "idle")


@pytest.mark.shows("signal:parent:HUP", "hup:sockets-kept", "hook:hup_children", "hook:sig_hup")
def test_hup_replaces_all_workers_and_loses_no_connection(server):
    s = start(server, min_servers=4, max_servers=8)
    old = set(s.wait_workers(4))
    with Load(s) as load:
        load.wait_for(20)
        s.signal(SIGHUP)
        s.wait_until(lambda: not old & set(s.workers()), "the old ones to be gone")
        load.wait_for(20)
    assert load.failures == []


@pytest.mark.shows("signal:parent:TTIN", "signal:parent:TTOU")
def test_ttin_and_ttou_change_the_size_and_stop_at_one(server):
    s = start(server, min_servers=2, min_spare_servers=1, max_spare_servers=2, max_servers=4)
    s.signal(SIGTTIN)
    s.wait_log("SIGTTIN: min_servers 3, max_servers 5$")
    s.wait_workers(3)
    for expected in ["2, max_servers 4", "1, max_servers 3", "1, max_servers 2",
                     "1, max_servers 1", r"1, max_servers 1 \(as far as it goes\)"]:
        mark = s.mark()
        s.signal(SIGTTOU)
        s.wait_log(f"SIGTTOU: min_servers {expected}$", since=mark)
    (last,) = s.wait_workers(1, "idle")
    assert ask_pid(s) == last


# ---- what goes wrong ----


@pytest.mark.shows("hook:child_init_hook", "hook:register_child")
def test_a_crash_loop_backs_off_and_the_pool_recovers(server, tmp_path):
    sick, births = tmp_path / "sick", tmp_path / "births"
    sick.touch()
    s = start_with(server, {"POOL_SICK": sick, "POOL_BIRTHS": births}, wait="starting",
                   min_servers=3)
    s.wait_log("started 1 worker: one try after bad starts", count=4)
    times = [int(line[0]) / 1e9 for line in lines(births)]
    gaps = [b - a for a, b in zip(times[-5:], times[-4:])]
    assert all(gap >= least for gap, least in zip(gaps, (0.075, 0.15, 0.3, 0.6)))
    sick.unlink()
    s.wait_workers(3, "idle")
    assert ask_pid(s) in s.workers()


def test_a_crash_in_a_healthy_pool_is_answered_at_once(server, clients):
    s = start(server, min_servers=3)
    s.wait_workers(3, "idle")
    for _ in range(4):
        assert clients.send(s, "crash\n").is_cut()
        s.wait_workers(3, "idle")
    s.wait_log(r"killed by signal 6 .*(?s:.)*started 1 worker: fewer than min_servers")
    assert not s.find_log("bad starts in a row")


def _limit_processes(server, pid, soft, who):
    hard = resource.prlimit(os.getpid(), resource.RLIMIT_NPROC)[1]
    hard = "unlimited" if hard == resource.RLIM_INFINITY else hard
    limit = f"--nproc={hard if soft is None else soft}:{hard}"
    done = server.command("prlimit", "--pid", pid, limit, **who)  # as one of them
    assert done.returncode == 0, done.stderr


def test_a_refused_fork_is_tried_again(server, clients, open_path):
    program = shutil.copy(server.program("pool"), open_path / "pool")
    who = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    s = server.start(program, NEVER, min_servers=2, max_servers=10, **who)
    s.wait_workers(2, "idle")
    _limit_processes(server, s.pid, 1, who)  # no process of this user may start another one
    held = clients.hold(s, 2)
    s.wait_log("cannot start a worker: Resource temporarily unavailable", count=2)
    assert sorted(held) == s.workers()
    _limit_processes(server, s.pid, None, who)
    assert ask_pid(s) not in held
    s.wait_until(lambda: len(s.workers("idle")) >= 2, "two spares")


def test_a_worker_that_does_not_become_ready_is_ended(server, tmp_path):
    gate = Gate(tmp_path / "gate")
    gate.close()
    s = start_with(server, {"POOL_GATE": gate}, wait="starting", min_servers=2,
                   start_timeout=0.2)
    s.wait_log("sent SIGTERM to 2 workers: not ready within start_timeout")
    gate.open()
    s.wait_workers(2, "idle")


def test_only_the_slow_worker_pays_for_request_timeout(server, clients):
    s = start(server, min_servers=3, request_timeout=0.3)
    before = set(s.wait_workers(3, "idle"))
    slow, pid = clients.say(s, "hold")
    assert slow.is_cut()
    s.wait_log("sent SIGTERM to 1 worker: request longer than request_timeout")
    s.wait_until(lambda: len(s.workers("idle")) == 3, "a replacement")
    assert before - set(s.workers()) == {pid}
    assert not s.find_log("SIGKILL")


def test_a_slow_worker_that_ignores_sigterm_is_killed(server, clients):
    s = start(server, min_servers=3, request_timeout=0.2, kill_timeout=0.2)
    before = set(s.wait_workers(3, "idle"))
    slow, pid = clients.say(s, "stubborn")
    assert slow.is_cut()
    s.wait_log("sent SIGTERM to 1 worker: request longer(?s:.)*"
               "sent SIGKILL to 1 worker: still there kill_timeout after SIGTERM")
    s.wait_until(lambda: len(s.workers("idle")) == 3, "a replacement")
    assert before - set(s.workers()) == {pid}


def _kill(pid):
    try:
        os.kill(pid, SIGKILL)
    except ProcessLookupError:
        return


def test_killing_workers_at_random_costs_only_their_own_connections(server):
    s = start(server, sizing="static", max_servers=16)
    s.wait_workers(16, "idle")
    fds = len(proc_fds(s.pid))
    killed = []
    with Load(s, 6) as load:
        for _ in range(60):
            killed.append(choose_worker(s))
            _kill(killed[-1])
            load.wait_for(10)
    s.wait_workers(16, timeout=1)
    assert {pid for pid, _ in load.failures if pid} <= set(killed)
    assert len(load.failures) <= len(killed)
    s.wait_until(lambda: not zombies_of(s.pid), "no zombies")
    s.wait_until(lambda: len(proc_fds(s.pid)) == fds, f"{fds} descriptors as before")
    assert len(children_of(s.pid)) == 16 and is_alive(s.pid)
