"""The log: sinks, what happens when one fails, and opening it again.

The program logs.c logs what its connections say, so a test decides which worker logs when.
Where "no line goes to the old file" is claimed, the old file is compared with what it was at
the moment when the master said that the log is open again.
"""

import os
import resource
import shutil
import stat
from pathlib import Path
from signal import SIGHUP, SIGUSR1

import psutil
import pytest

from support import Log, flags, proc_fds, read_line, wait_until

ONE = {"min_servers": 1, "max_servers": 1, "min_spare_servers": 1, "max_spare_servers": 1}


def start(server, *settings, **more):
    """The program that logs what it is told."""
    return server.start(server.program("logs"), *settings, **{**ONE, **more})


def tell(connection, text, level=2):
    """Let the worker behind this connection log a line; returns when it has."""
    connection.sendall(f"{level} {text}\n".encode())
    assert read_line(connection) == b"done\n"


def tell_one(s, text, level=2):
    """The same on a connection of its own. Its listeners stand in the first log only."""
    if not hasattr(s, "where"):
        s.where = s.address
    with s.connect(address=s.where) as connection:
        tell(connection, text, level)


def fds_of(pid):
    """What the descriptors of a process lead to."""
    return list(proc_fds(pid).values())


# ---- words of log_file ----


@pytest.mark.parametrize("word", ["STDERR", "/dev/stderr"])
def test_standard_error_by_name(server, tmp_path, word):
    """It is the sink, and no file of that name is made."""
    s = server.start("echo", **ONE, log_file=word, cwd=tmp_path, wait=None)
    s.logs = [s.log]
    server._wait_ready(s, "ready")
    assert not (tmp_path / "STDERR").exists()
    s.signal(SIGUSR1)
    s.wait_log("notice: SIGUSR1: there is no log file to open again$")


@pytest.mark.parametrize("settings, words", [
    ({"log_file": "Log::Log4perl"}, ["log_file", "Log::Log4perl", "Sys::Syslog"]),
    ({"syslog_logsock": "pipe"}, ["syslog_logsock", '"pipe"', "native, unix"]),
    ({"syslog_facility": "local8"}, ["syslog_facility", '"local8"', "local7"]),
    ({"syslog_logopt": "perror"}, ["syslog_logopt", '"perror"', "nofatal"]),
    ({"syslog_ident": "a b"}, ["syslog_ident", '"a b"', "printable"])])
def test_words_that_mean_nothing_are_errors(server, tmp_path, settings, words):
    """The message names file, line, setting, value and what may stand there."""
    conf = tmp_path / "x.conf"
    (key, value), = settings.items()
    conf.write_text(f"# first\n{key} {value}\n")
    done = server.prefork("check", f"--conf_file={conf}")
    assert done.returncode == 78
    for word in [f"{conf}:2", *words]:
        assert word in done.stderr


# ---- what a line says ----


def test_W36_errors_are_logged_at_level_0(server):
    """log_level 0 hid errors that ended the server. Here errors are always written."""
    s = start(server, log_level=0, wait=None, port=f"{server.directory}/s|unix")
    s.pid = s.process.pid
    wait_until(lambda: Path(server.directory, "s").exists(), "the socket")
    with s.connect(address=f"{server.directory}/s") as c:
        tell(c, "all is lost", 0)
        tell(c, "a warning", 1)
    s.wait_log(r"logs\[\d+\] error: all is lost$")
    assert not s.find_log("a warning")


def test_W36_letters_beyond_ascii_stay_as_they_are(server):
    """UTF-8 and tabs were changed to percent codes, and most lines had no time and no
    process id. Here only control characters are changed, and every line has both."""
    s = start(server)
    tell_one(s, "Gr\u00fc\u00dfe aus K\u00f6ln, 5 \u20ac, \ttab \x1b[1m")
    s.wait_log(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} logs\[\d+\] notice: "
               "Gr\u00fc\u00dfe aus K\u00f6ln, 5 \u20ac, " r"\\x09tab \\x1B\[1m$")


# ---- opening the file again ----


def rotate(s, path, prepare=lambda: None):
    """As logrotate does it: rename, make the new one, signal. The old file's text when the
    master has said that the log is open again."""
    old = path.with_name(f"{path.name}.1")
    path.rename(old)
    prepare()
    s.signal(SIGUSR1)
    s.wait_log("SIGUSR1: log opened again$")
    return old, old.read_text()


def test_W36_a_renamed_file_is_followed_on_SIGUSR1(server, tmp_path):
    """Only a new start of the server opened the log again. Here SIGUSR1 does, and lines of
    the master, of idle and of busy workers go to the new file only."""
    path = tmp_path / "log"
    s = start(server, log_file=path, min_servers=3, max_servers=3)
    s.wait_workers(3)
    tell_one(s, "idle before")
    with s.connect() as busy:
        tell(busy, "busy before")
        old, before = rotate(s, path)
        tell(busy, "busy after")
        for _ in range(10):
            tell_one(s, "idle after")
        s.wait_log(r"notice: busy after$")
        s.wait_log(r"notice: idle after$", count=10)
        s.wait_until(lambda: all(str(old) not in fds_of(pid) for pid in [s.pid, *s.workers()]),
                     "all descriptors of the old file to be closed")
    assert old.read_text() == before
    assert "busy before" in before and "opened again" not in before


def test_SIGUSR1_makes_a_deleted_file_anew(server, tmp_path):
    """As rename, and the mode of the new file is that of the first."""
    path = tmp_path / "log"
    s = start(server, log_file=path)
    tell_one(s, "to a file with a name")
    path.unlink()
    tell_one(s, "to a file without name")
    s.signal(SIGUSR1)
    s.wait_log("SIGUSR1: log opened again$")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640 and "without name" not in path.read_text()


def test_a_daemons_standard_error_follows_the_file(server, tmp_path):
    """Descriptor 2 of the master and of all workers is the new file, too."""
    path = tmp_path / "log"
    s = start(server, log_file=path, background=1, min_servers=2, max_servers=2)
    s.wait_workers(2)
    assert proc_fds(s.pid)[2] == str(path)
    rotate(s, path)
    s.wait_until(lambda: all(proc_fds(pid)[2] == str(path) for pid in [s.pid, *s.workers()]),
                 "standard error")


def test_programs_started_later_have_the_new_standard_error(server, tmp_path):
    """A program for a connection writes to the file that the log is in by then."""
    path = tmp_path / "log"
    s = server.serve(server.script("echo 'program says' >&2"), **ONE, log_file=path, background=1)
    address = s.address
    old, before = rotate(s, path)
    s.ask(address=address)
    s.wait_log("^program says$")
    assert old.read_text() == before


def privileged(server, directory, **more):
    """A server that gave up root, with its log in a directory of root's."""
    return start(server, log_file=directory / "log", user="nobody", **more)


def by_nobody(path):
    """What logrotate's `create 0640 nobody` does."""
    path.touch(mode=0o640)
    shutil.chown(path, "nobody")


@pytest.mark.root
@pytest.mark.parametrize("changed", [False, True], ids=["", "chroot"])
def test_rotation_without_privileges(server, open_path, changed):
    """The file is found although its user is not root any more, and even from a root from
    which its path cannot be seen. No worker can see outside of that."""
    path = open_path / "log"
    empty = open_path / "empty"
    empty.mkdir()
    s = privileged(server, open_path, min_servers=2, max_servers=2,
                   **({"chroot": empty} if changed else {}))
    s.wait_workers(2)
    assert os.readlink(f"/proc/{s.pid}/root") == (str(empty) if changed else "/")
    assert path.owner() == "nobody"
    tell_one(s, "idle before")
    with s.connect() as busy:
        tell(busy, "busy before")
        old, before = rotate(s, path, lambda: by_nobody(path))
        tell(busy, "busy after")
        tell_one(s, "idle after")
        s.wait_log("notice: busy after$")
        s.wait_log("notice: idle after$")
    assert old.read_text() == before
    for worker in s.workers():
        assert not [name for name in fds_of(worker) if Path(name).is_dir()]


@pytest.mark.root
def test_a_file_that_cannot_be_opened_again(server, open_path):
    """The old one is kept, and a warning there says why."""
    path = open_path / "log"
    s = privileged(server, open_path)
    old = open_path / "log.1"
    path.rename(old)
    s.logs = [s.log, Log(old)]
    s.signal(SIGUSR1)
    s.wait_log(r"warning: SIGUSR1: cannot open the log again: Permission denied; going on with "
               r"the old one$")
    tell_one(s, "still here")
    s.wait_log("notice: still here$")
    assert not path.exists()


def test_a_request_to_leave_is_not_lost_beside_a_new_log(server, tmp_path):
    """A busy worker that logs reads its channel; it leaves all the same when it is asked
    there in the same moment."""
    path = tmp_path / "log"
    s = start(server, log_file=path)
    with s.connect() as busy:
        tell(busy, "first")
        (worker,) = s.workers()
        rotate(s, path)
        s.signal(SIGHUP)
        s.wait_log("asked to leave 1 worker")
        tell(busy, "last words")
    s.wait_log(rf"worker {worker} ended with status 0")
    s.wait_log("notice: last words$")


LOOP = r"""
#include <prefork/prefork.h>
static void loop(struct prefork_worker *w, void *data)
{
    int r = prefork_wait(w, -1, 1000);
    (void)data;
    prefork_log(PREFORK_LOG_NOTICE, "the wait returned %d", r);
}
int main(int argc, char **argv)
{
    return prefork_main(argc, argv, &(struct prefork_app){.name = "loop", .main_loop = loop});
}
"""


def test_a_main_loop_waits_on_when_the_log_changes(server, tmp_path):
    """prefork_wait() takes the new file and goes on waiting; a request to leave ends it."""
    path = tmp_path / "log"
    s = server.start(server.build(LOOP), **ONE, log_file=path, port=None)
    (worker,) = s.workers()
    old, _ = rotate(s, path)
    s.wait_until(lambda: str(old) not in fds_of(worker), "the worker to switch")
    s.signal(SIGHUP)
    s.wait_log(rf"loop\[{worker}\] notice: the wait returned -125$")
    assert len(s.find_log("the wait returned")) == 1


def test_a_worker_that_does_not_read_blocks_nobody(server, tmp_path):
    """More new files than its channel takes: the master goes on, and so does the worker,
    in the end with the last one."""
    path = tmp_path / "log"
    s = start(server, log_file=path)
    with s.connect() as busy:
        tell(busy, "first")
        for number in range(1, 401):
            s.signal(SIGUSR1)
            s.wait_log("SIGUSR1: log opened again$", count=number)
        old, _ = rotate(s, path)

        def look():
            tell(busy, "newest")
            return s.find_log("notice: newest$")
        s.wait_until(look, "a line in the newest file")
        (worker,) = s.workers()
        s.wait_until(lambda: str(old) not in fds_of(worker), "no descriptor to be left")
        assert len([name for name in fds_of(worker) if name == str(path)]) == 1


# ---- files that take no line ----


def test_a_full_disk_costs_lines_only(server, tmp_path):
    """Requests are answered; with room again, the next line begins on its own and says how
    many were lost. SIGXFSZ, by which such a limit kills, does not."""
    path = tmp_path / "log"
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    s = start(server, log_file=path)
    (worker,) = s.workers()
    for pid in (s.pid, worker):
        psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (6000, hard))
    with s.connect() as busy:
        for number in range(50):
            tell(busy, f"line {number} " + "x" * 200)
        s.signal(SIGUSR1)  # the master logs, too
        assert path.stat().st_size == 6000
        for pid in (s.pid, worker):
            psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (hard, hard))
        tell(busy, "room again")
    match = s.wait_log(r"^[-0-9]+ [:.0-9]+ logs\[\d+\] notice: \((\d+) lines lost\) room again$")
    assert int(match.group(1)) >= 20 and s.workers() == [worker]


def test_a_device_that_is_always_full(server):
    """Not even the first line can be written, and the server serves."""
    s = start(server, log_file="/dev/full", wait=None, port=f"{server.directory}/s|unix")
    s.pid, s.logs = s.process.pid, [s.log]  # there is no end of reading that device
    s.wait_workers(1)
    with s.connect(address=f"{server.directory}/s") as c:
        tell(c, "to nowhere")
    assert s.log.text() == ""


def test_a_fifo_without_reader(server, tmp_path):
    """It opens, keeps what fits, and never blocks; a reader who comes late finds it."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    s = start(server, log_file=path, wait=None, port=f"{tmp_path}/s|unix")
    s.pid, s.logs = s.process.pid, [s.log]
    s.wait_workers(1)
    with s.connect(address=f"{tmp_path}/s") as c:
        for _ in range(300):
            tell(c, "x" * 300)
        with open(path, "rb", buffering=0) as reader:
            assert b"notice: listening on " in reader.read(65536)
            tell(c, "room again")
            text = reader.read(65536)
            while b"room again" not in text:
                text += reader.read(65536)
            assert b" lines lost) room again\n" in text
        tell(c, "and without a reader again")


# ---- hooks ----


def test_write_to_log_hook_replaces_the_writing(server, tmp_path):
    """It runs in master and workers, gets the text alone, and what it logs is dropped."""
    hook = Log(tmp_path / "hook")
    s = start(server, wait=None, env={"HOOK": hook.path}, port=f"{tmp_path}/s|unix")
    hook.wait(r"^2 (\d+) ready$")
    s.pid = s.process.pid
    (worker,) = s.workers()
    with s.connect(address=f"{tmp_path}/s") as c:
        tell(c, "from\ta worker", 3)
    hook.wait(rf"^3 {worker} from\\x09a worker$")
    assert hook.find(rf"^2 {s.pid} ready$")
    assert not hook.find("logged by the hook") and s.log.text() == ""


@pytest.mark.parametrize("settings, text", [
    ({"port": "127.0.0.1:0", "pid_file": "/nowhere/pid"}, "pid_file /nowhere/pid: "),
    ({"user": "nobody-there"}, 'there is no user "nobody-there"')])
def test_fatal_hook_knows_why_the_server_cannot_start(server, tmp_path, settings, text):
    """It is called once, with the sentence that is printed after it."""
    fatal = tmp_path / "fatal"
    done = server.command(server.program("logs"), *flags(settings), env={"FATAL": fatal})
    assert done.returncode in (71, 78)
    (sentence,) = fatal.read_text().splitlines()
    assert text in sentence
    first, second = done.stderr.splitlines()[-2:]
    assert "the fatal hook says goodbye" in first and sentence in second


def test_fatal_hook_of_a_daemon_whose_workers_fail(server, tmp_path):
    """The daemon calls it, and then logs the error at level 0; the starter prints it."""
    fatal = tmp_path / "fatal"
    done = server.command(server.program("logs"), *flags(
        ONE, port="127.0.0.1:0", background=1, log_file=tmp_path / "log", log_level=0),
        env={"FATAL": fatal, "REFUSE": 1})
    assert done.returncode == 69
    (sentence,) = fatal.read_text().splitlines()
    assert sentence.startswith("no worker became ready") and sentence in done.stderr
    wait_until(lambda: f"error: {sentence}\n" in (tmp_path / "log").read_text(), "the error")
