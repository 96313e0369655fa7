"""The log: sinks, what happens when one fails, and opening it again.

The program logs.c logs what its connections say, so a test decides which worker logs when.
Where "no line goes to the old file" is claimed, the old file is compared with what it was at
the moment when the master said that the log is open again.
"""

import os
import re
import resource
import shutil
import socket
import stat
import tempfile
import time
from pathlib import Path
from signal import SIGHUP, SIGUSR1

import psutil
import pytest

from rsyslog import Rsyslog
from support import EXAMPLES, Log, flags, proc_fds, read_line, wait_until
from test_syscalls import Trace

ONE = {"min_servers": 1, "max_servers": 1, "min_spare_servers": 1, "max_spare_servers": 1}
SYSLOG = {"log_file": "Sys::Syslog"}


@pytest.fixture
def rsyslog(server):  # after server: it must be gone when server looks for what is left
    """A running rsyslogd."""
    with tempfile.TemporaryDirectory(prefix="prefork-rsyslog-") as name:
        daemon = Rsyslog(name)
        daemon.start()
        yield daemon
        daemon.stop()


def start(server, *settings, **more):
    """The program that logs what it is told."""
    return server.start(server.program("logs"), *settings, **{**ONE, **more})


def start_with(server, rsyslog, *settings, **more):
    """The same with its lines in syslog; Server looks for them there."""
    more = {**SYSLOG, "syslog_path": rsyslog.path, "syslog_port": rsyslog.port, **more}
    s = start(server, *settings, wait=None, **more)
    s.logs = [s.log, rsyslog.out]
    server._wait_ready(s, "ready")
    return s


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


# ---- syslog: every way, and what a line says ----


@pytest.mark.parametrize("logsock, source", [
    ("native", "imuxsock"), ("unix", "imuxsock"), ("udp", "imudp"), ("tcp", "imtcp"),
    ("inet", "imtcp"), ("tcp,unix", "imtcp"), ("stream", "imptcp"),
    ("native stream", "imptcp")])
def test_every_way_to_syslog(server, rsyslog, logsock, source):
    """Lines of master and workers arrive by the first way that works, with their level,
    and nothing stands on standard error."""
    more = {"syslog_path": rsyslog.stream} if source == "imptcp" else {}
    s = start_with(server, rsyslog, syslog_logsock=logsock, **more)
    tell_one(s, "from the worker", 3)
    (worker,) = s.workers()
    s.wait_log(rf"^{source} daemon \S+ logs\[{s.pid}\] notice: ready$")
    s.wait_log(rf"^{source} daemon \S+ logs\[{worker}\] info: from the worker$")
    assert s.log.text() == ""


@pytest.mark.parametrize("level, severity", [
    (0, "err"), (1, "warning"), (2, "notice"), (3, "info"), (4, "debug")])
def test_levels_in_syslog(server, rsyslog, level, severity):
    """Each level is a severity."""
    s = start_with(server, rsyslog)
    tell_one(s, "a line", level)
    s.wait_log(rf" {severity}: a line$")


def test_facility_ident_and_no_pid(server, rsyslog):
    """What syslog_facility, syslog_ident and syslog_logopt say is in every line."""
    s = start(server, wait=None, **SYSLOG, syslog_path=rsyslog.path, syslog_logopt="nofatal",
              syslog_facility="local3", syslog_ident="net_server")
    rsyslog.out.wait(r"^imuxsock local3 \S+ net_server\[-\] notice: ready$")
    s.pid = s.process.pid


def test_udp_lines_name_this_machine(server, rsyslog):
    """What may leave the machine says where it comes from."""
    s = start_with(server, rsyslog, syslog_logsock="udp")
    host = socket.gethostname().split(".")[0]
    s.wait_log(rf"^imudp daemon {host} logs\[{s.pid}\] notice: ready$")


def test_a_line_in_syslog_cannot_forge_another(server, rsyslog):
    """Control characters are shown, other bytes are kept."""
    s = start_with(server, rsyslog, syslog_logsock="tcp")
    tell_one(s, "Gr\u00fc\u00dfe\r<27>Mar  1 12:00:00 root: forged")
    s.wait_log(r"notice: Gr\u00fc\u00dfe\\x0D<27>Mar  1 12:00:00 root: forged$")


def test_the_daemon_has_no_terminal_behind_syslog(server, rsyslog):
    """In the background standard descriptors are the null device."""
    s = server.start(server.program("logs"), wait=None, **ONE, **SYSLOG, background=1,
                     syslog_path=rsyslog.path)
    s.logs = [s.log, rsyslog.out]
    server._wait_ready(s, "ready")
    assert [proc_fds(s.pid)[fd] for fd in range(3)] == ["/dev/null"] * 3


# ---- syslog that is not there ----


def lost_count(text):
    """What the first line says that got through after others did not."""
    return int(text.partition(" lines lost)")[0].rpartition("(")[2])


@pytest.mark.parametrize("logsock", ["native", "stream", "tcp", "udp"])
def test_W35_a_syslog_daemon_that_is_killed_ends_nobody(server, rsyslog, logsock):
    """A failure of syslog killed the process that logged. Here the server goes on serving,
    counts what is lost, and speaks again as soon as a daemon is there."""
    more = {"syslog_path": rsyslog.stream} if logsock == "stream" else {}
    s = start_with(server, rsyslog, syslog_logsock=logsock, min_servers=3, max_servers=3, **more)
    s.wait_workers(3)
    workers = s.workers()
    with s.connect() as busy:
        tell(busy, "before")
        s.wait_log("notice: before$")
        rsyslog.kill()
        for number in range(20):
            tell(busy, f"while nobody listens {number}")
            tell_one(s, "nor here")
        s.signal(SIGUSR1)  # the master has something to say as well
        rsyslog.start()
        since = s.mark()

        def look():
            tell(busy, "after")
            return s.find_log(r"notice: (?:\(\d+ lines lost\) )?after$", since)
        s.wait_until(look, "a line in the new daemon")
        assert lost_count(s.find_log(r"^.*lines lost\).*$", since)[0].group(0)) >= 1
    assert s.workers() == workers


@pytest.mark.parametrize("logsock", ["native", "stream", "tcp"])
def test_W35_a_syslog_daemon_that_hangs_delays_nobody(server, rsyslog, logsock):
    """Who logged to a daemon that does not read stood still with it. Here requests are
    answered, and lines that find no room are dropped and counted."""
    more = {"syslog_path": rsyslog.stream} if logsock == "stream" else {}
    s = start_with(server, rsyslog, syslog_logsock=logsock, **more)
    with s.connect() as busy:
        tell(busy, "before")
        s.wait_log("notice: before$")
        rsyslog.pause()
        for _ in range(40):  # far more than fits into any buffer, each batch answered
            busy.sendall(b"2 " + b"x" * 400 + b"\n" + (b"2 " + b"y" * 400 + b"\n") * 249)
            for _ in range(250):
                assert read_line(busy) == b"done\n"
        rsyslog.resume()

        def look():
            tell(busy, "after")
            return s.find_log(r"notice: \(\d+ lines lost\) ")
        s.wait_until(look, "a line that says how many were lost")


def test_W35_a_daemon_that_is_gone_is_called_once_in_a_second(server, rsyslog, tmp_path):
    """However many lines there are, they do not keep the master busy; and it does not
    stop calling while somebody has something to say."""
    if not shutil.which("strace"):
        pytest.skip("no strace")
    s = start_with(server, rsyslog)
    path = tmp_path / "trace"
    with s.connect() as busy:
        tell(busy, "before")
        rsyslog.kill()
        with Trace(s.pid, path) as trace:
            begin = time.monotonic()

            def called():
                for _ in range(50):
                    tell(busy, "lost")
                return path.read_text().count("connect(") >= 4
            s.wait_until(called, "four calls")
            seconds = time.monotonic() - begin
        assert trace.calls.count("connect") <= seconds + 2
        assert trace.calls.count("epoll_wait") <= 10 * (seconds + 1)
        rsyslog.start()
        since = s.mark()

        def back():
            tell(busy, "after")
            return s.find_log("after$", since)
        s.wait_until(back, "a line in the new daemon")


@pytest.mark.root
def test_W35_syslog_comes_back_to_a_server_without_privileges(server, rsyslog, open_path):
    """The daemon is reached again by a server that is not root any more and whose root has
    no such path; its working directory is where it was."""
    s = start_with(server, rsyslog, user="nobody", chroot=open_path)
    with s.connect() as busy:
        tell(busy, "before")
        s.wait_log("notice: before$")
        rsyslog.kill()
        tell(busy, "lost")
        rsyslog.start()
        since = s.mark()

        def look():
            tell(busy, "after")
            return s.find_log("after$", since)
        s.wait_until(look, "a line in the new daemon")
    assert os.readlink(f"/proc/{s.pid}/cwd") == str(open_path)
    assert os.readlink(f"/proc/{s.pid}/root") == str(open_path)


def test_W35_no_syslog_daemon_at_start(server, rsyslog):
    """A daemon that is missing is a warning on standard error, and not the end; when it
    comes up, lines arrive."""
    rsyslog.stop()
    s = start(server, wait=None, **SYSLOG, syslog_path=rsyslog.path)
    s.log.wait(r"warning: syslog cannot be reached \(unix, \S+/log\): .*; lines are lost until")
    rsyslog.start()
    s.pid = s.process.pid
    s.logs = [s.log, rsyslog.out]
    s.wait_workers(1)
    s.signal(SIGUSR1)
    s.wait_log("SIGUSR1: log opened again$")


@pytest.mark.parametrize("settings, says", [
    ({"syslog_path": "/nowhere/log"}, "(unix, /nowhere/log): No such file or directory"),
    ({"syslog_logsock": "stream", "syslog_path": "/dev/null"},
     "(stream, /dev/null): Connection refused"),
    ({"syslog_logsock": "tcp", "syslog_port": 1}, "(tcp, 127.0.0.1 port 1): Connection refused"),
    ({"syslog_logsock": "udp", "syslog_host": "no.host.invalid"},
     "(udp, no.host.invalid port 514): there is no address of this name")])
def test_without_nofatal_a_missing_daemon_is_an_error(server, settings, says):
    """Whoever wants no server without a log gets none, and is told why."""
    done = server.command(EXAMPLES / "echo", *flags(
        settings, port="127.0.0.1:0", log_file="syslog", log_level=1, syslog_logopt="pid"))
    assert done.returncode == 71
    (line,) = done.stderr.splitlines()
    assert f"{says}; start the daemon, or add nofatal" in line


def with_console(server, console):
    """The program that logs what it is told, with this file as the console."""
    console.touch()
    inside = server.script(f"mount --bind {console} /dev/console && exec \"$@\"", "inside")
    if server.command("unshare", "-m", inside, "true").returncode != 0:
        pytest.skip("mount namespaces cannot be made here")
    program = server.program("logs")
    return server.script(f"exec unshare -m {inside} {program} \"$@\"", "wrapped")


@pytest.mark.root
def test_the_console_takes_what_syslog_does_not(server, rsyslog, tmp_path):
    """With cons a line that cannot be sent is written to the console instead."""
    console = tmp_path / "console"
    s = server.start(with_console(server, console), wait=None, **ONE, **SYSLOG,
                     syslog_path=rsyslog.path, syslog_logopt="pid,cons,nofatal")
    s.logs = [s.log, rsyslog.out]
    server._wait_ready(s, "ready")
    rsyslog.kill()
    tell_one(s, "help", 1)
    (worker,) = s.workers()
    line = rf"logs\[{worker}\]: (\(\d+ lines lost\) )?help\r\n"
    wait_until(lambda: re.search(line, console.read_bytes().decode()), "the line")


@pytest.mark.root
def test_the_console_as_the_log(server, tmp_path):
    """syslog_logsock console needs no daemon."""
    console = tmp_path / "console"
    s = server.start(with_console(server, console), wait=None, **ONE, **SYSLOG,
                     syslog_logsock="console", port=f"{tmp_path}/s|unix")
    s.pid, s.logs = s.process.pid, [s.log, Log(console)]
    s.wait_log(rf"^logs\[{s.pid}\]: ready$")


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
