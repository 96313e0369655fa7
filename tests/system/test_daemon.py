"""Going to the background, the pid file, the log file, and giving up root.

A start script relies on the exit status of what it started, so most tests here look at the
starter: it returns when a worker is ready, or with the sentence why there will be none. The
daemon itself is adopted by the test, which finds it by the pid that it logs.
"""

import fcntl
import os
import re
import resource
import socket
import stat
import subprocess
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from support import (EXAMPLES, Log, connect, descendants, flags, is_alive, is_refused, proc_fds,
                     reap, title_of, wait_until)

ONE = {"sizing": "static", "max_servers": 1}
UNAVAILABLE, SYSTEM, CONFIG = 69, 71, 78
NOBODY = 65534


def daemon(server, what="echo", **settings):
    """A daemon with a log file and a pid file in the test's directory."""
    if not {"background", "daemonize", "setsid"} & set(settings):
        settings["background"] = 1
    settings.setdefault("log_file", server.directory / "log")
    settings.setdefault("pid_file", server.directory / "pid")
    return server.start(what, **{**ONE, **settings})


def failed_start(server, program, **settings):
    """A starter that gives up: (exit status, lines on standard error); nothing may be left."""
    before = descendants()
    env = settings.pop("env", None)
    done = server.command(program, *flags({"port": "127.0.0.1:0", **ONE, **settings}), env=env)

    def nobody_left():
        for pid in os.listdir("/proc"):
            if pid.isdigit() and int(pid) not in before:
                reap(int(pid))
        return not descendants() - before
    wait_until(nobody_left, "the end of the daemon")
    return done.returncode, done.stderr.splitlines()


def as_nobody(command):
    """Options for a command that is to run as an ordinary user: as nobody, if we are root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else command


def can_nobody_run(path):
    """Everybody may enter all directories above."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in Path(path).resolve().parents)


# ---- the starter ---------------------------------------------------------------------------


def test_W43_the_starter_returns_when_the_server_answers(server):
    """At once after status 0 a client is served: no sleep belongs into a start script."""
    s = daemon(server)
    assert s.starter_status == 0
    assert s.process.pid != s.pid
    assert s.ask(b"hello\n") == b"hello\n"
    assert s.stop() == 0


def test_W43_the_starter_waits_for_the_first_worker(server, tmp_path):
    """While child_init_hook runs, the starter is there; when it is done, it returns."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    s = server.start(server.program("slow"), **ONE, background=1, log_file=tmp_path / "log",
                     env={"SLOW_INIT": fifo}, wait=None)
    Log(tmp_path / "log").wait(r"init begins", alive=lambda: True)
    assert s.process.poll() is None
    fifo.write_text("go")
    assert s.process.wait(15) == 0
    s.starter_status = 0
    s.pid = int(Log(tmp_path / "log").find(r"\[(\d+)\] notice: ready")[0].group(1))
    assert s.stop() == 0


def test_W43_a_port_in_use_is_told_by_the_starter(server, tmp_path):
    """The sentence on its standard error and in the log; nothing left behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, lines = failed_start(server, EXAMPLES / "echo", port=f"127.0.0.1:{port}",
                                     background=1, log_file=tmp_path / "log", log_level=1,
                                     pid_file=tmp_path / "pid")
    assert status == SYSTEM
    assert len(lines) == 1 and f"port {port} on 127.0.0.1: in use" in lines[0]
    assert re.search(rf"error: .*port {port} on 127.0.0.1: in use", (tmp_path / "log").read_text())
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize("crash", ["init", "birth", "exit"])
def test_W43_workers_that_all_fail_are_told_by_the_starter(server, tmp_path, crash):
    """Status 69; the daemon gives up, its pid file and socket are gone."""
    status, lines = failed_start(server, server.program("crash"), background=1,
                                 log_file=tmp_path / "log", pid_file=tmp_path / "pid",
                                 port=f"{tmp_path}/s|unix", env={"CRASH": crash})
    assert status == UNAVAILABLE
    assert f"no worker became ready; see {tmp_path}/log" in lines[-1]
    assert not (tmp_path / "pid").exists()
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("handler", ["nowait", "wait"])
def test_W43_a_missing_program_is_told_by_the_starter(server, tmp_path, handler):
    """The starter reported success before anything was tried. Here status 78 and the name."""
    done = server.prefork("serve", *flags(**ONE, port="127.0.0.1:0", background=1, log_level=1,
                                          handler=handler, log_file=tmp_path / "log"),
                          "--", tmp_path / "missing")
    assert done.returncode == CONFIG
    assert done.stderr == (f"prefork serve: program {tmp_path}/missing: "
                           "No such file or directory\n")
    assert not (tmp_path / "log").exists()


def test_W43_a_program_that_ends_at_once_is_told_by_the_starter(server, tmp_path):
    """It is there and may be run, but no worker stays."""
    script = server.script("exit 3")
    done = server.prefork("serve", *flags(**ONE, port="127.0.0.1:0", background=1, log_level=1,
                                          handler="wait", log_file=tmp_path / "log"),
                          "--", script)
    assert done.returncode == UNAVAILABLE
    assert f"no worker became ready; see {tmp_path}/log" in done.stderr


def test_in_the_foreground_bad_workers_are_tried_again(server, tmp_path):
    """Whoever started it sees the log: when the cause is gone, the server is there."""
    switch = tmp_path / "broken"
    switch.touch()
    s = server.start(server.program("crash"), **ONE, wait="starting: ",
                     env={"CRASH": "init", "CRASH_WHILE": switch})
    s.wait_log("child_init_hook returned 7")
    s.wait_log("bad starts in a row; next try in")
    switch.unlink()
    s.wait_log("notice: ready", timeout=30)
    assert int(s.ask(b"pid\n")) in s.workers()


def test_a_daemon_that_dies_while_starting_is_told(server, tmp_path):
    """Killed before anybody is ready: the starter does not wait for ever."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    log = Log(tmp_path / "log")
    s = server.start(server.program("slow"), **ONE, background=1, log_file=log.path,
                     env={"SLOW_INIT": fifo}, wait=None)
    pid = int(log.wait(r"\[(\d+)\] notice: starting", alive=lambda: True).group(1))
    worker = int(log.wait(r"\[(\d+)\] notice: init begins", alive=lambda: True).group(1))
    os.kill(pid, SIGKILL)
    os.kill(worker, SIGKILL)
    assert s.process.wait(15) == 70
    assert "the server died while it was starting" in s.log.text()
    s.status = s.starter_status = 70


def test_the_starters_mistakes_are_told_as_in_the_foreground(server, tmp_path):
    """A bad setting ends the starter itself."""
    status, lines = failed_start(server, EXAMPLES / "echo", background=1, min_servers=5,
                                 log_file=tmp_path / "log", log_level=1)
    assert status == CONFIG
    assert "min_servers 5" in lines[-1]
    assert not (tmp_path / "log").exists()


# ---- the daemon ----------------------------------------------------------------------------


@pytest.mark.shows("key:background", "key:setsid", "daemon:daemonize")
@pytest.mark.parametrize("how", ["background", "daemonize", "setsid"])
def test_a_daemon_leads_its_own_group(server, how):
    """With setsid a session too; without, it stays in the starter's."""
    s = daemon(server, **{how: 1})
    assert os.getpgid(s.pid) == s.pid
    assert os.getsid(s.pid) == (s.pid if how == "setsid" else os.getsid(0))


@pytest.mark.shows("key:background", "key:setsid", "key:log_file", "daemon:daemonize",
                   "hook:post_configure", "order:post_configure")
@pytest.mark.parametrize("how", ["background", "setsid"])
def test_standard_descriptors_of_a_daemon(server, how):
    """The null device and the log: a terminal may close, a pipe's reader may wait for its end."""
    s = daemon(server, **{how: 1})
    log = str(server.directory / "log")
    for pid in (s.pid, *s.wait_workers(1)):
        fds = proc_fds(pid)
        assert (fds[0], fds[1], fds[2]) == ("/dev/null", "/dev/null", log)


@pytest.mark.shows("key:setsid")
def test_setsid_without_a_log_file(server):
    """Nothing is left open of what the starter had."""
    s = server.start("echo", **ONE, setsid=1, port=f"{server.directory}/s|unix", wait=None)
    assert s.process.wait(15) == 0
    s.starter_status = 0
    (s.pid,) = [pid for pid in descendants() - server.before if title_of(pid) == "echo: master"]
    fds = proc_fds(s.pid)
    assert [fds[number] for number in range(3)] == ["/dev/null"] * 3
    assert s.ask(b"hello\n", address=server.directory / "s") == b"hello\n"
    assert s.stop() == 0


@pytest.mark.shows("key:log_file")
def test_the_log_file_is_appended_to(server, tmp_path):
    """And not readable by everybody."""
    log = tmp_path / "log"
    log.write_text("first\n")
    log.chmod(0o640)
    s = daemon(server)
    assert log.read_text().startswith("first\n")
    assert s.stop() == 0
    assert "stopped after 0 connections" in log.read_text()
    log.unlink()
    assert daemon(server).stop() == 0
    assert stat.S_IMODE(log.stat().st_mode) & 0o007 == 0


@pytest.mark.shows("key:log_file")
def test_the_log_file_in_the_foreground(server, tmp_path):
    """Lines go there and not to standard error."""
    s = daemon(server, background=0, error_log_path=tmp_path / "log", log_file=None)
    assert s.stop() == 0
    assert "notice: ready" in (tmp_path / "log").read_text()
    assert "notice: ready" not in s.log.text()


def test_a_log_file_that_cannot_be_opened(server, tmp_path):
    """One line, status 71."""
    status, lines = failed_start(server, EXAMPLES / "echo", log_file=tmp_path / "no/log",
                                 log_level=1)
    assert (status, len(lines)) == (SYSTEM, 1)
    assert f"log_file {tmp_path}/no/log: No such file or directory" in lines[0]


@pytest.mark.shows("key:log_level")
def test_log_level_limits_what_is_logged(server, tmp_path):
    """0: errors only; 4: everything down to debug."""
    quiet = server.start("echo", **ONE, log_level=0, port=f"{tmp_path}/s|unix", wait=None)
    quiet.pid = quiet.process.pid
    quiet.wait_until(lambda: quiet.workers("idle"), "a worker")
    assert quiet.stop() == 0
    assert quiet.text() == ""
    loud = server.start("echo", **ONE, log_level=4)
    assert loud.stop() == 0
    assert loud.wait_log(r" debug: worker \d+ ended with status 0")


@pytest.mark.shows("hook:log_time")
def test_every_line_of_the_log_has_its_shape(server):
    """Time, name, pid, level, text; and control characters of others cannot forge one."""
    s = server.start(server.build("""#include <prefork/prefork.h>
        static void f(struct prefork_conn *c, void *d) { char line[80]; (void)d;
            while (prefork_gets(c, line, sizeof line) > 0)
                prefork_log(PREFORK_LOG_NOTICE, "client said %s", line); }
        int main(int argc, char **argv) { return prefork_main(argc, argv,
            &(struct prefork_app){.name = "shape", .process_request = f}); }"""), **ONE)
    s.ask(b"a\x1b[2Jb\r\n2026-01-01 00:00:00.000 shape[1] error: forged\n")
    assert s.stop() == 0
    shape = (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} shape\[\d+\] "
             r"(error|warning|notice|info|debug): .+")
    lines = s.text().splitlines()
    assert len(lines) > 5
    assert not [line for line in lines if not re.fullmatch(shape, line)]
    assert s.wait_log(r"client said a\\x1B\[2Jb\\x0D\\x0A$")


# ---- the pid file --------------------------------------------------------------------------


@pytest.mark.shows("key:pid_file", "daemon:create_pid_file", "daemon:unlink_pid_file")
def test_the_pid_file(server, tmp_path):
    """The master's pid, a newline, a lock; gone after the stop."""
    path = tmp_path / "pid"
    s = server.start("echo", **ONE, pid_file=path)
    assert path.read_text() == f"{s.pid}\n"
    assert is_locked(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert s.stop() == 0
    assert not path.exists()


def is_locked(path):
    """Somebody holds the lock on this file."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_the_pid_in_the_file_is_the_daemons(server, tmp_path):
    """And not the starter's."""
    s = daemon(server)
    assert (tmp_path / "pid").read_text() == f"{s.pid}\n"


def test_W42_a_second_start_is_refused(server, tmp_path):
    """With the pid of the first, before anything is bound; the first is not disturbed."""
    s = daemon(server)
    for background in (0, 1):
        status, lines = failed_start(server, EXAMPLES / "echo", background=background,
                                     pid_file=tmp_path / "pid", log_level=1,
                                     port=f"{tmp_path}/s|unix")
        assert status == SYSTEM
        assert len(lines) == 1
        assert f"the server is running already as process {s.pid}" in lines[0]
        assert not (tmp_path / "s").exists()
    assert (tmp_path / "pid").read_text() == f"{s.pid}\n"
    assert s.ask(b"hello\n") == b"hello\n"


@pytest.mark.shows("key:pid_file", "daemon:check_pid_file")
@pytest.mark.parametrize("text", ["1\n", "999999\n", "", "rubbish\n"])
def test_W42_a_stale_pid_file_is_no_obstacle(server, tmp_path, text):
    """Whatever is in it, also the pid of a process that lives: nobody holds the lock."""
    path = tmp_path / "pid"
    path.write_text(text)
    s = server.start("echo", **ONE, pid_file=path)
    assert path.read_text() == f"{s.pid}\n"


def test_W42_the_pid_file_of_a_killed_server_is_no_obstacle(server, tmp_path):
    """Its workers do not hold the lock, though they may still be serving."""
    path = tmp_path / "pid"
    first = server.start(server.program("hold"), **ONE, pid_file=path)
    with first.connect() as c:
        assert c.recv(1)
        assert first.stop(SIGKILL) == -SIGKILL
        assert path.exists()
        assert not is_locked(path)
        second = server.start("echo", **ONE, pid_file=path)
        assert path.read_text() == f"{second.pid}\n"


def test_W42_the_number_of_a_living_process_means_nothing(server, tmp_path):
    """Any live pid was trusted, also one that another process has by now. Here the lock is
    asked, and a number that is ours already is no obstacle either."""
    path = tmp_path / "pid"
    path.write_text(f"{os.getpid()}\n")
    s = server.start("echo", **ONE, pid_file=path)
    assert path.read_text() == f"{s.pid}\n"
    assert s.stop(SIGKILL) == -SIGKILL
    assert path.read_text() == f"{s.pid}\n"
    again = server.start(server.script(f"echo $$ >{path}; exec {EXAMPLES}/echo \"$@\""), **ONE,
                         pid_file=path)
    assert path.read_text() == f"{again.pid}\n"


def test_W42_of_many_starts_at_once_one_wins(server, tmp_path):
    """Between the check and the creation of the file another server could start. Here they
    are one step."""
    path = tmp_path / "pid"
    words = flags(**ONE, port=f"{tmp_path}/s|unix", pid_file=path, log_level=1)
    starters = [subprocess.Popen([EXAMPLES / "echo", *words], stderr=subprocess.PIPE, text=True)
                for _ in range(8)]
    wait_until(lambda: sum(p.poll() is None for p in starters) == 1, "one that is left")
    (winner,) = [p for p in starters if p.poll() is None]
    losers = [p for p in starters if p is not winner]
    assert {p.returncode for p in losers} == {SYSTEM}
    assert all("the server is running already as process" in p.communicate()[1] for p in losers)
    wait_until(lambda: path.read_text() == f"{winner.pid}\n", "the winner's pid")
    os.kill(winner.pid, SIGTERM)
    assert winner.wait(15) == 0
    winner.communicate()


def test_W42_a_file_of_somebody_else_is_not_removed(server, tmp_path):
    """The file at the path was removed at the end, whoever had made it. Here it is looked
    whether it is still ours."""
    path = tmp_path / "pid"
    s = server.start("echo", **ONE, pid_file=path)
    path.unlink()
    path.write_text("somebody else\n")
    assert s.stop() == 0
    assert path.read_text() == "somebody else\n"


def test_W42_a_symbolic_link_is_not_followed(server, tmp_path):
    """What it leads to would be emptied. Here it is refused and nothing is touched."""
    target = tmp_path / "target"
    target.write_text("precious\n")
    (tmp_path / "pid").symlink_to(target)
    status, lines = failed_start(server, EXAMPLES / "echo", pid_file=tmp_path / "pid",
                                 log_level=1)
    assert (status, len(lines)) == (SYSTEM, 1)
    assert f"pid_file {tmp_path}/pid: is a symbolic link" in lines[0]
    assert target.read_text() == "precious\n"
    assert (tmp_path / "pid").is_symlink()


@pytest.mark.root
def test_W42_a_directory_that_may_not_be_written(server, open_path):
    """One line, status 71, and nothing is bound."""
    if not can_nobody_run(EXAMPLES / "echo"):
        pytest.skip("the build directory is closed to others")
    done = server.command(EXAMPLES / "echo", *flags(port="127.0.0.1:0", log_level=1, **ONE,
                                                    pid_file=open_path / "pid"),
                          cwd="/", **as_nobody({}))
    assert done.returncode == SYSTEM
    assert done.stderr == (f"echo: pid_file {open_path}/pid: Permission denied; is the directory "
                           "there and writable?\n")


def test_a_pid_file_where_there_is_no_directory(server, tmp_path):
    """One line, status 71."""
    status, lines = failed_start(server, EXAMPLES / "echo", pid_path=tmp_path / "no/pid",
                                 log_level=1)
    assert (status, len(lines)) == (SYSTEM, 1)
    assert f"pid_file {tmp_path}/no/pid: No such file or directory" in lines[0]


def test_the_names_of_proc_daemon_prefork(server, tmp_path):
    """name, prefork, max_children, daemonize, pid_path and error_log_path; after_init,
    before_shutdown and shutdown(reason), which is prefork_stop()."""
    program = server.build("""#include <prefork/prefork.h>
        static int after_init(void *d) { (void)d;
            prefork_log(PREFORK_LOG_NOTICE, "after_init"); return 0; }
        static void before_shutdown(const char *reason, void *d) { (void)d;
            prefork_log(PREFORK_LOG_NOTICE, "before_shutdown %s", reason); }
        static void request(struct prefork_conn *c, void *d) { char line[80]; (void)d;
            prefork_printf(c, "parent %d\\n", prefork_is_parent());
            if (prefork_gets(c, line, sizeof line) > 0) prefork_stop("enough"); }
        int main(int argc, char **argv) { return prefork_main(argc, argv, &(struct prefork_app){
            .name = "named", .after_init = after_init, .process_request = request,
            .before_shutdown = before_shutdown}); }""")
    s = server.start(program, prefork=2, max_children=3, daemonize=1, pid_path=tmp_path / "pid",
                     error_log_path=tmp_path / "log")
    assert (tmp_path / "pid").read_text() == f"{s.pid}\n"
    assert title_of(s.pid) == "named: master"
    assert s.wait_log("notice: starting: 2 to 3 workers")
    assert s.wait_log(rf"named\[{s.pid}\] notice: after_init")
    assert s.ask(b"stop\n") == b"parent 0\n"
    assert s.wait_exit() == 0
    assert s.wait_log("notice: before_shutdown enough")


@pytest.mark.shows("daemon:unlink_pid_file")
def test_a_daemon_stops_and_leaves_nothing(server, tmp_path):
    """No process, no pid file, no listener."""
    s = daemon(server, max_servers=4)
    address, pids = s.address, [s.pid, *s.wait_workers(4)]
    assert s.stop(SIGTERM) == 0
    assert not any(is_alive(pid) for pid in pids)
    assert is_refused(address)
    assert not (tmp_path / "pid").exists()
    with pytest.raises(ConnectionRefusedError):
        connect(address)


def test_a_setting_that_a_hook_could_not_make_is_no_failure_of_the_server(server, tmp_path):
    """prefork_set() in a hook of the start is refused, the hook goes on, and the end is as
    good as any: status 0, and fatal_hook is not called."""
    told = tmp_path / "fatal"
    program = server.build(f"""#include <prefork/prefork.h>
        #include <stdio.h>
        static int bound(struct prefork *p, void *data) {{
            (void)data;
            return prefork_set(p, "user", "root") == 0;
        }}
        static void fatal(const char *text, void *data) {{
            FILE *f = fopen("{told}", "w");
            (void)data;
            if (f) {{ fputs(text, f); fclose(f); }}
        }}
        static void serve(struct prefork_conn *c, void *data) {{
            (void)c;
            (void)data;
        }}
        int main(int argc, char **argv) {{
            return prefork_main(argc, argv, &(struct prefork_app){{
                .name = "late", .post_bind_hook = bound, .fatal_hook = fatal,
                .process_request = serve}});
        }}""")
    s = server.start(program, min_servers=1)
    assert s.stop() == 0
    assert not told.exists()


def test_a_pid_file_that_cannot_be_written_is_not_left_behind(server, tmp_path):
    """As on a full disk: one line says what was refused, and there is no empty file."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    path = tmp_path / "pid"
    done = server.command(EXAMPLES / "echo", "--port", "127.0.0.1:0", "--pid-file", path,
                          preexec_fn=limit)
    assert done.returncode == 71
    assert f"pid_file {path}: File too large\n" in done.stderr
    assert not path.exists()
