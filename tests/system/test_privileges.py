"""Becoming somebody else: users and groups, capabilities, files handed over, chroot, umask.

Most of it needs root, and none of it may depend on the users of the machine: where a test
needs a user with groups, it mounts user databases of its own over those of the machine, in a
mount namespace that only its server sees. Where a server is to start without root, setpriv
gives it the ids and the capabilities that the test is about.
"""

import os
import random
import stat
import subprocess
from signal import SIGKILL

import pytest

from support import EXAMPLES, PREFORK, flags, is_refused, proc_fds, proc_status
from test_daemon import CONFIG, NOBODY, ONE, SYSTEM, can_nobody_run, failed_start
from test_users import ids_of

pytestmark = pytest.mark.root

NET_BIND, KILL = 1 << 10, 1 << 5
PASSWD = ("root:x:0:0::/:/bin/sh\nserve:x:7001:7001::/:/bin/sh\nlonely:x:7005:7005::/:/bin/sh\n"
          f"nobody:x:{NOBODY}:{NOBODY}::/:/bin/sh\n")
GROUP = ("root:x:0:\nserve:x:7001:\nextra:x:7002:serve\nmore:x:7003:root,serve\nother:x:7004:root\n"
         f"lonely:x:7005:\nnogroup:x:{NOBODY}:\n")


def sets_of(pid):
    """Capabilities of a process: permitted, effective, inheritable, ambient."""
    status = proc_status(pid)
    return [int(status[key], 16) for key in ("CapPrm", "CapEff", "CapInh", "CapAmb")]


def everybody(server):
    """Master and workers."""
    return (server.pid, *server.wait_workers(1))


@pytest.fixture
def with_users(server, tmp_path):
    """with_users(program): a script that runs it with PASSWD and GROUP as its databases."""
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    (tmp_path / "passwd").write_text(PASSWD)
    (tmp_path / "group").write_text(GROUP)
    mount = (f"mount --bind {tmp_path}/passwd /etc/passwd && "
             f'mount --bind {tmp_path}/group /etc/group && exec "$0" "$@"')

    def make(program):
        return server.script(f"exec unshare -m sh -c '{mount}' {program} \"$@\"", "with-users")
    return make


@pytest.fixture
def as_nobody(server):
    """as_nobody(program, capabilities): a script that runs it as nobody with these."""
    if not can_nobody_run(EXAMPLES / "echo"):
        pytest.skip("the build directory is closed to others")

    def make(program, *capabilities):
        words = "".join(f",+{word}" for word in capabilities)
        return server.script(
            f"cd / && exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups "
            f"--inh-caps=-all{words} --ambient-caps=-all{words} {program} \"$@\"", "as-nobody")
    return make


# ---- W46: users and groups -----------------------------------------------------------------


@pytest.mark.parametrize("user", ["serve", "7001"])
def test_W46_groups_are_those_of_the_new_user(server, with_users, user):
    """With only user set the starter's supplementary groups were kept. Here they are replaced
    by those of the user, whether it is named or numbered."""
    s = server.start(with_users(EXAMPLES / "echo"), **ONE, user=user, extra_groups=[0, 5, 7004])
    for pid in everybody(s):
        assert ids_of(pid) == ([7001] * 4, [7001] * 4, [7001, 7002, 7003])
        assert sets_of(pid) == [0, 0, 0, 0]


@pytest.mark.parametrize("group", ["more extra", "more,7002", " more , extra ".strip()])
def test_W46_groups_that_are_named_are_all(server, with_users, group):
    """The first becomes the primary one; those of the user are no more."""
    s = server.start(with_users(EXAMPLES / "echo"), **ONE, user="serve", group=group,
                     extra_groups=[0, 7004])
    for pid in everybody(s):
        assert ids_of(pid) == ([7001] * 4, [7003] * 4, [7002, 7003])


def test_W46_a_user_without_further_groups_has_none(server, with_users):
    """Only its own."""
    s = server.start(with_users(EXAMPLES / "echo"), **ONE, user="lonely", extra_groups=[0, 7004])
    assert [ids_of(pid) for pid in everybody(s)] == [([7005] * 4, [7005] * 4, [7005])] * 2


def test_W46_a_user_that_no_database_knows(server):
    """Needs a group; then it is as good as any."""
    s = server.start("echo", **ONE, user="54321", group="65432 0054323", extra_groups=[0, 5])
    for pid in everybody(s):
        assert ids_of(pid) == ([54321] * 4, [65432] * 4, [54323, 65432])
    status, lines = failed_start(server, EXAMPLES / "echo", user="54321", log_level=1)
    assert (status, "group must be set too" in lines[0]) == (CONFIG, True)


@pytest.mark.parametrize("missing", ["setgid", "setuid"])
def test_W46_root_without_the_right_to_is_refused(server, tmp_path, missing):
    """A drop that failed was logged, and the server went on. Here nothing is even made."""
    script = server.script(f"exec setpriv --bounding-set=-{missing} --inh-caps=-{missing} "
                           f"{EXAMPLES}/echo \"$@\"", "less-than-root")
    status, lines = failed_start(server, script, user="nobody", log_level=1,
                                 port=f"{tmp_path}/s|unix", pid_file=tmp_path / "pid",
                                 log_file=tmp_path / "log")
    assert status == SYSTEM
    assert lines == [f"echo: cannot become user {NOBODY}, group {NOBODY}: not permitted; start as "
                     "root or with CAP_SETUID and CAP_SETGID, or leave user and group out"]
    assert not [name for name in ("s", "pid", "log") if (tmp_path / name).exists()]


@pytest.mark.parametrize("who", ["nobody", str(NOBODY)])
def test_W46_an_ordinary_user_may_become_itself(server, as_nobody, who):
    """That is no change, and no right is needed for it."""
    s = server.start(as_nobody(EXAMPLES / "echo"), **ONE, user=who)
    for pid in everybody(s):
        assert ids_of(pid) == ([NOBODY] * 4, [NOBODY] * 4, [])
    assert s.ask(b"hello\n") == b"hello\n"


@pytest.mark.parametrize("settings", [{"user": "root"}, {"user": "54321", "group": "54321"},
                                      {"group": "root"}, {"user": "nobody", "group": "0"}])
def test_W46_an_ordinary_user_cannot_become_another(server, as_nobody, settings):
    """Also not by the group alone."""
    status, lines = failed_start(server, as_nobody(EXAMPLES / "echo"), log_level=1, **settings)
    assert (status, len(lines)) == (SYSTEM, 1)
    assert "cannot become user" in lines[0] and "not permitted; start as root" in lines[0]


def test_W46_a_user_that_is_root_stays_root(server):
    """It was asked for: only groups change, and capabilities stay."""
    s = server.start("echo", **ONE, user="root", group="0 77", extra_groups=[5, 6])
    for pid in everybody(s):
        assert ids_of(pid) == ([0] * 4, [0] * 4, [0, 77])
        assert sets_of(pid)[1] != 0


# ---- capabilities --------------------------------------------------------------------------


def low_port(server, program, **settings):
    """Start on a port below 1024 of an address that nobody else uses."""
    address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
    return server.start(program, **ONE, port=f"{address}:{random.randrange(600, 1000)}", **settings)


def test_W46_capabilities_stand_for_root(server, as_nobody, open_path):
    """A server that starts as nobody with what it needs: a low port, a root directory, another
    user who gets the files. Afterwards none of it is left."""
    log = open_path / "log"
    os.chown(open_path, NOBODY, NOBODY)
    program = as_nobody(EXAMPLES / "echo", "setuid", "setgid", "chown", "sys_chroot",
                        "net_bind_service", "dac_override")
    s = low_port(server, program, user="54321", group="54322 54323", chroot=open_path,
                 log_file=log)
    for pid in everybody(s):
        assert ids_of(pid) == ([54321] * 4, [54322] * 4, [54322, 54323])
        assert sets_of(pid) == [0, 0, 0, 0]
        assert os.readlink(f"/proc/{pid}/root") == str(open_path)
    assert s.ask(b"hello\n") == b"hello\n"
    assert (log.stat().st_uid, log.stat().st_gid) == (54321, 54322)


@pytest.mark.parametrize("settings, given, sentence", [
    ({"user": "54321", "group": "1"}, ["setuid"], "cannot become user 54321, group 1: not perm"),
    ({"user": "54321", "group": "1"}, ["setgid"], "cannot become user 54321, group 1: not perm"),
    ({"chroot": "/"}, ["setuid", "setgid"], "chroot /: not permitted; start as root or with CAP_S"),
    ({"user": "54321", "group": "1", "log_file": "log"}, ["setuid", "setgid"],
     "/log: cannot be handed over: Operation not permitted"),
    ({"user": "54321", "group": "1", "keep_capabilities": "cap_kill"}, ["setuid", "setgid"],
     "keep_capabilities names some that this process does not have"),
])
def test_what_a_capability_is_missing_for(server, as_nobody, open_path, settings, given, sentence):
    """One line that says which step it was, and status 71."""
    os.chown(open_path, NOBODY, NOBODY)
    if "log_file" in settings:
        settings = {**settings, "log_file": open_path / "log"}
    status, lines = failed_start(server, as_nobody(EXAMPLES / "echo", *given), log_level=1,
                                 pid_file=open_path / "pid", **settings)
    assert (status, len(lines)) == (SYSTEM, 1), lines
    assert sentence in lines[0]


def test_the_master_keeps_what_is_named_and_workers_have_none(server):
    """Neither the worker nor a program it starts."""
    s = server.serve(["cat", "/proc/self/status"], **ONE, user="nobody",
                     keep_capabilities=["cap_net_bind_service", "CAP_KILL, cap_kill"])
    (worker,) = s.wait_workers(1)
    assert sets_of(s.pid) == [NET_BIND | KILL, NET_BIND | KILL, 0, 0]
    assert sets_of(worker) == [0, 0, 0, 0]
    caps = [line.split()[1] for line in s.ask().decode().splitlines()
            if line.startswith(("CapPrm", "CapEff", "CapInh", "CapAmb"))]
    assert [int(word, 16) for word in caps] == [0, 0, 0, 0]
    os.kill(worker, SIGKILL)
    s.wait_until(lambda: s.workers() not in ([], [worker]), "another worker")
    assert sets_of(s.wait_workers(1)[0]) == [0, 0, 0, 0]


def test_ambient_capabilities_end_with_the_drop(server, as_nobody):
    """A service manager gives them to a user; whoever sets user wants none in the workers."""
    program = as_nobody(EXAMPLES / "echo", "net_bind_service", "kill")
    s = low_port(server, program, user="nobody")
    assert [sets_of(pid) for pid in everybody(s)] == [[0, 0, 0, 0]] * 2
    kept = low_port(server, program, user="nobody", keep_capabilities="cap_kill")
    assert sets_of(kept.pid) == [KILL, KILL, 0, 0]
    assert sets_of(kept.wait_workers(1)[0]) == [0, 0, 0, 0]


@pytest.mark.parametrize("settings, sentence", [
    ({"keep_capabilities": "cap_kill"}, "--keep-capabilities: user must be set too"),
    ({"keep_capabilities": "cap_kill", "user": "root"}, "--keep-capabilities: root keeps all"),
    ({"keep_capabilities": "cap_kil", "user": "nobody"}, 'there is no capability "cap_kil"'),
    ({"keep_capabilities": ["cap_kill", "5"], "user": "nobody"}, 'there is no capability "5"'),
])
def test_capabilities_that_cannot_be_kept(server, settings, sentence):
    """Found before anything is made."""
    status, lines = failed_start(server, EXAMPLES / "echo", log_level=0, **settings)
    assert status == CONFIG
    assert sentence in lines[-1]


# ---- files handed over ---------------------------------------------------------------------


def owners(*paths):
    """User and group of each."""
    return [(p.lstat().st_uid, p.lstat().st_gid) for p in paths]


def test_files_are_handed_over(server, open_path):
    """Log file, pid file, unix sockets, and what chown_files names; not the directory."""
    more = [open_path / "data", open_path / "spool"]
    more[0].touch()
    more[1].mkdir()
    made = [open_path / name for name in ("log", "pid", "s")]
    s = server.start("echo", **ONE, user="54321", group="54322", chown_files=more,
                     log_file=made[0], pid_file=made[1], port=f"{made[2]}|unix")
    assert owners(*made, *more) == [(54321, 54322)] * 5
    assert owners(open_path) == [(0, 0)]
    assert s.ask(b"hello\n") == b"hello\n"


def test_an_owner_of_sockets_that_is_set_stands(server, open_path):
    """socket_owner is more exact than user."""
    server.start("echo", **ONE, user="54321", group="54322", port=f"{open_path}/s|unix",
                 socket_owner="7")
    assert owners(open_path / "s") == [(7, 0)]


@pytest.mark.parametrize("settings", [{}, {"user": "root"}], ids=["none", "root"])
def test_nothing_is_handed_over_without_a_change(server, open_path, settings):
    """Neither without user, which is told, nor with the one that is there already."""
    (open_path / "data").touch()
    os.chown(open_path / "data", 7, 7)
    s = server.start("echo", **ONE, chown_files=open_path / "data", log_file=open_path / "log",
                     extra_groups=[], **settings)
    assert owners(open_path / "data", open_path / "log") == [(7, 7), (0, 0)]
    told = "chown_files: not used, since neither user nor group is set" in s.text()
    assert told is not bool(settings)


@pytest.mark.parametrize("kind, sentence", [
    ("symlink", "is a symbolic link"), ("hardlink", "has further names"),
    ("missing", "there is no such file: create it"),
])
def test_files_that_are_not_handed_over(server, open_path, kind, sentence):
    """Who may write to the directory could have put there what is not his."""
    target = open_path / "target"
    target.touch()
    if kind == "symlink":
        (open_path / "data").symlink_to(target)
    if kind == "hardlink":
        (open_path / "data").hardlink_to(target)
    status, lines = failed_start(server, EXAMPLES / "echo", user="nobody", log_level=1,
                                 chown_files=open_path / "data", pid_file=open_path / "pid")
    assert (status, len(lines)) == (CONFIG, 1)
    assert f"chown_files {open_path}/data: {sentence}" in lines[0]
    assert owners(target) == [(0, 0)]
    assert not (open_path / "pid").exists()


def test_a_log_behind_a_link_stays_whose_it_is(server, open_path):
    """It is written, and not given away."""
    (open_path / "target").touch()
    (open_path / "log").symlink_to(open_path / "target")
    server.start("echo", **ONE, user="nobody", log_file=open_path / "log")
    assert owners(open_path / "target", open_path / "log") == [(0, 0)] * 2


# ---- W47: chroot and umask -----------------------------------------------------------------


@pytest.mark.parametrize("user", [{}, {"user": "nobody"}], ids=["root", "nobody"])
def test_W47_the_root_directory_is_the_working_directory(server, open_path, user):
    """The working directory stayed outside, and with it a way out. Here both are the new one,
    for the master, the workers and all that is opened by a path."""
    (open_path / "here").write_text("inside\n")
    program = server.build("""#include <prefork/prefork.h>
        #include <stdio.h>
        #include <unistd.h>
        static void f(struct prefork_conn *c, void *d) { char line[64] = "?", cwd[256]; (void)d;
            FILE *file = fopen("here", "r");
            if (file) { (void)!fgets(line, sizeof line, file); fclose(file); }
            prefork_printf(c, "%s%s %d %d", line, getcwd(cwd, sizeof cwd),
                           access("../../../../etc/passwd", F_OK), chroot("/")); }
        int main(int argc, char **argv) { return prefork_main(argc, argv,
            &(struct prefork_app){.name = "jailed", .process_request = f}); }""")
    s = server.start(program, **ONE, chroot=open_path, log_file=open_path / "log", **user)
    for pid in everybody(s):
        assert os.readlink(f"/proc/{pid}/root") == os.readlink(f"/proc/{pid}/cwd") == str(open_path)
    assert s.ask().decode() == f"inside\n/ -1 {-1 if user else 0}"
    assert s.stop() == 0


def test_W47_a_server_in_a_root_directory_goes_on_as_before(server, open_path, tmp_path):
    """Log lines in local time, new workers, the null device for standard descriptors, a pid
    file outside that is empty at the end."""
    s = server.start(server.program("stdio"), **ONE, chroot=open_path, user="nobody", setsid=1,
                     no_client_stdout=0, log_file=tmp_path / "log", pid_file=tmp_path / "pid",
                     env={"TZ": "Pacific/Kiritimati"})
    (worker,) = s.wait_workers(1)
    assert s.ask(b"hello\n") != b""
    os.kill(worker, SIGKILL)
    s.wait_until(lambda: s.workers() not in ([], [worker]), "another worker")
    assert s.ask(b"hello\n") != b""
    assert (tmp_path / "pid").read_text() == f"{s.pid}\n"
    assert s.stop() == 0
    hours = {line[:13] for line in (tmp_path / "log").read_text().splitlines()}
    assert len(hours) <= 2, hours  # one time zone
    assert (tmp_path / "pid").read_text() == ""


@pytest.mark.parametrize("name", ["/bin/answer", "bin/answer"])
def test_W47_a_program_is_looked_for_inside(server, open_path, name):
    """Its path is that of the new root; what it leaves behind is ended with the server."""
    (open_path / "bin").mkdir()
    source = """#include <stdio.h>
        #include <unistd.h>
        int main(void) { char cwd[256]; puts(getcwd(cwd, sizeof cwd)); fflush(stdout);
            if (fork() == 0) { setsid(); close(0); close(1); pause(); } return 0; }"""
    built = server.build(source, "-fno-sanitize=all", "-static", library=False)
    (open_path / "bin/answer").write_bytes(built.read_bytes())
    (open_path / "bin/answer").chmod(0o755)
    s = server.serve([name], **ONE, chroot=open_path, user="nobody", kill_timeout=1)
    outside = [[link for link in proc_fds(pid).values() if link.startswith("/proc")]
               for pid in everybody(s)]
    assert outside == [["/proc"], []]  # the master's way to find what programs leave behind
    assert s.ask() == b"/\n"
    assert s.stop() == 0  # and the test's end finds nobody


def test_W47_a_program_that_is_not_inside(server, open_path):
    """By its path: known to check. By its name: found in PATH, which is no use inside."""
    done = server.prefork("check", "--chroot", open_path, "--", "/bin/cat")
    assert done.returncode == CONFIG
    assert done.stderr == (f"prefork check: program /bin/cat: No such file or directory inside of "
                           f"chroot {open_path}\n")
    done = server.prefork("serve", *flags(port="127.0.0.1:0", chroot=open_path, log_level=1, **ONE),
                          "--", "cat")
    assert done.returncode == CONFIG
    assert f"cannot be run as user 0 inside of chroot {open_path}: No such file" in done.stderr


def test_a_program_that_the_new_user_may_not_run(server, open_path):
    """Found at start and not at the first connection."""
    script = open_path / "private"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    done = server.prefork("serve", *flags(port="127.0.0.1:0", user="nobody", log_level=1, **ONE),
                          "--", script)
    assert done.returncode == CONFIG
    assert f"program {script} cannot be run as user {NOBODY}: Permission denied" in done.stderr


@pytest.mark.parametrize("what, status, sentence", [
    ("missing", CONFIG, "there is no such directory: create it"),
    ("file", CONFIG, "is not a directory"),
])
def test_W47_a_root_directory_that_is_none(server, open_path, what, status, sentence):
    """One line, and what was made on the way is gone."""
    (open_path / "file").touch()
    got, lines = failed_start(server, EXAMPLES / "echo", chroot=open_path / what, log_level=1,
                              port=f"{open_path}/s|unix", pid_file=open_path / "pid")
    assert (got, len(lines)) == (status, 1)
    assert f"chroot {open_path}/{what}: {sentence}" in lines[0]
    assert not (open_path / "s").exists() and not (open_path / "pid").exists()


def test_W47_post_bind_hook_is_outside(server, open_path):
    """It may still open what workers cannot."""
    program = server.build("""#include <prefork/prefork.h>
        #include <stdio.h>
        static int opened;
        static int hook(struct prefork *p, void *d) { (void)p; (void)d;
            FILE *f = fopen("/etc/passwd", "r"); opened = f != NULL; if (f) fclose(f); return 0; }
        static void f(struct prefork_conn *c, void *d) { (void)d;
            prefork_printf(c, "%d", opened); }
        int main(int argc, char **argv) { return prefork_main(argc, argv, &(struct prefork_app){
            .name = "opener", .post_bind_hook = hook, .process_request = f}); }""")
    s = server.start(program, **ONE, chroot=open_path, user="nobody")
    assert s.ask() == b"1"


@pytest.mark.parametrize("mask, pid, log, socket", [("077", 0o600, 0o600, 0o700),
                                                    ("0", 0o644, 0o640, 0o777),
                                                    ("0027", 0o640, 0o640, 0o750)])
def test_W47_the_umask_is_there_before_anything_is_made(server, tmp_path, mask, pid, log, socket):
    """There was no setting. Here pid file, log file and sockets are made under it, and workers
    have it."""
    s = server.start("echo", **ONE, umask=0o022, pid_file=tmp_path / "pid",
                     log_file=tmp_path / "log", port=f"{tmp_path}/s|unix",
                     tail=[f"--umask={mask}"])
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("pid", "log", "s")]
    assert modes == [pid, log, socket]
    assert [int(proc_status(p)["Umask"], 8) for p in everybody(s)] == [int(mask, 8)] * 2


def test_W47_without_the_setting_the_umask_stays(server):
    """That of the starter, also in the background."""
    s = server.start("echo", **ONE, umask=0o035)
    assert [int(proc_status(p)["Umask"], 8) for p in everybody(s)] == [0o035] * 2


def test_a_socket_of_a_dropped_server_is_replaced_at_the_next_start(server, open_path):
    """It may not be removed from root's directory by then; nobody answers on it."""
    for _ in range(2):
        s = server.start("echo", **ONE, user="nobody", port=f"{open_path}/s|unix")
        assert s.ask(b"hello\n") == b"hello\n"
        assert s.stop() == 0
        assert is_refused(open_path / "s")


def test_check_needs_no_rights(server, as_nobody, open_path):
    """Settings that only root could carry out can be checked by everybody."""
    done = server.command(as_nobody(PREFORK), "check", "--user", "root", "--chroot", open_path,
                          "--keep-capabilities=", "--umask", "077")
    assert (done.returncode, "keep-capabilities" in done.stderr) == (CONFIG, True)
    done = server.command(as_nobody(PREFORK), "check", "--user", "root", "--chroot", open_path,
                          "--umask", "077")
    assert done.returncode == 0, done.stderr
    assert "umask 077  # --umask" in done.stdout
