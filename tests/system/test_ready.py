"""When a program that accepts by itself is ready: in a start, and in the trial of a reload.

programs/says_ready.c does one thing after the other, as its arguments say. What the master
took for the reason is in its log.
"""

import os
import re
import socket
from signal import SIGKILL, SIGTERM

import pytest

from support import PATIENCE
from upgrades import Site, ended, own_port

ONE = {"handler": "wait", "max_servers": 1}
SILENT = {"ready_delay": 0}  # then living is not enough
SAID, LIVED, HAS_ONE = "READY=1", "ready_delay is over", "it has a connection"


@pytest.fixture
def program(server):
    """says_ready."""
    return server.program("says_ready", library=False)


@pytest.fixture
def gate(tmp_path):
    """A file that the program may wait for."""
    return tmp_path / "gate"


def begin(server, words, **settings):
    """A server whose start is under way."""
    return server.serve(words, {**ONE, **settings}, wait="starting")


def reasons(s):
    """Why workers were taken to be ready, in order."""
    return [match.group(1) for match in s.find_log(r"worker \d+ is ready: (.*)$")]


def wait_ready(s, reason):
    """Wait until the server says that it is ready, for this reason."""
    s.wait_log("notice: ready$")
    assert reasons(s)[0] == reason


def notify_socket_of(pid):
    """What a process has for NOTIFY_SOCKET."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        variables = dict(word.split(b"=", 1) for word in file.read().split(b"\0") if word)
    return variables[b"NOTIFY_SOCKET"].decode()


# ---- a start -------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["say=READY=1", "say=STATUS=x,READY=1,MAINPID=1",
                                   "child=READY=1", "fd=READY=1"])
def test_ready_when_it_says_so(server, program, gate, words):
    """And not before."""
    s = begin(server, [program, f"file={gate}", words], **SILENT)
    s.wait_log("started 1 worker")
    assert not s.find_log("notice: ready$")
    gate.touch()
    wait_ready(s, SAID)


def test_what_does_not_count(server, program, gate, tmp_path):
    """Other lines, strangers, and those who have gone to another process group."""
    mark = tmp_path / "mark"
    s = begin(server, [program, "stranger=READY=1", "fd=READY=10", "fd=STATUS=READY=1",
                       "say=WATCHDOG=1", "fd=", "fd=STATUS=x", f"mark={mark}", f"file={gate}",
                       "say=READY=1"], **SILENT)
    s.wait_until(mark.exists, "all of it")
    name = notify_socket_of(s.workers()[0])
    assert re.fullmatch("@[0-9a-f]+", name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.connect("\0" + name[1:])
        stranger.send(b"READY=1")
    assert not s.find_log("notice: ready$") and not reasons(s)
    gate.touch()
    wait_ready(s, SAID)


def test_ready_when_it_has_lived_for_a_while(server, program):
    """Who says nothing."""
    s = begin(server, program, ready_delay=0.3)
    wait_ready(s, LIVED)


@pytest.mark.parametrize("kind", ["tcp", "tcp6", "unix"])
def test_ready_when_it_has_a_connection(server, program, tmp_path, kind):
    """One that stays is seen."""
    port = {"tcp": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": tmp_path / "socket"}[kind]
    s = begin(server, program, port=port, **SILENT)
    s.wait_log("started 1 worker")
    with s.connect():
        wait_ready(s, HAS_ONE)


def test_never_ready(server, program):
    """Then it is ended, as any worker that is too slow, and that is a bad start."""
    s = begin(server, program, start_timeout=0.3, **SILENT)
    s.wait_log("3 bad starts in a row")
    assert s.find_log("not ready within start_timeout") and not reasons(s)


def test_who_talks_without_end_keeps_nobody_waiting(server, program, gate):
    """Messages are read all the time, also when everybody is ready."""
    s = begin(server, [program, "flood=3000", "say=READY=1", "flood=3000", f"mark={gate}"],
              **SILENT, max_servers=2)
    wait_ready(s, SAID)
    s.wait_until(gate.exists, "the last word")
    assert s.ask().startswith(b"v1 ")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_another_user_can_say_it(server, open_path, program):
    """In a changed root there is no file to be found, and none is needed."""
    binary = open_path / "program"
    binary.write_bytes(program.read_bytes())
    binary.chmod(0o755)
    s = begin(server, [binary, "say=READY=1"], user="nobody", **SILENT)
    wait_ready(s, SAID)


def test_a_default_that_is_too_long_is_lowered(server, program):
    """ready_delay is below start_timeout."""
    s = begin(server, program, start_timeout=0.6)
    assert s.find_log("ready_delay: 1 lowered to 0.3 because start_timeout is 0.6")
    wait_ready(s, LIVED)


# ---- a reload ------------------------------------------------------------------------------


class Says(Site):
    """A site whose program is says_ready, started by a script: v1 says that it is ready."""

    def __init__(self, servers, directory):
        self.program = servers.program("says_ready", library=False)
        super().__init__(servers, directory, "wait")

    def put_words(self, words):
        """What the program is to do from the next start on."""
        self.put(self.code, f"#!/bin/sh\nexec {self.program} {words}\n")
        self.code.chmod(0o755)

    def deploy(self, version):
        self.put_words(f"version={version} say=READY=1")


@pytest.fixture
def says(server, tmp_path):
    """A running site with two workers."""
    site = Says(server, tmp_path)
    site.start(port=own_port(), max_servers=2, reload_surge=1, **SILENT)
    return site


@pytest.mark.parametrize("words, delay", [
    ("exit=3", 0), ("exit=3", 0.5), ("nonsense", 1),
    ("ms=300 exit=3", 1), ("ms=300 exit=0", 0), ("ms=1300 exit=3", 5)])
def test_a_trial_of_a_program_that_ends(says, words, delay):
    """Before it was ready: what ran before goes on."""
    says.configure(ready_delay=delay)
    says.put_words(words)
    says.fail("a new worker did not become ready")
    says.deploy_next()
    says.succeed()


def test_a_trial_of_a_program_that_says_nothing(says):
    """With ready_delay 0 that is not enough."""
    says.configure(reload_timeout=1)
    says.put_words("")
    says.fail("not ready within 1 seconds")
    says.configure(reload_timeout=PATIENCE, ready_delay=0.3)
    says.version = "v1"
    says.put_words("version=v2")
    says.version = "v2"
    says.succeed()
    assert LIVED in reasons(says.server)


def test_a_trial_of_a_program_that_says_so(says):
    """Whatever ready_delay is; the socket has the same name for all generations."""
    names = set()
    says.configure(ready_delay=PATIENCE / 2, reload_timeout=PATIENCE)
    for version in "v2", "v3":
        names |= {notify_socket_of(pid) for pid in says.server.workers()}
        says.version = version
        says.put_words(f"version={version} ms=200 say=READY=1")
        says.succeed()
    assert len(names) == 1
    assert set(reasons(says.server)) == {SAID}


def test_a_trial_of_a_program_that_takes_connections(says):
    """It says nothing, and a client that stays is seen. The old ones are busy."""
    s = says.server
    with s.connect() as one, s.connect() as two:
        assert one.recv(1) and two.recv(1)
        says.put_words("version=v2")
        reload = says.start_reload()
        with s.connect() as three:
            assert three.recv(2) == b"v2"
            s.wait_log(f"is ready: {HAS_ONE}")
    assert ended(reload)[0] == 0


def test_the_next_master_hears_them(server, tmp_path):
    """After the death of a master: those who live, and those who are born."""
    site = Says(server, tmp_path)
    s = site.start(port=own_port(), max_servers=2, keeper=1, **SILENT)
    _, worker = site.answer()
    name = notify_socket_of(worker)
    os.kill(s.pid, SIGKILL)
    s.pid = int(s.log.wait(r"started master (\d+), with").group(1))
    s.wait_log(rf"\[{s.pid}\] notice: starting")
    os.kill(worker, SIGTERM)
    s.wait_log(f"is ready: {SAID}", count=3)
    _, worker = site.answer()
    assert notify_socket_of(worker) == name
