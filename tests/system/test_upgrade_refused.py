"""Reloads that come to nothing: what is broken is told, and the old code serves on.

Each test breaks one thing, asks for a reload, looks at what is said and at who answers, mends
it, and has the next reload succeed.
"""

import os
import re
import resource
import socket
from pathlib import Path

import pytest

from support import address_of
from upgrades import (BROKEN_CODE, Site, fail_and_recover, needs_reload, own_port,  # noqa: F401
                      site)

pytestmark = needs_reload
POOL = {"min_servers": 3, "max_servers": 6}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


# What is said of code that breaks in the master, after its check.
TAKE_OVER = {
    "crashes before its loop": "the new program was ended by SIGABRT while it took over",
    "overflows its stack": "the new program was ended by SIGSEGV while it took over",
    "hangs before its loop": r"the new program did not take over in time \(reload_timeout\)",
    "ends before its loop": "the new program ended while it took over",
    "refuses before its loop": "pre_loop_hook refused",
}


@pytest.mark.parametrize("how", BROKEN_CODE)
@pytest.mark.parametrize("shape", ["program", "so"])
def test_code_that_is_broken(site, shape, how):
    """Found by the check, while it takes over, or by the trial."""
    site = site(shape)
    hangs = {"reload_timeout": 2, "start_timeout": 3} if how.startswith("hangs") else {}
    site.start(**POOL, **hangs)
    site.break_code(how)
    by_name = how == "lacks a symbol" and shape == "so"
    fail_and_recover(site, "nobody_has_this" if by_name else TAKE_OVER.get(how, ""))


def test_a_shared_object_that_is_none(site):
    """A text, and one without PREFORK_MODULE."""
    site = site("so")
    site.start(**POOL)
    site.put(site.code, "not an object\n")
    site.fail(re.escape(str(site.code)))
    site.put(site.code, site.servers.build("int nothing;", shared=True, library=False))
    fail_and_recover(site, "PREFORK_MODULE|prefork_module")


@pytest.mark.parametrize("text, pattern", [
    ("max_reqests 9\n", "max_reqests"),
    ("max_requests many\n", "many"),
    ("min_servers 9\nmax_servers 3\n", "min_servers|max_servers"),
])
def test_settings_that_are_wrong(site, text, pattern):
    """As at a start: the file and the line are told."""
    site = site()
    site.start(**POOL)
    site.break_conf(text)
    fail_and_recover(site, pattern)


@pytest.mark.parametrize("how", ["missing", "a directory"])
def test_a_config_file_that_cannot_be_read(site, how):
    """It is named."""
    site = site()
    site.start(**POOL)
    site.conf.unlink()
    if how == "a directory":
        site.conf.mkdir()
    site.fail(re.escape(str(site.conf)))
    if how == "a directory":
        site.conf.rmdir()
    site.repair()
    site.deploy_next()
    site.succeed()


@needs_root
def test_a_config_file_that_the_user_may_not_read(server, open_path):
    """The server gave root up."""
    site = Site(server, open_path)
    site.start(**POOL, user="nobody")
    site.conf.chmod(0o600)
    fail_and_recover(site, "Permission denied")


def foreign(path):
    """Make an executable one of a machine that there is not."""
    with open(path, "r+b") as file:
        file.seek(18)  # e_machine
        file.write(b"\xfe\xff")


EXECUTABLES = {
    "missing": (lambda path: path.unlink(), "No such file"),
    "not executable": (lambda path: path.chmod(0o644), "Permission denied"),
    "of another machine": (foreign, "Exec format error"),
    "empty": (lambda path: os.truncate(path, 0), ""),
}


@pytest.mark.parametrize("how", EXECUTABLES)
@pytest.mark.parametrize("shape", ["program", "so"])
def test_an_executable_that_cannot_be_executed(site, shape, how):
    """It is named, with the reason."""
    site = site(shape)
    site.start(**POOL)
    spoil, reason = EXECUTABLES[how]
    site.put(site.executable, Path(site.executable))  # what runs keeps its file
    spoil(site.executable)
    site.fail(re.escape(str(site.executable)) + f".*{reason}")
    site.repair()
    site.deploy_next()
    site.succeed()


def test_an_executable_that_is_a_script(site):
    """One that does not start the server is refused."""
    site = site()
    site.start(**POOL)
    site.put(site.executable, "#!/bin/sh\nexit 0\n")
    site.executable.chmod(0o755)
    fail_and_recover(site)


def test_a_state_that_cannot_be_written(site):
    """No file may grow: neither can what is handed to the next master."""
    site = site()
    s = site.start(**POOL)
    resource.prlimit(s.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    site.deploy("v2")
    site.fail("File too large|SIGXFSZ")
    resource.prlimit(s.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    site.version = "v2"
    site.succeed()


def test_a_new_port_that_somebody_else_has(site):
    """It is named; the old ones are served on."""
    site = site()
    site.start(**POOL)
    port = own_port()
    with socket.create_server(address_of(port)):
        site.configure(port=[site.settings["port"], port])
        site.fail("port {1} on {0}".format(*port.split(":")))
    site.succeed()


def test_a_program_that_accepts_by_itself_and_crashes(site):
    """Within a second: the old ones serve on."""
    site = site("wait")
    site.start(**POOL)
    site.break_code("crashes when loaded")
    fail_and_recover(site)


@pytest.mark.parametrize("how", ["missing", "not executable"])
@pytest.mark.parametrize("shape", ["wait", "nowait"])
def test_a_program_that_cannot_be_run(site, shape, how):
    """It is named; when it is there again the next reload is good."""
    site = site(shape)
    site.start(**POOL)
    site.put(site.code, site.code)
    EXECUTABLES[how][0](site.code)
    done = site.reload()
    assert done.returncode not in (0, 64) and str(site.code) in done.stderr, done.stderr
    site.repair()
    site.deploy_next()
    site.succeed()
