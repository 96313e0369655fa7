"""Section (c) of the description: hooks of supervision, what children can say to their parent,
dequeue processes, the log. No test of Net::Server looks at them.

supervisor.c says each hook in the log, so a test reads which process ran what, with which
arguments and in which order.
"""

import fcntl
import re
from pathlib import Path
from signal import SIGHUP

import pytest

from service import HERE
from support import ANY_PORT, is_alive

STATIC = {"sizing": "static", "max_servers": 2}


def start(server, env=None, **settings):
    """The supervisor, with two workers."""
    return server.start(program(server), {**STATIC, **settings}, env=env)


def program(server):
    """A path."""
    return server.build((HERE / "supervisor.c").read_text())


def hooks(s, pid=None):
    """What ran in this process, or in all: "NAME arguments", in order."""
    who = str(pid) if pid else r"\d+"
    return [m.group(1) for m in s.find_log(rf"\[{who}\] notice: hook (.*)$")]


def ask(s, *wishes):
    """Lines of the answer."""
    return s.ask("".join(wish + "\n" for wish in wishes).encode()).decode().splitlines()


@pytest.mark.shows("hook:parent_read_hook")
def test_lines_to_the_parent(server):
    """It hears who said what."""
    s = start(server)
    pid, result = ask(s, "pid", "parent all is well")
    assert result == "0"
    s.wait_log(rf"\[{s.pid}\] notice: hook parent_read_hook {pid} all is well$")


@pytest.mark.shows("key:child_communication", "hook:child_is_talking_hook")
def test_a_stream_to_each_child(server):
    """Both ways; without the setting there is none."""
    s = start(server, child_communication=1)
    pid, first, second = ask(s, "pid", "talk one", "talk two")
    assert (first, second) == ("heard one", "heard two")
    assert hooks(s, s.pid).count(f"child_is_talking_hook {pid}") == 2
    assert ask(start(server), "talk one") == [""]


@pytest.mark.shows("hook:done", "prop:done", "hook:delete_child_hook", "hook:delete_child",
                   "hook:cleanup_dead_child_hook", "hook:child_finish_hook", "hook:register_child",
                   "hook:pre_fork_hook", "hook:child_init_hook")
def test_a_child_that_is_done(server):
    """Leaves after the connection, in order; its end is told once by each hook, and another
    takes its place."""
    s = start(server)
    s.wait_workers(2, "idle")
    (pid,) = ask(s, "pid", "done")
    s.wait_log(f"hook delete_child_hook {pid}$")
    assert hooks(s, pid)[0] == "child_init_hook worker"
    assert hooks(s, pid)[-1] == "child_finish_hook worker"
    told = [text for text in hooks(s, s.pid) if re.search(rf"\b{pid}\b", text)]
    assert told == [f"register_child {pid} worker", f"cleanup_dead_child_hook {pid} worker",
                    f"delete_child_hook {pid}"]
    s.wait_workers(2, "idle")
    births = [text for text in hooks(s, s.pid) if text.startswith(("pre_fork", "register"))]
    assert len(births) == 6 and births[4] == "pre_fork_hook worker"


@pytest.mark.shows("hook:other_child_died_hook")
@pytest.mark.parametrize("when", ["before the loop", "at some time"])
def test_a_child_of_the_programs_own(server, when):
    """Is reaped and told by the other hook, and is none of the pool's. Also one that ended
    before there was anybody to hear of it."""
    s = start(server, env={"SUPERVISOR_FOREIGN": when})
    pid = s.wait_log(r"hook other_child_died_hook (\d+) 7$").group(1)
    assert not is_alive(int(pid))
    assert not [text for text in hooks(s) if text.startswith("delete_child_hook")]


@pytest.mark.shows("hook:pre_accept_hook")
def test_before_each_wait(server):
    """The hook of a child that waits for a connection, also after one."""
    s = start(server, max_servers=1)
    (pid,) = s.wait_workers(1, "idle")
    s.wait_log(rf"\[{pid}\] notice: hook pre_accept_hook")
    mark = s.mark()
    ask(s, "pid")
    s.wait_log(rf"\[{pid}\] notice: hook pre_accept_hook", since=mark)


@pytest.mark.shows("key:check_for_dequeue", "key:max_dequeue", "hook:dequeue", "hook:run_dequeue",
                   "hook:pre_fork_hook", "hook:register_child", "hook:child_init_hook",
                   "hook:child_finish_hook", "signal:child:dequeue")
def test_dequeue_processes(server, tmp_path):
    """One after the other up to max_dequeue, beside the pool; hooks know what they are. They
    end by themselves, and with the server."""
    with open(tmp_path / "gate", "w", encoding="ascii") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        s = start(server, env={"SUPERVISOR_GATE": tmp_path / "gate"}, check_for_dequeue=0.05,
                  max_dequeue=2)
        s.wait_log("notice: hook dequeue$", count=2)
        first = pids_of_dequeue(s)
        assert len(first) == 2 and all(map(is_alive, first))
        fcntl.flock(gate, fcntl.LOCK_UN)
    s.wait_log("hook cleanup_dead_child_hook .* dequeue$", count=2)
    s.wait_log("notice: hook dequeue$", count=4)
    assert pids_of_dequeue(s)[:2] == first
    for pid in first:
        assert hooks(s, pid) == ["child_init_hook dequeue", "dequeue", "child_finish_hook dequeue"]
    assert hooks(s, s.pid).count("pre_fork_hook dequeue") >= 4
    assert ask(s, "pid")


def pids_of_dequeue(s):
    """In the order of their births."""
    return [int(m.group(1)) for m in s.find_log(r"hook register_child (\d+) dequeue$")]


@pytest.mark.shows("hook:restart_close_hook", "hook:restart_open_hook", "signal:parent:HUP")
def test_restart_hooks(server):
    """At HUP, before anything else happens."""
    s = start(server)
    old = set(s.wait_workers(2, "idle"))
    mark = s.mark()
    s.signal(SIGHUP)
    s.wait_until(lambda: not old & set(s.workers()) and len(s.workers("idle")) == 2, "new ones")
    seen = [m.group(1) for m in s.find_log(r"notice: hook (\w+)", since=mark)]
    seen = [name for name in seen if name.startswith(("restart", "pre_fork", "child_finish"))]
    assert seen[:2] == ["restart_close_hook", "restart_open_hook"]
    assert seen.count("pre_fork_hook") == 2


@pytest.mark.shows("hook:write_to_log_hook", "key:log_function")
def test_lines_go_to_the_hook(server, tmp_path):
    """Level, process and text; and nowhere else."""
    path = tmp_path / "lines"
    s = server.start(program(server), STATIC, wait=None, port=f"{tmp_path}/sock|unix",
                     env={"SUPERVISOR_LOG": path})
    s.pid = s.process.pid
    s.wait_workers(2, "idle")
    (pid,) = s.ask(b"pid\n", address=tmp_path / "sock").decode().split()
    assert s.stop() == 0
    lines = [line.split(" ", 2) for line in Path(path).read_text().splitlines()]
    assert ["2", str(s.pid), "ready"] in lines
    assert ["2", pid, "hook child_init_hook worker"] in lines
    assert {int(level) for level, _, _ in lines} <= set(range(5))
    assert s.log.text() == ""


@pytest.mark.shows("hook:fatal_hook")
def test_a_start_that_fails(server, tmp_path):
    """Is told to the hook, once."""
    done = server.command(program(server), "--port", ANY_PORT, "--pid_file", tmp_path / "no/pid")
    assert done.returncode == 71
    told = [line for line in done.stderr.splitlines() if line.startswith("fatal_hook: ")]
    assert len(told) == 1 and "pid_file" in told[0]


@pytest.mark.shows("key:tie_client_stdout", "key:no_client_stdout")
@pytest.mark.parametrize("settings, expected", [
    ({"tie_client_stdout": 1}, "1"), ({"no_client_stdout": 0}, "1"), ({}, "0"),
    ({"tie_client_stdout": 0}, "0")])
def test_the_connection_on_standard_input_and_output(server, settings, expected):
    """Only where it is asked for."""
    assert ask(start(server, **settings), "fd") == [expected]


@pytest.mark.root
@pytest.mark.shows("prop:chown_files", "key:user", "key:group", "key:chroot")
def test_files_for_the_new_user(server, open_path):
    """Are his, and the server is where he may not leave."""
    (open_path / "spool").mkdir()
    s = start(server, user=12345, group=23456, chown_files=open_path / "spool", chroot=open_path)
    status = (open_path / "spool").stat()
    assert (status.st_uid, status.st_gid) == (12345, 23456)
    for pid in (s.pid, *s.wait_workers(2)):
        assert Path(f"/proc/{pid}/root").readlink() == open_path
        assert Path(f"/proc/{pid}/cwd").readlink() == open_path
