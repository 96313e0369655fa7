"""What the service manager hears: sd_notify(3), by a receiver of the tests' own."""

import os
import re
import socket
import time
from signal import SIGHUP, SIGKILL, SIGSTOP, SIGCONT

import pytest

from support import EXAMPLES, Log, is_alive, wait_until


class Manager:
    """A socket as NOTIFY_SOCKET names it, and what came in by it."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.messages = []

    def read(self):
        """All messages so far, each a dict of its lines."""
        while True:
            try:
                text = self.socket.recv(4096).decode()
            except BlockingIOError:
                return self.messages
            self.messages.append(dict(line.split("=", 1) for line in text.splitlines()))

    def words(self):
        """READY, RELOADING, STOPPING in their order."""
        return [name for m in self.read() for name in m
                if name in ("READY", "RELOADING", "STOPPING")]

    def wait(self, words, server):
        """Until exactly these were said."""
        server.wait_until(lambda: self.words() == words, f"the words {words}, not {self.words()}")

    def last(self, name):
        """The last value of this name."""
        return [m[name] for m in self.read() if name in m][-1]


@pytest.fixture(params=["path", "abstract"])
def address(request, tmp_path):
    """Both kinds of addresses: as the variable has it, and as a socket is bound to it."""
    if request.param == "path":
        return str(tmp_path / "notify"), str(tmp_path / "notify")
    name = f"prefork-test-{os.getpid()}-{tmp_path.name}"
    return f"@{name}", f"\0{name}"


@pytest.fixture
def manager(address):
    """A service manager; .variable is its NOTIFY_SOCKET."""
    m = Manager(address[1])
    m.variable = address[0]
    yield m
    m.socket.close()


def test_the_manager_hears_of_start_reload_and_stop(server, manager):
    """READY once somebody serves, RELOADING with the moment and READY again, STOPPING."""
    s = server.start(EXAMPLES / "echo", min_servers=2, env={"NOTIFY_SOCKET": manager.variable})
    manager.wait(["READY"], s)
    assert "MAINPID" not in {name for m in manager.read() for name in m}
    assert re.fullmatch(r"\d+ of at most 50 workers", manager.last("STATUS"))
    old = s.wait_workers(2)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    s.signal(SIGHUP)
    manager.wait(["READY", "RELOADING", "READY"], s)
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert before <= int(manager.last("MONOTONIC_USEC")) <= after
    s.wait_until(lambda: s.workers() and not set(old) & set(s.workers()), "new workers")
    assert s.stop() == 0
    manager.wait(["READY", "RELOADING", "READY", "STOPPING"], s)


def test_a_reload_without_workers_is_told_as_a_whole(server, manager):
    """Who asked for it waits for both words, also where nobody had to be replaced."""
    s = server.start(EXAMPLES / "echo", sizing="ondemand",
                     env={"NOTIFY_SOCKET": manager.variable})
    manager.wait(["READY"], s)
    s.signal(SIGHUP)
    manager.wait(["READY", "RELOADING", "READY"], s)


def test_a_server_without_workers_is_heard_of_too(server, manager):
    """It has no loop, and says the words where the work looks."""
    s = server.start(EXAMPLES / "echo", prefork=0, env={"NOTIFY_SOCKET": manager.variable})
    manager.wait(["READY"], s)
    s.signal(SIGHUP)
    manager.wait(["READY", "RELOADING", "READY"], s)
    assert s.ask(b"x\n") == b"x\n"
    assert s.stop() == 0
    manager.wait(["READY", "RELOADING", "READY", "STOPPING"], s)


def test_a_daemon_says_which_process_it_is(server, manager, tmp_path):
    """The manager knows the process that it started, which has ended."""
    s = server.start(EXAMPLES / "echo", background=1, log_file=tmp_path / "log",
                     pid_file=tmp_path / "pid", wait=None,
                     env={"NOTIFY_SOCKET": manager.variable})
    assert s.process.wait(15) == 0
    s.starter_status = 0
    s.pid = int((tmp_path / "pid").read_text())
    s.logs = [Log(tmp_path / "log")]
    manager.wait(["READY"], s)
    assert int(manager.last("MAINPID")) == s.pid
    assert s.stop() == 0


def test_the_watchdog_is_answered_by_the_loop(server, manager):
    """Twice as often as asked for; a master that hangs is silent."""
    s = server.start(EXAMPLES / "echo",
                     env={"NOTIFY_SOCKET": manager.variable, "WATCHDOG_USEC": "100000"})

    def answers():
        return len([m for m in manager.read() if "WATCHDOG" in m])

    s.wait_until(lambda: answers() >= 5, "five signs of life")
    s.signal(SIGSTOP)
    wait_until(lambda: open(f"/proc/{s.pid}/stat").read().split()[2] == "T", "a stopped master")
    stopped = answers()
    assert answers() == stopped
    s.signal(SIGCONT)
    s.wait_until(lambda: answers() > stopped, "another sign of life")


def test_a_watchdog_for_another_process_is_none_of_ours(server, manager):
    """WATCHDOG_PID names who is meant."""
    s = server.start(EXAMPLES / "echo", env={"NOTIFY_SOCKET": manager.variable,
                                             "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    manager.wait(["READY"], s)
    assert s.ask(b"x\n") == b"x\n"
    assert not [m for m in manager.read() if "WATCHDOG" in m]


def test_programs_cannot_speak_for_the_server(server, manager):
    """The variables are gone from the environment of workers and their programs."""
    handler = server.script("env\n")
    s = server.serve(handler, env={"NOTIFY_SOCKET": manager.variable,
                                   "WATCHDOG_USEC": "1000000"})
    environment = s.ask().decode()
    assert "NOTIFY_SOCKET" not in environment and "WATCHDOG" not in environment
    assert "TCPREMOTEIP" in environment


def test_workers_hold_no_socket_of_the_manager(server, manager):
    """A worker that did could say READY."""
    s = server.start(EXAMPLES / "echo", min_servers=1,
                     env={"NOTIFY_SOCKET": manager.variable})
    worker = s.wait_workers(1)[0]

    def sockets(pid):
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        return {link for link in links if link.startswith("socket:")}

    table = open("/proc/net/unix").read().splitlines()
    datagrams = {f"socket:[{line.split()[6]}]" for line in table[1:] if line.split()[4] == "0002"}
    assert len(sockets(s.pid) & datagrams) == 1
    assert not sockets(worker) & datagrams


@pytest.mark.parametrize("variable", ["/nowhere/notify", "vsock:2:1", "notify", "@", "/" + "x" * 200])
def test_a_manager_that_cannot_be_reached_is_a_warning(server, variable):
    """The server is of more use than the news of it."""
    s = server.start(EXAMPLES / "echo", env={"NOTIFY_SOCKET": variable})
    assert s.wait_log(r"warning: environment variable NOTIFY_SOCKET: .*will not hear of this server")
    assert s.ask(b"x\n") == b"x\n"


def test_a_manager_that_does_not_read_stops_nobody(server, manager):
    """Its queue is full; what could not be said is said when there is room again."""
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)
    sender.connect(manager.socket.getsockname())
    with pytest.raises(BlockingIOError):
        while True:
            sender.send(b"X=1\n")
    s = server.start(EXAMPLES / "echo", env={"NOTIFY_SOCKET": manager.variable})
    assert s.ask(b"x\n") == b"x\n"
    manager.wait(["READY"], s)
    sender.close()


def test_a_manager_that_is_gone_stops_nobody(server, manager):
    """Nothing is said any more, and nothing else changes."""
    s = server.start(EXAMPLES / "echo", min_servers=2, max_servers=2,
                     env={"NOTIFY_SOCKET": manager.variable, "WATCHDOG_USEC": "20000"})
    manager.wait(["READY"], s)
    manager.socket.close()
    old = s.wait_workers(2)
    os.kill(old[0], SIGKILL)
    s.wait_until(lambda: not is_alive(old[0]) and len(s.workers()) == 2, "a new worker")
    assert s.ask(b"x\n") == b"x\n"
    assert s.stop() == 0
