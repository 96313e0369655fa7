"""Reloads of a server without workers (min_servers 0).

The process is master and worker at once: it serves while a child checks the next program,
becomes that between two connections, and what it was before if that does not start.
"""

import re
from signal import SIGHUP, SIGTERM, SIGUSR2

import pytest

from clients import children_of
from support import is_alive, is_refused, read_line
from upgrades import needs_reload, own_port, site  # noqa: F401

pytestmark = needs_reload
ALONE = {"min_servers": 0}


def started(site, *words, **settings):
    """A site whose server has no workers."""
    return site.start(*words, **{**ALONE, **settings})


def wait_done(s, count=1):
    """Wait for the end of so many reloads that were good."""
    return s.wait_log(r"reload \d+: generation \d+ serves", count=count)


def wait_failed(s, reason="", count=1):
    """Wait for the end of so many that were not, for this reason."""
    return s.wait_log(rf"error: reload \d+ failed: .*{reason}.*; what ran before goes on",
                      count=count)


@pytest.mark.parametrize("shape", ["program", "so", "nowait"])
def test_new_code_in_the_same_process(site, shape):
    """Twice, with the same pid, the same pid file, and no child left."""
    site = site(shape)
    s = started(site)
    for count in (1, 2):
        site.deploy_next()
        site.hang_up()
        wait_done(s, count)
        assert site.serves() == site.version
        assert site.answer()[1] == s.pid or shape == "nowait"
        assert int(site.pid_file.read_text()) == s.pid
    assert children_of(s.pid) == []


def test_a_connection_is_served_to_its_end(site):
    """Whoever is there is served by the old code, whoever waits by the new one."""
    site = site()
    s = started(site)
    with s.connect(address=site.address) as first, s.connect(address=site.address) as second:
        first.sendall(b"hold\n")
        assert read_line(first) == f"v1 {s.pid}\n".encode()
        site.deploy_next()
        site.hang_up()
        second.sendall(b"version\n")
        first.sendall(b"\n")
        assert read_line(first) == b"v1 done\n"
        first.close()
        answer = read_line(second).decode().split()
    assert answer[1] == str(s.pid)
    wait_done(s)
    assert site.serves() == "v2"


def test_it_serves_while_the_check_hangs(site):
    """Which ends after reload_timeout."""
    site = site()
    s = started(site, reload_timeout=1)
    site.break_code("hangs when loaded")
    site.hang_up()
    s.wait_until(lambda: len(children_of(s.pid)) == 1, "the check")
    assert site.serves() == "v1"
    wait_failed(s, r"did not say within 1 seconds \(reload_timeout\)")
    assert site.serves() == "v1" and children_of(s.pid) == []


@pytest.mark.parametrize("how, reason", [
    ("crashes when loaded", "SIGABRT"), ("refuses before its loop", "pre_loop_hook refused"),
    ("crashes before its loop", "SIGABRT while it took over")])
def test_code_that_is_broken(site, how, reason):
    """Found by the check, or by the start; the next good version is taken."""
    site = site()
    s = started(site)
    site.break_code(how)
    site.hang_up()
    wait_failed(s, reason)
    assert site.answer() == ("v1", s.pid)
    site.repair()
    site.deploy_next()
    site.hang_up()
    wait_done(s)
    assert site.answer() == ("v2", s.pid)
    assert int(site.pid_file.read_text()) == s.pid


def test_settings_that_are_wrong(site):
    """The sentence is in the log."""
    site = site()
    s = started(site)
    site.break_conf("max_reqests 9\n")
    site.hang_up()
    wait_failed(s, "max_reqests")
    assert site.serves() == "v1"


def test_an_executable_that_is_gone(site):
    """Nobody is there to be checked."""
    site = site()
    s = started(site)
    site.executable.unlink()
    site.hang_up()
    wait_failed(s, "No such file or directory")
    assert site.serves() == "v1"


def test_ports_change(site):
    """One stays, one is closed, one is new."""
    site = site()
    stays, goes, comes = own_port(), own_port(), own_port()
    s = started(site, port=[stays, goes])
    site.configure(port=[stays, comes])
    site.hang_up()
    wait_done(s)
    host, port = goes.split(":")
    assert is_refused((host, int(port)))
    for address in (stays, comes):
        host, port = address.split(":")
        assert site.serves((host, int(port))) == "v1"


def test_hang_ups_during_a_reload(site):
    """However many come: what is there at last serves."""
    site = site()
    s = started(site)
    for _ in range(3):
        site.deploy_next()
        site.hang_up()
    s.wait_until(lambda: site.serves() == site.version, "the last version")


def test_a_stop_during_the_check(site):
    """Wins; the check is ended with the server."""
    site = site()
    s = started(site)
    site.break_code("hangs when loaded")
    site.hang_up()
    s.wait_until(lambda: children_of(s.pid), "the check")
    (check,) = children_of(s.pid)
    assert s.stop(SIGTERM) == 0
    s.wait_until(lambda: not is_alive(check), "the end of the check")
    assert not site.pid_file.exists()


def test_a_stop_while_the_new_program_takes_over(site):
    """It ends, and nothing comes back after that."""
    site = site()
    s = started(site)
    site.put(site.code, site.compile("v2", "-DLATE=raise(SIGTERM)"))
    site.hang_up()
    assert s.wait_exit() == 0
    assert not site.pid_file.exists()
    assert not s.find_log("what ran before goes on")


def test_a_loop_of_the_programs_own_ends_for_it(server):
    """It is asked to leave as a worker is; child_finish_hook is called."""
    s = server.start(server.program("solo"), prefork=0, port=None, env={"SOLO": "look"})
    s.wait_log("loop parent=1")
    s.signal(SIGHUP)
    wait_done(s)
    s.wait_log(" loop parent=1", count=2)
    said = re.findall(r"loop ends|child_finish|reload 1: \w+|after_init", s.text())
    assert said == ["after_init", "loop ends", "child_finish", "reload 1: starting", "after_init",
                    "reload 1: generation"]


def test_a_loop_that_never_looks_goes_on(server):
    """The work is not ended where it is."""
    s = server.start(server.program("solo"), prefork=0, port=None, env={"SOLO": "stuck"},
                     stop_timeout=0.1)
    s.wait_log("loop parent=1")
    s.signal(SIGHUP)
    s.signal(SIGUSR2)
    assert s.stop() == 0
    assert "reload" not in s.text()


def test_a_pool_takes_over(site):
    """From min_servers 0 to two workers; and then its reloads are those of every pool."""
    site = site()
    s = started(site)
    site.configure(min_servers=2, max_servers=2)
    site.deploy_next()
    site.hang_up()
    wait_done(s)
    s.wait_workers(2, "idle")
    version, pid = site.answer()
    assert version == "v2" and pid in s.workers()
    site.deploy_next()
    assert site.reload().returncode == 0
    s.wait_until(lambda: site.serves() == "v3", "the next version")


def test_a_pool_that_does_not_start(site):
    """The server without workers goes on, and nobody is left."""
    site = site()
    s = started(site)
    site.configure(min_servers=2)
    site.break_code("crashes in its init")
    site.hang_up()
    wait_failed(s, "did not become ready")
    assert site.answer() == ("v1", s.pid)
    assert children_of(s.pid) == []


def test_a_pool_does_not_become_a_server_without_workers(site):
    """Somebody has to look after its workers: the check says so."""
    site = site()
    s = site.start(min_servers=2)
    site.configure(min_servers=0)
    site.fail("min_servers 0 .*: a pool cannot become a server without workers by a reload")
    assert len(s.workers()) >= 2


def test_the_command_falls_back_to_the_signal(site, server):
    """There is no socket to ask at; who would wait is told why not."""
    site = site()
    s = started(site)
    site.deploy_next()
    done = server.prefork("reload", "--pid-file", site.pid_file)
    assert done.returncode == 0, done.stderr
    wait_done(s)
    assert site.serves() == "v2"
    done = server.prefork("reload", "--pid-file", site.pid_file, "--wait")
    assert done.returncode not in (0, 75) and "without workers" in done.stderr


def test_reload_mode_workers(site):
    """Nothing can be replaced, which is said."""
    site = site()
    s = started(site, reload_mode="workers")
    site.hang_up()
    wait_failed(s, "there are no workers to be replaced, and no more can be, because "
                   "reload_mode says so")
    assert site.serves() == "v1"
