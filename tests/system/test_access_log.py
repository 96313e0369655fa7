"""The access log: whose lines stand there, that they stay whole, and what a failure costs.

The program accesses.c writes what its connections say. A line of the library has eight words;
GRAMMAR is what prefork.conf(5) says about them.
"""

import errno
import os
import re
import socket
import stat
import subprocess
import threading
from pathlib import Path
from signal import SIGKILL, SIGUSR1

import pytest

from certificates import certificates  # noqa: F401
from datagrams import Client as Sender
from datagrams import start as start_datagrams
from datagrams import both
from support import EXAMPLES, PATIENCE, converse, proc_fds, read_all, read_line, wait_until
from test_syscalls import Trace
from tls_clients import port as tls_port

ONE = {"min_servers": 1, "max_servers": 1, "min_spare_servers": 1, "max_spare_servers": 1}
GRAMMAR = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<pid>\d+) "
    r"(?P<proto>tcp|ssl|udp|unix|unixdgram) (?P<peer>[!-~]+) (?P<local>[!-~]+) "
    r"(?P<duration>\d+\.\d{6}) (?P<outcome>served|denied|failed) "
    r"(?P<status>-|exit:\d+|signal:\d+)")


@pytest.fixture
def path(tmp_path):
    """Where the access log is."""
    return tmp_path / "access"


def start(server, path, *settings, **more):
    """The program that writes what it is told."""
    return server.start(server.program("accesses"), *settings,
                        **{**ONE, "access_log_path": path, **more})


def tell(connection, text):
    """Let the worker behind this connection write; the result of its last line."""
    connection.sendall(f"{text}\n".encode())
    return int(read_line(connection))


def lines_of(path, count):
    """The file's lines, when there are so many."""
    def look():
        found = path.read_text().splitlines()
        return found if len(found) >= count else None
    lines = wait_until(look, f"{count} lines in {path}")
    assert len(lines) == count, lines
    return lines


def visits(path, count=1):
    """So many lines of the library, taken apart."""
    found = [GRAMMAR.fullmatch(line) for line in lines_of(path, count)]
    assert all(found), path.read_text()
    return found


# ---- lines of the library ----------------------------------------------------------------


def test_a_connection_without_code_is_one_line(server, path):
    s = server.start("echo", **ONE, access_log_path=path)
    with s.connect() as c:
        host, port = c.getsockname()
        assert converse(c, b"hello\n") == b"hello\n"
    (v,) = visits(path)
    assert (v["peer"], v["local"]) == (f"{host}:{port}", f"127.0.0.1:{s.port}")
    assert (v["proto"], v["outcome"], v["status"]) == ("tcp", "served", "-")
    assert int(v["pid"]) in s.workers()
    assert 0 < float(v["duration"]) < 15


def test_a_wildcard_port_tells_the_address_that_was_asked(server, path):
    """The kernel is asked for it."""
    s = server.start("echo", **ONE, access_log_path=path, port="0.0.0.0:0")
    with s.connect(address=("127.0.0.3", s.port)) as c:
        assert converse(c, b"hello\n") == b"hello\n"
    (v,) = visits(path)
    assert v["local"] == f"127.0.0.3:{s.port}"


def test_the_duration_is_that_of_the_connection(server, path):
    """By the clock of whoever keeps it open: never less, and not much more."""
    s = server.start("echo", **ONE, access_log_path=path)
    with s.connect() as c:
        c.sendall(b"one\n")
        assert read_line(c) == b"one\n"
        threading.Event().wait(0.25)  # time itself is what is measured here
        c.sendall(b"two\n")
        assert read_line(c) == b"two\n"
    (v,) = visits(path)
    assert float(v["duration"]) >= 0.25


def test_unix_sockets_have_paths_that_cannot_be_split(server, path, tmp_path):
    """A quote, a backslash and letters beyond ASCII stay in their word."""
    name = tmp_path / "a\"\\\u00fc"
    s = server.start("echo", **ONE, access_log_path=path, port=f"{name}|unix")
    assert s.ask(b"x\n", address=name) == b"x\n"
    (v,) = visits(path)
    assert v["proto"] == "unix"
    assert v["local"] == f"{tmp_path}/a\"\\x5C\\xC3\\xBC" == v["peer"]


def test_denied_connections_are_told(server, path):
    s = server.start("echo", **ONE, access_log_path=path, cidr_deny="127.0.0.0/8")
    assert s.ask() == b""
    (v,) = visits(path)
    assert v["outcome"] == "denied"


@pytest.mark.parametrize("script, status", [
    ("cat", "exit:0"), ("exit 3", "exit:3"), ("kill -9 $$", "signal:9")])
def test_programs_have_a_status(server, path, script, status):
    s = server.serve(server.script(script), **ONE, access_log_path=path)
    with s.connect() as c:
        c.shutdown(socket.SHUT_WR)
        read_all(c)
    (v,) = visits(path)
    assert (v["outcome"], v["status"]) == ("served", status)


def test_a_program_does_not_inherit_the_access_log(server, path):
    s = server.serve(server.script("ls -l /proc/$$/fd"), **ONE, access_log_path=path)
    said = s.ask()
    assert b"0 -> " in said and str(path).encode() not in said


def test_a_program_that_cannot_be_started_is_a_failure(server, path, tmp_path):
    """The connection is closed unserved, and told."""
    program = server.script("cat")
    s = server.serve(program, **ONE, access_log_path=path)
    program.unlink()
    with s.connect() as c:
        assert read_all(c) == b""
    (v,) = visits(path)
    assert (v["outcome"], v["status"]) == ("failed", "-")


@pytest.mark.parametrize("kind", ["udp", "unixdgram"])
def test_datagrams_are_told_one_by_one(server, path, tmp_path, kind):
    port, own = both(server, kind, tmp_path)
    s = start_datagrams(server, port, access_log_path=path)
    with Sender(s.address, own) as c:
        for number in range(5):
            c.ask(b"pid")
        peer = str(own) if own else f"127.0.0.1:{c.socket.getsockname()[1]}"
    for v in visits(path, 5):
        assert (v["proto"], v["outcome"]) == (kind, "served")
        assert v["peer"] == peer
        assert v["local"] == (str(s.address) if own else "%s:%d" % s.address)


def test_a_handshake_that_fails_is_told(server, path, certificates):
    s = server.start(server.program("tls"), access_log_path=path,
                     port=tls_port(certificates.server))
    with s.connect() as c:
        c.sendall(b"GET / HTTP/1.0\r\n\r\n")
        try:
            read_all(c)
        except ConnectionResetError:
            pass
    (v,) = visits(path)
    assert (v["proto"], v["outcome"]) == ("ssl", "failed")


def test_inet_writes_one_line(server, path):
    with socket.create_server(("127.0.0.1", 0)) as door:
        with socket.create_connection(door.getsockname()) as client:
            accepted, peer = door.accept()
            with accepted:
                process = subprocess.Popen(
                    [EXAMPLES / "echo", "--server_type", "INET", f"--access_log_path={path}"],
                    stdin=accepted, stdout=accepted)
            assert converse(client, b"hello\n") == b"hello\n"
            assert process.wait(15) == 0
    (v,) = visits(path)
    assert v["peer"] == "%s:%d" % peer and int(v["pid"]) == process.pid


@pytest.mark.parametrize("kind", ["Fork", "Single", "PreForkSimple"])
def test_other_kinds_of_servers_write_the_same(server, path, kind):
    s = server.start("echo", access_log_path=path, server_type=kind)
    for _ in range(5):
        assert s.ask(b"x\n") == b"x\n"
    visits(path, 5)


# ---- lines of the program ----------------------------------------------------------------


def test_the_programs_line_stands_instead(server, path):
    """As it is given, with nothing before it; a connection without one gets the library's."""
    s = start(server, path)
    with s.connect() as c:
        assert tell(c, "2 GET /gr\u00fc\u00dfe \\ \"x\" \t\x1b[1m") == 0
        assert tell(c, "quiet") == 0
    assert s.ask(b"quiet\n") == b"0\n"
    (worker,) = s.workers()
    first, second, third = lines_of(path, 3)
    rest = "GET /gr\u00fc\u00dfe \\ \"x\" \\x09\\x1B[1m"
    assert [first, second] == [f"{worker} 0 {rest}", f"{worker} 1 {rest}"]
    assert GRAMMAR.fullmatch(third)


def test_hooks_of_the_master_write_too(server, path):
    """From after_init on; before, the log is not open and the call says so."""
    s = start(server, path, env={"MASTER": "1"})
    assert s.wait_log(rf"too early: -{errno.EBADF}$") and s.find_log("in after_init: 0$")
    assert lines_of(path, 2) == ["after_init", "child_init"]


def test_a_line_behind_the_connection_does_not_replace_it(server, path):
    """The connection was closed, and told, before that hook."""
    s = start(server, path, env={"AFTER": "1"})
    assert s.ask(b"quiet\n") == b"0\n"
    first, second = lines_of(path, 2)
    assert GRAMMAR.fullmatch(first) and second == "after"


LOOP = r"""
#include <prefork/prefork.h>
static void loop(struct prefork_worker *w, void *data)
{
    int r;
    (void)data;
    while ((r = prefork_wait(w, -1, 0.02)) == 0)
        prefork_access_log("tick");
    prefork_access_log("the wait returned %d", r);
}
int main(int argc, char **argv)
{
    return prefork_main(argc, argv, &(struct prefork_app){.name = "loop", .main_loop = loop});
}
"""


def test_a_main_loop_writes_its_own_lines_only(server, path):
    """Also to a new file; the library has nothing to say."""
    s = server.start(server.build(LOOP), **ONE, access_log_path=path, port=None)
    wait_until(lambda: path.read_text().startswith("tick\n"), "a line")
    old = rotate(s, path, 1)
    wait_until(lambda: path.read_text().startswith("tick\n"), "a line in the new file")
    s.stop()
    assert set(old.read_text().splitlines()) == {"tick"}
    lines = path.read_text().splitlines()
    assert lines[-1] == f"the wait returned -{errno.ECANCELED}" and set(lines[:-1]) == {"tick"}


def test_without_the_setting_nothing_is_written(server, tmp_path):
    s = start(server, None)
    with s.connect() as c:
        assert tell(c, "3 x") == -errno.EBADF
    assert not (tmp_path / "access").exists()


# ---- whole lines -------------------------------------------------------------------------


def shout(s, text, batches, address=None, together=None):
    """A connection that makes its worker write many lines; raises if one is lost. together:
    not before everybody has a worker."""
    with s.connect(address=address) as c:
        assert tell(c, "quiet") == 0
        if together:
            together.wait(PATIENCE)
        for _ in range(batches):
            assert tell(c, text) == 0


def all_together(count, function):
    """So many threads; none of them may fail."""
    failures = []

    def run(number):
        try:
            function(number)
        except BaseException as error:  # an assertion too
            failures.append(error)
    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def check_whole(lines, clients, per_client, size):
    """Each line of each client is there once and whole. Lines are numbered within a batch."""
    seen = {}
    for line in lines:
        match = re.fullmatch(r"\d+ (\d+) c(\d+)-(x+)-end", line)
        assert match and len(match[3]) == size, line
        seen[int(match[2])] = seen.get(int(match[2]), 0) + 1
    assert seen == {number: per_client for number in range(clients)}


def test_twenty_thousand_lines_of_eight_workers_are_whole(server, path):
    """None is torn, mixed or lost, whatever its length."""
    s = start(server, path, min_servers=8, max_servers=8, max_spare_servers=8)
    s.wait_workers(8, "idle")
    together = threading.Barrier(8)
    all_together(8, lambda n: shout(s, f"500 c{n}-{'x' * 300}-end", 5, together=together))
    lines = path.read_text().splitlines()
    check_whole(lines, 8, 2500, 300)
    assert len(lines) == 20000 and len({line.split()[0] for line in lines}) == 8


def rotate(s, path, number):
    """As logrotate does it."""
    old = path.with_name(f"{path.name}.{number}")
    path.rename(old)
    s.signal(SIGUSR1)
    s.wait_log("SIGUSR1: access log opened again$", count=number)
    return old


def test_rotation_under_load_loses_no_line(server, path, tmp_path):
    """Ten rotations while four workers write; everything stands in one of the files."""
    s = start(server, path, min_servers=4, max_servers=4, max_spare_servers=4,
              log_file=tmp_path / "log")
    s.wait_workers(4, "idle")
    address, old = s.address, []
    writers = threading.Thread(target=lambda: all_together(
        4, lambda n: shout(s, f"50 c{n}-{'x' * 60}-end", 40, address)))
    writers.start()
    for number in range(1, 11):
        wait_until(lambda: path.exists() and path.stat().st_size > 0 or not writers.is_alive(),
                   "lines in the new file")
        old.append(rotate(s, path, number))
    writers.join()
    lines = [line for file in [*old, path] for line in file.read_text().splitlines()]
    check_whole(lines, 4, 2000, 60)
    assert len(s.find_log("SIGUSR1: log opened again$")) == 10


def test_nothing_goes_to_the_old_file_after_a_rotation(server, path):
    """An idle worker switches at once, a busy one with its next line."""
    s = start(server, path, min_servers=2, max_servers=2, max_spare_servers=2)
    s.wait_workers(2, "idle")
    with s.connect() as busy:
        assert tell(busy, "1 before") == 0
        old = rotate(s, path, 1)
        before = old.read_text()
        assert tell(busy, "1 after") == 0
        assert s.ask(b"quiet\n") == b"0\n"
        s.wait_until(lambda: str(old) not in [name for pid in [s.pid, *s.workers()]
                                              for name in proc_fds(pid).values()],
                     "all descriptors of the old file to be closed")
    assert old.read_text() == before
    lines = lines_of(path, 2)
    assert lines[0].endswith("after") and GRAMMAR.fullmatch(lines[1])
    assert not s.find_log("no log file to open")


def test_workers_born_after_a_rotation_write_to_the_new_file(server, path):
    s = start(server, path)
    old = rotate(s, path, 1)
    (worker,) = s.workers()
    os.kill(worker, SIGKILL)
    s.wait_until(lambda: s.workers() not in ([worker], []), "another worker")
    assert s.ask(b"1 x\n") == b"0\n"
    assert lines_of(path, 1)[0].endswith(" 0 x") and old.read_text() == ""


# ---- whose file it is --------------------------------------------------------------------


def test_the_file_is_appended_to_and_not_for_everybody(server, path):
    path.write_text("first\n")
    s = start(server, path)
    assert s.ask(b"1 x\n") == b"0\n"
    assert lines_of(path, 2)[0] == "first"
    s.stop()
    path.unlink()
    start(server, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_relative_path_is_that_of_the_starter(server, tmp_path):
    """Also for a daemon and after a rotation, wherever it is then."""
    (tmp_path / "d").mkdir()
    s = start(server, "d/access", cwd=tmp_path, background=1, log_file=tmp_path / "log")
    rotate(s, tmp_path / "d/access", 1)
    assert s.ask(b"1 x\n", address=("127.0.0.1", s.port)) == b"0\n"
    lines_of(tmp_path / "d/access", 1)


@pytest.mark.root
@pytest.mark.parametrize("changed", [False, True], ids=["", "chroot"])
def test_user_and_chroot(server, open_path, changed):
    """The file is handed over, and opened again without root and without its path."""
    path, empty = open_path / "access", open_path / "empty"
    empty.mkdir()
    os.chmod(open_path, 0o777)
    s = start(server, path, user="nobody", **({"chroot": empty} if changed else {}))
    assert path.owner() == "nobody"
    assert s.ask(b"1 before\n") == b"0\n"
    old = rotate(s, path, 1)
    assert path.owner() == "nobody"
    assert s.ask(b"1 after\n") == b"0\n"
    assert lines_of(old, 1)[0].endswith("before") and lines_of(path, 1)[0].endswith("after")
    for worker in s.workers():
        assert not [name for name in proc_fds(worker).values() if Path(name).is_dir()]


@pytest.mark.root
def test_a_file_behind_a_link_is_not_given_away(server, open_path):
    """As log_file: who may write to the directory could have put the link there."""
    victim = open_path / "victim"
    victim.write_text("")
    (open_path / "access").symlink_to(victim)
    start(server, open_path / "access", user="nobody")
    assert victim.owner() == "root"


# ---- what it costs -----------------------------------------------------------------------


def cost(server, tmp_path, **settings):
    """System calls of 100 connections, by name."""
    s = server.start(server.program("pool_once"), **ONE, log_level=2, **settings)
    (worker,) = s.wait_workers(1, "idle")
    address = s.address

    def once():
        with s.connect(address=address) as c:
            c.sendall(b"hello")
            assert c.recv(64) == b"hello" and c.recv(64) == b""
    once()
    s.wait_workers(1, "idle")
    trace_path = tmp_path / f"trace.{len(settings)}"
    with Trace(worker, trace_path) as trace:
        for _ in range(100):
            once()
        s.wait_workers(1, "idle")
        wait_until(lambda: trace_path.read_text().count("close(") == 100, "the last close")
        if "access_log_path" in settings:
            wait_until(lambda: trace_path.read_text().count("write(") == 100, "the last line")
    return {name: trace.calls.count(name) for name in set(trace.calls)}


def test_a_line_costs_one_write(server, path, tmp_path):
    """And nothing without an access log."""
    without = cost(server, tmp_path)
    assert without.keys() <= {"accept4", "recvfrom", "sendto", "close", "epoll_wait"}
    with_log = cost(server, tmp_path, access_log_path=path)
    assert with_log.pop("write") == 100
    assert with_log.keys() <= without.keys()
    assert all(with_log[name] <= without[name] + 1 for name in with_log)
