"""A server without workers: prefork 0 (min_servers 0).

What would be the master does the work. The tests look at what stays the same: the start, the
hooks, the files, signals, the exit status; and at what is told where nothing can be the same.
"""

import os
import re
import socket
from signal import SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGUSR1, SIGUSR2

import psutil
import pytest

from support import EXAMPLES, flags, is_alive, is_refused, proc_fds, proc_status, title_of

pytestmark = pytest.mark.shows("rule:prefork-0")

ALONE = {"prefork": 0}
UNAVAILABLE, SYSTEM, CONFIG = 69, 71, 78


def solo(server, mode="wait", **settings):
    """The program solo, in one process."""
    env = {"SOLO": mode, **settings.pop("env", {})}
    settings.setdefault("port", None)
    return server.start(server.program("solo"), **ALONE, env=env, **settings)


def children_of(server):
    """Pids of what the server has started."""
    return [c.pid for c in psutil.Process(server.pid).children() if is_alive(c.pid)]


def steps(server):
    """What the program said, in order, by the process of the server."""
    said = re.findall(rf"solo\[{server.pid}\] notice: (\w+(?: ends)?) parent=(\d)"
                      r"|^(before_shutdown \w+|child_finish)$|notice: (ready|SIG\w+: stopping)",
                      server.text(), re.MULTILINE)
    return [" ".join(word for word in words if word) for words in said]


# ---- one process ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["wait", "look"])
@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT"])
def test_main_loop_runs_in_the_process_itself(server, tmp_path, mode, name):
    """All hooks in their order, no child; a signal is seen at once and ends it with status 0."""
    s = solo(server, mode, pid_file=tmp_path / "pid")
    s.wait_log("loop parent=1")
    assert children_of(s) == []
    assert (tmp_path / "pid").read_text() == f"{s.pid}\n"
    assert title_of(s.pid) == "solo: master and worker idle"
    assert s.stop({"TERM": SIGTERM, "INT": SIGINT, "QUIT": SIGQUIT}[name]) == 0
    assert steps(s) == ["after_init 1", "pre_loop 1", "child_init 1", "ready", "loop 1",
                        f"SIG{name}: stopping", f"before_shutdown {name}", "loop ends 1",
                        "child_finish", "pre_server_close 1", "post_child_cleanup 1"]
    assert s.wait_log("stopped after 0 connections")
    assert not (tmp_path / "pid").exists()


def test_a_main_loop_that_returns_ends_the_server(server, tmp_path):
    """With status 0; nobody asked for a stop, so before_shutdown is not called."""
    s = solo(server, "return", pid_file=tmp_path / "pid")
    assert s.wait_exit() == 0
    assert steps(s)[3:] == ["ready", "loop 1", "child_finish", "pre_server_close 1",
                            "post_child_cleanup 1"]
    assert not (tmp_path / "pid").exists()


def test_prefork_done_ends_the_server(server):
    """It is the only process that could leave."""
    s = solo(server, "done")
    assert s.wait_exit() == 0
    assert "before_shutdown" not in s.text()


def test_prefork_stop_has_its_reason(server):
    """As in a pool: logged and given to before_shutdown."""
    s = solo(server, "stop")
    assert s.wait_exit() == 0
    assert s.wait_log("notice: enough: stopping")
    assert s.text().count("before_shutdown enough\n") == 1


def test_prefork_stop_in_a_hook_of_the_start(server):
    """The loop does not begin, and the end is a normal one."""
    s = solo(server, "early", wait="too early: stopping")
    assert s.wait_exit() == 0
    assert " loop parent" not in s.text()
    assert s.text().count("before_shutdown too early\n") == 1


def test_the_daemon(server, tmp_path):
    """Background, log and pid file are those of every server, and the starter is told."""
    s = solo(server, background=1, pid_file=tmp_path / "pid", log_file=tmp_path / "log")
    assert s.starter_status == 0
    assert (tmp_path / "pid").read_text() == f"{s.pid}\n"
    fds = proc_fds(s.pid)
    assert (fds[0], fds[1], fds[2]) == ("/dev/null", "/dev/null", str(tmp_path / "log"))
    assert children_of(s) == []
    assert s.stop() == 0
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize("background", [0, 1])
def test_child_init_hook_refuses(server, tmp_path, background):
    """Status 69 and the sentence; nothing stays."""
    done = server.command(server.program("solo"), *flags(
        **ALONE, background=background, log_file=tmp_path / "log", pid_file=tmp_path / "pid"),
        env={"SOLO_REFUSE": 1})
    assert done.returncode == UNAVAILABLE
    assert "child_init_hook refused to start (7)" in done.stderr
    assert not (tmp_path / "pid").exists()
    assert " loop parent" not in (tmp_path / "log").read_text()


@pytest.mark.root
def test_privileges_are_dropped(server):
    """All of the start stays, the drop too."""
    s = solo(server, user="nobody")
    assert set(proc_status(s.pid)["Uid"].split()) == {"65534"}
    assert int(proc_status(s.pid)["CapEff"], 16) == 0


# ---- connections ---------------------------------------------------------------------------


def test_connections_are_served_by_the_process_itself(server):
    """One after the other; a client that waits is served when the one before has gone."""
    s = server.start("echo", **ALONE)
    with s.connect() as first, s.connect() as second:
        first.sendall(b"one\n")
        assert first.recv(100) == b"one\n"
        second.sendall(b"two\n")
        assert title_of(s.pid) == "echo: master and worker busy"
        first.close()
        assert second.recv(100) == b"two\n"
    assert children_of(s) == []
    assert s.stop() == 0
    assert s.wait_log("stopped after 2 connections")


def test_all_hooks_of_a_connection(server):
    """The same order as in a pool, and none of those that are about children."""
    s = server.start(server.program("hooks"), **ALONE)
    assert s.ask(b"hello\n") == b"served\nstill open\n"
    assert s.stop() == 0
    names = [m.group(1) for m in s.find_log(r"notice: hook (\w+)")]
    assert names.count("pre_accept_hook") >= 2  # and after a wait that a signal ended
    names = [name for name in names if name != "pre_accept_hook"]
    assert names == ["configure_hook", "post_configure_hook", "after_init", "post_bind_hook",
                     "pre_loop_hook", "child_init_hook", "post_accept_hook", "allow_deny_hook",
                     "process_request", "post_process_request_hook",
                     "post_client_connection_hook", "before_shutdown",
                     "child_finish_hook", "pre_server_close_hook", "post_child_cleanup_hook"]


def test_a_request_is_served_to_its_end(server, tmp_path):
    """TERM while it runs: the client gets its answer, then the server ends."""
    s = server.start("echo", **ALONE, stop_timeout=60, port=f"{tmp_path}/s|unix")
    with s.connect() as c:
        c.sendall(b"before\n")
        assert c.recv(100) == b"before\n"
        s.signal(SIGTERM)
        c.sendall(b"after\n")
        assert c.recv(100) == b"after\n"
        assert is_alive(s.pid)
    assert s.wait_exit() == 0
    assert not (tmp_path / "s").exists()


def test_datagrams(server):
    """Every protocol is served."""
    s = server.start(server.program("datagram"), **ALONE, port="127.0.0.1:0/udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as c:
        c.settimeout(15)
        c.connect(s.address)
        c.send(b"hello")
        assert c.recv(1000)
    assert s.stop() == 0


def test_a_program_for_each_connection(server):
    """It is the only child there is, and it is gone with its connection."""
    s = server.serve(["sh", "-c", "read x; echo \"$x $PPID\""], **ALONE)
    assert s.ask(b"hello\n") == f"hello {s.pid}\n".encode()
    assert children_of(s) == []
    assert s.stop() == 0


def test_a_program_that_is_gone_ends_the_server(server, tmp_path):
    """There is no worker that could be tried again: status 71, the reason, and no pid file."""
    script = server.script("echo hello")
    s = server.serve([script], **ALONE, pid_file=tmp_path / "pid")
    script.unlink()
    assert s.ask(b"") == b""
    assert s.wait_exit() == SYSTEM
    assert s.wait_log(f"error: cannot run {script}: No such file or directory")
    assert not (tmp_path / "pid").exists()


# ---- the ladder ----------------------------------------------------------------------------


def test_P10_work_that_never_looks_is_ended_after_stop_timeout(server, tmp_path):
    """Hooks once, files gone, status 0."""
    s = solo(server, "stuck", stop_timeout=0.1, pid_file=tmp_path / "pid",
             port=f"{tmp_path}/s|unix")
    s.wait_log("loop parent=1")
    assert s.stop() == 0
    assert s.text().count("before_shutdown TERM\n") == 1
    assert s.text().count("child_finish\n") == 1
    assert not (tmp_path / "pid").exists()
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("second", [SIGTERM, SIGINT, SIGQUIT])
def test_P10_a_second_signal_ends_it_at_once(server, tmp_path, second):
    """Before the time is over."""
    s = solo(server, "stuck", stop_timeout=1000, graceful_timeout=1000,
             pid_file=tmp_path / "pid")
    s.wait_log("loop parent=1")
    s.signal(SIGTERM)
    s.wait_until(lambda: int(proc_status(s.pid)["ShdPnd"], 16) == 0, "its arrival")
    assert s.stop(second) == 0
    assert s.text().count("before_shutdown TERM\n") == 1
    assert s.text().count("child_finish\n") == 1
    assert not (tmp_path / "pid").exists()


def test_P10_quit_then_term_is_fast_and_then_hard(server):
    """As the ladder of a pool: graceful, fast, end."""
    s = solo(server, "stuck", stop_timeout=1000, graceful_timeout=1000)
    s.wait_log("loop parent=1")
    for signum in (SIGQUIT, SIGTERM):
        s.signal(signum)
        s.wait_until(lambda: int(proc_status(s.pid)["ShdPnd"], 16) == 0, "its arrival")
        assert is_alive(s.pid)
    assert s.stop(SIGTERM) == 0
    assert s.text().count("before_shutdown QUIT\n") == 1


def test_P10_a_hook_that_hangs_is_ended_after_kill_timeout(server, tmp_path):
    """Nothing the program does keeps the server for ever."""
    s = solo(server, "stuck", stop_timeout=0.1, kill_timeout=0.1, pid_file=tmp_path / "pid",
             env={"SOLO_HANG": 1})
    s.wait_log("loop parent=1")
    assert s.stop() == 0
    assert s.text().count("child_finish\n") == 1
    assert not (tmp_path / "pid").exists()


def test_P10_a_hook_that_hangs_after_the_loop_is_ended_too(server, tmp_path):
    """Also outside of a handler."""
    s = solo(server, stop_timeout=0.1, kill_timeout=0.1, pid_file=tmp_path / "pid",
             env={"SOLO_HANG": 1})
    s.wait_log("loop parent=1")
    assert s.stop() == 0
    assert s.text().count("child_finish\n") == 1
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize("trap", ["", "trap '' TERM;"])
def test_P10_a_program_that_runs_is_ended(server, tmp_path, trap):
    """By SIGTERM after stop_timeout, by SIGKILL after kill_timeout."""
    s = server.serve(["sh", "-c", f"{trap} echo go; while :; do read x; done"], **ALONE,
                     stop_timeout=0.1, kill_timeout=0.1, pid_file=tmp_path / "pid")
    with s.connect() as c:
        assert c.recv(100) == b"go\n"
        (program,) = children_of(s)
        assert s.stop() == 0
        assert not is_alive(program)
    assert s.wait_log("stopped after 1 connections")
    assert not (tmp_path / "pid").exists()


def test_a_program_may_finish_within_its_time(server):
    """The first signal is not passed on to it."""
    s = server.serve(["sh", "-c", "echo go; read x; echo \"got $x\""], **ALONE,
                     stop_timeout=1000)
    with s.connect() as c:
        assert c.recv(100) == b"go\n"
        s.signal(SIGTERM)
        c.sendall(b"it\n")
        assert c.recv(100) == b"got it\n"
    assert s.wait_exit() == 0


@pytest.mark.parametrize("prefork", [0, 1])
def test_P10_a_signal_at_the_very_end_does_no_harm(server, tmp_path, prefork):
    """Whoever asks once more when all is done: the pid file goes, the status is 0."""
    s = server.start(server.program("solo"), prefork=prefork, max_servers=1, port=None,
                     pid_file=tmp_path / "pid", env={"SOLO": "wait", "SOLO_LATE": 1})
    s.wait_log(r" loop parent")
    assert s.stop() == 0
    assert not (tmp_path / "pid").exists()


# ---- other signals -------------------------------------------------------------------------


def test_P10_hup_does_not_end_it(server):
    """It is a reload in the same process (test_solo_reload.py)."""
    s = solo(server)
    s.signal(SIGHUP)
    s.wait_log("reload 1: generation 2 serves")
    assert is_alive(s.pid)
    assert s.stop() == 0


def test_usr2_does_not_end_it(server):
    """There is nothing to be replaced, and that is said."""
    s = solo(server)
    s.signal(SIGUSR2)
    s.wait_log("SIGUSR2: there are no workers to be replaced")
    s.signal(SIGTTIN)
    assert is_alive(s.pid)
    assert s.stop() == 0


def test_usr1_opens_the_log_again(server, tmp_path):
    """Also while main_loop waits."""
    log = tmp_path / "log"
    s = solo(server, log_file=log)
    log.rename(tmp_path / "old")
    s.signal(SIGUSR1)
    s.wait_until(lambda: log.exists() and "log opened again" in log.read_text(), "the new log")
    assert s.stop() == 0
    assert "stopped after" in log.read_text()
    assert "stopped after" not in (tmp_path / "old").read_text()


def test_a_child_of_the_programs_own_is_not_the_server(server, tmp_path):
    """A signal to it ends it and nothing else; it is not the parent."""
    s = solo(server, "fork", pid_file=tmp_path / "pid")
    child = int(s.wait_log(r"child (\d+) parent=0").group(1))
    os.kill(child, SIGTERM)
    s.wait_until(lambda: not is_alive(child), "the end of the child")
    assert is_alive(s.pid)
    assert (tmp_path / "pid").exists()
    assert s.stop() == 0


# ---- what cannot be ------------------------------------------------------------------------


def test_what_has_no_effect_is_told(server):
    """A configuration of a pool is right for a debugger too."""
    s = solo(server, max_servers=3, min_spare_servers=9, sizing="static", check_for_dequeue=1,
             child_communication=1, serialize="flock")
    for key in ("max_servers 3", "min_spare_servers 9", "sizing static", "check_for_dequeue 1",
                "child_communication 1", "serialize flock"):
        assert s.wait_log(rf"notice: {key} \(--.*\) is not used: with min_servers 0 "
                          r"\(--min-servers\) there are no workers")
    s.wait_log("tell 1 stream -1")
    assert s.stop() == 0


def test_a_program_that_accepts_by_itself_is_refused(server):
    """It would take the place of the server."""
    done = server.prefork("serve", "--prefork", "0", "--handler", "wait", "--port",
                          "127.0.0.1:0", "--", "cat")
    assert done.returncode == CONFIG
    assert ("min_servers 0 (--min-servers): is a server without workers, but a program that "
            "accepts by itself (handler wait) has to be one; set min_servers to 1") in done.stderr


def test_on_demand_is_still_a_pool(server):
    """min_servers 0 with sizing ondemand means what it meant."""
    s = server.start("echo", **ALONE, sizing="ondemand")
    assert s.ask(b"hello\n") == b"hello\n"
    assert s.workers()


def test_the_port_is_refused_afterwards(server):
    """Listeners are closed as by a pool."""
    s = server.start("echo", **ALONE)
    address = s.address
    assert s.stop() == 0
    assert is_refused(address)


def test_one_server_after_the_other_in_one_process(server):
    """prefork_run() returns and leaves nothing behind that the next one would stumble over, nor
    a descriptor but the two by which the process knows its program and where it was started."""
    s = server.start(server.build("""#include <prefork/prefork.h>
        #include <fcntl.h>
        static void loop(struct prefork_worker *w, void *d) { (void)d;
            prefork_log(PREFORK_LOG_NOTICE, "loop %d", prefork_stopping(w)); }
        int main(int argc, char **argv) {
            struct prefork *p = prefork_new(&(struct prefork_app){.name = "twice",
                                                                  .main_loop = loop});
            int r = prefork_args(p, argc, argv, NULL);
            for (int i = 0; i < 3 && r == 0; i++)
                r = prefork_run(p) + prefork_is_parent();
            prefork_free(p);
            for (int fd = 3; fd < 9; fd++) {
                int flags = fcntl(fd, F_GETFL);
                r = flags < 0 || (flags & O_PATH) ? r : 100 + fd;
            }
            return r; }"""), **ALONE, port=None)
    assert s.wait_exit() == 0
    assert len(s.find_log("notice: loop 0")) == 3


# ---- who is the parent ---------------------------------------------------------------------


@pytest.mark.shows("method:is_parent")
def test_is_parent_in_a_pool(server):
    """True in the hooks of the master, false in workers."""
    s = server.start(server.program("solo"), min_servers=1, max_servers=1, port=None)
    s.wait_log(r"\bloop parent=0")
    assert s.wait_log(rf"solo\[{s.pid}\] notice: after_init parent=1")
    assert s.wait_log(r"child_init parent=0")
    assert s.stop() == 0
    assert s.wait_log(rf"solo\[{s.pid}\] notice: post_child_cleanup parent=1")


def test_the_master_has_a_label(server):
    """prefork_set_label() without a worker is about this process."""
    s = server.start(server.program("solo"), min_servers=1, max_servers=1, port=None,
                     env={"SOLO_LABEL": "parent of one"})
    s.wait_workers(1, "idle")
    assert title_of(s.pid) == "solo: parent of one"
    plain = server.start("echo", min_servers=1, max_servers=1)
    assert title_of(plain.pid) == "echo: master"
