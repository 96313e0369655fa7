"""Lines in syslog: every way there, what a line says, and what a daemon that is gone costs."""

import os
import re
import shutil
import socket
import tempfile
import time
from signal import SIGUSR1

import pytest

from rsyslog import Rsyslog
from support import EXAMPLES, Log, flags, proc_fds, read_line, wait_until
from test_log import start, tell, tell_one
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


def start_with(server, rsyslog, *settings, **more):
    """The same with its lines in syslog; Server looks for them there."""
    more = {**SYSLOG, "syslog_path": rsyslog.path, "syslog_port": rsyslog.port, **more}
    s = start(server, *settings, wait=None, **more)
    s.logs = [s.log, rsyslog.out]
    server._wait_ready(s, "ready")
    return s


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
