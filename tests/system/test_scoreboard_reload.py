"""The scoreboard's file over a reload: what goes on in it, and when there is another one."""

import os
from signal import SIGKILL

import pytest

from clients import clients  # noqa: F401
from scoreboard import Scores
from support import EXAMPLES, PATIENCE, proc_fds, wait_until
from upgrades import held, needs_reload, site, wait_next_master  # noqa: F401

pytestmark = needs_reload
POOL = {"sizing": "static", "max_servers": 3}


@pytest.fixture(name="scored")
def _scored(site):
    """A site with a scoreboard: the site, and what reads it."""
    site = site()
    path = site.directory / "scoreboard"
    site.start(scoreboard_path=path, graceful_timeout=4 * PATIENCE,
               reload_surge=8, **POOL)
    scores = Scores(path)
    wait_idle(site, scores)
    return site, scores


def wait_idle(site, scores):
    """Wait until exactly the pool is there, idle."""
    site.server.wait_until(
        lambda: {line.pid for line in scores.lines()} == set(site.server.workers()) and
        scores.states() == "_" * len(site.server.workers()), f"the pool in {scores.path}")


def reload_to_next(site):
    """The next version serves."""
    site.deploy_next()
    site.succeed()


def reload_beside(site):
    """The same, while old workers drain."""
    site.deploy_next()
    done = site.reload()
    assert done.returncode == 0, done.stderr + site.server.describe()
    site.server.wait_until(lambda: site.serves() == site.version, "the new version")


def inode(path):
    """Which file it is."""
    return os.stat(path).st_ino


def test_the_file_stays_with_all_that_was_counted(scored):
    """The same file, started when the server was, and no number in it goes back."""
    site, scores = scored
    head, file = scores.head(), inode(scores.path)
    site.serves()
    for _ in range(3):
        before = scores.totals()
        reload_to_next(site)
        wait_idle(site, scores)
        after = scores.totals()
        assert after["births"] >= before["births"] + POOL["max_servers"]
        assert after["requests"] > before["requests"] and after["used"] >= before["used"]
    assert scores.head() == head and inode(scores.path) == file
    assert head["pid"] == site.server.pid and scores.is_held()


def test_a_worker_that_drains_keeps_its_line(scored, clients):
    """And writes it by itself to its end."""
    site, scores = scored
    client, pid = held(site, clients)
    line = scores.by_pid()[pid]
    reload_beside(site)
    assert line in scores.lines()
    assert client.finish()[-1] == "done"
    wait_idle(site, scores)
    assert pid not in scores.by_pid()


def test_a_smaller_pool_goes_on_with_the_file(scored):
    """There may be more records than are needed."""
    site, scores = scored
    file, records = inode(scores.path), scores.head()["records"]
    site.configure(reload_surge=1, max_dequeue=1)
    reload_to_next(site)
    wait_idle(site, scores)
    assert inode(scores.path) == file and scores.head()["records"] == records


@pytest.mark.parametrize("moved", [False, True], ids=["larger", "moved"])
def test_another_file_has_the_old_workers_too(scored, clients, tmp_path, moved):
    """As the master sees them: busy, then leaving, then nobody."""
    site, scores = scored
    old = inode(scores.path)
    client, pid = held(site, clients)
    busy = scores.by_pid()[pid]
    births = scores.totals()["births"]
    new = Scores(tmp_path / "moved") if moved else scores
    site.configure(**({"scoreboard_path": new.path} if moved else {"max_servers": 20}))
    reload_beside(site)
    wait_until(new.path.exists, "the new file")
    site.server.wait_until(lambda: pid in [line.pid for line in new.lines()], "the old worker in it")
    assert inode(new.path) != old and new.is_held()
    assert scores.path.exists() != moved
    [line] = [line for line in new.lines() if line.pid == pid]
    assert (line.state, line.peer, line.born) == (busy.state, busy.peer, busy.born)
    assert new.totals()["births"] > births
    assert client.finish()[-1] == "done"
    wait_idle(site, new)
    reload_to_next(site)
    wait_idle(site, new)


@pytest.mark.parametrize("how", ["crashes in its init", "refuses before its loop"])
@pytest.mark.parametrize("change", ["nothing", "larger", "moved"])
def test_a_reload_that_fails_leaves_it_alone(scored, clients, tmp_path, change, how):
    """The old master goes on with its file; of another one nothing is left."""
    site, scores = scored
    file, client_and_pid = inode(scores.path), held(site, clients)
    before = set(os.listdir(site.directory))
    changes = {"nothing": {}, "larger": {"max_servers": 20},
               "moved": {"scoreboard_path": tmp_path / "moved"}}[change]
    settings = dict(site.settings)
    site.configure(**changes)
    site.break_code(how)
    site.fail()
    client, pid = client_and_pid
    assert inode(scores.path) == file and scores.is_held()
    assert pid in [line.pid for line in scores.lines()]
    assert not (tmp_path / "moved").exists() and set(os.listdir(site.directory)) == before
    assert client.finish()[-1] == "done"
    wait_idle(site, scores)
    site.configure(**settings)
    reload_to_next(site)
    wait_idle(site, scores)
    assert inode(scores.path) == file


def test_nothing_is_replaced_before_the_commit(scored):
    """While the new program is on trial, the old file is the one that is there."""
    site, scores = scored
    file = inode(scores.path)
    site.configure(max_servers=20)
    site.break_code("hangs in its init")
    reload = site.start_reload()
    site.server.wait_log("starting: ")
    site.server.wait_until(lambda: len(site.server.workers()) > POOL["max_servers"],
                           "workers on trial")
    assert inode(scores.path) == file and scores.is_held()
    site.server.stop()
    reload.communicate(timeout=4 * PATIENCE)
    assert [name for name in os.listdir(site.directory) if "scoreboard" in name] == []


def test_a_file_that_was_removed_comes_back(scored):
    """With a reload, as with a start."""
    site, scores = scored
    scores.path.unlink()
    reload_to_next(site)
    wait_idle(site, scores)


def test_a_stranger_at_its_path_refuses_the_reload(scored):
    """It is left alone, and so is the server."""
    site, scores = scored
    scores.path.unlink()
    scores.path.write_text("mine")
    site.deploy_next()
    site.version = "v1"
    site.fail("scoreboard_path .*is a file and no scoreboard")
    assert scores.path.read_text() == "mine"
    scores.path.unlink()
    reload_to_next(site)
    wait_idle(site, scores)


def test_the_scoreboard_comes_and_goes(scored):
    """A reload makes it, a reload takes it away."""
    site, scores = scored
    site.configure(scoreboard_path=None)
    reload_to_next(site)
    wait_until(lambda: not scores.path.exists(), "the end of the file")
    site.configure(scoreboard_path=scores.path)
    reload_to_next(site)
    wait_idle(site, scores)


def test_it_goes_on_after_the_death_of_a_master(server, tmp_path):
    """The keeper has it: the same file and lines; only the process is another one."""
    scores = Scores(tmp_path / "scoreboard")
    s = server.start(EXAMPLES / "echo", keeper=1, scoreboard_path=scores.path, **POOL)
    workers = set(s.wait_workers(POOL["max_servers"]))
    s.wait_until(lambda: scores.states() == "___", "an idle pool")
    s.wait_until(lambda: "prefork-state" in str(proc_fds(s.process.pid)), "a whole shelf")
    head, file, lines = scores.head(), inode(scores.path), scores.lines()
    os.kill(s.pid, SIGKILL)
    s.pid = wait_next_master(s, s.pid, POOL["max_servers"])
    s.wait_until(lambda: scores.head()["pid"] == s.pid, "the next master in the head")
    assert scores.head() == {**head, "pid": s.pid} and inode(scores.path) == file
    assert scores.lines() == lines and set(scores.by_pid()) == workers and scores.is_held()
    assert s.stop() == 0
    assert not scores.path.exists()
