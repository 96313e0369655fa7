"""What may happen to the file of the scoreboard: at start, while the pool runs, and after.

Nobody of the pool may die of it, nothing that is somebody else's may be overwritten, and
whoever reads the file can tell whether a server still writes it.
"""

import os
import re
import signal
import stat
import subprocess

import pytest

from scoreboard import Scores
from support import EXAMPLES, SIGKILL, is_alive, proc_fds, read_line, wait_until
from test_daemon import NOBODY, SYSTEM, failed_start
from test_scoreboard import loops, start, wait_states

TOLD = r"warning: scoreboard_path .*: somebody {} the file; it is not written any more until"


def refused(server, path, **settings):
    """The sentence with which a start with this path is refused."""
    status, lines = failed_start(server, EXAMPLES / "echo", scoreboard_path=path, log_level=1,
                                 **settings)
    assert (status, len(lines)) == (SYSTEM, 1), lines
    assert f"echo: scoreboard_path {path}: " in lines[0]
    return lines[0].split(f"{path}: ", 1)[1]


def replace_worker(s):
    """Kill a worker, so that the master has something to write, and wait for the next."""
    before = s.workers()
    os.kill(before[0], SIGKILL)
    s.wait_until(lambda: len(set(s.workers()) - set(before[:1])) == len(before), "another")


# ---- at start ---------------------------------------------------------------------------


def test_P15_its_mode_and_path(server, tmp_path):
    """Mode 0644 less the umask, and a relative path is from where the server was started."""
    s = server.start(server.program("hold"), sizing="static", max_servers=1, umask=0o027,
                     scoreboard_path="here", cwd=tmp_path, background=1,
                     log_file=tmp_path / "log")
    st = (tmp_path / "here").stat()
    assert stat.S_IMODE(st.st_mode) == 0o640
    assert Scores(tmp_path / "here").head()["pid"] == s.pid
    assert s.stop() == 0
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("kind, why", [
    ("text", "is a file and no scoreboard, and is left as it is: name another path, or remove it"),
    ("empty", "is a file and no scoreboard, and is left as it is: name another path, or remove it"),
    ("link", "is a symbolic link: name the real path, or remove it"),
    ("dangling", "is a symbolic link: name the real path, or remove it"),
    ("directory", "is a directory: name a file in it, or remove it"),
    ("fifo", "is a FIFO: name another path, or remove it"),
])
def test_what_is_no_scoreboard_is_left_alone(server, tmp_path, kind, why):
    """Refused before anybody could be hurt."""
    path, victim = tmp_path / "scores", tmp_path / "victim"
    victim.write_text("precious")
    make = {"text": lambda: path.write_text("precious\n" * 20), "empty": path.touch,
            "link": lambda: path.symlink_to(victim), "dangling": lambda: path.symlink_to("no"),
            "directory": path.mkdir, "fifo": lambda: os.mkfifo(path)}
    make[kind]()
    before = path.lstat()
    assert refused(server, path) == why
    assert path.lstat().st_ino == before.st_ino and path.lstat().st_mtime == before.st_mtime
    assert victim.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("scores")] == ["scores"]


def test_a_directory_that_is_missing(server, tmp_path):
    """Says so, and what to look at."""
    assert refused(server, tmp_path / "no" / "scores") == (
        "No such file or directory; is the directory there and writable?")


@pytest.mark.root
def test_a_directory_that_is_closed(server, open_path):
    """For whoever starts the server."""
    done = server.command("setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups",
                          EXAMPLES / "echo", "--port", "127.0.0.1:0", "--scoreboard_path",
                          open_path / "scores")
    assert done.returncode == SYSTEM
    assert "scores: Permission denied; is the directory there and writable?" in done.stderr


def test_a_second_server_with_the_same_path(server):
    """Is refused, and told whose it is; the first one does not notice."""
    s, scores = start(server)
    wait_states(s, scores, "_")
    before = scores.path.stat().st_ino
    assert refused(server, scores.path) == (
        f"is that of the running server hold, process {s.pid}: stop it, or name another path")
    assert scores.path.stat().st_ino == before and scores.states() == "_"
    s.stop()
    assert not scores.path.exists()


def test_inet_has_no_scoreboard(server, tmp_path):
    """One process and one connection: nothing to show."""
    done = subprocess.run([EXAMPLES / "echo", "--server_type", "INET", "--scoreboard_path",
                           str(tmp_path / "scores")], input="hello\n", text=True, check=True,
                          capture_output=True, timeout=15)
    assert done.stdout == "hello\n"
    assert "scoreboard_path: not used with server_type INET" in done.stderr
    assert not (tmp_path / "scores").exists()


# ---- after a crash ----------------------------------------------------------------------


def test_after_a_crash_the_file_is_made_anew(server):
    """What a killed server left can still be read, by its lock it is known to be left, and the
    next server replaces it without touching what somebody has open."""
    first, scores = start(server, workers=2)
    wait_states(first, scores, "__")
    workers = first.workers()
    with open(scores.path, "rb") as old:
        first.signal(SIGKILL)
        first.wait_exit()
        wait_until(lambda: not any(map(is_alive, workers)), "the end of its workers")
        assert not scores.is_held() and scores.head()["pid"] == first.pid
        second, scores = start(server, workers=1)
        second.wait_log(f"notice: scoreboard_path {scores.path}: made anew: the server hold, "
                        f"process {first.pid}, ended without cleaning up")
        wait_states(second, scores, "_")
        assert os.fstat(old.fileno()).st_nlink == 0
        assert int.from_bytes(old.read(32)[28:32], "little") == first.pid
    assert scores.is_held()


def test_a_worker_that_outlives_its_master_holds_no_lock(server):
    """It maps the file, by a description that has none."""
    first, scores = start(server)
    with first.connect() as c:
        pid = int(read_line(c))
        assert [text for text in proc_fds(pid).values() if "scores" in text] == []
        first.signal(SIGKILL)
        first.wait_exit()
        assert is_alive(pid) and not scores.is_held()
        second, scores = start(server)
        wait_states(second, scores, "_")
        c.sendall(b"x")
    wait_until(lambda: not is_alive(pid), "its end")
    assert scores.by_pid().keys() == set(second.workers())


# ---- while it runs ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 4096, 5000])
def test_a_file_that_is_cut_under_load_costs_nobody_his_life(server, size):
    """Workers change their lines all the time; the page is gone in the middle of it."""
    s, scores = loops(server, 6, "fast")
    workers = s.workers()
    os.truncate(scores.path, size)
    replace_worker(s)
    s.wait_log(TOLD.format("cut"))
    replace_worker(s)
    assert len(set(workers) & set(s.workers())) == 4
    assert len(s.find_log("scoreboard_path")) == 1
    assert not s.find_log("killed by signal 7")
    assert s.stop() == 0
    assert not scores.path.exists()


def test_a_file_that_is_cut_costs_no_connection(server):
    """Every client is answered."""
    s, scores = start(server, "pool_once", 3)
    for i in range(200):
        if i == 50:
            os.truncate(scores.path, 0)
        assert s.ask(b"hello") == b"hello"
    assert not s.find_log("killed")


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_is_removed_under_load(server, tmp_path, how):
    """Said once; what is there instead is left alone, also at the end."""
    s, scores = loops(server, 4, "fast")
    if how == "removed":
        scores.path.unlink()
    else:
        (tmp_path / "other").write_text("precious")
        (tmp_path / "other").rename(scores.path)
    for _ in range(2):
        replace_worker(s)
    s.wait_log(TOLD.format("removed or replaced"))
    assert len(s.find_log("scoreboard_path")) == 1
    assert s.stop() == 0
    if how == "replaced":
        assert scores.path.read_text() == "precious"


def test_a_sigbus_of_the_programs_own_is_its_own(server):
    """It ends the worker, as without a scoreboard."""
    s, scores = start(server, "score_guest", env={"ASAN_OPTIONS": "handle_sigbus=0"})
    with s.connect() as c:
        c.sendall(b"own\n")
        s.wait_log(r"killed by signal 7 \(Bus error\)")
    wait_states(s, scores, "_")


def test_a_handler_of_the_programs_own_is_respected(server):
    """It was installed later, so it is the one that is called."""
    s, scores = start(server, "score_guest", env={"SCORE_HANDLER": "1"})
    with s.connect() as c:
        c.sendall(b"own\n")
        s.wait_log("ended with status 9")
    assert "handled by the program" in s.text()
    wait_states(s, scores, "_")


# ---- a disk without room ----------------------------------------------------------------


@pytest.fixture
def on_small_disk(server, tmp_path):
    """on_small_disk(program, bytes): a script that runs it where tmp_path/disk has so many bytes
    (in a mount namespace of its own)."""
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    (tmp_path / "disk").mkdir()
    mount = f"mount -t tmpfs -o size=$SIZE none {tmp_path}/disk"

    def make(program, size):
        return server.script(f"exec unshare -m sh -c 'SIZE={size}; {mount} && exec \"$0\" \"$@\"' "
                             f"{program} \"$@\"", "on-small-disk")
    return make


@pytest.mark.root
def test_a_disk_that_is_full_at_start(server, on_small_disk, tmp_path):
    """Nothing was started, and nothing is left."""
    program = server.script(f"head -c 8192 /dev/zero >{tmp_path}/disk/filler\n"
                            f"{EXAMPLES}/echo \"$@\"\nstatus=$?\nls {tmp_path}/disk >&2\nexit $status")
    done = server.command(on_small_disk(program, 8192), "--port", "127.0.0.1:0",
                          "--scoreboard_path", tmp_path / "disk" / "scores")
    assert done.returncode == SYSTEM
    assert done.stderr.splitlines()[-2:] == [
        f"echo: scoreboard_path {tmp_path}/disk/scores: No space left on device; make room, or name "
        "another path", "filler"]


@pytest.mark.root
def test_a_disk_that_is_full_later(server, on_small_disk, tmp_path):
    """Workers without a page are missing in the file, which is said once, and serve."""
    s = server.start(on_small_disk(server.program("hold"), 3 * 4096), sizing="static",
                     max_servers=4, scoreboard_path=tmp_path / "disk" / "scores")
    scores = Scores(f"/proc/{s.pid}/root{tmp_path}/disk/scores")
    s.wait_workers(4, "idle")
    wait_states(s, scores, "__")
    assert set(scores.by_pid()) < set(s.workers())
    replace_worker(s)
    assert len(s.find_log("warning: scoreboard_path .*: No space left on device; workers are "
                          "missing there until that is mended")) == 1
    connections = [s.connect() for _ in range(4)]
    try:
        pids = {int(read_line(c)) for c in connections}
    finally:
        for c in connections:
            c.close()
    assert len(pids) == 4
    mount = ["nsenter", "-m", "-t", str(s.pid), "mount", "-o", "remount,size=64k",
             f"{tmp_path}/disk"]
    subprocess.run(mount, check=True)
    replace_worker(s)
    s.wait_until(lambda: set(scores.by_pid()) == set(s.workers()), "the lines of all, from copies")


# ---- by another user, under another root ------------------------------------------------


@pytest.mark.root
def test_without_privileges_and_in_another_root(server, open_path):
    """The file was made before, and is written by what is open. Who may not remove it leaves
    it, marked as that of a server that has stopped, and the next one replaces it."""
    jail = open_path / "jail"
    jail.mkdir()
    s = server.start(server.program("hold"), sizing="static", max_servers=2, user="nobody",
                     chroot=jail, scoreboard_path=open_path / "scores")
    scores = Scores(open_path / "scores")
    wait_states(s, scores, "__")
    replace_worker(s)
    s.wait_until(lambda: scores.states() == "__" and scores.totals()["births"] == 3, "the third")
    assert sorted(scores.by_pid()) == s.wait_workers(2)
    assert scores.path.stat().st_uid == 0
    assert s.stop() == 0
    s.wait_log("notice: scoreboard_path .*/scores stays: ")
    assert not scores.is_held() and scores.totals()["stopping"] == 1 and scores.states() == ""
    again, scores = start(server, scoreboard_path=open_path / "scores")
    again.wait_log(rf"made anew: the server hold, process {s.pid}, ended")


@pytest.mark.root
def test_another_root_does_not_keep_it_from_being_removed(server, open_path):
    """Neither is a file inside of it touched that has the same path."""
    jail = open_path / "jail"
    inside = jail / str(open_path)[1:]
    inside.mkdir(parents=True)
    (inside / "scores").write_text("precious")
    s = server.start(server.program("hold"), sizing="static", max_servers=1, chroot=jail,
                     scoreboard_path=open_path / "scores")
    assert Scores(open_path / "scores").is_held()
    assert s.stop() == 0
    assert not (open_path / "scores").exists() and not re.search("stays", s.text())
    assert (inside / "scores").read_text() == "precious"


@pytest.mark.root
def test_a_user_who_owns_the_directory_removes_the_file(server, open_path):
    """Then nothing is left."""
    os.chown(open_path, NOBODY, NOBODY)
    s = server.start(server.program("hold"), sizing="static", max_servers=1, user="nobody",
                     scoreboard_path=open_path / "scores")
    assert s.stop(signal.SIGQUIT) == 0
    assert not list(open_path.iterdir())
    assert not re.search("stays", s.text())
