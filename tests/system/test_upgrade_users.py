"""Reloads of a server that gave up root.

The next program is executed by the user that the first one became: it has the sockets, the pid
file and the capabilities of the one before, and nothing else of what only root can have. What
it would need root for is found by the check, and said.
"""

import os
import random
import stat

import pytest

from support import PREFORK, proc_status
from test_daemon import NOBODY, can_nobody_run
from test_privileges import GROUP, NET_BIND, PASSWD, sets_of, with_users  # noqa: F401
from test_users import ids_of
from upgrades import Site, needs_reload

pytestmark = [needs_reload, pytest.mark.root,
              pytest.mark.skipif(not can_nobody_run(PREFORK), reason="a closed build directory")]
ONE = {"sizing": "static", "max_servers": 1}


@pytest.fixture
def site(server, open_path):
    """A directory to deploy a server in that every user may enter. Its files are root's."""
    return Site(server, open_path)


def started(site, **settings):
    """Its server, which has become nobody."""
    return site.start(**{**ONE, "user": "nobody", **settings})


def reloaded(site):
    """A reload that has to be good, by who gave up root."""
    site.deploy_next()
    done = site.reload()
    assert done.returncode == 0, done.stderr + site.server.describe()
    site.server.wait_until(lambda: site.serves() == site.version, "the new version")
    for pid in (site.server.pid, *site.server.wait_workers(1)):
        assert ids_of(pid)[:2] == ([NOBODY] * 4, [NOBODY] * 4)
    assert int(site.pid_file.read_text()) == site.server.pid


def low_port():
    """A port that only root may bind, of an address that nobody else uses."""
    host = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
    return f"{host}:{random.randrange(600, 1000)}"


@pytest.mark.parametrize("more", [{"min_servers": 0, "max_servers": None, "sizing": None}, {}],
                         ids=["alone", "pool"])
def test_what_root_opened_stays_open(site, open_path, more):
    """A low port, the log, the pid file in a directory of root's, a unix socket with a mode and
    an owner."""
    path = open_path / "socket"
    s = site.start(user="nobody", **{**ONE, **more},
                   arguments={"log_file": open_path / "log", "log_level": 3},
                   port=[low_port(), f"{path}|unix"], socket_mode="0660", socket_owner="7")
    for _ in range(2):
        site.deploy_next()
        site.hang_up()
        s.wait_until(lambda: site.serves() == site.version, "the new version")
    s.wait_until(lambda: site.serves(str(path)) == site.version, "the new version there too")
    st = path.stat()
    assert (st.st_uid, stat.S_IMODE(st.st_mode)) == (7, 0o660)
    assert int(site.pid_file.read_text()) == s.pid
    assert ids_of(s.pid)[0] == [NOBODY] * 4


def test_a_low_port_that_is_new(site):
    """Only root could open it: the check says which one."""
    stays, comes = low_port(), low_port()
    started(site, port=[stays])
    site.configure(port=[stays, comes])
    host, port = comes.split(":")
    site.fail(f"port {port} on {host}: permission denied: ports below 1024 need root")
    site.configure(port=[stays])
    reloaded(site)


def test_a_low_port_that_is_given_up(site):
    """It cannot be opened again, and the other one stays."""
    stays, goes = low_port(), low_port()
    started(site, port=[stays, goes])
    site.configure(port=[stays])
    reloaded(site)
    site.configure(port=[stays, goes])
    site.fail("permission denied: ports below 1024 need root")


def test_capabilities_are_kept(site):
    """From one program to the next: a low port may be new then. Workers have none."""
    stays, comes = low_port(), low_port()
    s = started(site, port=[stays], keep_capabilities="cap_net_bind_service")
    for ports in ([stays, comes], [comes]):
        site.configure(port=ports)
        reloaded(site)
        assert sets_of(s.pid) == [NET_BIND, NET_BIND, 0, 0]
        assert sets_of(s.wait_workers(1)[0]) == [0, 0, 0, 0]


def test_capabilities_are_kept_on_the_way_back(site):
    """Also by who is executed again."""
    s = started(site, keep_capabilities="cap_net_bind_service")
    site.break_code("crashes in its init")
    site.fail("did not become ready")
    assert sets_of(s.pid) == [NET_BIND, NET_BIND, 0, 0]
    site.repair()
    reloaded(site)


def test_capabilities_that_are_not_there_any_more(site):
    """Who gave them up does not get them back."""
    s = started(site, keep_capabilities="cap_net_bind_service")
    site.configure(keep_capabilities=None)
    reloaded(site)
    assert sets_of(s.pid) == [0, 0, 0, 0]
    site.configure(keep_capabilities="cap_net_bind_service")
    site.fail("keep_capabilities names some that this process does not have")


def test_another_user(site):
    """That takes root."""
    started(site)
    site.configure(user="54321", group="54321")
    site.fail("cannot become user 54321, group 54321: not permitted")


def test_supplementary_groups_stay(server, open_path, with_users):  # noqa: F811
    """They are the process's. (serve, more and extra are of test_privileges.py.)"""
    assert "serve" in PASSWD and "extra" in GROUP
    site = Site(server, open_path)
    executable = site.executable
    site.configure(port="127.0.0.1:0", user="serve", **ONE)
    s = server.start(with_users(executable), port=None, conf_file=site.conf, extra_groups=[0, 5])
    site.deploy_next()
    s.signal(1)
    s.wait_log("generation 2 serves")
    assert ids_of(s.pid) == ([7001] * 4, [7001] * 4, [7001, 7002, 7003])


def test_require_root_is_about_the_start(site):
    """The first program was started by root."""
    started(site, require_root=1)
    reloaded(site)


def test_a_config_file_that_only_root_may_read(site):
    """It was read by root, and cannot be read again: the sentence names it."""
    started(site)
    site.conf.chmod(0o600)
    site.fail(f"{site.conf}: Permission denied")
    site.conf.chmod(0o644)
    reloaded(site)


def test_an_executable_that_only_root_may_execute(site):
    """Likewise."""
    started(site)
    site.executable.chmod(0o700)
    site.fail(f"cannot execute {site.executable}: Permission denied")
    site.executable.chmod(0o755)
    reloaded(site)


def test_a_log_in_a_directory_that_only_root_may_enter(site, open_path):
    """It cannot be opened by its path: nothing is even tried."""
    closed = open_path / "closed"
    closed.mkdir(mode=0o700)
    s = started(site, arguments={"log_file": closed / "log"})
    site.fail(f"log_file {closed}/log: Permission denied")
    assert "in this process" not in s.text()
    os.chmod(closed, 0o755)
    reloaded(site)


def test_root_that_stays_root(site):
    """Nothing of this is about who keeps it."""
    s = site.start(**ONE)
    site.deploy_next()
    assert site.reload().returncode == 0
    assert int(proc_status(s.pid)["CapEff"], 16) != 0
