"""Supervision as users of Net::Server know it: what master and workers say to each other,
who may stop the server, dequeue processes, and signals, single workers' included.

Most tests ask programs/family.c, whose workers do what a connection tells them to.
"""

import os
import re
import signal
import socket
from signal import SIGHUP, SIGKILL, SIGTERM, SIGUSR2

import psutil
import pytest

from support import proc_fds, proc_status, read_line

ONE = {"sizing": "static", "max_servers": 1}


class Talk:
    """One connection to a worker, a question at a time."""

    def __init__(self, s):
        self.socket = s.connect()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def ask(self, question):
        """One line for one line."""
        self.socket.sendall(question.encode() + b"\n")
        return read_line(self.socket).decode().rstrip("\n")


def hooks_of(s, pid, since=0):
    """Names and arguments of hooks as programs/hooks.c logs them, of one process."""
    found = s.find_log(rf"\[{pid}\] notice: hook (.*)$", since)
    return [match.group(1) for match in found]


def rests(pid):
    """Asleep: a process that spins never is."""
    return proc_status(pid)["State"][0] == "S"


# ---- hooks ---------------------------------------------------------------------------------


def test_hooks_around_a_restart(server):
    """close, open, then the first new worker; then the old one is told and forgotten."""
    s = server.start(server.program("hooks"), **ONE)
    (old,) = s.wait_workers(1, "idle")
    mark = s.mark()
    s.signal(SIGUSR2)
    s.wait_log(f"hook delete_child_hook pid={old}$", mark)
    (new,) = s.wait_workers(1, "idle")
    hooks = [re.sub(r" slot=.*", "", hook) for hook in hooks_of(s, s.pid, mark)]
    assert hooks == [
        "restart_close_hook", "restart_open_hook",
        "run_n_children_hook n=1", "pre_fork_hook kind=0", f"register_child pid={new} kind=0",
        f"cleanup_dead_child_hook pid={old} kind=0", f"delete_child_hook pid={old}"]


def test_hooks_around_a_reload(server):
    """The old program closes; the new one starts as always, opens when it has its sockets, and
    has its first worker beside the old one, which is then told and forgotten."""
    s = server.start(server.program("hooks"), **ONE)
    (old,) = s.wait_workers(1, "idle")
    mark = s.mark()
    s.signal(SIGHUP)
    s.wait_log(f"hook delete_child_hook pid={old}$", mark)
    (new,) = s.wait_workers(1, "idle")
    hooks = [re.sub(r" (slot|listener)=.*", "", hook) for hook in hooks_of(s, s.pid, mark)
             if hook != "idle_loop_hook"]
    assert hooks == [
        "restart_close_hook", "configure_hook", "post_configure_hook", "after_init",
        "restart_open_hook", "post_bind_hook", "pre_loop_hook",
        "run_n_children_hook n=1", "pre_fork_hook kind=0", f"register_child pid={new} kind=0",
        f"cleanup_dead_child_hook pid={old} kind=0", f"delete_child_hook pid={old}"]


def test_hooks_around_a_worker_that_is_replaced(server):
    """max_requests: told once, forgotten, and then another is born."""
    s = server.start(server.program("hooks"), **ONE, max_requests=1, max_requests_jitter=0)
    (old,) = s.wait_workers(1, "idle")
    mark = s.mark()
    assert s.ask(b"yes\n").startswith(b"served")
    s.wait_log("register_child", mark)
    names = [hook.split()[0] for hook in hooks_of(s, s.pid, mark)]
    assert names == ["cleanup_dead_child_hook", "delete_child_hook", "run_n_children_hook",
                     "pre_fork_hook", "register_child"]
    s.wait_log(rf"\[{old}\] notice: hook child_finish_hook requests=1 kind=0$")


def test_other_child_died_hook(server):
    """A child of the program's own, started before the loop: pid and status; no zombie."""
    s = server.start(server.program("family"), **ONE, env={"FORK": "1"})
    pid = int(s.wait_log(r"forked (\d+)").group(1))
    s.wait_log(f"other child {pid} ended with 7$")
    s.wait_until(lambda: not psutil.pid_exists(pid), "the end of the zombie")
    assert len(s.find_log("other child")) == 1


def test_without_that_hook_children_of_the_program_are_its_own(server):
    """Nobody else waits for them, whatever else is reaped."""
    s = server.start(server.program("family"), **ONE, env={"FORK": "1", "NO_HOOKS": "1"})
    pid = int(s.wait_log(r"forked (\d+)").group(1))
    (worker,) = s.wait_workers(1, "idle")
    os.kill(worker, SIGKILL)
    s.wait_until(lambda: s.workers("idle") not in ([], [worker]), "another worker")
    assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


# ---- lines to the master -------------------------------------------------------------------


def test_a_line_reaches_parent_read_hook(server):
    """With the pid of who said it."""
    s = server.start(server.program("family"), **ONE)
    with Talk(s) as c:
        pid = c.ask("pid")
        assert c.ask("tell how do you do?") == "0"
        s.wait_log(f"line {pid}: how do you do\\?$")
        assert c.ask("tell ") == "0"
        s.wait_log(f"line {pid}: $")


def test_what_is_no_line_is_refused(server):
    """More than 1000 bytes, or two lines; 1000 are fine."""
    s = server.start(server.program("family"), **ONE)
    with Talk(s) as c:
        assert c.ask("tell_long 1001") == "-90"
        assert c.ask("tell_newline") == "-22"
        assert c.ask("tell_long 1000") == "0"
    s.wait_log("line [0-9]+: l{300}")


def test_all_lines_come_in_order(server):
    """Though the hook says each time that it has had enough for this turn."""
    s = server.start(server.program("family"), **ONE)
    with Talk(s) as c:
        assert c.ask("tell_lines 100") == "100"
    s.wait_log("line [0-9]+: number 99$")
    numbers = [int(m.group(1)) for m in s.find_log(r"line \d+: number (\d+)$")]
    assert numbers == list(range(100))


def test_last_words_are_heard(server):
    """A worker that ends right after it spoke."""
    s = server.start(server.program("family"), **ONE)
    with Talk(s) as c:
        c.socket.sendall(b"tell_lines 100\ntell the end\nquit\n")
        s.wait_log("line [0-9]+: the end$")
    assert len(s.find_log("line [0-9]+: number")) == 100


def test_a_master_that_does_not_read_makes_nobody_wait(server):
    """Lines are refused when the channel is full; all that were taken are heard later."""
    s = server.start(server.program("family"), **ONE)
    with Talk(s) as c:
        s.signal(signal.SIGSTOP)
        told = int(c.ask("tell_lines 100000"))
        assert 0 < told < 100000
        assert c.ask("tell no room") == "-11"
        s.signal(signal.SIGCONT)
        s.wait_log(f"line [0-9]+: number {told - 1}$")
    assert len(s.find_log("line [0-9]+: number")) == told


def test_lines_without_a_hook_are_dropped(server):
    """One debug line each; the server goes on."""
    s = server.start(server.program("family"), **ONE, log_level=4, env={"NO_HOOKS": "1"})
    with Talk(s) as c:
        pid = c.ask("pid")
        assert c.ask("tell anybody?") == "0"
        s.wait_log(f"no parent_read_hook for a line of process {pid}: anybody\\?$")


def test_garbage_on_the_channel_is_dropped(server):
    """Records of all kinds and sizes; the next line is heard, and nothing else happened."""
    s = server.start(server.program("family"), **ONE)
    with Talk(s) as c:
        assert int(c.ask("garbage")) > 50
        assert c.ask("tell after it") == "0"
        s.wait_log("line [0-9]+: after it$")
        assert c.ask("pid") == str(s.workers()[0])
    assert not s.find_log("stopping|could not start|cannot run")


def test_a_flood_of_lines_starves_nobody(server):
    """Another worker is heard meanwhile, a dead one is replaced, and SIGTERM ends the server."""
    s = server.start(server.program("family"), sizing="static", max_servers=3)
    floods = [Talk(s), Talk(s)]
    for flood in floods:
        assert flood.ask("flood tell") == "begins"
        flood.socket.shutdown(socket.SHUT_WR)  # nothing more is asked
    with Talk(s) as c:
        quiet = int(c.ask("pid"))
    os.kill(quiet, SIGKILL)
    s.wait_until(lambda: len(s.workers()) == 3 and quiet not in s.workers(), "another worker")
    with Talk(s) as c:
        assert int(c.ask("pid")) in s.workers()
    assert s.stop() == 0
    for flood in floods:
        flood.socket.close()


def test_a_killed_talker_leaves_nothing_behind(server):
    """Its descriptors are closed in the master, and others are not disturbed."""
    s = server.start(server.program("family"), **ONE, child_communication=1)
    s.wait_workers(1, "idle")
    before = len(proc_fds(s.pid))
    for kind in ("tell", "say"):
        with Talk(s) as c:
            pid = int(c.ask("pid"))
            assert c.ask(f"flood {kind}") == "begins"
            os.kill(pid, SIGKILL)
            s.wait_until(lambda old=pid: s.workers("idle") not in ([], [old]), "another")
    s.wait_until(lambda: len(proc_fds(s.pid)) == before, "the same descriptors")


# ---- who stops the server ------------------------------------------------------------------


def test_W08_a_worker_may_ask_the_server_to_stop(server, tmp_path):
    """It goes on itself, and the master ends in its own way: nothing is left behind."""
    path, pid_file = tmp_path / "s", tmp_path / "pid"
    s = server.start(server.program("family"), sizing="static", max_servers=3, pid_file=pid_file,
                     port=f"{path}|unix")
    with Talk(s) as c:
        pid = c.ask("pid")
        assert c.ask("stop it is enough") == "goes on"
        s.wait_log(rf"it is enough \(process {pid}\): stopping$")
        s.wait_log("reason: it is enough$")
        assert c.ask("pid") == pid
    assert s.wait_exit() == 0
    assert len(s.find_log("finish$")) == 3
    assert not path.exists() and not pid_file.exists()


def test_W08_many_workers_that_want_the_same_hurry_nobody(server):
    """A second wish is no second SIGTERM: the running request is served to its end."""
    s = server.start(server.program("family"), sizing="static", max_servers=3, stop_timeout=60)
    talks = [Talk(s) for _ in range(3)]
    assert len({c.ask("pid") for c in talks}) == 3
    for c in talks:
        for _ in range(3):
            assert c.ask("stop") == "goes on"
    s.wait_log("prefork_stop.*: stopping$")
    for c in talks:
        assert c.ask("pid").isdigit()
        c.socket.close()
    assert s.wait_exit() == 0
    assert len(s.find_log("stopping")) == 1 and not s.find_log("sent SIG")


def test_W08_no_close_by_child_ends_the_worker_alone(server):
    """After its connection, with its hook; the server goes on, its listener untouched."""
    s = server.start(server.program("family"), **ONE, no_close_by_child=1)
    with Talk(s) as c:
        pid = int(c.ask("pid"))
        assert c.ask("stop me") == "goes on"
        assert c.ask("pid") == str(pid)
    s.wait_until(lambda: s.workers("idle") not in ([], [pid]), "another worker")
    assert s.wait_log(rf"\[{pid}\] notice: finish$")
    with Talk(s) as c:
        assert c.ask("pid") == str(s.workers()[0])
    assert not s.find_log("stopping")


def test_W08_the_value_0_is_off(server):
    """A boolean, unlike there."""
    s = server.start(server.program("family"), **ONE, no_close_by_child=0)
    with Talk(s) as c:
        assert c.ask("stop") == "goes on"
    assert s.wait_exit() == 0


def test_a_wish_to_stop_is_not_lost_in_a_full_channel(server):
    """Only its reason is."""
    s = server.start(server.program("family"), **ONE)
    with Talk(s) as c:
        s.signal(signal.SIGSTOP)
        assert int(c.ask("tell_lines 100000")) < 100000
        assert c.ask("stop unheard") == "goes on"
        s.signal(signal.SIGCONT)
        s.wait_log(r"prefork_stop \(process [0-9]+\): stopping$")
    assert s.wait_exit() == 0


def test_a_hook_of_the_master_may_stop_it(server):
    """In the next turn, with its reason."""
    s = server.start(server.program("family"), **ONE)
    with Talk(s) as c:
        assert c.ask("tell stop in the master") == "0"
    s.wait_log("notice: the hook wants it: stopping$")
    assert s.wait_exit() == 0


def test_prefork_done(server):
    """The worker leaves after the connection it serves."""
    s = server.start(server.program("family"), **ONE)
    with Talk(s) as c:
        pid = int(c.ask("pid"))
        assert c.ask("done") == "1"
        assert c.ask("pid") == str(pid)
    s.wait_log(rf"\[{pid}\] notice: finish$")
    s.wait_until(lambda: s.workers("idle") not in ([], [pid]), "another worker")


# ---- child_communication -------------------------------------------------------------------


def test_both_ends_talk(server):
    """What the master wrote in register_child, and a question with an answer."""
    s = server.start(server.program("family"), **ONE, child_communication=1)
    with Talk(s) as c:
        pid = c.ask("pid")
        assert c.ask("hear") == "welcome"
        assert c.ask("say echo this") == "10"
        assert c.ask("hear") == "echo this"
        s.wait_log(f"talk {pid}: echo this")


def test_without_the_setting_there_is_no_wire(server):
    """prefork_parent_fd() is -1, and so is prefork_child_fd()."""
    s = server.start(server.program("family"), **ONE)
    with Talk(s) as c:
        assert c.ask("say something") == "-1"


def test_siblings_share_no_wire(server):
    """Apart from listeners no socket of one worker is in another."""
    s = server.start(server.program("family"), sizing="static", max_servers=4,
                     child_communication=1)
    workers = s.wait_workers(4, "idle")
    sockets = [{link for link in proc_fds(pid).values() if link.startswith("socket:")}
               for pid in workers]
    shared = set.intersection(*sockets)
    assert len(shared) == 1
    for i, own in enumerate(sockets):
        assert len(own - shared) == 2
        assert not any(own & other != shared for other in sockets[:i])


def test_a_hook_that_reads_byte_by_byte_gets_all(server):
    """What it leaves it is called for again, until nothing is left."""
    s = server.start(server.program("family"), **ONE, child_communication=1,
                     env={"TALK": "byte"})
    with Talk(s) as c:
        pid = c.ask("pid")
        assert c.ask("say abcdefghij") == "11"
    s.wait_log(f"talk {pid}: j$")
    text = "".join(m.group(1) for m in s.find_log(rf"talk {pid}: (\w)$"))
    assert text == "abcdefghij"


def test_W26_a_hook_that_does_not_read_keeps_nobody_awake(server):
    """It is told once, called again when more comes, and the master sleeps."""
    s = server.start(server.program("family"), **ONE, child_communication=1,
                     env={"TALK": "none"})
    with Talk(s) as c:
        for count in range(1, 4):
            assert c.ask("say hello") == "6"
            s.wait_log("does not read$", count=count)
        for _ in range(20):
            s.wait_until(lambda: rests(s.pid), "the master to sleep")
        assert c.ask("pid").isdigit()
    assert len(s.find_log("does not read$")) == 3
    assert len(s.find_log("warning: child_is_talking_hook left 6 bytes")) == 1


@pytest.mark.parametrize("talk", ["none", "all"])
def test_W26_an_end_of_stream_is_dropped(server, talk):
    """The master closes its end and sleeps, whatever the hook does."""
    s = server.start(server.program("family"), **ONE, child_communication=1, env={"TALK": talk})
    s.wait_workers(1, "idle")
    before = len(proc_fds(s.pid))
    with Talk(s) as c:
        assert c.ask("hang_up") == "0"
        s.wait_until(lambda: len(proc_fds(s.pid)) == before - 1, "the closed end")
        for _ in range(20):
            s.wait_until(lambda: rests(s.pid), "the master to sleep")
        assert c.ask("pid").isdigit()


def test_W26_without_the_hook_the_master_sleeps(server):
    """Nobody waits for a wire that nobody reads."""
    s = server.start(server.program("family"), **ONE, child_communication=1,
                     env={"NO_HOOKS": "1"})
    with Talk(s) as c:
        assert c.ask("say anybody?") == "9"
        for _ in range(20):
            s.wait_until(lambda: rests(s.pid), "the master to sleep")


def test_last_words_on_the_wire_are_heard(server):
    """A worker that ends right after it spoke."""
    s = server.start(server.program("family"), **ONE, child_communication=1)
    with Talk(s) as c:
        pid = c.ask("pid")
        c.socket.sendall(b"say farewell\nquit\n")
        s.wait_log(f"talk {pid}: farewell")


def test_a_flood_on_the_wire_starves_nobody(server):
    """Others serve, a dead worker is replaced, and SIGTERM ends the server."""
    s = server.start(server.program("family"), sizing="static", max_servers=3,
                     child_communication=1, stop_timeout=0)
    floods = [Talk(s), Talk(s)]
    for flood in floods:
        assert flood.ask("flood say") == "begins"
    with Talk(s) as c:
        quiet = int(c.ask("pid"))
    os.kill(quiet, SIGKILL)
    s.wait_until(lambda: len(s.workers()) == 3 and quiet not in s.workers(), "another worker")
    assert s.stop() == 0
    for flood in floods:
        flood.socket.close()


# ---- restarts ------------------------------------------------------------------------------


def environment_of(s):
    """As a worker sees it."""
    with Talk(s) as c:
        return c.ask("environment").split()


def restart(s, count):
    """SIGHUP, and wait for workers that are all new."""
    old = s.wait_workers(count, "idle")
    s.signal(SIGHUP)
    s.wait_until(lambda: len(s.workers("idle")) == count and not set(old) & set(s.workers()),
                 "new workers")


def test_W11_a_restart_leaves_nothing_behind(server):
    """No zombies, no variables, no descriptors, however often it happens."""
    s = server.start(server.program("family"), sizing="static", max_servers=3,
                     child_communication=1)
    s.wait_workers(3, "idle")
    variables, fds = environment_of(s), len(proc_fds(s.pid))
    for _ in range(3):
        restart(s, 3)
    assert environment_of(s) == variables
    s.wait_workers(3, "idle")
    s.wait_until(lambda: len(psutil.Process(s.pid).children()) == 3, "three children")
    assert len(proc_fds(s.pid)) == fds


def test_W12_a_restart_changes_neither_path_nor_directory(server, tmp_path):
    """PATH and working directory of new workers are those of the first."""
    s = server.start(server.program("family"), **ONE, cwd=tmp_path, env={"KEPT": "yes"})
    before = environment_of(s)
    assert "KEPT=yes" in before and any(v.startswith("PATH=") for v in before)
    restart(s, 1)
    assert environment_of(s) == before
    (worker,) = s.workers()
    assert os.readlink(f"/proc/{worker}/cwd") == str(tmp_path)


def test_W12_a_restart_that_fails_does_not_end_the_server(server, tmp_path):
    """Workers of before serve on; when the cause is gone, new ones take over."""
    needed = tmp_path / "needed"
    needed.touch()
    s = server.start(server.program("family"), sizing="static", max_servers=4, max_recycling=1,
                     env={"INIT_NEEDS": needed})
    old = s.wait_workers(4, "idle")
    needed.unlink()
    s.signal(SIGUSR2)
    s.wait_log("bad starts in a row")
    with Talk(s) as c:
        assert int(c.ask("pid")) in old
    needed.touch()
    s.wait_until(lambda: len(s.workers("idle")) == 4 and not set(old) & set(s.workers()),
                 "new workers", timeout=60)


# ---- how ends are told ---------------------------------------------------------------------


@pytest.mark.parametrize("signum, said", [(SIGKILL, "signal=9"), (SIGTERM, "status=0"),
                                          (SIGUSR2, "signal=12")])
def test_W14_one_hook_tells_every_end(server, signum, said):
    """Whatever it was: once, with pid, slot and cause; then the pid is forgotten."""
    s = server.start(server.program("hooks"), **ONE)
    (pid,) = s.wait_workers(1, "idle")
    os.kill(pid, signum)
    s.wait_log(f"hook delete_child_hook pid={pid}$")
    ends = [hook for hook in hooks_of(s, s.pid) if f"_child_hook pid={pid}" in hook]
    assert len(ends) == 2
    assert ends[0].startswith(f"cleanup_dead_child_hook pid={pid} kind=0 slot=0 {said} requests=0")
