"""The keeper: the process that was started stays, and starts another master if one dies."""

import os
import re
from signal import SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGTTIN, SIGUSR1, SIGUSR2

import psutil
import pytest

from support import (ANY_PORT, EXAMPLES, Log, is_alive, proc_fds, proc_status, title_of,
                     wait_until)


@pytest.fixture
def kept(server, tmp_path):
    """Starts an echo server with a keeper: s.process is the keeper, s.pid the master."""
    def start(*settings, **more):
        return server.start(EXAMPLES / "echo", *settings, keeper=1, min_servers=2, max_servers=4,
                            pid_file=tmp_path / "pid", **needed(tmp_path), **more)
    return start


def needed(tmp_path):
    """A setting of something that a start needs and that spoil() takes away."""
    (tmp_path / "needed").mkdir()
    return {"access_log_path": tmp_path / "needed" / "access"}


def keeper_of(s):
    """The pid of the keeper."""
    return psutil.Process(s.pid).ppid()


def workers_below(pid):
    """Pids of live workers, whoever is their parent now."""
    return sorted(p.pid for p in psutil.Process(pid).children(recursive=True)
                  if is_alive(p.pid) and "worker" in title_of(p.pid))


def spoil(tmp_path):
    """From now on a start fails."""
    (tmp_path / "needed").rename(tmp_path / "away")


def test_the_master_is_a_child_of_the_keeper(kept, tmp_path):
    """The keeper is what was started; the pid file names the master."""
    s = kept()
    keeper = s.process.pid
    assert keeper != s.pid and keeper_of(s) == keeper
    assert (tmp_path / "pid").read_text() == f"{s.pid}\n"
    s.wait_until(lambda: title_of(keeper) == "echo: keeper", "the keeper's title")
    assert title_of(s.pid) == "echo: master"
    assert os.getpgid(s.pid) == s.pid
    assert len(s.wait_workers(2)) == 2
    assert s.ask(b"x\n") == b"x\n"
    assert s.stop() == 0


def test_without_the_setting_there_is_none(server):
    """One process less."""
    s = server.start(EXAMPLES / "echo")
    assert s.pid == s.process.pid
    assert "prefork-state" not in "".join(proc_fds(s.pid).values())


@pytest.mark.parametrize("signum", [SIGTERM, SIGINT, SIGQUIT])
def test_the_keeper_passes_an_end_on(kept, signum):
    """Whoever knows only the process that was started can stop the server."""
    s = kept()
    master = s.pid
    os.kill(s.process.pid, signum)
    assert s.wait_exit() == 0
    assert s.find_log(rf"\[{master}\] notice: SIG{signum.name[3:]}: stopping")
    assert not is_alive(master)


def test_the_keeper_passes_other_signals_on(kept):
    """What they mean is up to the master."""
    s = kept()
    for signum, text in [(SIGUSR1, "SIGUSR1: "), (SIGTTIN, "SIGTTIN: min_servers 3"),
                         (SIGHUP, r".*SIGHUP"), (SIGUSR2, r".*SIGUSR2")]:
        since = s.mark()
        os.kill(s.process.pid, signum)
        s.wait_log(rf"\[{s.pid}\] \w+: {text}", since)
    assert s.stop() == 0


def test_a_stop_of_the_master_ends_the_keeper(kept, server, tmp_path):
    """prefork stop finds the master by the pid file, and waits for it."""
    s = kept()
    done = server.prefork("stop", "--pid-file", tmp_path / "pid")
    assert done.returncode == 0, done.stderr
    assert s.wait_exit() == 0
    assert not (tmp_path / "pid").exists()


def test_a_failed_start_is_told_as_without_a_keeper(server, tmp_path):
    """The exit status is the master's, and nobody tries again."""
    s = server.start(EXAMPLES / "echo", keeper=1, pid_file=tmp_path / "none" / "pid", wait=None)
    assert s.wait_exit() == 71
    assert "is the directory there" in s.text()
    assert "the next one" not in s.text()


def test_a_daemon_has_one_too(server, tmp_path):
    """The starter hears of the master; the keeper leaves the terminal as the master does."""
    log = tmp_path / "log"
    s = server.start(EXAMPLES / "echo", keeper=1, background=1, log_file=log,
                     pid_file=tmp_path / "pid")
    keeper = keeper_of(s)
    s.wait_until(lambda: title_of(keeper) == "echo: keeper", "the keeper's title")
    assert int((tmp_path / "pid").read_text()) == s.pid
    for pid in (keeper, s.pid):
        s.wait_until(lambda pid=pid: (proc_fds(pid)[1], proc_fds(pid)[2]) == ("/dev/null", str(log)),
                     "no terminal")
    master, s.pid = s.pid, keeper  # which is the one that this process adopts
    os.kill(master, SIGTERM)
    assert s.wait_exit() == 0


def test_a_daemon_that_fails_says_why(server, tmp_path):
    """The keeper does not hold the starter's pipe."""
    s = server.start(EXAMPLES / "echo", keeper=1, background=1, wait=None,
                     log_file=tmp_path / "log", pid_file=tmp_path / "none" / "pid")
    assert s.process.wait(15) == 71
    s.status = 71
    assert "is the directory there" in s.text()


def test_the_keeper_s_end_is_noticed(kept):
    """A warning, once, and the server goes on."""
    s = kept()
    keeper = s.process.pid
    os.kill(keeper, SIGKILL)
    s.process.wait()
    s.wait_log(r"warning: the keeper is gone")
    assert s.ask(b"x\n") == b"x\n"
    s.starter_status = 0  # from here on it is the master that is ours
    assert s.stop() == 0
    assert len(s.find_log("the keeper is gone")) == 1


def test_what_the_keeper_holds(kept):
    """Copies of what the master has; of workers only those that live."""
    s = kept()
    s.wait_workers(2)
    keeper = s.process.pid

    def held():
        return sorted(proc_fds(keeper).values())

    def channels(pid):
        return {link for link in proc_fds(pid).values() if link.startswith("socket:")}

    s.wait_until(lambda: len(channels(keeper) & channels(s.pid)) == 3, "a listener, two channels")
    for name in ("prefork-board", "prefork-hints", "prefork-state"):
        assert sum(name in link for link in held()) == 1
    old = channels(keeper) & channels(s.pid)
    os.kill(s.workers()[0], SIGKILL)
    s.wait_until(lambda: len((channels(keeper) & channels(s.pid)) - old) == 1, "a new channel")
    s.wait_until(lambda: len(channels(keeper) & old) == 2, "one channel less")
    s.wait_until(lambda: sum("prefork-state" in link for link in held()) == 1, "one state")
    assert s.stop() == 0


def test_a_steady_server_stores_nothing(kept):
    """Requests alone are no reason."""
    s = kept(sizing="static")
    s.wait_workers(4)
    keeper = psutil.Process(s.process.pid)
    s.wait_until(lambda: "sleeping" in keeper.status(), "a keeper that has nothing to do")
    before = proc_status(keeper.pid)["voluntary_ctxt_switches"]
    for _ in range(50):
        assert s.ask(b"x\n") == b"x\n"
    assert proc_status(keeper.pid)["voluntary_ctxt_switches"] == before
    assert s.stop() == 0


def test_workers_have_no_way_to_the_keeper(kept):
    """They could speak for the master otherwise."""
    s = kept()
    keeper = s.process.pid
    (worker, *_) = s.wait_workers(2)
    pair = [line for line in proc_fds(worker).values() if "prefork-state" in line]
    assert not pair
    os.kill(keeper, SIGKILL)
    s.process.wait()
    s.wait_log("the keeper is gone")  # at once: nobody else has that end
    s.starter_status = 0
    assert s.stop() == 0


def test_the_keeper_s_log_is_opened_again(server, tmp_path):
    """After a rotation it holds the new file, and not the old one."""
    log = tmp_path / "log"
    s = server.start(EXAMPLES / "echo", keeper=1, log_file=log)
    log.rename(tmp_path / "log.1")
    s.signal(SIGUSR1)
    wait_until(log.exists, "the new log")
    s.wait_until(lambda: str(log) in proc_fds(s.process.pid).values(), "the keeper's new log")
    assert str(tmp_path / "log.1") not in proc_fds(s.process.pid).values()
    assert s.stop() == 0


def test_a_reload_leaves_nothing_on_the_shelf(kept):
    """The next program in the master's process goes on where the last one was."""
    s = kept(sizing="static")
    s.wait_workers(4)

    def held():
        return len([link for link in proc_fds(s.process.pid).values() if "socket:" in link])

    s.wait_until(lambda: "prefork-state" in str(proc_fds(s.process.pid)), "a whole shelf")
    before = held()
    for number in (1, 2):
        s.signal(SIGHUP)
        s.wait_log(rf"reload {number}: generation {number + 1} serves")
    s.wait_until(lambda: held() == before, "as many sockets as before")
    s.wait_until(lambda: str(proc_fds(s.process.pid)).count("prefork-state") == 1, "one state")
    assert s.stop() == 0


# ---- no master lives -------------------------------------------------------------------

def kill_for_good(s, tmp_path):
    """Kill the master, and let no other one start. What is left of the server is the keeper."""
    s.wait_until(lambda: "prefork-state" in str(proc_fds(s.process.pid)), "a whole shelf")
    spoil(tmp_path)
    master, s.pid = s.pid, s.process.pid
    os.kill(master, SIGKILL)
    s.wait_log(r"master \d+ ended with status 71; the next one in 0.1 s")


# A master that was just being started may have been ended by the signal, and the keeper ends
# like it.
ENDED = (0, 71, -SIGTERM)


def stop_without_master(s):
    """By the only process that there is."""
    os.kill(s.pid, SIGTERM)
    assert s.wait_exit() in ENDED


def test_workers_serve_on_while_no_master_starts(kept, tmp_path):
    """Starts are tried ever less often, and each end is a line."""
    s = kept()
    old, address = s.wait_workers(2), s.address
    kill_for_good(s, tmp_path)
    s.wait_log(r"error: master \d+ killed by signal 9 \(Killed\); the next one in 0.0 s")
    for pause in ("0.1", "0.2", "0.4"):
        s.wait_log(rf"ended with status 71; the next one in {re.escape(pause)} s")
        assert s.ask(b"x\n", address=address) == b"x\n"
    assert workers_below(s.pid) == old
    stop_without_master(s)
    assert not any(is_alive(pid) for pid in old)


def test_a_stop_without_a_master_lets_requests_end(kept, tmp_path):
    """Workers find that nobody is there any more, and leave between two connections."""
    s = kept()
    s.wait_workers(2)
    c = s.connect()
    c.sendall(b"one\n")
    assert c.recv(10) == b"one\n"
    kill_for_good(s, tmp_path)
    os.kill(s.pid, SIGTERM)
    s.wait_until(lambda: len(workers_below(s.pid)) == 1, "the end of the others")
    c.sendall(b"two\n")
    assert c.recv(10) == b"two\n"
    c.close()
    assert s.wait_exit() in ENDED


def test_a_stop_without_a_master_has_an_end(kept, tmp_path):
    """Who does not leave is signalled."""
    s = kept(stop_timeout=0)
    s.wait_workers(2)
    c = s.connect()
    c.sendall(b"one\n")
    assert c.recv(10) == b"one\n"
    kill_for_good(s, tmp_path)
    stop_without_master(s)
    assert c.recv(10) == b""


# ---- what goes together ------------------------------------------------------------------

@pytest.mark.parametrize("settings, message", [
    ({"chroot": "/"}, "keeper: cannot go with chroot"),
    ({"user": "nobody", "keep_capabilities": "cap_net_raw"},
     "keeper: cannot go with keep_capabilities"),
])
def test_what_another_master_could_not_be_given_is_refused(server, settings, message):
    """Named, with what to do instead."""
    done = server.command(EXAMPLES / "echo", "--keeper",
                          *[f"--{key}={value}" for key, value in settings.items()])
    assert done.returncode == 78
    assert message in done.stderr and "fdstore" in done.stderr


def test_a_server_without_workers_has_no_keeper(server):
    """That is said, and it starts."""
    s = server.start(EXAMPLES / "echo", keeper=1, prefork=0)
    assert s.pid == s.process.pid
    assert s.find_log("keeper 1 .* is not used")
    assert s.stop() == 0


@pytest.mark.root
def test_the_keeper_gives_up_root(server, tmp_path):
    """It is whoever the master is, once the server is ready."""
    tmp_path.chmod(0o755)
    s = server.start(EXAMPLES / "echo", keeper=1, user="nobody", port=ANY_PORT)
    uids = proc_status(s.pid)["Uid"]
    assert uids.split()[0] != "0"
    s.wait_until(lambda: proc_status(s.process.pid)["Uid"] == uids, "a keeper without rights")
    assert int(proc_status(s.process.pid)["CapPrm"], 16) == 0
    os.kill(s.process.pid, SIGTERM)
    assert s.wait_exit() == 0


def test_programs_that_accept_outlive_the_master(server, tmp_path):
    """They are not told to die with it: the next one finds them."""
    program = server.script("exec sleep 1000", name="waits")
    s = server.serve(program, handler="wait", keeper=1, min_servers=1, **needed(tmp_path))
    (worker,) = s.wait_workers(1)
    kill_for_good(s, tmp_path)
    assert is_alive(worker)
    stop_without_master(s)
    assert not is_alive(worker)
