"""The access log where it cannot be written: paths, disks, and files that take no line."""

import errno
import os
import re
import resource
import subprocess
from pathlib import Path
from signal import SIGUSR1

import psutil
import pytest

from support import EXAMPLES, flags, wait_until
from test_access_log import lines_of, start, tell
from test_access_log import path  # noqa: F401
from test_daemon import failed_start

ONE = {"min_servers": 1, "max_servers": 1, "min_spare_servers": 1, "max_spare_servers": 1}


LOGS = pytest.mark.parametrize("key, shown", [
    ("access_log_path", "access_log_path"), ("access_log", "access_log_path"),
    ("log_file", "log_file"), ("error_log_path", "log_file")])


@LOGS
def test_a_path_that_cannot_be_opened_ends_the_start(server, tmp_path, key, shown):
    """One line: which setting, which path, why, and what to do; the status is log_file's."""
    status, lines = failed_start(server, EXAMPLES / "echo", **{key: tmp_path / "no/log"},
                                 log_level=1)
    assert status == 71 and len(lines) == 1
    assert f"{shown} {tmp_path}/no/log: No such file or directory; make its dir" in lines[0]


@LOGS
def test_a_directory_is_no_log(server, tmp_path, key, shown):
    status, lines = failed_start(server, EXAMPLES / "echo", **{key: tmp_path}, log_level=1)
    assert status == 71
    assert f"{shown} {tmp_path}: Is a directory; name a file in it" in lines[-1]


@pytest.mark.root
@LOGS
def test_a_file_that_the_starter_may_not_write(server, open_path, key, shown):
    path = open_path / "log"
    path.write_text("")
    path.chmod(0o600)
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", EXAMPLES / "echo",
                           *flags(**{key: path}, port="127.0.0.1:0", log_level=1)],
                          capture_output=True, text=True, check=False, timeout=15)
    if "setpriv" in done.stderr:
        pytest.skip("the build directory is closed to others")
    assert done.returncode == 71
    assert f"{shown} {path}: Permission denied; let whoever starts" in done.stderr


@pytest.mark.parametrize("word", ["-", "syslog", "Sys::Syslog", "STDERR", "Log::Log4perl"])
def test_words_are_no_paths(server, tmp_path, word):
    conf = tmp_path / "x.conf"
    conf.write_text(f"access_log_path {word}\n")
    done = server.prefork("check", f"--conf_file={conf}")
    assert done.returncode == 78
    assert f'{conf}:1: access_log_path: "{word}" is not the path of a file' in done.stderr


def test_a_program_that_accepts_makes_it_useless(server, path):
    done = server.prefork("check", f"--access_log_path={path}", "--handler=wait", "--", "cat")
    assert "access_log_path: without effect" in done.stderr


def test_a_device_that_is_always_full(server):
    """The pool serves on; all workers together say it once, and the number at the end."""
    s = start(server, "/dev/full", min_servers=3, max_servers=3, max_spare_servers=3)
    s.wait_workers(3, "idle")
    workers = s.workers()
    for _ in range(30):
        assert s.ask(b"quiet\n") == b"0\n"
    with s.connect() as c:
        assert tell(c, "100 x") == -errno.ENOSPC
    assert s.workers() == workers
    s.wait_until(lambda: len(s.workers("idle")) == 3, "rest")
    s.stop()
    assert len(s.find_log("warning: cannot write to access_log_path /dev/full: No space left")) == 1
    s.wait_log("warning: 130 lines of access_log_path /dev/full were lost$")


def limit(pids, size):
    """No file of these processes grows beyond size."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for pid in pids:
        psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (hard if size is None else size, hard))


def test_a_disk_with_room_again(server, path):
    """A torn line stays alone, and one warning has the number of those that were lost."""
    s = start(server, path, min_servers=2, max_servers=2, max_spare_servers=2)
    s.wait_workers(2, "idle")
    workers = s.workers()
    with s.connect() as one, s.connect() as other:
        limit(workers, 1000)
        assert tell(one, "20 " + "x" * 100) < 0
        assert tell(other, "20 " + "y" * 100) < 0
        assert path.stat().st_size == 1000
        limit(workers, None)

        def look():
            assert tell(other, "1 room again") == 0
            return s.find_log(r"is written again; (\d+) lines were lost$")
        (match,) = s.wait_until(look, "the warning")
    whole = [line for line in path.read_text().splitlines() if re.fullmatch(r"\d+ \d+ x{100}", line)]
    rest = [line for line in path.read_text().splitlines() if line.endswith(" room again")]
    torn = len(path.read_text().splitlines()) - len(whole) - len(rest)
    assert int(match[1]) == 40 - len(whole) and torn == 1
    assert all(re.fullmatch(r"\d+ 0 room again", line) for line in rest) and rest
    assert s.workers() == workers


@pytest.mark.root
def test_a_full_file_system(server, tmp_path):
    """A real one, of 64 KiB, in a mount namespace of the server's own."""
    small = tmp_path / "small"
    small.mkdir()
    program = server.program("accesses")
    wrapped = server.script(f"exec unshare -m sh -c 'mount -t tmpfs -o size=64k none {small} && "
                            f"exec \"$0\" \"$@\"' {program} \"$@\"", "wrapped")
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    s = server.start(wrapped, **ONE, access_log_path=small / "access")
    inside = Path(f"/proc/{s.pid}/root{small}/access")
    with s.connect() as c:
        assert tell(c, "1000 " + "x" * 200) == -errno.ENOSPC
        inside.write_text("")  # somebody makes room
        assert tell(c, "1 room again") == 0
        assert inside.read_text().splitlines()[-1].endswith(" 0 room again")
    s.wait_workers(1, "idle")
    assert len(s.find_log("cannot write to access_log_path .*: No space left on device")) == 1


def test_a_deleted_file_is_made_anew_on_SIGUSR1(server, path):
    s = start(server, path)
    path.unlink()
    assert s.ask(b"1 to nobody\n") == b"0\n"
    s.signal(SIGUSR1)
    s.wait_log("SIGUSR1: access log opened again$")
    assert s.ask(b"1 x\n") == b"0\n"
    assert lines_of(path, 1)[0].endswith(" 0 x")


@pytest.mark.parametrize("key", ["access_log_path", "error_log_path"])
def test_a_directory_that_vanished_keeps_the_old_file(server, tmp_path, key):
    """One warning says why; the pool goes on, and so do lines, to the file without name."""
    (tmp_path / "d").mkdir()
    path = tmp_path / "d/log"
    s = server.start(server.program("accesses"), **ONE, **{key: path})
    address = s.address
    (worker,) = s.workers()
    kept = open(path, "rb")  # what has no name any more can still be read
    path.unlink()
    path.parent.rmdir()
    what = "log" if key == "error_log_path" else "access log"
    warning = rf"warning: SIGUSR1: cannot open the {what} again: No such file or directory"
    with kept:
        s.signal(SIGUSR1)
        said = (lambda: kept.read().decode()) if key == "error_log_path" else s.text
        seen = []

        def look():
            seen.append(said())
            return re.search(warning, "".join(seen))
        wait_until(look, "the warning")
        assert s.ask(b"1 x\n", address=address).strip() in (b"0", b"-9")
        if key == "access_log_path":
            assert kept.read().endswith(b" 0 x\n")
    assert s.workers() == [worker]


def test_a_fifo_without_reader_blocks_nobody(server, path):
    """It keeps what fits; the rest is lost at once, and whoever reads finds whole lines."""
    os.mkfifo(path)
    s = start(server, path)
    with s.connect() as c:
        assert tell(c, "2000 " + "x" * 300) == -errno.EAGAIN
        with open(path, "rb", buffering=0) as reader:
            lines = reader.read(65536).splitlines()
    assert all(re.fullmatch(rb"\d+ \d+ x{300}", line) for line in lines) and len(lines) > 50
