"""Logs over a reload: where lines of workers of the generation before go."""

from signal import SIGUSR1

from clients import clients  # noqa: F401
from support import PATIENCE, Log
from upgrades import held, needs_reload, site  # noqa: F401

pytestmark = needs_reload
POOL = {"sizing": "static", "max_servers": 6, "graceful_timeout": 4 * PATIENCE}


def started(site):
    """A site's server with an access log, whose path this gives too."""
    path = site.directory / "access"
    site.start(access_log_path=path, **POOL)
    return site, path


def reload_beside(site, *busy):
    """The next version serves, and of the workers from before only these are left."""
    old = set(site.server.workers())
    site.deploy_next()
    done = site.reload()
    assert done.returncode == 0, done.stderr + site.server.describe()
    site.server.wait_until(lambda: old & set(site.server.workers()) <= set(busy),
                           "the end of the others")


def rotate(site, path, name):
    """As logrotate does it: the file's new path."""
    old = path.with_name(name)
    path.rename(old)
    mark = site.server.mark()
    site.server.signal(SIGUSR1)
    site.server.wait_log("SIGUSR1: access log opened again", mark)
    return old


def lines_of(path, pid):
    """How many the worker has written there."""
    return sum(f"[{pid}]" in line or f" {pid} " in line
               for line in path.read_text().splitlines()) if path.exists() else 0


def finish(client, site, path, pid):
    """The client's connection ends: its line has to come to this path."""
    before = lines_of(path, pid)
    assert client.finish()[-1] == "done"
    site.server.wait_until(lambda: lines_of(path, pid) == before + 1, f"a line in {path}")


def test_a_rotation_reaches_a_worker_that_drains(site, clients):
    """One after the reload; the mark of the new file is none that the worker has."""
    site, path = started(site())
    client, pid = held(site, clients)
    reload_beside(site, pid)
    old = rotate(site, path, "old")
    finish(client, site, path, pid)
    assert lines_of(old, pid) == 0


def test_rotations_before_and_after(site, clients):
    """Each generation counts on where the last one stopped."""
    site, path = started(site())
    all_clients = []
    for n in range(2):
        all_clients.append(held(site, clients))
        rotate(site, path, f"before-{n}")
        reload_beside(site, *(pid for _, pid in all_clients))
        rotate(site, path, f"after-{n}")
    for client, pid in all_clients:
        finish(client, site, path, pid)


def test_a_rotation_that_nobody_told_before_the_reload(site, clients):
    """The new program opens the file by its name, and everybody follows."""
    site, path = started(site())
    client, pid = held(site, clients)
    path.rename(path.with_name("old"))
    reload_beside(site, pid)
    finish(client, site, path, pid)


def test_another_path_is_everybodys(site, clients):
    """Also that of a worker that drains, and after a rotation there."""
    site, path = started(site())
    (one, first), (two, second) = held(site, clients), held(site, clients)
    new = path.with_name("new")
    site.configure(access_log_path=new)
    reload_beside(site, first, second)
    finish(one, site, new, first)
    rotate(site, new, "old")
    finish(two, site, new, second)


def test_a_reload_that_fails_gives_the_old_path_back(site, clients):
    """To those who have written to the new one meanwhile, too."""
    site, path = started(site())
    client, pid = held(site, clients)
    new = path.with_name("new")
    site.configure(access_log_path=new)
    site.break_code("crashes in its init")
    site.fail()
    finish(client, site, path, pid)
    assert lines_of(new, pid) == 0


def test_without_an_access_log_the_old_ones_lines_go_on(site, clients):
    """Where it is not set any more, old workers have what they had; and it may come back."""
    site, path = started(site())
    (one, first), (two, second) = held(site, clients), held(site, clients)
    site.configure(access_log_path=None)
    reload_beside(site, first, second)
    finish(one, site, path, first)
    new = path.with_name("new")
    site.configure(access_log_path=new)
    reload_beside(site, second)
    finish(two, site, new, second)


def test_a_log_of_another_kind_is_not_handed_on(site, server, clients):
    """From standard error to a file and back, and the server goes on."""
    site, path = started(site())
    client, pid = held(site, clients)
    log = site.directory / "log"
    site.configure(log_file=log)
    reload_beside(site, pid)
    site.server.logs.append(Log(log))
    site.server.wait_log("generation 2 serves")
    finish(client, site, path, pid)
    site.configure(log_file=None)
    reload_beside(site)
    assert site.serves() == site.version
