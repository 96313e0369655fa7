"""examples/jobs where its spool, its disk or a job is not as it should be."""

import ctypes
import os
import socket
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from support import title_of
from test_jobs import spool  # noqa: F401

ONE = {"sizing": "static", "max_servers": 1}


def test_a_spool_that_is_gone(spool):
    """It is told once, whoever looks how often, and work goes on when it is back."""
    s = spool.start(sizing="static", max_servers=3)
    s.wait_workers(3, "idle")
    away = spool.path.with_name("away")
    (spool.path / "new").rename(spool.path / "elsewhere")  # which inotify tells
    s.wait_log(rf"error: {spool.path}/new/: No such file or directory")
    spool.path.rename(away)
    s.wait_log(rf"error: {spool.path}/held/: No such file or directory")
    assert len(s.workers()) == 3
    (away / "elsewhere").rename(away / "new")
    away.rename(spool.path)
    spool.put("x", "sum 6")
    spool.wait_result("x", "12")
    s.wait_log("held/ works again")
    s.wait_log("new/ works again")
    assert s.stop() == 0
    for room in ("new", "held"):
        assert len(s.find_log(rf"{room}/: No such file")) == 1
        assert len(s.find_log(rf"{room}/ works again")) == 1


def test_a_spool_that_is_removed_and_made_anew(spool):
    """By somebody else: the server does not make rooms."""
    s = spool.start(**ONE)
    s.wait_workers(1, "idle")
    for room in spool.names("."):
        (spool.path / room).rmdir()
    spool.path.rmdir()
    s.wait_log(r"/new/: No such file or directory")
    s.wait_log(r"/held/: No such file or directory")
    assert not spool.path.exists()
    spool.make().put("x", "sum 6")
    spool.wait_result("x", "12")
    assert s.stop() == 0


def test_a_result_that_cannot_be_stored(spool):
    """Its worker keeps the job until it can be."""
    s = spool.start(**ONE)
    (spool.path / "done").rmdir()
    spool.put("x", "sum 6")
    s.wait_log(r"error: .*/done/x: No such file or directory")
    assert title_of(s.workers()[0]) == "jobs: job x has to wait"
    assert spool.names("held") == ["x"]
    (spool.path / "done").mkdir()
    spool.wait_result("x", "12")
    assert s.wait_log("done/ works again")
    assert s.stop() == 0
    assert spool.ends() == [("x", "1", "12")]


def test_nowhere_to_put_what_failed(spool):
    """The claim stays until there is."""
    s = spool.start(min_servers=2, max_servers=2)
    (spool.path / "failed").rmdir()
    spool.put("poison", "crash")
    s.wait_log(r"error: .*/held/poison.try5: No such file or directory")
    assert spool.names("held") == ["poison.try5"]
    (spool.path / "failed").mkdir()
    spool.put("bell", "sum 1")
    s.wait_until(lambda: spool.names("failed") == ["poison"], "the end of the job")
    s.wait_log("held/ works again")
    assert s.stop() == 0


def test_a_job_is_given_back(spool):
    """By a worker that has to leave before it could store the result: no attempt is lost."""
    s = spool.start(**ONE)
    (spool.path / "done").rmdir()
    spool.put("x", "sum 6")
    s.wait_log(r"error: .*/done/x: No such file or directory")
    assert s.stop() == 0
    assert (spool.names("new"), spool.names("held"), spool.deaths()) == (["x"], [], [])
    s = spool.start(**ONE)
    spool.wait_result("x", "12")
    assert s.stop() == 0
    assert spool.ends() == [("x", "1", "12")]


@pytest.mark.root
def test_a_full_disk(spool):
    """done/ is a file system of one page, which is taken."""
    spool.make()
    done = spool.path / "done"

    def enter():
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(0x20000) == 0                                      # CLONE_NEWNS
        assert libc.mount(b"none", b"/", None, 0x44000, None) == 0             # MS_REC, MS_PRIVATE
        assert libc.mount(b"none", str(done).encode(), b"tmpfs", 0, b"size=4k") == 0
        (done / "filler").write_text("x" * 4096)

    s = spool.start(sizing="static", max_servers=2, preexec_fn=enter)
    for name in ("x", "y"):
        spool.put(name, "sum 6")
    s.wait_until(lambda: len(spool.names("held")) == 2, "both claims")
    s.wait_log(r"error: .*/done/[xy]: No space left on device")
    inside = Path(f"/proc/{s.pid}/root{done}")
    s.wait_until(lambda: sorted(map(title_of, s.workers())) ==
                 ["jobs: job x has to wait", "jobs: job y has to wait"], "both to wait")
    (inside / "filler").unlink()
    first = s.wait_until(lambda: [n for n in "xy" if (inside / n).exists()], "a result")[0]
    assert (inside / first).read_text() == "12\n"  # there is room for one at a time
    s.wait_log("done/ works again")
    s.wait_until(lambda: spool.names("held") == [{"x": "y", "y": "x"}[first]], "one claim less")
    (inside / first).unlink()
    s.wait_until(lambda: spool.names("held") == [], "the other")
    assert spool.deaths() == [] and len(spool.ends()) == 2
    assert s.stop() == 0


@pytest.mark.parametrize("kind, reason", [
    ("link", "Too many levels of symbolic links"), ("directory", "Operation not supported"),
    ("fifo", "Operation not supported"), ("socket", "No such device or address"),
    ("long", "File name too long"),
])
def test_what_is_no_job(spool, kind, reason):
    """It stays where it is and is told once; others are done."""
    s = spool.start(**ONE)
    odd = spool.path / "new" / ("o" * 250 if kind == "long" else "odd")
    if kind == "link":
        odd.symlink_to("/etc/passwd")
    elif kind == "directory":
        odd.mkdir()
    elif kind == "fifo":
        os.mkfifo(odd)
    elif kind == "socket":
        bind_in(odd)
    else:
        odd.write_text("sum 1")
    spool.put("bell", "sum 1")
    s.wait_log(rf"error: {odd}: {reason}")
    spool.wait_result("bell", "1")
    spool.put("again", "sum 1")
    spool.wait_result("again", "1")
    assert spool.names("new") == [odd.name]
    if kind == "directory":
        odd.rmdir()
    else:
        odd.unlink()
    s.wait_log("new/ works again")
    assert len(s.find_log("error:")) == 1
    assert s.stop() == 0


def bind_in(path):
    """A unix socket, whatever the length of its directory's name."""
    directory = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f"/proc/self/fd/{directory}/{path.name}")
    os.close(directory)


@pytest.mark.root
def test_a_job_that_may_not_be_read(spool, open_path):
    """It is told, and done when it may be."""
    spool.path = open_path / "spool"
    spool.make()
    for path in [spool.path, *spool.path.iterdir()]:
        path.chmod(0o777)
    s = spool.start(**ONE, user="nobody", group="nogroup")
    secret = spool.path / "new" / ".secret"
    secret.write_text("sum 6")
    secret.chmod(0)
    secret = secret.rename(spool.path / "new" / "secret")
    s.wait_log(rf"error: {secret}: Permission denied")
    secret.chmod(0o644)
    spool.wait_result("secret", "12")
    s.wait_log("new/ works again")
    assert s.stop() == 0
    spool.assert_only("secret")


def test_a_lock_that_somebody_looks_at(spool):
    """A worker that is stopped between claim and end keeps its job as long as it lives."""
    s = spool.start(sizing="static", max_servers=2)
    spool.put("x", "sleep 3000")
    worker = spool.worker_of("x")
    os.kill(worker, SIGSTOP)
    for n in range(5):
        spool.put(f"j{n}", "sum 1")
        spool.wait_result(f"j{n}", "1")
    assert spool.names("held") == ["x"]
    os.kill(worker, SIGCONT)
    spool.wait_result("x", "slept 3000 ms")
    assert spool.deaths() == []
    assert s.stop() == 0
