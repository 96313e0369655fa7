"""Pools of main loops: what the manual of SHARYANTO::Proc::Daemon::Prefork promises.

The program has a socket of its own, accepts in main_loop, and says prefork_busy() and
prefork_idle(). Settings bear the names that its users write. The manual's promise is: when
all children are busy the pool grows, up to max_children, and when they are idle it goes back
to prefork. Timers that could do a test's work are out of reach.

Further tests are of what the module does not have: a limit on requests (P17), and a line each
time that max_children are not enough (P22).
"""

import os
import time
from signal import SIGKILL

import pytest

from clients import Watch, children_of, clients, lines, zombies_of  # noqa: F401
from support import connect

NEVER = {"check_for_waiting": 1000, "spare_timeout": 1000, "check_for_spawn": 1000,
         "min_child_ttl": 0, "stop_timeout": 0.2, "kill_timeout": 1}
SOON = {**NEVER, "spare_timeout": 0.2, "check_for_spawn": 0.1}


class Door:
    """The program's own socket: what a client needs to know of a server."""

    def __init__(self, path):
        self.path = path

    def connect(self):
        """A connected socket."""
        return connect(self.path)


@pytest.fixture
def children(server, tmp_path):
    """Start the program: the server, and its door."""
    def start(*settings, wait="ready", **more):
        env = {"CHILDREN_SOCKET": str(tmp_path / "socket"),
               "CHILDREN_BIRTHS": str(tmp_path / "births")}
        s = server.start(server.program("children"), *settings, port=None, env=env, wait=wait,
                         **more)
        return s, Door(tmp_path / "socket")
    return start


# ---- growing and shrinking ----


@pytest.mark.shows("arg:main_loop", "arg:after_init", "arg:prefork", "rule:loop-first-children")
def test_prefork_children_are_there_from_the_start(children, clients):
    s, door = children(NEVER, prefork=3, max_children=12)
    s.wait_workers(3, "idle")
    assert clients.say(door, "pid")[1] in s.workers()


def test_P03_children_are_born_as_soon_as_all_are_busy(children, clients, tmp_path):
    """Growth came seconds late and in steps of a series. Here each client that makes the last
    child busy is followed by one birth, in milliseconds and without a timer."""
    s, door = children(NEVER, prefork=3, max_children=12, min_spare_servers=1)
    s.wait_workers(3, "idle")
    clients.hold(door, 2)
    delays = []
    for born in range(4, 13):
        began = time.monotonic_ns()
        clients.hold(door, 1)
        s.wait_until(lambda n=born: len(lines(tmp_path / "births")) == n, f"birth {born}")
        delays.append(int(lines(tmp_path / "births")[-1][0]) - began)
        s.wait_workers(born - 1, "busy")
        s.wait_workers(1, "idle")
    assert sorted(delays)[len(delays) // 2] < 250e6, delays  # the module: 4 seconds


@pytest.mark.shows("arg:max_children")
def test_P04_children_grow_to_max_children_and_not_one_more(children, clients):
    """A pass of growth forked all of its series or nothing: 33 children of 30. Here it is
    max_children, whoever is killed meanwhile, and prefork is the floor on the way back."""
    s, door = children(SOON, prefork=3, max_children=12)
    with Watch(s) as watch:
        held = clients.hold(door, 12)
        waiting = [clients.send(door, "hold\n") for _ in range(8)]
        for pid in list(held)[:4]:
            os.kill(pid, SIGKILL)  # and somebody who waits has a child instead
        heirs = {client.hear_pid() for client in waiting[:4]}
        assert not heirs & set(held) and s.wait_workers(12, "busy")
    assert watch.most == 12
    with Watch(s) as watch:
        clients.hang_up()
        watch.settle(3)
        s.wait_workers(3, "idle")
    assert (watch.least, watch.most) == (3, 12) and zombies_of(s.pid) == []


def test_P05_children_go_back_to_prefork_when_they_are_idle(children, clients):
    """Shrinking was switched off, against the manual. Here each peak is followed by the
    way back to prefork, and who serves is not asked to leave."""
    s, door = children(SOON, prefork=3, max_children=12, min_spare_servers=1)
    for _ in range(2):
        held = clients.hold(door, 12)
        last = held.popitem()
        for client in held.values():
            client.finish()
        s.wait_until(lambda: len(s.workers()) == 3, "three children")
        assert s.workers("busy") == [last[0]]
        assert last[1].finish() == [str(last[0]), "done"]
        s.wait_workers(3, "idle")


# ---- clients that leave ----


def test_P21_a_child_outlives_a_client_that_hangs_up(children, clients):
    """The first write to it killed the child. Here it is an error of that write."""
    s, door = children(NEVER, prefork=2, max_children=2)
    before = s.wait_workers(2, "idle")
    client, pid = clients.say(door, "hold")
    client.hang_up()
    s.wait_log(f"{pid} is not heard: EPIPE")
    assert s.wait_workers(2, "idle") == before


# ---- a limit on requests ----


TIMEOUT = 0.5


def check_limit(hold, count=3):
    """So many requests that would last for ever: how long each was let live."""
    lasted = []
    for _ in range(count):
        began = time.monotonic()
        assert hold().is_cut()
        lasted.append(time.monotonic() - began)
    assert min(lasted) >= TIMEOUT - 0.02, lasted  # the clock of workers is a coarse one
    assert min(lasted) < TIMEOUT + 0.25, lasted


@pytest.mark.shows("field:req_start_time")
def test_P17_a_request_has_a_deadline_from_its_own_start(server, clients):
    """The start of a request was noted and nothing followed from it. Here request_timeout
    counts from it, and from nothing that was before: the worker has lived longer already."""
    s = server.start(server.program("pool"), NEVER, prefork=1, max_children=1,
                     request_timeout=TIMEOUT)
    (worker,) = s.wait_workers(1, "idle")
    old = time.monotonic() + 1.5 * TIMEOUT
    while time.monotonic() < old:
        assert clients.say(s, "pid")[1] == worker
    check_limit(lambda: clients.say(s, "hold")[0])
    s.wait_log("sent SIGTERM to 1 worker: request longer than request_timeout", count=3)


def test_P17_a_program_for_each_connection_has_it_too(server, clients):
    """With handler nowait the program of the connection is ended, and the next is served."""
    s = server.serve(server.script("echo $$; read -r word && exec sleep 1000"), NEVER,
                     prefork=1, max_children=1, request_timeout=TIMEOUT)

    def hold():
        client, _ = clients.say(s, "go on")
        return client
    check_limit(hold)
    s.wait_log("sent SIGTERM to 1 worker: request longer than request_timeout", count=3)


def test_P17_a_main_loop_has_it_from_prefork_busy_on(children, clients):
    """A child that is busy for too long is ended and replaced, an idle one never."""
    s, door = children(NEVER, prefork=2, max_children=2, request_timeout=TIMEOUT)
    before = set(s.wait_workers(2, "idle"))
    client, pid = clients.say(door, "hold")
    assert client.is_cut()
    s.wait_log("sent SIGTERM to 1 worker: request longer than request_timeout")
    s.wait_until(lambda: len(s.workers("idle")) == 2, "a new child")
    assert before - set(s.workers()) == {pid}


# ---- max_children are not enough ----


FULL = r"warning: all 3 workers are busy and (\d+) connections? waits?: max_servers$"


def test_P22_that_max_children_are_too_few_is_told_each_time(server, clients):
    """It was printed once in the life of a process. Here it is told when it begins, with
    numbers, is not repeated for a minute, and is told again when it begins anew."""
    s = server.start(server.program("pool"), NEVER, prefork=2, max_children=3)

    def crowd(waiting):
        clients.hold(s, 3)
        for _ in range(waiting):
            clients.send(s, "hold\n")
    crowd(waiting=2)
    assert s.wait_log(FULL).group(1) == "2"
    clients.hang_up()
    s.wait_log("notice: workers are idle again")
    assert len(s.find_log(FULL)) == 1
    crowd(waiting=1)
    assert s.wait_log(FULL, count=2).group(1) == "1"


def test_P22_a_static_pool_tells_it_as_well(server, clients):
    """What it costs is a look per second while nobody is idle."""
    s = server.start(server.program("pool"), NEVER, sizing="static", max_children=3)
    clients.hold(s, 3)
    clients.send(s, "hold\n")
    assert s.wait_log(FULL).group(1) == "1"


def test_P22_children_with_a_socket_of_their_own_tell_that_all_are_busy(children, clients):
    """Who waits at the program's own socket the master cannot know."""
    s, door = children(NEVER, prefork=2, max_children=3)
    held = clients.hold(door, 2)
    assert children_of(s.pid) and not s.find_log("are busy")
    held.update(clients.hold(door, 1))
    s.wait_log("warning: all 3 workers are busy: max_servers$")
    assert sorted(held) == s.workers()
