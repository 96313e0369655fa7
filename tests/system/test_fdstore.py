"""fdstore: the service manager holds what the master owns."""

import os
import select
import socket
from signal import SIGHUP, SIGKILL

import pytest

from manager import ServiceManager
from support import EXAMPLES, connect, converse, is_alive

POOL = {"sizing": "static", "max_servers": 2}


@pytest.fixture
def manager(tmp_path):
    """A service manager with an empty store."""
    m = ServiceManager(tmp_path / "notify")
    yield m
    m.close()


@pytest.fixture
def stored(server, manager):
    """Starts an echo server whose things are all stored."""
    def start(*settings, **more):
        s = manager.start(server, EXAMPLES / "echo", *settings, fdstore=1, **{**POOL, **more})
        s.wait_workers(2)
        s.wait_until(lambda: len(manager.names("prefork.w.")) == 2
                     and len(manager.names("prefork.state.")) == 1, "a whole store")
        return s
    return start


def test_all_that_the_master_owns_is_stored(stored, manager):
    """Each thing once, under its name."""
    s = stored()
    names = [name for name in manager.names() if not name.startswith("prefork.state.")]
    assert names == ["prefork.board", "prefork.hints", "prefork.l.0",
                     "prefork.pass", "prefork.w.1", "prefork.w.2", "prefork.wake"]
    with socket.socket(fileno=os.dup(manager.get("prefork.l.0"))) as listener:
        assert listener.getsockname() == s.address
    assert s.stop() == 0


def test_streams_and_watched_clients_are_stored_too(server, manager, stored):
    """A worker has up to three of them."""
    s = stored(child_communication=1, on_client_disconnect="signal")
    s.wait_until(lambda: manager.names("prefork.v.") == ["prefork.v.1", "prefork.v.2"], "streams")
    s.wait_until(lambda: manager.names("prefork.d.") == ["prefork.d.1", "prefork.d.2"],
                 "watched clients")
    os.kill(s.workers()[0], SIGKILL)
    s.wait_until(lambda: manager.names("prefork.d.") in (["prefork.d.1", "prefork.d.3"],
                                                         ["prefork.d.2", "prefork.d.3"]),
                 "those of the new one")
    assert s.stop() == 0


def test_nothing_is_stored_without_the_setting(server, manager):
    """The manager hears of start and stop, as ever."""
    s = manager.start(server, EXAMPLES / "echo", **POOL)
    s.wait_until(lambda: "READY=1" in manager.pump().words, "the word")
    assert manager.names() == []
    assert s.stop() == 0


def test_nothing_is_stored_where_nobody_stores(server):
    """It is no error."""
    s = server.start(EXAMPLES / "echo", fdstore=1, **POOL)
    assert s.ask(b"x\n") == b"x\n"
    assert s.stop() == 0


def test_workers_come_and_go_in_the_store(stored, manager):
    """Names are numbers of births, and the state is always one."""
    s = stored()
    old = manager.names("prefork.state.")
    os.kill(s.workers()[0], SIGKILL)
    s.wait_until(lambda: "prefork.w.3" in manager.names(), "the third")
    s.wait_until(lambda: len(manager.names("prefork.w.")) == 2, "two of them")
    s.wait_until(lambda: len(manager.names("prefork.state.")) == 1, "one state")
    assert manager.names("prefork.state.") != old
    s.signal(SIGHUP)
    s.wait_until(lambda: manager.names("prefork.w.") == ["prefork.w.4", "prefork.w.5"],
                 "a new generation")
    assert s.stop() == 0


def test_a_steady_server_stores_nothing(stored, manager):
    """Connections are none of the manager's business."""
    s = stored()
    before = manager.offers
    for _ in range(20):
        assert s.ask(b"x\n") == b"x\n"
    assert manager.pump().offers == before
    assert s.stop() == 0


def test_a_manager_that_is_slow_gets_all_in_the_end(server, manager):
    """Its queue takes fewer messages than there are; nothing waits for it meanwhile."""
    s = manager.start(server, EXAMPLES / "echo", fdstore=1, sizing="static", max_servers=60)
    s.wait_workers(60)
    assert s.ask(b"x\n") == b"x\n"
    s.wait_until(lambda: len(manager.names("prefork.w.")) == 60
                 and len(manager.names("prefork.state.")) == 1, "all of them")
    assert s.stop() == 0


def test_a_stop_leaves_the_listeners(stored, manager):
    """Connections wait in their queues for the next start; nothing else would be of use."""
    s = stored(child_communication=1)
    address = s.address
    assert s.stop() == 0
    assert manager.names() == ["prefork.l.0"]
    with connect(address) as waiting, socket.socket(
            fileno=os.dup(manager.get("prefork.l.0"))) as listener:
        waiting.sendall(b"x\n")
        assert select.select([listener], [], [], 15)[0]


def test_a_unix_socket_stays_too(stored, manager, tmp_path):
    """Its path leads to the socket that is stored."""
    path = tmp_path / "s"
    s = stored(port=f"{path}|unix")
    assert s.stop() == 0
    assert path.is_socket()
    connect(str(path)).close()
    manager.forget()
    with pytest.raises(ConnectionRefusedError):
        connect(str(path))


def test_a_manager_that_goes_is_no_loss(stored, manager):
    """The server goes on, and stops in order."""
    s = stored()
    manager.close()
    os.kill(s.workers()[0], SIGKILL)
    s.wait_workers(2)
    assert s.ask(b"x\n") == b"x\n"
    assert s.stop() == 0


def test_workers_outlive_the_master_in_a_store(stored, manager):
    """They do not notice: somebody has the other end of their channels."""
    s = stored()
    workers, address = s.workers(), s.address
    os.kill(s.pid, SIGKILL)
    assert s.wait_exit() == -SIGKILL
    with connect(address) as c:
        assert converse(c, b"x\n") == b"x\n"
    assert all(is_alive(pid) for pid in workers)
    manager.forget()  # nobody will come
    s.wait_until(lambda: not any(is_alive(pid) for pid in workers), "the end of the workers")
