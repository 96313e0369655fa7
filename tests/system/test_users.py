"""Giving up root: who the server runs as, what that takes away, and who may start it."""

import grp
import os
import pwd
from signal import SIGKILL

import pytest

from support import EXAMPLES, flags, is_refused, proc_status
from test_daemon import as_nobody, can_nobody_run, failed_start

ONE = {"sizing": "static", "max_servers": 1}
SYSTEM, CONFIG = 71, 78


def ids_of(pid):
    """Users, groups and supplementary groups of a process."""
    status = proc_status(pid)
    return ([int(word) for word in status["Uid"].split()],
            [int(word) for word in status["Gid"].split()],
            sorted(int(word) for word in status["Groups"].split()))


@pytest.mark.shows("key:user", "daemon:set_user", "daemon:set_uid", "daemon:set_gid",
                   "daemon:get_uid", "hook:post_bind", "order:post_bind")
@pytest.mark.root
def test_W46_user_drops_everything(server):
    """All four ids; the groups are those of the user and none of root's."""
    user = pwd.getpwnam("nobody")
    s = server.start(server.program("probe"), **ONE, user="nobody", extra_groups=[0, 5, 6],
                     port="127.0.0.1:0")
    groups = sorted(os.getgrouplist("nobody", user.pw_gid))
    for pid in (s.pid, *s.wait_workers(1)):
        assert ids_of(pid) == ([user.pw_uid] * 4, [user.pw_gid] * 4, groups)


@pytest.mark.shows("key:user", "daemon:set_uid")
@pytest.mark.root
def test_W46_there_is_no_way_back(server):
    """A handler that asks for root does not get it."""
    s = server.start(server.program("probe"), **ONE, user="nobody")
    assert s.ask(b"root\n") == b"-1 -1\n"


@pytest.mark.shows("key:group", "daemon:get_gid", "daemon:set_gid")
@pytest.mark.root
def test_group_alone(server):
    """The user stays; the groups are those that were named, the first one primary."""
    names = [group.gr_name for group in grp.getgrall() if group.gr_gid != 0][:3]
    gids = [grp.getgrnam(name).gr_gid for name in names]
    s = server.start("echo", **ONE, group=", ".join(names), extra_groups=[0, 77])
    for pid in (s.pid, *s.wait_workers(1)):
        assert ids_of(pid) == ([0] * 4, [gids[0]] * 4, sorted(gids))


@pytest.mark.shows("key:user", "key:group", "daemon:get_uid", "daemon:get_gid")
@pytest.mark.root
def test_user_and_group_by_number(server):
    """Numbers that the user database does not know need both."""
    s = server.start("echo", **ONE, user="54321", group="65432")
    assert ids_of(s.pid) == ([54321] * 4, [65432] * 4, [65432])
    status, lines = failed_start(server, EXAMPLES / "echo", user="54321", log_level=1)
    assert (status, len(lines)) == (CONFIG, 1)
    assert "group must be set too" in lines[0]


@pytest.mark.shows("order:post_bind", "hook:post_bind")
@pytest.mark.root
def test_sockets_and_files_are_made_before_the_drop(server, open_path):
    """A port below 1024, a log and a pid file in root's directories; all still work after."""
    open_path.chmod(0o755)
    s = server.start("echo", **ONE, user="nobody", background=1, log_file=open_path / "log",
                     pid_file=open_path / "pid", port=f"{open_path}/s|unix", socket_mode="0600")
    assert (open_path / "s").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert s.ask(b"hello\n") == b"hello\n"
    assert s.stop() == 0
    assert is_refused(open_path / "s")
    assert "stopped after 1 connections" in (open_path / "log").read_text()
    # nobody may not remove from root's directory; what cannot be removed is empty
    assert not (open_path / "pid").exists() or (open_path / "pid").read_text() == ""
    again = server.start("echo", **ONE, user="nobody", pid_file=open_path / "pid",
                         port=f"{open_path}/s|unix")
    assert (open_path / "pid").read_text() == f"{again.pid}\n"


@pytest.mark.root
def test_programs_run_as_the_user(server):
    """Nothing of root's is handed on."""
    s = server.serve(["sh", "-c", "id -u; id -G"], **ONE, user="nobody")
    user = pwd.getpwnam("nobody")
    groups = " ".join(str(g) for g in sorted(os.getgrouplist("nobody", user.pw_gid)))
    assert s.ask().decode().split("\n")[:2] == [str(user.pw_uid), groups]


@pytest.mark.root
def test_workers_of_a_dropped_master_are_still_looked_after(server):
    """Killed ones are replaced, and the stop works without root's rights."""
    s = server.start("echo", **ONE, user="nobody")
    (first,) = s.wait_workers(1)
    os.kill(first, SIGKILL)
    s.wait_until(lambda: s.workers() not in ([], [first]), "another worker")
    assert s.ask(b"hello\n") == b"hello\n"


@pytest.mark.shows("key:user", "daemon:set_user")
@pytest.mark.root
def test_an_ordinary_user_cannot_become_another(server):
    """One line, status 71, and what to do about it."""
    if not can_nobody_run(EXAMPLES / "echo"):
        pytest.skip("the build directory is closed to others")
    done = server.command(EXAMPLES / "echo", *flags(port="127.0.0.1:0", user="root", log_level=1),
                          cwd="/", **as_nobody({}))
    assert done.returncode == SYSTEM
    assert len(done.stderr.splitlines()) == 1
    assert "cannot become user 0" in done.stderr and "start as root" in done.stderr


@pytest.mark.root
@pytest.mark.shows("arg:require_root")
def test_require_root_as_an_ordinary_user(server):
    """Refused at once, in one line."""
    if not can_nobody_run(EXAMPLES / "echo"):
        pytest.skip("the build directory is closed to others")
    done = server.command(EXAMPLES / "echo", *flags(port="127.0.0.1:0", require_root=1,
                                                    log_level=1), cwd="/", **as_nobody({}))
    assert done.returncode == SYSTEM
    assert done.stderr == "echo: require_root: this server must be started by root\n"


@pytest.mark.root
@pytest.mark.shows("arg:require_root")
def test_require_root_as_root(server):
    """Serves."""
    assert server.start("echo", **ONE, require_root=1).ask(b"hello\n") == b"hello\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="as root it is no refusal")
def test_require_root_here(server):
    """As the user who runs the tests."""
    status, lines = failed_start(server, EXAMPLES / "echo", require_root=1, log_level=1)
    assert (status, lines) == (SYSTEM, ["echo: require_root: this server must be started by root"])


@pytest.mark.shows("key:user", "key:group")
@pytest.mark.parametrize("settings, sentence", [
    ({"user": "no-such-user-here"}, '--user: there is no user "no-such-user-here"'),
    ({"group": "no-such-group-here"}, '--group: there is no group "no-such-group-here"'),
])
def test_unknown_names(server, tmp_path, settings, sentence):
    """Found before anything is opened, in the foreground and in the background."""
    for background in (0, 1):
        status, lines = failed_start(server, EXAMPLES / "echo", background=background,
                                     log_file=tmp_path / "log", log_level=1, **settings)
        assert (status, len(lines)) == (CONFIG, 1)
        assert sentence in lines[0]
        assert not (tmp_path / "log").exists()
