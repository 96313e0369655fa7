"""Dequeue processes: born, asked to leave, and told of."""

import os
from signal import SIGHUP, SIGKILL

import pytest

from support import is_alive, title_of
from test_supervision import Talk, hooks_of

ONE = {"sizing": "static", "max_servers": 1}
FAST_DEQUEUE = {"check_for_dequeue": 0.1}


def dequeues(s):
    """Pids of live dequeue processes, by their titles."""
    return [pid for pid in s.workers() if title_of(pid).endswith(": dequeue")]


def serving(s):
    """Pids of live workers that are none."""
    return [pid for pid in s.workers() if "worker" in title_of(pid)]


def test_dequeue_runs_between_init_and_finish(server):
    """Kind 1 in every hook, of both processes; one after the other; workers undisturbed."""
    s = server.start(server.program("hooks"), **ONE, **FAST_DEQUEUE)
    (worker,) = s.wait_workers(1, "idle")
    s.wait_log("hook delete_child_hook", count=2)
    pids = [int(m.group(1)) for m in s.find_log(r"register_child pid=(\d+) kind=1")]
    for pid in pids[:2]:
        assert hooks_of(s, pid) == ["child_init_hook requests=0 kind=1",
                                    "dequeue kind=1 stopping=0",
                                    "child_finish_hook requests=0 kind=1"]
        assert s.wait_log(f"cleanup_dead_child_hook pid={pid} kind=1 slot=1 status=0 ")
    master = hooks_of(s, s.pid)
    at = master.index(f"register_child pid={pids[0]} kind=1")
    assert master[at - 1] == "pre_fork_hook kind=1"
    assert len([hook for hook in master if hook.startswith("run_n_children")]) == 1
    assert serving(s) == [worker]


def test_no_more_than_max_dequeue_at_a_time(server):
    """The third waits for the end of one of two; the pool is as large as before."""
    s = server.start(server.program("family"), **ONE, **FAST_DEQUEUE, max_dequeue=2,
                     log_level=3, env={"DEQUEUE": "wait"})
    first = s.wait_until(lambda: len(dequeues(s)) == 2 and dequeues(s), "two of them")
    assert len(serving(s)) == 1
    with Talk(s) as c:
        assert int(c.ask("pid")) not in first
    s.wait_log("started 1 dequeue process: check_for_dequeue$", count=2)
    os.kill(first[0], SIGKILL)
    s.wait_until(lambda: len(dequeues(s)) == 2 and first[0] not in dequeues(s), "the next")
    assert first[1] in dequeues(s)


def test_dequeue_talks_and_has_no_wire(server):
    """Lines yes; child_communication is for workers. Busy and idle mean nothing there."""
    s = server.start(server.program("family"), **ONE, **FAST_DEQUEUE, child_communication=1)
    pid = s.wait_log(r"\[(\d+)\] notice: dequeue ends, tell 0, fd -1$").group(1)
    s.wait_log(f"line {pid}: dequeue was here$")


def test_dequeue_is_asked_to_leave_at_the_end(server):
    """prefork_stopping() becomes true; long before stop_timeout everything is gone."""
    s = server.start(server.program("family"), **ONE, **FAST_DEQUEUE, stop_timeout=600,
                     env={"DEQUEUE": "wait"})
    (pid,) = s.wait_until(lambda: dequeues(s), "a dequeue process")
    s.wait_log("dequeue begins$")
    assert s.stop() == 0
    assert s.wait_log(rf"\[{pid}\] notice: finish$")
    assert not is_alive(pid)


def test_dequeue_is_asked_to_leave_at_a_restart(server):
    """And its successor takes up the work."""
    s = server.start(server.program("family"), **ONE, **FAST_DEQUEUE, env={"DEQUEUE": "wait"})
    (old,) = s.wait_until(lambda: dequeues(s), "a dequeue process")
    s.wait_log("dequeue begins$")
    s.signal(SIGHUP)
    s.wait_until(lambda: dequeues(s) not in ([], [old]), "its successor")
    assert s.wait_log(rf"\[{old}\] notice: finish$")


def test_a_dequeue_that_crashes_harms_nobody(server):
    """It is told, and tried again once per interval; workers are born as ever."""
    s = server.start(server.program("family"), **ONE, **FAST_DEQUEUE, env={"DEQUEUE": "crash"})
    (worker,) = s.wait_workers(1, "idle")
    s.wait_log(r"warning: dequeue process \d+ killed by signal 6", count=3)
    os.kill(worker, SIGKILL)
    s.wait_until(lambda: serving(s) not in ([], [worker]), "another worker")
    assert not s.find_log("bad starts")


def test_a_dequeue_may_stop_the_server(server):
    """As a worker may."""
    s = server.start(server.program("family"), **ONE, **FAST_DEQUEUE, env={"DEQUEUE": "stop"})
    s.wait_log(r"the queue is empty \(process \d+\): stopping$")
    assert s.wait_exit() == 0


@pytest.mark.parametrize("program", [True, False])
def test_dequeue_without_a_function_is_noted(server, program):
    """The key is accepted, and a line says that it does nothing."""
    if program:
        s = server.serve("cat", **ONE, **FAST_DEQUEUE)
    else:
        s = server.start(server.program("family"), **ONE, **FAST_DEQUEUE, env={"NO_HOOKS": "1"})
    assert s.wait_log("check_for_dequeue: without effect, because there is no dequeue function")
