"""P18, auto reload: the server's own files are watched, and a change is noticed once.

The other system took its first look for how things were when it began, never looked at what
it had handled, and died without a handler. Here a file is compared with what it was when it
was loaded, also if it changed before anybody looked.

That the master is told of changes by the kernel shows in /proc: its inotify descriptor waits
in its epoll object. An interval is short where a test waits for looks, and as long as it
takes to be sure where a test writes between two of them.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from signal import SIGQUIT

import pytest

from clients import Load, clients  # noqa: F401
from support import ANY_PORT, flags, proc_fds, proc_status
from test_syscalls import Trace

EVERY = 0.1
INOTIFY = "anon_inode:inotify"
ONE = {"sizing": "static", "max_servers": 1}
# Somebody is always idle: the last one that gets busy would wake the master.
IDLE = {"max_servers": 5}
CHANGED = r"notice: auto reload: (\S+) changed$"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def conf(tmp_path):
    """A config file."""
    path = tmp_path / "reload.conf"
    path.write_text("max_requests 1000\n")
    return path


@pytest.fixture
def deaf(server):
    """deaf(program): a script that runs it where the limit on inotify is reached: on
    "instances", or on "watches"."""
    if subprocess.run(["unshare", "-Ur", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespaces here")

    def make(program, what="instances"):
        return server.script(f"echo 0 >/proc/sys/user/max_inotify_{what} && "
                             f'exec {program} "$@"', "deaf", "/usr/bin/env -S unshare -Ur sh")
    return make


def own_program(server):
    """The test program in a directory where nothing else comes and goes."""
    path = server.directory / "bin" / "program"
    if not path.exists():
        path.parent.mkdir()
        shutil.copy(server.program("reload"), path)
    return path


def start(server, conf, program=None, handler=True, every=EVERY, env=(), **settings):
    """The test program, with the config file watched."""
    env = {"HANDLER": "1" if handler else None, **dict(env)}
    return server.start(program or own_program(server), {**ONE, **settings}, env=env,
                        conf_file=conf, auto_reload_check_every=every)


def changes(s):
    """Paths that changed, in order."""
    return [match.group(1) for match in s.find_log(CHANGED)]


def is_told(s):
    """All is quiet, and the master sleeps until the kernel tells of something."""
    fds = proc_fds(s.pid)
    ears = {fd for fd, link in fds.items() if link == INOTIFY}
    for fd in [fd for fd, link in fds.items() if link == "anon_inode:[eventpoll]"]:
        text = Path(f"/proc/{s.pid}/fdinfo/{fd}").read_text()
        for number, events in re.findall(r"^tfd:\s*(\d+) events:\s*([0-9a-f]+)", text, re.M):
            if int(number) in ears and int(events, 16) & 1:
                return True
    return False


def wait_quiet(s):
    """Wait until all changes so far were looked at."""
    s.wait_until(lambda: is_told(s), "quiet")


def append(path):
    """Written in place."""
    with open(path, "a", encoding="ascii") as f:
        f.write("# more\n")


def replace(path):
    """Another file in its place, the usual way."""
    new = path.with_name("replacement")
    shutil.copy(path, new)
    new.rename(path)


def remove_and_make(path):
    """Away, and another one of its name."""
    content, mode = path.read_bytes(), path.stat().st_mode
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)


def touch(path):
    """Only its time."""
    os.utime(path)


WAYS = [append, replace, remove_and_make, touch]


# ---- what counts as a change -----------------------------------------------------------------


@pytest.mark.parametrize("ears", ["told", "deaf"])
def test_P18_what_changed_before_the_first_look_is_noticed(server, conf, deaf, ears):
    """Between loading and the start of the watch: a hook touches the file."""
    program = own_program(server)
    s = start(server, conf, deaf(program) if ears == "deaf" else program, env={"TOUCH": conf})
    s.wait_log(rf"handler: {conf}$")
    append(conf)
    s.wait_log(rf"handler: {conf}$", count=2)
    assert changes(s) == [str(conf), str(conf)]


@pytest.mark.parametrize("change", WAYS)
def test_P18_the_handler_is_called_once_for_each_change(server, conf, change):
    """And what it was called for is how things are from then on."""
    s = start(server, conf)
    for count in range(1, 4):
        change(conf)
        s.wait_log(rf"handler: {conf}$", count=count)
        wait_quiet(s)
        assert changes(s) == [str(conf)] * count
    assert not s.find_log("replacing|hook: restart|WITHOUT DATA|warning")


def test_P18_what_is_as_it_was_has_not_changed(server, conf, tmp_path):
    """Renamed away and back, linked, and its mode changed; the next file is noticed."""
    s = start(server, conf)
    wait_quiet(s)
    conf.rename(tmp_path / "away")
    (tmp_path / "away").rename(conf)
    os.link(conf, tmp_path / "second-name")
    conf.chmod(0o600)
    wait_quiet(s)
    append(conf)
    s.wait_log(CHANGED)
    wait_quiet(s)
    assert changes(s) == [str(conf)]


@pytest.mark.parametrize("ears", ["told", "deaf"])
def test_P18_a_missing_file_is_waited_for(server, conf, tmp_path, deaf, ears):
    """One warning each time it is gone; coming back as it was is no change."""
    program = own_program(server)
    s = start(server, conf, deaf(program) if ears == "deaf" else program)
    gone = rf"warning: auto reload: cannot look at {conf}: No such file or directory; waiting"
    conf.rename(tmp_path / "away")
    s.wait_log(gone)
    (tmp_path / "away").rename(conf)
    if ears == "told":
        wait_quiet(s)
    else:
        s.wait_until(lambda: conf.exists(), "it")
    append(conf)
    s.wait_log(CHANGED)
    conf.unlink()
    s.wait_log(gone, count=2)
    conf.write_text("max_requests 9\n")
    s.wait_log(CHANGED, count=2)
    assert len(s.find_log("warning")) == 2 and changes(s) == [str(conf)] * 2


def test_P18_a_file_that_is_being_written_is_waited_for(server, conf):
    """Written to after each look: not a change before it stands still."""
    s = start(server, conf, every=0.5)
    for look in range(1, 4):
        append(conf)
        s.wait_log(f"debug: auto reload: {conf} is another; looking again", count=look)
    append(conf)
    assert not changes(s)
    s.wait_log(rf"handler: {conf}$")
    wait_quiet(s)
    assert changes(s) == [str(conf)]


def test_P18_an_executable_that_is_not_the_one_on_disk_any_more(server, tmp_path):
    """It was replaced while it was started, before the library heard of it."""
    program, following = tmp_path / "program", tmp_path / "next"
    for path in (program, following):
        shutil.copy(server.program("reload"), path)
    s = server.start(program, ONE, auto_reload_check_every=EVERY,
                     env={"HANDLER": "1", "REPLACE": following})
    s.wait_log(rf"handler: {program}$")
    wait_quiet(s)
    assert changes(s) == [str(program)]


# ---- which files, and what follows -----------------------------------------------------------


def start_copy(server, tmp_path, how):
    """A server and the file that it serves with: how is "executable", "so", "nowait" or
    "wait"."""
    every = {**ONE, "auto_reload_check_every": EVERY}
    if how == "executable":
        path = Path(shutil.copy(server.program("reload"), tmp_path / "program"))
        return server.start(path, every), path
    if how == "so":
        path = Path(shutil.copy(server.program("reload", shared=True), tmp_path / "reload.so"))
    elif how == "wait":
        path = Path(shutil.copy(server.program("acceptor", library=False), tmp_path / "acceptor"))
        every["handler"] = "wait"
    else:
        path = server.script("echo $PPID")
    return server.serve(path, every), path


@pytest.mark.parametrize("change", [replace, touch])
@pytest.mark.parametrize("how", ["executable", "so", "nowait", "wait"])
def test_P18_without_a_handler_the_pool_is_replaced(server, tmp_path, how, change):
    """As SIGHUP does, for each kind of program."""
    s, path = start_copy(server, tmp_path, how)
    for count in (1, 2):
        old = s.wait_workers(1)
        change(path)
        s.wait_log(CHANGED, count=count)
        s.wait_log(r"notice: reload \d+ \(auto reload\): checking", count=count)
        s.wait_until(lambda o=old: len(s.workers()) == 1 and s.workers() != o, "a new worker")
        wait_quiet(s)
    assert s.ask() != b""
    assert changes(s) == [str(path)] * 2


def test_P18_the_pool_serves_on_while_it_is_replaced(server, conf):
    """Hooks run as with SIGHUP, and no connection is lost."""
    s = start(server, conf, handler=False, sizing="static", max_servers=4, max_recycling=2)
    with Load(s, word="pid") as load:
        for count in range(1, 6):
            old = set(s.workers())
            replace(conf)
            s.wait_log("is leaving", count=count)
            s.wait_until(lambda o=old: not o & set(s.workers()), "new workers")
            load.wait_for(20)
    assert load.failures == []
    assert len(s.find_log("hook: restart_close")) == 5


def test_P18_the_handler_hears_of_each_file(server, conf):
    """Two changes at once are two calls."""
    program = own_program(server)
    s = start(server, conf)
    replace(program)
    append(conf)
    s.wait_log("handler", count=2)
    wait_quiet(s)
    assert sorted(changes(s)) == sorted([str(program), str(conf)])


def test_P18_a_shared_object_stands_for_the_command_that_serves_it(server, tmp_path):
    """Of the command, which serves nothing itself, nobody waits for changes."""
    s, path = start_copy(server, tmp_path, "so")
    wait_quiet(s)
    fd = next(fd for fd, link in proc_fds(s.pid).items() if link == INOTIFY)
    watched = set(re.findall(r"ino:([0-9a-f]+)", Path(f"/proc/{s.pid}/fdinfo/{fd}").read_text()))
    assert watched == {f"{p.stat().st_ino:x}" for p in (path, path.parent)}


def test_P18_links_are_followed(server, tmp_path):
    """A link that is turned to another directory, and then the file behind it."""
    for name, limit in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "conf").write_text(f"max_requests {limit}\n")
    (tmp_path / "now").symlink_to("one")
    s = start(server, tmp_path / "now" / "conf")
    wait_quiet(s)
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "now")
    s.wait_log("handler")
    wait_quiet(s)
    append(tmp_path / "two" / "conf")
    s.wait_log("handler", count=2)
    wait_quiet(s)
    assert changes(s) == [str(tmp_path / "now" / "conf")] * 2


def test_P18_a_directory_that_is_replaced(server, tmp_path):
    """The watch is on the old one; it is made anew."""
    for name in ("d", "next"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "conf").write_text("max_requests 7\n")
    s = start(server, tmp_path / "d" / "conf")
    wait_quiet(s)
    (tmp_path / "d").rename(tmp_path / "old")
    (tmp_path / "next").rename(tmp_path / "d")
    s.wait_log("handler")
    wait_quiet(s)
    append(tmp_path / "d" / "conf")
    s.wait_log("handler", count=2)


def test_P18_a_relative_path_and_a_working_directory_that_moves(server, tmp_path, conf):
    """The path means what it meant when the file was read."""
    s = server.start(own_program(server), ONE, conf_file=conf.name, cwd=tmp_path,
                     log_file=tmp_path / "log", setsid=1, auto_reload_check_every=EVERY,
                     env={"HANDLER": "1"})
    append(conf)
    s.wait_log(rf"handler: {conf}$")


def test_P18_a_pipe_is_read_and_not_watched(server, conf):
    """There is nothing to look at afterwards."""
    with open(conf, "rb") as file, subprocess.Popen(["cat"], stdin=file,
                                                    stdout=subprocess.PIPE) as cat:
        s = server.start(own_program(server), ONE, conf_file="/dev/stdin", stdin=cat.stdout,
                         auto_reload_check_every=EVERY)
        wait_quiet(s)
    assert not s.find_log("warning")


def test_more_files_than_can_be_watched_are_refused(server, tmp_path):
    """Only if they are to be watched."""
    names = [tmp_path / f"{i}.conf" for i in range(17)]
    for name in names:
        name.write_text("log_level 1\n")
    program = server.build("""#include <prefork/prefork.h>
        static void serve(struct prefork_conn *c, void *data) { (void)c; (void)data; }
        int main(int argc, char **argv) {
            struct prefork *p = prefork_new(&(struct prefork_app){.process_request = serve});
            for (int i = 2; i < argc; i++) if (prefork_load(p, argv[i]) < 0) return 1;
            int r = prefork_set(p, "auto_reload_check_every", argv[1]);
            if (r == 0) r = prefork_check(p);
            puts(prefork_error(p)); prefork_free(p); return r != 0; }""")
    assert server.command(program, "0", *names).returncode == 0
    assert server.command(program, "1", *names[:15]).returncode == 0
    done = server.command(program, "1", *names)
    assert done.returncode == 1 and "only 16 files can be watched" in done.stdout


# ---- who tells, and what it costs ------------------------------------------------------------


@pytest.mark.parametrize("what, reason", [("instances", "Too many open files"),
                                          ("watches", "No space left on device")])
def test_P18_without_inotify_there_are_looks(server, conf, deaf, what, reason):
    """Said once, and everything is noticed all the same."""
    s = start(server, conf, deaf(own_program(server), what))
    sentence = rf"does not tell of changes \({reason}\); looking every 0.1 s"
    s.wait_log(sentence)
    assert INOTIFY not in proc_fds(s.pid).values()
    for count, change in enumerate(WAYS, 1):
        change(conf)
        s.wait_log(rf"handler: {conf}$", count=count)
    append(conf)
    s.wait_log(rf"handler: {conf}$", count=5)
    assert changes(s) == [str(conf)] * 5 and len(s.find_log(sentence)) == 1


def ask_often(s):
    """Something to do meanwhile: longer than many of the intervals below."""
    for _ in range(1000):
        assert s.ask(b"\n") != b""


def test_P18_the_master_sleeps_while_nothing_changes(server, conf, tmp_path):
    """Not one system call, for many times the interval."""
    if not shutil.which("strace"):
        pytest.skip("no strace")
    s = start(server, conf, every=0.005, max_requests=0, log_level=2, **IDLE)
    wait_quiet(s)
    with Trace(s.pid, tmp_path.parent / f"{tmp_path.name}.trace") as trace:
        ask_often(s)
    assert trace.calls == []


def test_P18_a_master_that_is_not_told_wakes_to_look(server, conf, deaf):
    """What the one above saves."""
    s = start(server, conf, deaf(own_program(server)))
    before = int(proc_status(s.pid)["voluntary_ctxt_switches"])
    s.wait_until(lambda: int(proc_status(s.pid)["voluntary_ctxt_switches"]) > before + 5, "looks")


def test_P18_a_log_that_grows_beside_it_wakes_nobody(server, conf, tmp_path):
    """Only comings and goings in the directory are told."""
    if not shutil.which("strace"):
        pytest.skip("no strace")
    log = tmp_path / "neighbour.log"
    log.touch()
    s = start(server, conf, max_requests=0, log_level=2, **IDLE)
    wait_quiet(s)
    with Trace(s.pid, tmp_path.parent / f"{tmp_path.name}.trace") as trace:
        for _ in range(100):
            append(log)
        ask_often(s)
    assert trace.calls == [] and is_told(s)


def test_P18_a_busy_directory_costs_two_looks_per_interval(server, conf, tmp_path):
    """However much happens in it."""
    if not shutil.which("strace"):
        pytest.skip("no strace")
    s = start(server, conf, log_level=2)
    wait_quiet(s)
    trace = tmp_path.parent / f"{tmp_path.name}.trace"
    storm, begin = 0, time.monotonic()
    with Trace(s.pid, trace) as traced:
        while trace.read_text().count("openat2") < 20:  # two files, so ten looks
            (tmp_path / "visitor").touch()
            (tmp_path / "visitor").unlink()
            storm += 2
    wakes = traced.calls.count("epoll_wait")
    assert wakes <= 2 * (time.monotonic() - begin) / EVERY + 4 and storm > 10 * wakes


def test_P18_a_worker_has_nothing_of_the_watch(server, conf):
    """Neither the descriptor nor the way to the old root directory."""
    s = start(server, conf, handler=False)
    append(conf)
    s.wait_log("is leaving")
    wait_quiet(s)
    (worker,) = s.wait_workers(1, "idle")
    mine, its = set(proc_fds(s.pid).values()), set(proc_fds(worker).values())
    assert {INOTIFY, "/"} <= mine and not {INOTIFY, "/"} & its


def test_P18_nothing_is_watched_unless_wanted(server, conf):
    """Neither without the setting nor with 0."""
    for every in (None, 0):
        s = start(server, conf, every=every)
        assert not {INOTIFY, "/"} & set(proc_fds(s.pid).values())


def test_P18_while_the_server_stops_nothing_is_reloaded(server, conf, tmp_path):
    """A stop that lasts for many intervals, and a change in it."""
    program = server.program("pool")
    s = server.start(program, ONE, conf_file=conf, auto_reload_check_every=0.02,
                     graceful_timeout=0.6, kill_timeout=5)
    with s.connect() as client:
        client.sendall(b"hold\n")
        assert client.recv(1)
        s.signal(SIGQUIT)
        s.wait_log("SIGQUIT: stopping")
        append(conf)
        assert s.wait_exit() == 0
    assert not s.find_log("auto reload")


# ---- another root directory, another user ----------------------------------------------------


@needs_root
def test_P18_another_root_directory(server, open_path, conf, tmp_path):
    """Files outside are looked at as before, also behind an absolute link. After the first
    change nobody can be asked to tell of the next one, which is said."""
    link = tmp_path / "link.conf"
    link.symlink_to(conf)
    s = start(server, link, chroot=open_path)
    wait_quiet(s)
    append(conf)
    s.wait_log(rf"handler: {link}$")
    s.wait_log(r"does not tell of changes \(another root directory\); looking every 0.1 s")
    replace(conf)
    s.wait_log(rf"handler: {link}$", count=2)
    assert not {INOTIFY, "/"} & set(proc_fds(s.workers()[0]).values())


@needs_root
def test_P18_a_program_inside_of_another_root_directory(server, open_path):
    """It is found where it will be run, and watched there."""
    program = server.build("int main(void) { return 0; }", "-fno-sanitize=all", "-static",
                           library=False)
    inside = Path(shutil.copy(program, open_path / "answer"))
    s = server.serve("/answer", ONE, chroot=open_path, auto_reload_check_every=EVERY)
    replace(inside)
    s.wait_log("replacing all workers")
    assert changes(s) == [str(inside)]


@needs_root
def test_P18_a_file_that_the_new_user_cannot_reach_is_told(server, open_path):
    """At the start; it is waited for like one that is missing."""
    closed = open_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "conf").write_text("max_requests 7\n")
    program = Path(shutil.copy(server.program("reload"), open_path / "program"))
    s = start(server, closed / "conf", program, user="nobody")
    s.wait_log(rf"warning: auto reload: cannot look at {closed}/conf: Permission denied; waiting")
    closed.chmod(0o755)
    append(closed / "conf")
    s.wait_log(rf"handler: {closed}/conf$")


def test_auto_reload_is_a_setting_like_others(server):
    """Negative is refused, with what is allowed."""
    done = server.command(server.program("reload"), *flags(port=ANY_PORT,
                                                           auto_reload_check_every=-1))
    assert done.returncode == 78 and "auto-reload-check-every" in done.stderr
