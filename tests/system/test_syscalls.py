"""What prefork costs in system calls, counted by strace(1).

The bare loop of a server that forks nothing makes four calls per connection: accept, read,
write, close. One more is what we allow ourselves, the wait that hears both the listener and
the master. And while clients come and go and enough workers are idle, the master sleeps.

strace is attached to one process after it is warm; that it is attached shows in
/proc/PID/status. What it wrote is complete when it has ended.
"""

import re
import shutil
import subprocess
from contextlib import ExitStack
from signal import SIGINT

import pytest

from support import proc_status, wait_until

CONNECTIONS = 200
ALLOWED = {"accept4": 1, "recvfrom": 1, "sendto": 1, "close": 1, "epoll_wait": 1}


class Trace:
    """The system calls of one process, while the block lasts."""

    def __init__(self, pid, path):
        self.pid, self.path, self.calls = pid, path, []

    def __enter__(self):
        self.process = subprocess.Popen(
            ["strace", "-q", "-o", str(self.path), "-p", str(self.pid)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._is_attached, "strace to be attached, or to give up")
        if self.process.poll() is not None:
            pytest.skip("strace cannot attach here")
        wait_until(self._has_begun, "the first line of the trace")
        return self

    def _is_attached(self):
        tracer = proc_status(self.pid)["TracerPid"]
        return tracer == str(self.process.pid) or self.process.poll() is not None

    def _has_begun(self):
        """The call in which the process was found, or the next if that one had a time limit;
        it is not counted."""
        return self.path.exists() and self.path.read_text() != ""

    def __exit__(self, *_):
        self.process.send_signal(SIGINT)
        self.process.wait()
        found = re.findall(r"^(\w+)\(", self.path.read_text(), re.MULTILINE)
        self.calls = [name for name in found if name != "restart_syscall"][1:]


@pytest.fixture(autouse=True)
def needs_strace():
    """strace is not everywhere."""
    if not shutil.which("strace"):
        pytest.skip("no strace")


def start(server, **settings):
    """The smallest handler, at rest: everybody is ready and asleep."""
    s = server.start(server.program("pool_once"), log_level=2, **settings)
    converse(s, 10)
    s.wait_workers(settings.get("max_servers", 5), "idle")
    s.wait_until(lambda: all(proc_status(pid)["State"].startswith("S")
                             for pid in [*s.workers(), s.pid]), "rest")
    return s


def converse(s, count):
    """So many connections, one after the other."""
    for _ in range(count):
        with s.connect() as connection:
            connection.sendall(b"hello")
            assert connection.recv(64) == b"hello" and connection.recv(64) == b""


def test_a_connection_costs_five_system_calls(server, tmp_path):
    s = start(server, sizing="static", max_servers=1)
    (worker,) = s.workers()
    with Trace(worker, tmp_path / "trace") as trace:
        converse(s, CONNECTIONS)
        wait_until(lambda: trace.path.read_text().count("close(") == CONNECTIONS, "the last close")
    counts = {name: trace.calls.count(name) for name in set(trace.calls)}
    assert set(counts) <= set(ALLOWED), counts
    assert all(count <= CONNECTIONS * ALLOWED[name] + 1 for name, count in counts.items())
    assert len(trace.calls) <= 5 * CONNECTIONS + 1


def test_a_pool_with_default_settings_costs_no_more(server, tmp_path):
    s = start(server)
    with ExitStack() as stack:
        traces = [stack.enter_context(Trace(pid, tmp_path / f"trace.{pid}"))
                  for pid in s.workers()]
        converse(s, CONNECTIONS)
    calls = [name for trace in traces for name in trace.calls]
    wasted = calls.count("accept4") - CONNECTIONS  # somebody else was faster
    assert set(calls) <= {*ALLOWED, "write"} and 0 <= wasted < CONNECTIONS
    assert calls.count("write") <= len(traces)  # to wake the master
    assert len(calls) <= 5 * CONNECTIONS + 2 * wasted + 3 * len(traces)


def test_the_master_sleeps_while_connections_come_and_go(server, tmp_path):
    s = start(server)
    with Trace(s.pid, tmp_path / "trace") as trace:
        converse(s, CONNECTIONS)
    assert trace.calls == []


def test_two_thousand_connections_wake_the_master_five_times_at_most(server, tmp_path):
    s = start(server)
    with Trace(s.pid, tmp_path / "trace") as trace:
        converse(s, 2000)
    assert trace.calls.count("epoll_wait") <= 5
