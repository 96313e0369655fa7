"""Signals to single workers, and what sig_passthrough makes of them."""

import os
import re
import signal
from signal import SIGHUP, SIGKILL, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2

import pytest

from support import proc_status, read_line
from test_dequeue import FAST_DEQUEUE, dequeues
from test_supervision import Talk

ONE = {"sizing": "static", "max_servers": 1}


def signals_in(text):
    """The numbers of the signals in a mask of /proc/PID/status."""
    mask = int(text, 16)
    return {n for n in range(1, 65) if mask >> (n - 1) & 1}


# ---- signals to a single worker ------------------------------------------------------------


def test_hangup_of_an_idle_worker(server):
    """child_finish_hook, status 0, and another takes its place."""
    s = server.start(server.program("family"), sizing="static", max_servers=2)
    old, other = s.wait_workers(2, "idle")
    os.kill(old, SIGHUP)
    s.wait_log(rf"\[{old}\] notice: finish$")
    s.wait_until(lambda: len(s.workers("idle")) == 2 and old not in s.workers(), "another")
    assert other in s.workers()


def test_hangup_of_a_busy_worker(server):
    """The connection is served to its end first."""
    s = server.start(server.program("family"), **ONE)
    with Talk(s) as c:
        pid = int(c.ask("pid"))
        os.kill(pid, SIGHUP)
        s.wait_until(lambda: proc_status(pid)["State"][0] == "S", "the worker to read")
        for _ in range(3):
            assert c.ask("pid") == str(pid)
        assert not s.find_log("finish$")
    s.wait_log(rf"\[{pid}\] notice: finish$")
    s.wait_until(lambda: s.workers("idle") not in ([], [pid]), "another worker")


def test_hangup_loses_no_connection(server):
    """Workers hung up at any moment while clients come: every client is answered. Only such
    as have served before: one that has not would count as a bad start."""
    s = server.start(server.program("family"), sizing="static", max_servers=4)
    served = set()
    for _ in range(100):
        talks = [Talk(s) for _ in range(3)]
        for pid in served & set(s.workers()):
            try:
                os.kill(pid, SIGHUP)
            except ProcessLookupError:
                continue
        for c in talks:
            served.add(int(c.ask("pid")))
            c.socket.close()


@pytest.mark.parametrize("signum", [SIGTTIN, SIGTTOU])
def test_terminal_signals_stop_no_worker(server, signum):
    """It goes on serving, though their default would stop it."""
    s = server.start(server.program("family"), **ONE)
    (pid,) = s.wait_workers(1, "idle")
    os.kill(pid, signum)
    with Talk(s) as c:
        assert c.ask("pid") == str(pid)


def test_a_program_of_a_connection_ignores_nothing(server):
    """What its worker ignores has its default there."""
    script = server.script("exec grep -E 'SigIgn|SigBlk' /proc/self/status")
    s = server.serve(script, **ONE, sig_passthrough="USR1")
    (worker,) = s.wait_workers(1, "idle")
    assert {SIGTTIN, SIGTTOU, SIGUSR1} <= signals_in(proc_status(worker)["SigIgn"])
    masks = re.findall(r"^Sig\w+:\s+(\w+)$", s.ask().decode(), re.M)
    assert len(masks) == 2
    for mask in masks:
        assert not signals_in(mask) & {SIGTTIN, SIGTTOU, SIGUSR1, signal.SIGPIPE}


# ---- sig_passthrough -----------------------------------------------------------------------


def test_W13_passed_on_to_the_handler_of_child_init_hook(server):
    """To each worker once; the master goes on; one debug line each."""
    s = server.start(server.program("family"), sizing="static", max_servers=3, log_level=4,
                     sig_passthrough="USR1", env={"HANDLE": "1"})
    s.wait_workers(3, "idle")
    s.signal(SIGUSR1)
    s.wait_log(r"debug: passed signal 10 \(USR1\) on to process", count=3)
    talks = [Talk(s) for _ in range(3)]
    for c in talks:
        s.wait_until(lambda c=c: c.ask("signals") == "1", "the signal")
        c.socket.close()


def test_W13_all_generations_are_alike(server):
    """Without a handler it is ignored, by workers of before and after the loop began, and of
    after a restart; no mask differs."""
    s = server.start(server.program("family"), sizing="static", max_servers=2,
                     sig_passthrough="USR1 SIGUSR2,TTIN,64")
    first = s.wait_workers(2, "idle")
    seen = [masks(pid) for pid in first]
    for signum in (SIGUSR1, SIGUSR2, SIGTTIN, 64):
        s.signal(signum)
    s.wait_log("SIGTTIN: min_servers 3, max_servers 3$")
    s.wait_until(lambda: not set(first) & set(s.workers()), "another generation")
    second = s.wait_workers(3, "idle")
    os.kill(second[0], SIGKILL)
    s.wait_until(lambda: second[0] not in s.workers(), "a death")
    seen += [masks(pid) for pid in s.wait_workers(3, "idle")]
    assert {SIGUSR1, SIGUSR2, SIGTTIN, 64} <= signals_in(seen[0][0])
    assert len(set(seen)) == 1
    assert s.ask(b"pid\n").decode().strip() in [str(pid) for pid in s.workers()]


def masks(pid):
    """What a process ignores, catches and blocks."""
    status = proc_status(pid)
    return status["SigIgn"], status["SigCgt"], status["SigBlk"]


def test_W13_a_later_source_takes_nothing_away(server, tmp_path):
    """Given on the command line, it stands above the file's."""
    conf = tmp_path / "conf"
    conf.write_text("max_servers 2\nsizing static\nsig_passthrough WINCH\n")
    s = server.start(server.program("family"), f"--conf_file={conf}", sig_passthrough="USR1",
                     log_level=4)
    s.wait_workers(2, "idle")
    s.signal(SIGUSR1)
    s.wait_log(r"passed signal 10 \(USR1\) on", count=2)
    assert not s.find_log("ended|killed")


def test_W13_passing_on_keeps_the_meaning_to_the_master(server):
    """HUP: every worker's handler or nothing, and all are replaced."""
    s = server.start(server.program("family"), sizing="static", max_servers=2, log_level=4,
                     sig_passthrough="HUP")
    old = s.wait_workers(2, "idle")
    s.signal(SIGHUP)
    s.wait_log(r"passed signal 1 \(HUP\) on to process", count=2)
    s.wait_until(lambda: len(s.workers("idle")) == 2 and not set(old) & set(s.workers()),
                 "new workers")
    s.wait_log("asked to leave 1 worker: workers are being replaced", count=2)


def test_sig_passthrough_reaches_dequeue_processes_and_programs(server):
    """A dequeue process like a worker; a program that is served, by its group."""
    s = server.start(server.program("family"), **ONE, **FAST_DEQUEUE, log_level=4,
                     sig_passthrough="USR1", env={"DEQUEUE": "wait"})
    (pid,) = s.wait_until(lambda: dequeues(s), "a dequeue process")
    s.signal(SIGUSR1)
    s.wait_log(rf"passed signal 10 \(USR1\) on to process {pid}$")
    assert s.stop() == 0
    script = server.script("trap 'echo got it; exit' USR1; echo ready; while :; do sleep 0.01; done")
    s = server.serve(script, **ONE, sig_passthrough="USR1")
    with s.connect() as c:
        assert read_line(c) == b"ready\n"
        s.signal(SIGUSR1)
        assert read_line(c) == b"got it\n"


@pytest.mark.parametrize("value, sentence", [
    ("KILL", "SIGKILL cannot be passed on"),
    ("USR1 TERM", "SIGTERM cannot be passed on"),
    ("USR3", 'there is no signal "USR3"'),
    ("", "a value is needed")])
def test_sig_passthrough_is_checked_at_the_start(server, value, sentence):
    """One clear line."""
    done = server.command(server.program("family"), f"--sig_passthrough={value}")
    assert done.returncode in (64, 78)
    assert re.search(f"sig-passthrough: .*({sentence})", done.stderr), done.stderr
