"""Datagrams in numbers: pools that grow, workers that die, stops and floods."""

import os
import threading
from signal import SIGHUP, SIGKILL, SIGSTOP, SIGTERM

import pytest

from clients import Gate
from datagrams import ONE, UDP, Client, ask, both, start
from support import PATIENCE, address_of, connect, converse, is_alive, proc_status, wait_until


@pytest.mark.parametrize("kind", ["udp", "unixdgram"])
def test_the_pool_grows_while_datagrams_wait(server, tmp_path, kind):
    """Slow handlers: as many workers as max_servers allows, no more, and nobody dies."""
    port, _ = both(server, kind, tmp_path)
    gate = Gate(tmp_path / "gate")
    gate.close()
    s = start(server, port, env={"GATE": gate}, min_servers=1, max_servers=6)
    crowd = [Client(s.address, tmp_path / f"c{n}" if kind != "udp" else None) for n in range(9)]
    for c in crowd:
        c.send(b"hold")
    s.wait_workers(6, "busy")
    gate.open()
    holders = set()
    for c in crowd:
        holders.add(c.hear()[0].split()[0])
        assert c.hear()[0].endswith(b"done")
        c.socket.close()
    assert len(holders) == 6
    assert not s.find_log("killed by|warning|error")


def test_a_flood_is_survived(server):
    """More than anybody can answer: workers live, and who asks afterwards is served."""
    s = start(server, min_servers=2, max_servers=4)
    workers = set(s.workers())
    with Client(s.address) as flood:
        flood.socket.setblocking(False)
        for n in range(30000):
            try:
                flood.socket.sendto(b"silent" if n % 2 else os.urandom(n % 700), flood.to)
            except BlockingIOError:
                continue
    with Client(s.address) as c:
        c.socket.settimeout(0.1)
        def answered():  # it may be one of those the full queue drops
            try:
                return c.ask(b"after") == b"after"
            except TimeoutError:
                return False
        s.wait_until(answered, "an answer after the flood")
    assert workers <= set(s.workers())
    assert not s.find_log("killed by|warning|error")


def test_a_pool_on_demand_is_started_by_a_datagram(server):
    """The first one waits for the first worker."""
    s = server.start(server.program("datagram"), port=UDP, sizing="ondemand")
    assert not s.workers()
    assert ask(s.address, b"hello") == b"hello"


def test_a_killed_worker_leaves_its_datagram_to_the_next(server):
    """It was woken for one and dies before it takes it: another one serves it."""
    s = start(server, min_servers=1, max_servers=1, start_timeout=5)
    with Client(s.address) as c:
        pid = int(c.ask(b"pid"))
        os.kill(pid, SIGSTOP)
        wait_until(lambda: proc_status(pid)["State"].startswith("T"), "a stopped worker")
        c.send(b"pid")
        os.kill(pid, SIGKILL)
        assert int(c.hear()[0]) != pid


def test_the_same_with_idle_siblings(server):
    """The ones that were not woken are told."""
    s = start(server, min_servers=4, max_servers=4)
    with Client(s.address) as c:
        for _ in range(5):
            pid = int(c.ask(b"pid"))
            os.kill(pid, SIGSTOP)
            wait_until(lambda pid=pid: proc_status(pid)["State"].startswith("T"), "it to stand")
            c.send(b"pid")
            os.kill(pid, SIGKILL)
            assert int(c.hear()[0]) != pid


class Asking:
    """A client that asks all the time, one question after the other, and keeps what was lost."""

    def __init__(self, address):
        self.address, self.done, self.lost = address, 0, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        with Client(self.address) as c:
            while not self.over.is_set():
                try:
                    assert c.ask(b"%d" % self.done) == b"%d" % self.done
                    self.done += 1
                except (OSError, AssertionError):
                    self.lost += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(2 * PATIENCE)


def test_replacing_all_workers_loses_nothing(server):
    """SIGHUP under load: a new set of workers, and each question is answered."""
    s = start(server, min_servers=3, max_servers=6)
    before = set(s.workers())
    with Asking(s.address) as one, Asking(s.address) as two:
        s.wait_until(lambda: min(one.done, two.done) > 50, "some answers")
        s.signal(SIGHUP)
        s.wait_until(lambda: not before & set(s.workers()), "other workers")
        goal = one.done + 50
        s.wait_until(lambda: one.done > goal, "answers of the new ones")
    assert (one.lost, two.lost) == (0, 0)


def test_a_stop_under_load(server, tmp_path):
    """Ends at once although datagrams go on coming; who is being served is served."""
    gate = Gate(tmp_path / "gate")
    gate.close()
    s = start(server, env={"GATE": gate}, min_servers=3, max_servers=3, stop_timeout=60)
    with Client(s.address) as holder, Client(s.address) as flood:
        holder.send(b"hold")
        holder.hear()
        s.signal(SIGTERM)
        s.wait_workers(1)
        for _ in range(100):
            flood.send(b"silent")
        gate.open()
        assert holder.hear()[0].endswith(b"done")
        assert s.wait_exit() == 0


def test_request_timeout_is_about_one_datagram(server, tmp_path):
    """A worker that hangs on one is ended and replaced."""
    gate = Gate(tmp_path / "gate")
    gate.close()
    s = start(server, env={"GATE": gate}, request_timeout=0.3, kill_timeout=1, **ONE)
    with Client(s.address) as c:
        c.send(b"hold")
        pid = int(c.hear()[0].split()[0])
        s.wait_until(lambda: not is_alive(pid), "the end of the worker that hangs")
        assert c.ask(b"next") == b"next"


@pytest.mark.parametrize("port", [[UDP, UDP], [UDP, "127.0.0.1:0/tcp"]])
def test_several_sockets_are_served_fairly(server, port):
    """A socket that is flooded leaves room for another."""
    s = start(server, port, **ONE)
    first, second = (address_of(text) for text in s.listeners)
    with Asking(first) as busy:
        s.wait_until(lambda: busy.done > 50, "some answers")
        for _ in range(20):
            if "tcp" in port[1]:
                assert converse(connect(second)) == b"a stream"
            else:
                assert ask(second, b"hello") == b"hello"
    assert busy.lost == 0


@pytest.mark.parametrize("order, workers", [("fair", 4), ("hot", 1)])
def test_accept_order(server, order, workers):
    """With fair all workers have a turn, with hot it is the same one all the time."""
    s = start(server, min_servers=4, max_servers=4, accept_order=order)
    pids = set()
    with Client(s.address) as c:
        for _ in range(12):
            s.wait_workers(4, "idle")
            pids.add(int(c.ask(b"pid")))
    assert len(pids) == workers


def test_a_handler_that_asks_whether_to_stop_loses_nothing(server):
    """The request to leave that it reads is kept, and the run of datagrams ends."""
    s = start(server, min_servers=2, max_servers=4)
    before = set(s.workers())
    with Client(s.address) as c:
        s.signal(SIGHUP)
        def asked():
            assert c.ask(b"stopping") == b"stopping"
            return not before & set(s.workers())
        s.wait_until(asked, "other workers")
