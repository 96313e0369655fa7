"""Reloads of all that a server can be made of: settings that change, each kind of program,
what runs beside the pool, and process 1.
"""

import os
import socket
import subprocess
from signal import SIGKILL

import psutil
import pytest

from clients import children_of, clients, lines  # noqa: F401
from support import PATIENCE, PREFORK, Log, address_of, is_refused, wait_until
from upgrades import (Site, births, ended, held, needs_reload, own_port, site,  # noqa: F401
                      started)

pytestmark = needs_reload
POOL = {"min_servers": 3, "max_servers": 6}


# ---- settings that change ----------------------------------------------------------------------

def test_a_port_is_added_and_removed(site):
    """It answers from the reload on, and not any more from the next."""
    site = site()
    site.start(**POOL)
    first, second = site.settings["port"], own_port()
    other = address_of(second)
    site.configure(port=[first, second])
    site.succeed()
    assert site.serves(other) == "v1"
    site.configure(port=first)
    site.succeed()
    wait_until(lambda: is_refused(other), "the end of the second port")
    site.configure(port=second)
    site.succeed()
    wait_until(lambda: is_refused((other[0], other[1] - 1)), "the end of the first port")


def test_a_port_that_a_failed_reload_would_have_removed(site):
    """Nothing of it changes: it answers during the trial, and afterwards."""
    site = site()
    first, second = own_port(), own_port()
    site.start(**POOL, port=[first, second])
    site.configure(port=first)
    site.break_code("crashes in its init")
    site.fail("bad start")
    assert site.serves(address_of(second)) == "v1"


def test_a_port_that_the_kernel_chose(site):
    """Stays, as long as the setting is the same."""
    site = site()
    s = site.start(**{**POOL, "port": "127.0.0.1:0"})
    site.configure(max_requests=77)
    site.deploy_next()
    done = site.reload()
    assert done.returncode == 0, done.stderr
    s.wait_until(lambda: site.serves(s.address) == "v2", "the new version")


def test_the_path_of_a_unix_socket_changes(site, tmp_path):
    """The old file goes with the old socket."""
    site = site()
    old, new = tmp_path / "old", tmp_path / "new"
    site.start(**{**POOL, "port": str(old)})
    site.configure(port=str(new))
    site.deploy_next()
    site.succeed()
    wait_until(lambda: not old.exists(), "the end of the old file")
    assert site.serves(str(new)) == "v2"


# What a program has in place of bind(2): it stops when it has bound a socket of this family.
STOPPING = """
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
int
bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
    long r = syscall(SYS_bind, fd, address, bytes);
    if (address->sa_family == FAMILY) {
        (void)close(open(BOUND, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        pause();
    }
    return (int)r;
}
"""


@pytest.mark.parametrize("proto", ["unix", "unixdgram"])
@pytest.mark.parametrize("family", ["AF_UNIX", "AF_INET"])
def test_a_client_during_the_check(site, tmp_path, proto, family):
    """Finds nobody at a path that is new, neither while its file is there (the check is stopped
    behind its bind) nor later; and it is gone before the next port is looked at."""
    site = site()
    header, bound, path = tmp_path / "bind.h", tmp_path / "bound", tmp_path / "new"
    header.write_text(STOPPING)
    s = site.start(**POOL)
    workers = set(s.workers())
    kind = socket.SOCK_STREAM if proto == "unix" else socket.SOCK_DGRAM
    site.configure(port=[site.settings["port"], f"{path}/{proto}", own_port()])
    site.put(site.code, site.compile("broken", "-include", str(header), f"-DFAMILY={family}",
                                     f'-DBOUND="{bound}"'))
    waiting = site.start_reload()
    s.wait_until(bound.exists, "the check")
    assert path.exists() == (family == "AF_UNIX")
    with socket.socket(socket.AF_UNIX, kind) as client, pytest.raises(OSError):
        client.connect(str(path))
        client.send(b"x")
    (check,) = {p.pid for p in psutil.Process(s.pid).children()} - workers
    os.kill(check, SIGKILL)
    assert ended(waiting)[0] != 0
    assert path.exists() == (family == "AF_UNIX")
    assert site.serves() == "v1"


def test_a_refused_reload_leaves_no_socket_behind(site, tmp_path):
    """Neither a new file nor, for the old one, none."""
    site = site()
    old, new = tmp_path / "old", tmp_path / "new"
    site.start(**{**POOL, "port": str(old)})
    port = own_port()
    with socket.create_server(address_of(port)):
        site.put(site.conf, site.lines + f"port {new}\nport {port}\n")
        site.fail("port {1} on {0}".format(*port.split(":")))
    assert old.exists() and not new.exists()


@pytest.mark.parametrize("count", [1, 2, 9, 40])
def test_the_size_of_the_pool_changes(site, count):
    """Bigger and smaller, and back."""
    site = site()
    s = site.start(sizing="static", max_servers=4)
    for size in (count, 4):
        site.configure(max_servers=size)
        site.deploy_next()
        site.succeed()
        s.wait_workers(size)


def test_settings_of_workers_change(site):
    """Without new code."""
    site = site()
    s = site.start(**POOL)
    old = set(s.workers())
    site.configure(max_requests=1)
    site.succeed()
    s.wait_until(lambda: not old & set(s.workers()), "new workers")
    assert len({site.answer()[1] for _ in range(3)}) == 3


def test_the_path_of_the_pid_file_changes(site, tmp_path):
    """The new one is written, the old one goes."""
    site = site()
    old, new = tmp_path / "old.pid", tmp_path / "new.pid"
    s = site.start(**POOL, arguments={"pid_file": None}, pid_file=str(old))
    site.pid_file = old
    site.configure(pid_file=str(new))
    site.deploy_next()
    done = site.reload(pid_file=old)
    assert done.returncode == 0, done.stderr
    assert int(new.read_text()) == s.pid
    wait_until(lambda: not old.exists(), "the end of the old one")
    site.pid_file = new
    site.deploy_next()
    site.succeed()


def test_the_path_of_the_log_changes(site, server, tmp_path):
    """Lines go to the new file, workers' lines as well."""
    site = site()
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    s = site.start(arguments={"wait": None}, log_file=str(old), **POOL)
    s.logs.append(Log(old))
    server._wait_ready(s, "ready")
    site.configure(log_file=str(new))
    site.deploy_next()
    site.succeed()
    until = old.read_text()
    s.logs.append(Log(new))
    _, pid = site.answer()
    s.wait_log(rf"\[{pid}\] info: connect")
    assert old.read_text() == until


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_user_was_given_up(server, open_path):
    """What only root could open was handed over."""
    site = Site(server, open_path)
    s = site.start(**POOL, user="nobody")
    for _ in range(3):
        site.deploy_next()
        site.succeed()
    assert {psutil.Process(pid).username() for pid in [s.pid, *s.workers()]} == {"nobody"}


# ---- each kind of server -----------------------------------------------------------------------

def test_a_server_in_the_background(site, tmp_path):
    """Nobody waits for it but the system."""
    site = site()
    s = site.start(**POOL, arguments={"background": 1, "log_file": tmp_path / "log"})
    parent = psutil.Process(s.pid).ppid()
    for _ in range(3):
        site.deploy_next()
        site.succeed()
    assert int(site.pid_file.read_text()) == s.pid
    assert psutil.Process(s.pid).ppid() == parent


@pytest.mark.parametrize("shape", ["so", "wait", "nowait"])
def test_programs(site, shape):
    """What is served by the prefork command: new workers, the same master."""
    site = site(shape)
    s = site.start(**POOL)
    for _ in range(3):
        old = set(s.workers())
        site.deploy_next()
        site.succeed()
        s.wait_until(lambda o=old: not o & set(s.workers()), "new workers")
    assert int(site.pid_file.read_text()) == s.pid


def test_a_loop_of_its_own(site):
    """main_loop without a port: workers are told to leave, and the new code's loop runs."""
    site = site()
    s = started(site, **{**POOL, "port": None}, env={"LOOP": "1"})
    s.wait_until(lambda: births(site).count("v1") == 3, "workers")
    site.deploy_next()
    done = site.reload()
    assert done.returncode == 0, done.stderr
    s.wait_until(lambda: births(site).count("v2") >= 3, "new workers")
    site.break_code("crashes in its init")
    assert site.reload().returncode != 0
    assert "broken" not in births(site)[:6] and len(s.wait_workers(3)) == 3


def held_by_the_next(site, clients):
    """As held(); None: a worker that is about to leave had the client."""
    client = clients.send(site.server, "slow\n")
    version, pid = client.hear()
    if version == site.version:
        return client, int(pid)
    client.hang_up()
    return None


def test_clients_that_go_after_a_reload(site, clients):
    """on_client_disconnect: the new master hears of clients of old workers, and of new ones,
    who do not look at them themselves."""
    site = site()
    s = started(site, **POOL, graceful_timeout=2 * PATIENCE, env={"SLOW": "1500"})
    old, old_pid = held(site, clients, "slow")
    site.deploy_next()
    reload = site.start_reload()
    new, new_pid = s.wait_until(lambda: held_by_the_next(site, clients), "the new version")
    events = site.directory / "events"
    for client, pid in (old, old_pid), (new, new_pid):
        client.hang_up()
        s.wait_until(lambda p=pid: ["v2", "gone", str(p)] in lines(events), f"{pid}")
    assert ended(reload) == (0, "")


def test_the_scoreboard_goes_on(site, server):
    """The same file, with the new workers in it, and what was counted before."""
    site = site()
    scoreboard = site.directory / "scoreboard"
    s = site.start(**POOL, scoreboard_path=scoreboard)
    for _ in range(5):
        site.serves()
    for _ in range(2):
        site.deploy_next()
        site.succeed()
    done = server.prefork("status", "--scoreboard", scoreboard)
    assert done.returncode == 0, done.stderr
    assert str(s.pid) in done.stdout
    s.wait_until(lambda: all(str(pid) in server.prefork("status", "--scoreboard", scoreboard)
                             .stdout for pid in s.workers()), "all workers on it")


def test_what_workers_say(site, clients):
    """child_communication and prefork_tell_parent: by old workers and by new ones."""
    site = site()
    s = started(site, **POOL, child_communication=1)
    events = site.directory / "events"
    for _ in range(3):
        pid = int(s.ask(b"tell\n").split()[1])
        for how in "heard", "read":
            said = [site.version, how, str(pid), "speaks"]
            s.wait_until(lambda t=said: t in lines(events), f"{said}")
        site.deploy_next()
        site.succeed()


def test_a_file_that_changes_is_a_reload(site):
    """auto_reload_check_every: of code and of settings."""
    site = site()
    s = site.start(**POOL, auto_reload_check_every=0.1)
    site.deploy_next()
    s.wait_until(lambda: site.serves() == "v2", "the new version")
    site.configure(max_servers=2, min_servers=2, sizing="static")
    s.wait_workers(2)


# ---- as process 1 ------------------------------------------------------------------------------

@pytest.fixture
def inside(server, site):
    """The server as process 1 of namespaces of its own, and what runs a command in there. It
    listens on a unix socket, which can be reached from here; its control socket cannot."""
    unshare = ["unshare", "-pnf", "--mount-proc", "--kill-child=KILL"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no pid namespaces here")
    site = site()
    site.configure(port=str(site.directory / "socket"), reload_timeout=PATIENCE, **POOL)
    s = server.start("/usr/bin/unshare", *unshare[1:], site.executable, port=None,
                     conf_file=site.conf, pid_file=site.pid_file)
    (s.pid,) = children_of(s.process.pid)
    site.server = s

    def run(*words):
        return server.command("nsenter", "-t", s.pid, "-p", "-n", "-m", *words)
    return site, run


def reload_inside(run, site):
    """`prefork reload --wait` in the namespace."""
    return run(PREFORK, "reload", "--pid-file", site.pid_file, "--wait")


def test_process_1_stays_process_1(inside):
    """Over good reloads and bad ones, and SIGTERM stops it."""
    site, run = inside
    for _ in range(3):
        site.deploy_next()
        done = reload_inside(run, site)
        assert done.returncode == 0, done.stderr
        site.server.wait_until(lambda: site.serves() == site.version, "the new version")
        assert site.pid_file.read_text().strip() == "1"
    site.break_code("crashes in its init")
    assert reload_inside(run, site).returncode != 0
    assert site.serves() == site.version and children_of(site.server.process.pid)
    assert site.server.stop() == 0


def test_process_1_reaps_orphans(inside):
    """Of other people, silently, and also those that it took over at a reload."""
    site, run = inside
    s = site.server
    for _ in range(2):
        mark = s.mark()
        before = set(children_of(s.pid))
        assert run("sh", "-c", "sleep 1000 >/dev/null 2>&1 & exec true").returncode == 0
        (orphan,) = s.wait_until(lambda b=before: set(children_of(s.pid)) - b, "an orphan")
        site.deploy_next()
        assert reload_inside(run, site).returncode == 0
        os.kill(orphan, SIGKILL)
        s.wait_until(lambda o=orphan: o not in children_of(s.pid), "the orphan to be reaped")
        assert not s.find_log("warning|error", mark)
