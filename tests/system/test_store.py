"""What is held for the next master is what there is now, whichever settings and whichever master
stored something before."""

import os
import socket
from signal import SIGHUP, SIGKILL, SIGTERM

import pytest

from clients import clients  # noqa: F401
from manager import ServiceManager
from support import EXAMPLES, proc_fds
from upgrades import births, gate, needs_reload, site, started  # noqa: F401

pytestmark = needs_reload
POOL = {"sizing": "static", "max_servers": 2}
CHOSEN = ("prefork.pid", "prefork.score", "prefork.pages")


@pytest.fixture
def manager(tmp_path):
    """A service manager with an empty store."""
    m = ServiceManager(tmp_path / "notify")
    yield m
    m.close()


def managed(site, manager, **settings):
    """A server in a site, without a pid file unless one is set, whose things are all stored."""
    s = site.start(env={"NOTIFY_SOCKET": manager.variable}, arguments={"pid_file": None},
                   fdstore="on", **{**POOL, **settings})
    wait_stored(s, manager, "1", "2")
    return s


def wait_stored(s, manager, *workers):
    """Wait for one state, and these workers."""
    s.wait_until(lambda: len(manager.names("prefork.state.")) == 1 and manager.names("prefork.w.")
                 == [f"prefork.w.{worker}" for worker in workers], "a whole store")


def reload(s):
    """By a signal, as there may be no pid file."""
    s.signal(SIGHUP)
    s.wait_log("reload 1: generation 2 serves")


def test_files_that_a_reload_drops_stayed_with_the_manager(site, manager, tmp_path):
    """Pid file and scoreboard: the next master would have had what nobody wants."""
    site = site()
    s = managed(site, manager, pid_file=tmp_path / "own", scoreboard_path=tmp_path / "score")
    assert [name for name in manager.names() if name in CHOSEN] == sorted(CHOSEN)
    site.configure(pid_file=None, scoreboard_path=None)
    reload(s)
    wait_stored(s, manager, "3", "4")
    assert not [name for name in manager.names() if name in CHOSEN]
    assert s.stop() == 0


def test_files_that_a_reload_replaces_were_there_twice(site, manager, tmp_path):
    """The manager keeps both, and the next master would have found the first."""
    site = site()
    s = managed(site, manager, pid_file=tmp_path / "old", scoreboard_path=tmp_path / "score1")
    site.configure(pid_file=tmp_path / "new", scoreboard_path=tmp_path / "score2")
    reload(s)
    wait_stored(s, manager, "3", "4")
    assert [name for name in manager.names() if name in CHOSEN] == sorted(CHOSEN)
    assert os.path.samestat(os.fstat(manager.get("prefork.pid")), os.stat(tmp_path / "new"))
    assert s.stop() == 0


def test_files_that_a_reload_drops_stayed_with_the_keeper(site, tmp_path):
    """They were open there for as long as it lived."""
    site = site()
    files = [tmp_path / "own", tmp_path / "score"]
    s = site.start(arguments={"pid_file": None}, pid_file=files[0], scoreboard_path=files[1],
                   keeper="on", **POOL)

    def held():
        return {path for path in files for link in proc_fds(s.process.pid).values()
                if link.startswith(str(path))}

    s.wait_until(lambda: held() == set(files), "both files on the shelf")
    site.configure(pid_file=None, scoreboard_path=None)
    reload(s)
    s.wait_until(lambda: not held(), "the end of both")
    assert s.stop() == 0


def test_the_board_is_never_taken_back(site, manager):
    """Without it a master that comes in this moment could take over nobody."""
    site = site()
    s = managed(site, manager)
    board = manager.get("prefork.board")
    reload(s)
    wait_stored(s, manager, "3", "4")
    assert manager.get("prefork.board") == board
    assert s.stop() == 0


def test_a_stop_during_a_trial_left_all_but_the_listeners(site, gate, manager):
    """The program on trial had stored nothing: it removed nothing, and shut what was stored."""
    site = site()
    s = started(site, env={"GATE": gate, "NOTIFY_SOCKET": manager.variable},
                arguments={"pid_file": None}, fdstore="on", **POOL, stop_timeout=1,
                graceful_timeout=1, kill_timeout=1)
    wait_stored(s, manager, "1", "2")
    gate.close()
    site.deploy_next()
    s.signal(SIGHUP)
    s.wait_until(lambda: "v2" in births(site), "the trial")
    s.signal(SIGTERM)
    s.wait_until(lambda: manager.names() == ["prefork.l.0"], "a store with nothing else")
    assert s.wait_exit() == 0
    assert manager.names() == ["prefork.l.0"]


@pytest.mark.parametrize("room", range(7))
def test_a_state_that_was_not_removed_in_time_stayed_for_ever(server, manager, room):
    """The manager's queue has room for some of the messages, and later for all."""
    s = manager.start(server, EXAMPLES / "echo", fdstore=1, **POOL)
    wait_stored(s, manager, "1", "2")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others:
        others.setblocking(False)
        others.connect(manager.variable)
        with pytest.raises(BlockingIOError):
            while True:
                others.send(b"X_OTHERS=1\n")
    manager.read(room)
    worker = s.workers()[0]
    os.kill(worker, SIGKILL)
    s.wait_until(lambda: worker not in s.workers() and len(s.workers()) == 2, "another worker")
    s.wait_until(lambda: "prefork.w.3" in manager.names()
                 and len(manager.names("prefork.w.")) == 2
                 and len(manager.names("prefork.state.")) == 1, "one state, with it")
    assert s.stop() == 0
    assert manager.names() == ["prefork.l.0"]
