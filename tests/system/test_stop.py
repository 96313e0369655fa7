"""Stopping a server from outside by its pid file: prefork stop and the calls behind it.

What must never happen is a signal to a process that is not the server. So most tests here
have a pid file that is about somebody else, and look at who lives.
"""

import fcntl
import os
import re
import signal
import stat
import subprocess
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1

import pytest

from support import BUILD, EXAMPLES, PREFORK, flags, is_alive, wait_until

ONE = {"sizing": "static", "max_servers": 1}
OK, USAGE, NOT_RUNNING, REFUSED, WRONG = 0, 64, 69, 71, 78
RUNNING, NONE, STALE, FOREIGN, TAKEN = range(5)


@pytest.fixture
def sleeper():
    """A process of somebody else."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


def stop(server, path, *words):
    """prefork stop: (status, what it says)."""
    done = server.prefork("stop", "--pid-file", path, *words)
    return done.returncode, done.stdout + done.stderr


def check(server, path):
    """prefork_check_pidfile(): (outcome, pid, sentence)."""
    done = server.command(server.program("pidfile"), "check", path)
    outcome, pid, text = re.fullmatch(r"(-?\d+) (\d+): (.*)\n", done.stdout).groups()
    return int(outcome), int(pid), text


# ---- it works ------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["--pid-file", "--pid_file", "--pid-path"])
def test_P12_stop_works_from_a_separate_command(server, tmp_path, word):
    """The server is gone when it returns, with its workers and its pid file."""
    path = tmp_path / "pid"
    s = server.start("echo", **ONE, pid_file=path)
    workers = s.wait_workers(1)
    assert check(server, path) == (RUNNING, s.pid, f"process {s.pid} runs with pid file {path}")
    done = server.prefork("stop", word, path)
    assert (done.returncode, done.stdout) == (OK, f"process {s.pid} has stopped\n")
    assert s.wait_exit() == 0
    assert not is_alive(workers[0])
    assert s.wait_log("SIGTERM: stopping")
    assert not path.exists()
    assert stop(server, path) == (
        NOT_RUNNING, f"prefork stop: pid file {path} is not there: no server runs with it\n")


def test_P12_kill_running_from_a_program(server, tmp_path):
    """The call behind it."""
    path = tmp_path / "pid"
    s = server.start("echo", **ONE, pid_file=path)
    done = server.command(server.program("pidfile"), "kill", path, "30")
    assert done.stdout == f"0: process {s.pid} has stopped\n"
    assert s.wait_exit() == 0


def test_P12_stop_takes_the_pid_file_from_a_config_file(server, tmp_path):
    """Also one whose other settings are wrong by now."""
    path = tmp_path / "pid"
    s = server.start("echo", **ONE, pid_file=path)
    conf = tmp_path / "x.conf"
    conf.write_text(f"pid_file {path}\nmin_servers 9\nmax_servers 2\nuser nobody-here\n")
    done = server.prefork("stop", "--conf_file", conf)
    assert done.returncode == OK
    assert s.wait_exit() == 0


def test_P12_stop_gracefully(server, tmp_path):
    """SIGQUIT: what runs has graceful_timeout, and stop waits for it."""
    path = tmp_path / "pid"
    s = server.start("echo", **ONE, pid_file=path, graceful_timeout=1000, stop_timeout=0)
    with s.connect() as c:
        c.sendall(b"one\n")
        assert c.recv(10) == b"one\n"
        stopping = subprocess.Popen([PREFORK, "stop", "--graceful", "--pid-file", path],
                                    stdout=subprocess.PIPE, text=True)
        s.wait_log("SIGQUIT: stopping")
        c.sendall(b"two\n")
        assert c.recv(10) == b"two\n"
        assert stopping.poll() is None
    assert stopping.communicate(timeout=15)[0] == f"process {s.pid} has stopped\n"
    assert stopping.returncode == OK
    assert s.wait_exit() == 0


def test_P12_stop_waits_for_the_end_without_looking_again_and_again(server, tmp_path):
    """It sleeps in one call on the pidfd."""
    path = tmp_path / "pid"
    s = server.start("echo", **ONE, pid_file=path)
    s.signal(SIGSTOP)
    trace = tmp_path / "trace"
    stopping = subprocess.Popen(["strace", "-o", trace, PREFORK, "stop", "--pid-file", path],
                                stdout=subprocess.DEVNULL)
    wait_until(lambda: trace.exists() and "SIGTERM" in trace.read_text(), "the signal")
    s.signal(SIGCONT)
    assert stopping.wait(15) == OK
    assert s.wait_exit() == 0
    text = trace.read_text()
    assert re.search(r"pidfd_open\(\d+, 0\)", text)
    assert re.search(r"pidfd_send_signal\(\d+, SIGTERM", text)
    after = text.partition("SIGTERM")[2]
    assert after.count("poll(") == 1
    assert "nanosleep" not in text
    assert not re.search(r"\bt?g?kill\(", text)


def test_P12_a_server_that_does_not_end_is_killed(server, tmp_path):
    """After the timeout; the pid file that it leaves is removed."""
    path = tmp_path / "pid"
    s = server.start("echo", **ONE, pid_file=path)
    s.signal(SIGSTOP)
    assert stop(server, path, "--timeout", "0.1") == (
        OK, f"process {s.pid} did not stop in time and was killed\n")
    assert s.wait_exit() == -SIGKILL
    assert not path.exists()


def test_P12_the_timeout_is_longer_than_the_servers_own(server, tmp_path):
    """A request that does not end is the server's to end, which it does in its time."""
    path = tmp_path / "pid"
    s = server.start(server.program("hold"), **ONE, pid_file=path, stop_timeout=0.2,
                     kill_timeout=0.2)
    with s.connect() as c:
        assert c.recv(1)
        assert stop(server, path) == (OK, f"process {s.pid} has stopped\n")
    assert s.wait_exit() == 0


def test_stop_ends_a_server_without_workers(server, tmp_path):
    """It has its pid file like every other."""
    path = tmp_path / "pid"
    s = server.start("jobs", prefork=0, port=None, pid_file=path,
                     env={"JOBS_SPOOL": server.directory / "spool"})
    assert stop(server, path) == (OK, f"process {s.pid} has stopped\n")
    assert s.wait_exit() == 0


# ---- somebody else -------------------------------------------------------------------------


def test_P13_a_recycled_pid_is_not_signalled(server, tmp_path, sleeper):
    """The number in the file is that of a living process, which does not hold the lock."""
    path = tmp_path / "pid"
    path.write_text(f"{sleeper.pid}\n")
    sentence = (f"pid file {path} is stale: process {sleeper.pid} does not hold its lock and is "
                "another one; a start will not mind it")
    assert stop(server, path) == (NOT_RUNNING, f"prefork stop: {sentence}\n")
    assert check(server, path) == (STALE, 0, sentence)
    assert sleeper.poll() is None
    assert path.read_text() == f"{sleeper.pid}\n"


def test_P13_a_dead_process_is_not_running(server, tmp_path):
    """After a kill -9; the file stays, and the next start takes it over."""
    path = tmp_path / "pid"
    s = server.start("echo", **ONE, pid_file=path)
    assert s.stop(SIGKILL) == -SIGKILL
    sentence = f"pid file {path} is stale: process {s.pid} is gone; a start will not mind it"
    assert stop(server, path) == (NOT_RUNNING, f"prefork stop: {sentence}\n")
    again = server.start("echo", **ONE, pid_file=path)
    assert check(server, path)[:2] == (RUNNING, again.pid)


def test_P13_process_1_is_not_signalled(server, tmp_path):
    """It does not hold the lock either."""
    path = tmp_path / "pid"
    path.write_text("1\n")
    status, text = stop(server, path)
    assert status == NOT_RUNNING
    assert "process 1 does not hold its lock and is another one" in text


@pytest.mark.parametrize("text", ["-5\n", "0\n", "-1\n", "+7\n", " 7\n", "7", "7 \n", "7\n\n",
                                  "7\n8\n", "7 8\n", "007\n", "99999999999\n", "2147483648\n",
                                  "9" * 400 + "\n", "abc\n", "\n", "7\0\n", "7\r\n", "0x7\n",
                                  "nginx: 77\n"])
def test_P13_what_is_no_pid_file_of_prefork_is_refused(server, tmp_path, text):
    """Nothing is guessed from it."""
    path = tmp_path / "pid"
    path.write_text(text)
    sentence = (f"pid file {path} is not one of prefork: one process id and a newline are "
                "expected; is the path right?")
    assert check(server, path) == (FOREIGN, 0, sentence)
    assert stop(server, path) == (WRONG, f"prefork stop: {sentence}\n")
    assert path.read_text() == text.replace("\r\n", "\n")


def test_P13_an_empty_file_is_nobody(server, tmp_path):
    """As a server leaves it that may not remove it."""
    path = tmp_path / "pid"
    path.touch()
    assert stop(server, path) == (
        NOT_RUNNING, f"prefork stop: pid file {path} is empty: no server runs with it\n")


def test_P13_files_that_are_none_are_not_opened(server, tmp_path):
    """A directory, a FIFO (whose opening would hang, or wake its writer), a device, a link."""
    path = tmp_path / "pid"
    s = server.start("echo", **ONE, pid_file=path)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    link = tmp_path / "link"
    link.symlink_to(path)
    for what, sentence in ((tmp_path, "a directory; name the file in it"),
                           (fifo, "no regular file; name the pid_file of the server"),
                           ("/dev/null", "no regular file; name the pid_file of the server"),
                           (link, "a symbolic link; name the real path")):
        assert stop(server, what) == (WRONG, f"prefork stop: pid file {what} is {sentence}\n")
    assert is_alive(s.pid)


def test_P13_the_lock_of_somebody_else(server, tmp_path, sleeper):
    """Locked, but not by the process that is named: nobody is signalled."""
    path = tmp_path / "pid"
    path.write_text(f"{sleeper.pid}\n")
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        status, text = stop(server, path)
        assert status == REFUSED
        assert (f"names process {sleeper.pid}, but its lock is that of process {os.getpid()}"
                in text)
        path.write_text("")
        status, text = stop(server, path)
        assert status == REFUSED
        assert f"is empty and locked by process {os.getpid()}" in text
    assert sleeper.poll() is None


def test_P13_a_lock_that_outlives_its_process(server, tmp_path):
    """A child has inherited it: the process is gone, and nobody is signalled."""
    path = tmp_path / "pid"
    script = "\n".join([
        "import fcntl, os, sys, time",
        "f = open(sys.argv[1], 'w')",
        "fcntl.flock(f, fcntl.LOCK_EX)",
        "f.write(f'{os.getpid()}\\n')",
        "f.flush()",
        "pid = os.fork()",
        "print(pid, flush=True) if pid else time.sleep(1000)"])
    done = subprocess.Popen(["/usr/bin/python3", "-c", script, path], stdout=subprocess.PIPE,
                            text=True)
    child = int(done.stdout.readline())
    assert done.wait(15) == 0
    done.stdout.close()
    try:
        status, text = stop(server, path)
        assert status == REFUSED
        assert f"is that of process {done.pid}, which is gone" in text or "cannot be seen" in text
        assert is_alive(child)
    finally:
        os.kill(child, SIGKILL)


@pytest.mark.root
def test_P13_no_permission_is_not_absence(server, open_path):
    """A user that may not signal the server is told that it runs: status 71."""
    path = open_path / "pid"
    s = server.start("echo", **ONE, pid_file=path)
    done = server.prefork("stop", "--pid-file", path, user=65534, group=65534,
                          extra_groups=[], cwd="/")
    assert done.returncode == REFUSED
    assert (f"process {s.pid} runs, but may not be signalled: Operation not permitted; be its "
            "user or root") in done.stderr
    path.chmod(0)
    done = server.prefork("stop", "--pid-file", path, user=65534, group=65534,
                          extra_groups=[], cwd="/")
    assert done.returncode == REFUSED
    assert f"pid file {path} cannot be read: Permission denied; be its owner or root" in done.stderr
    assert is_alive(s.pid)


@pytest.mark.root
def test_P13_a_server_in_another_pid_namespace(server, tmp_path):
    """Its number means somebody else here, or nobody: told, and not signalled."""
    path = tmp_path / "pid"
    s = server.start("/usr/bin/unshare", "--pid", "--fork", "--kill-child", EXAMPLES / "echo",
                     ONE, wait=None, pid_file=path)
    s.pid = s.process.pid  # and not the number that the server knows itself by
    wait_until(lambda: path.exists() and path.read_text() == "1\n", "the pid file")
    status, text = stop(server, path)
    assert status == REFUSED
    assert "names process 1, but its lock is that of process" in text
    assert s.stop(SIGKILL) == -SIGKILL


@pytest.mark.root
def test_P13_a_server_outside_of_our_pid_namespace(server, tmp_path):
    """Who holds the lock cannot be seen, but that it is held can."""
    path = tmp_path / "pid"
    s = server.start("echo", **ONE, pid_file=path)
    done = server.command("/usr/bin/unshare", "--pid", "--fork", "--mount-proc", PREFORK, "stop",
                          "--pid-file", path)
    assert done.returncode == REFUSED
    assert "is locked by a process that cannot be seen from here" in done.stderr
    assert is_alive(s.pid)
    assert s.stop() == 0


@pytest.mark.root
def test_P13_without_proc_nobody_is_signalled(server, tmp_path):
    """Who holds the lock cannot be known: told. Whether anybody does, can."""
    if "asan" in BUILD.name:
        pytest.skip("a sanitizer needs /proc")
    path = tmp_path / "pid"
    s = server.start("echo", **ONE, pid_file=path)
    env = {"LD_LIBRARY_PATH": BUILD}  # $ORIGIN of the command needs /proc too
    hidden = ["/usr/bin/unshare", "--mount", "sh", "-c",
              f"mount -t tmpfs none /proc && exec {PREFORK} stop --pid-file {path}"]
    done = server.command(*hidden, env=env)
    assert done.returncode == REFUSED
    assert "who has it locked cannot be known: /proc/locks: No such file or directory" in done.stderr
    assert s.stop(SIGKILL) == -SIGKILL
    assert server.command(*hidden, env=env).returncode == NOT_RUNNING


# ---- with starts ---------------------------------------------------------------------------


def test_P13_looking_never_disturbs_a_start(server, tmp_path):
    """A program that looks without a pause, at files that are stale, empty and locked by turns:
    every start succeeds."""
    path = tmp_path / "pid"
    watcher = subprocess.Popen([server.program("pidfile"), "watch", path], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(40):
            s = server.start("jobs", prefork=0, port=None, pid_file=path,
                     env={"JOBS_SPOOL": server.directory / "spool"})
            assert path.read_text() == f"{s.pid}\n"
            assert s.stop(SIGKILL) == -SIGKILL
    finally:
        times, seen = map(int, watcher.communicate(timeout=15)[0].split())
    assert times > 100
    assert seen > 0


def test_P13_of_two_starts_one_runs_and_stop_hits_it(server, tmp_path):
    """Both see the same stale file; the loser names the winner."""
    path = tmp_path / "pid"
    path.write_text("1\n")
    words = flags(**ONE, pid_file=path, log_level=1)
    starters = [subprocess.Popen([EXAMPLES / "echo", *words, "--port", f"{tmp_path}/{i}|unix"],
                                 stderr=subprocess.PIPE, text=True) for i in range(2)]
    wait_until(lambda: sum(p.poll() is None for p in starters) == 1, "one that is left")
    (winner,) = [p for p in starters if p.poll() is None]
    (loser,) = [p for p in starters if p is not winner]
    assert f"is running already as process {winner.pid}\n" in loser.communicate()[1]
    assert stop(server, path) == (OK, f"process {winner.pid} has stopped\n")
    assert winner.wait(15) == 0
    winner.communicate()


def test_P13_the_file_of_a_later_server_is_not_removed(server, tmp_path):
    """A server that was killed is gone; the file at the path belongs to the next one."""
    path = tmp_path / "pid"
    first = server.start("echo", **ONE, pid_file=path)
    path.unlink()
    second = server.start("echo", **ONE, pid_file=path)
    assert stop(server, path) == (OK, f"process {second.pid} has stopped\n")
    assert second.wait_exit() == 0
    assert is_alive(first.pid)


# ---- words ---------------------------------------------------------------------------------


@pytest.mark.parametrize("words, sentence", [
    ([], "which server? --pid-file names its pid file"),
    (["--timeout"], "--timeout: how many seconds?"),
    (["--pid-file", "x", "--timeout", "soon"], "--timeout: seconds are expected"),
    (["--pid-file", "x", "--timeout=-1"], "--timeout: seconds are expected"),
    (["--pid-file", "x", "--timeout=nan"], "--timeout: seconds are expected"),
    (["--pid-file", "x", "word"], "only options are expected"),
    (["--pid-fil", "x"], "unknown option; did you mean --pid-file?"),
])
def test_stop_needs_to_know_which_server(server, words, sentence):
    """Wrong words: status 64 and nothing is done."""
    done = server.prefork("stop", *words)
    assert done.returncode == USAGE
    assert done.stderr.startswith("prefork stop: ")
    assert sentence in done.stderr


def test_a_config_file_that_cannot_be_read(server, tmp_path):
    """Status 78."""
    done = server.prefork("stop", "--conf-file", tmp_path / "none")
    assert done.returncode == WRONG
    assert "none" in done.stderr


# ---- P10 and P15 ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HUP", "QUIT", "USR1", "USR2", "INT", "TERM"])
@pytest.mark.parametrize("prefork", [0, 1])
def test_P10_no_signal_ends_the_parent_uncleanly(server, tmp_path, name, prefork):
    """HUP, USR1 and USR2 do not end it; the others end it with status 0 and tidily."""
    signum = getattr(signal, f"SIG{name}")
    s = server.start("echo", prefork=prefork, max_servers=2, pid_file=tmp_path / "pid",
                     port=f"{tmp_path}/s|unix")
    s.signal(signum)
    s.wait_log(f"SIG{name}")
    if name in ("HUP", "USR1", "USR2"):
        assert s.ask(b"still\n") == b"still\n"
        assert (tmp_path / "pid").read_text() == f"{s.pid}\n"
        s.signal(SIGTERM)
    assert s.wait_exit() == 0
    assert not (tmp_path / "pid").exists()
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("prefork", [0, 1])
def test_P15_relative_paths_keep_their_meaning(server, tmp_path, prefork):
    """The program changes its directory in after_init; pid file and log are found again."""
    here = tmp_path / "here"
    here.mkdir()
    s = server.start(server.program("solo"), prefork=prefork, max_servers=1, port=None, cwd=here,
                     pid_file="pid", log_file=here / "log", setsid=1, env={"SOLO": "wait"})
    assert os.readlink(f"/proc/{s.pid}/cwd") == "/"
    assert (here / "pid").read_text() == f"{s.pid}\n"
    done = server.prefork("stop", "--pid-file", "pid", cwd=here)
    assert done.returncode == OK
    assert s.wait_exit() == 0
    assert not (here / "pid").exists()


def test_P15_a_relative_log_file_is_opened_again_where_it_was(server, tmp_path):
    """SIGUSR1 after the program has changed its directory."""
    s = server.start(server.program("solo"), prefork=0, port=None, cwd=tmp_path, wait=None,
                     error_log_path="log", env={"SOLO": "wait"})
    log = tmp_path / "log"
    wait_until(lambda: log.exists() and "notice: ready" in log.read_text(), "the server")
    s.pid = s.process.pid
    log.rename(tmp_path / "old")
    os.kill(s.pid, SIGUSR1)
    wait_until(lambda: log.exists() and "log opened again" in log.read_text(), "the new log")
    assert s.stop() == 0


@pytest.mark.parametrize("umask", [0, 0o077])
def test_P15_modes_of_files_are_explicit(server, tmp_path, umask):
    """No file is writable for others, whatever the umask of the starter allows."""
    s = server.start("echo", **ONE, pid_file=tmp_path / "pid", log_file=tmp_path / "log",
                     background=1, umask=umask)
    assert stat.S_IMODE((tmp_path / "pid").stat().st_mode) == 0o644 & ~umask
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o640 & ~umask
    assert s.stop() == 0


def descriptors(text):
    """What `ls -l /proc/self/fd` says, without the three and the directory itself."""
    links = dict(re.findall(r" (\d+) -> (\S+)", text))
    return {fd: what for fd, what in links.items() if int(fd) > 2 and "/fd" not in what}


@pytest.mark.parametrize("prefork", [0, 1])
def test_P15_no_descriptor_leaks_into_a_program(server, tmp_path, prefork):
    """Pid file, its directory, the log, the channel: none of them is a program's affair."""
    s = server.serve(["ls", "-l", "/proc/self/fd"], prefork=prefork, max_servers=2,
                     pid_file=tmp_path / "pid", log_file=tmp_path / "log", background=1)
    assert descriptors(s.ask().decode()) == {}
    assert s.stop() == 0


def test_P15_no_descriptor_of_the_master_leaks_into_a_worker(server, tmp_path):
    """A worker holds neither the pid file nor the directories that the master keeps."""
    s = server.start("echo", **ONE, pid_file=tmp_path / "pid", log_file=tmp_path / "log",
                     background=1)
    (worker,) = s.wait_workers(1)
    names = [os.readlink(link) for link in Path(f"/proc/{worker}/fd").iterdir()]
    assert str(tmp_path / "pid") not in names
    assert str(tmp_path) not in names
    assert str(tmp_path / "log") in names
