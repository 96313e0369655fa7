"""The next master takes over: by a keeper, and by a service manager that stores descriptors."""

import os
import shutil
from signal import SIGHUP, SIGKILL, SIGTERM, SIGTTIN

import psutil
import pytest

from manager import ServiceManager
from support import BUILD, EXAMPLES, connect, converse, is_alive, proc_fds, read_line, title_of
from upgrades import own_port, site  # noqa: F401

POOL = {"sizing": "static", "max_servers": 3}


@pytest.fixture
def manager(tmp_path):
    """A service manager with an empty store."""
    m = ServiceManager(tmp_path / "notify")
    yield m
    m.close()


def below(pid, word):
    """Pids of live descendants whose titles have this word."""
    return sorted(p.pid for p in psutil.Process(pid).children(recursive=True)
                  if is_alive(p.pid) and word in title_of(p.pid))


def next_master(s, dead):
    """Wait for it: its pid."""
    def look():
        masters = [pid for pid in below(s.process.pid, ": master") if pid != dead]
        return masters[0] if len(masters) == 1 else None
    return s.wait_until(look, "another master")


def kept(server, **more):
    """A server with a keeper that has all it needs."""
    s = server.start(EXAMPLES / "echo", keeper=1, **{**POOL, **more})
    s.wait_workers(3)
    s.wait_until(lambda: "prefork-state" in str(proc_fds(s.process.pid)), "a whole shelf")
    return s


def kill_master(s):
    """And wait for the next one."""
    since, dead = s.mark(), s.pid
    os.kill(dead, SIGKILL)
    s.pid = next_master(s, dead)
    s.wait_log(rf"\[{s.pid}\] notice: ready", since)


# ---- by a keeper -----------------------------------------------------------------------

def test_workers_and_connections_outlive_four_masters(server):
    """Nobody is born, nobody dies, and a connection that is open stays open."""
    s = kept(server)
    workers = s.workers()
    with s.connect() as c:
        for i in range(4):
            c.sendall(b"%d\n" % i)
            assert read_line(c) == b"%d\n" % i
            kill_master(s)
            assert s.ask(b"x\n") == b"x\n"
    assert below(s.process.pid, ": worker") == workers
    assert s.stop() == 0


def test_a_worker_that_died_meanwhile_is_replaced(server):
    """It is found dead, whoever has its number now, and is no bad start."""
    s = kept(server)
    worker = s.workers()[0]
    os.kill(s.pid, SIGKILL)
    os.kill(worker, SIGKILL)
    s.pid = next_master(s, s.pid)
    s.wait_until(lambda: len(below(s.process.pid, ": worker")) == 3, "the whole pool")
    assert not s.find_log("bad start")
    assert s.stop() == 0


def test_how_an_adopted_worker_ended_is_not_known(server):
    """Its end is told, and it is replaced."""
    s = kept(server)
    worker = s.workers()[0]
    kill_master(s)
    os.kill(worker, SIGKILL)
    s.wait_log(rf"worker {worker} ended \(status not known: it was born by another master\)")
    s.wait_until(lambda: len(below(s.process.pid, ": worker")) == 3, "the whole pool")
    assert s.stop() == 0


def test_an_adopted_worker_that_sends_sigchld_is_still_watched(server):
    """It says that it ended and lives on: when it does end, that is seen."""
    s = server.start(server.program("pool"), {"sizing": "static", "max_servers": 1},
                     keeper=1)
    s.wait_workers(1)
    s.wait_until(lambda: "prefork-state" in str(proc_fds(s.process.pid)), "a whole shelf")
    worker = s.workers()[0]
    kill_master(s)
    assert s.ask(b"false %d\n" % s.pid) == b"%d lies\n" % worker
    os.kill(s.pid, SIGTTIN)
    s.wait_log("SIGTTIN")  # which is taken behind it
    assert is_alive(worker)
    os.kill(worker, SIGKILL)
    s.wait_log(rf"worker {worker} ended \(status not known")
    assert s.stop() == 0


def test_the_next_master_stops_in_order(server, tmp_path):
    """Whoever is asked: all workers leave, and the files go."""
    s = kept(server, pid_file=tmp_path / "pid", port=f"{tmp_path / 's'}|unix")
    kill_master(s)
    assert (tmp_path / "pid").read_text() == f"{s.pid}\n"
    os.kill(s.process.pid, SIGTERM)
    assert s.wait_exit() == 0
    assert not (tmp_path / "pid").exists() and not (tmp_path / "s").exists()


def test_a_program_that_accepts_by_itself_stays(server):
    """It does not even have a channel."""
    s = server.serve(server.script("exec sleep 1000", name="waits"), handler="wait", keeper=1,
                     min_servers=1)
    (worker,) = s.wait_workers(1)
    kill_master(s)
    assert is_alive(worker)
    assert s.stop() == 0
    assert not is_alive(worker)


# ---- by a service manager ----------------------------------------------------------------

def managed(server, manager, **more):
    """A server whose things are all stored."""
    s = manager.start(server, EXAMPLES / "echo", fdstore=1, **{**POOL, **more})
    s.wait_until(lambda: len(manager.names("prefork.w.")) == 3
                 and len(manager.names("prefork.state.")) == 1, "a whole store")
    return s


def test_a_manager_starts_the_next_master(server, manager):
    """Workers keep their pids, and a connection stays open."""
    first = managed(server, manager)
    workers = first.workers()
    with first.connect() as c:
        os.kill(first.pid, SIGKILL)
        assert first.wait_exit() == -SIGKILL
        c.sendall(b"x\n")
        assert read_line(c) == b"x\n"
        second = managed(server, manager, port=":".join(map(str, first.address)))
        c.sendall(b"y\n")
        assert read_line(c) == b"y\n"
    assert all(is_alive(pid) for pid in workers)
    assert second.stop() == 0
    assert not any(is_alive(pid) for pid in workers)


def test_the_next_master_speaks_to_the_manager_and_stores(server, manager):
    """So a second death is no worse than the first."""
    first = managed(server, manager)
    port = ":".join(map(str, first.address))
    gone, *stay = first.workers()
    os.kill(first.pid, SIGKILL)
    first.wait_exit()
    ready = manager.pump().words.count("READY=1")
    second = managed(server, manager, port=port)
    second.wait_until(lambda: manager.pump().words.count("READY=1") == ready + 1, "READY=1")
    stored = manager.names("prefork.w.")
    os.kill(gone, SIGKILL)
    second.wait_until(lambda: len(set(manager.names("prefork.w.")) - set(stored)) == 1 and
                      len(manager.names("prefork.w.")) == 3, "the new worker in the store")
    workers = {*stay, *second.workers()}
    os.kill(second.pid, SIGKILL)
    second.wait_exit()
    third = managed(server, manager, port=port)
    assert len(workers) == 3 and all(is_alive(pid) for pid in workers)
    assert third.workers() == [], "nobody had to be born"
    assert third.stop() == 0
    assert not any(is_alive(pid) for pid in workers)


def start_site(site, server, manager, executable=None):
    """The server of a site, by a manager, with all that is stored."""
    s = manager.start(server, executable or site.executable, "serve", fdstore=1, port=None,
                      conf_file=site.conf, env={"LD_LIBRARY_PATH": BUILD}, tail=["--", site.code])
    s.wait_until(lambda: len(manager.names("prefork.state.")) == 1, "a whole store")
    return s


def test_a_new_executable_was_mixed_with_an_old_shared_object(site, server, manager):
    """What a manager starts is what is on disk: program, shared object and settings."""
    site = site("so")
    site.configure(port=own_port(), **POOL)
    first = start_site(site, server, manager)
    old = first.wait_workers(3)
    os.kill(first.pid, SIGKILL)
    assert first.wait_exit() == -SIGKILL
    site.deploy_next()
    site.configure(max_servers=4)
    site.server = second = start_site(site, server, manager)
    second.wait_workers(1)  # of four, while three of the last master live
    for pid in old:
        os.kill(pid, SIGKILL)
    second.wait_workers(4)
    assert site.serves() == "v2"
    assert second.stop() == 0


def test_a_reload_went_to_the_path_of_the_master_before(site, server, manager, tmp_path):
    """The unit may have been changed: the path is the one by which this one was started."""
    site = site("so")
    site.configure(port=own_port(), **POOL)
    first = start_site(site, server, manager)
    first.wait_workers(3)
    os.kill(first.pid, SIGKILL)
    assert first.wait_exit() == -SIGKILL
    other = tmp_path / "other"
    shutil.copy(site.executable, other)
    second = start_site(site, server, manager, other)
    second.signal(SIGHUP)
    second.wait_log(rf"starting {other} in this process")
    second.wait_log("reload 1: generation 2 serves")
    assert second.stop() == 0


def test_a_worker_that_no_state_names_leaves(server, manager):
    """It was stored, and its master died before it stored the state that has it."""
    first = managed(server, manager)
    port = ":".join(map(str, first.address))
    old = [(name, os.dup(fd)) for name, fd in manager.pump().store
           if name.startswith("prefork.state.")]
    workers = set(first.workers())
    os.kill(max(workers), SIGKILL)
    first.wait_until(lambda: len(manager.names("prefork.w.")) == 3
                     and manager.names("prefork.state.") != [name for name, _ in old], "the next")
    (newborn,) = set(first.wait_workers(3)) - workers
    os.kill(first.pid, SIGKILL)
    first.wait_exit()
    manager.replace("prefork.state.", old)
    second = managed(server, manager, port=port)
    second.wait_until(lambda: manager.pump() and not is_alive(newborn), "its end")
    second.wait_until(lambda: len(manager.names("prefork.w.")) == 3, "a store without it")
    assert second.stop() == 0


def test_who_connects_during_a_restart_is_served(server, manager):
    """The queue is that of the listener, which the manager has kept."""
    first = managed(server, manager)
    address = first.address
    assert first.stop() == 0
    with connect(address) as waiting:
        second = managed(server, manager, port=":".join(map(str, address)))
        assert converse(waiting, b"x\n") == b"x\n"
    assert manager.names("prefork.l.") != []
    assert second.stop() == 0
