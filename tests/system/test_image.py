"""Which program does a reload execute?

What is at the path by which it was started, whatever became of its working directory, of a
link on the way, or of its title. Where that cannot be known, workers are replaced, and a line
says why.
"""

import os
import shutil
import subprocess
from signal import SIGHUP

import pytest

from clients import children_of
from support import BUILD, is_alive
from upgrades import compile_version, needs_reload

pytestmark = needs_reload
ONE = {"sizing": "static", "max_servers": 1}


class Releases:
    """A directory with versions of a program, v1/server and so on; the first is at "server"."""

    def __init__(self, servers, directory):
        self.servers, self.directory = servers, directory
        self.server = directory / "server"
        self.put("v1", self.server)

    def put(self, version, path):
        """This version there, in one step."""
        fresh = self.directory / "fresh"
        shutil.copy(compile_version(self.servers, version, False), fresh)
        fresh.rename(path)

    def start(self, command, **more):
        """Start it by the text of a script."""
        script = self.servers.script(command, "start", "/bin/bash")
        return self.servers.start(script, **{**ONE, **more})


@pytest.fixture
def releases(server, tmp_path):
    """Versions of a program."""
    directory = tmp_path / "releases"
    directory.mkdir()
    return Releases(server, directory)


def version_of(s):
    """Who answers."""
    return s.ask(b"version\n").decode().split()[0]


def becomes(s, version):
    """A reload has to bring this version."""
    s.signal(SIGHUP)
    s.wait_until(lambda: version_of(s) == version, version)
    assert is_alive(s.pid)


@pytest.mark.parametrize("how", [
    'cd {d} && exec ./server "$@"',
    'cd {d}/.. && exec releases/../releases/server "$@"',
    'cd / && PATH={d}:$PATH exec server "$@"',
    'cd {d} && PATH=.:$PATH exec server "$@"',
    'exec -a strange {d}/server "$@"',
    'exec -a /bin/sh {d}/server "$@"',
    'exec -a "" {d}/server "$@"',
], ids=["relative", "roundabout", "PATH", "PATH with .", "no path", "another's path", "nothing"])
def test_however_it_was_started(releases, how):
    """Twice, since the second program has to find itself too."""
    s = releases.start(how.format(d=releases.directory))
    for version in ("v2", "v3"):
        releases.put(version, releases.server)
        becomes(s, version)


def test_after_its_working_directory_has_changed(server, tmp_path):
    """The path means what it meant at the start. (The program changes to / in a hook.)"""
    shutil.copy(server.program("solo"), tmp_path / "solo")
    script = server.script(f'cd {tmp_path} && exec ./solo "$@"', "start")
    s = server.start(script, **ONE, port=None)
    s.signal(SIGHUP)
    s.wait_log(rf"checking {tmp_path}/solo$")
    s.wait_log("generation 2 serves")
    s.signal(SIGHUP)
    s.wait_log("generation 3 serves")


def test_a_link_to_the_next_release(releases):
    """The link that was called by is followed anew."""
    current = releases.directory / "current"
    for version in ("v1", "v2"):
        (releases.directory / version).mkdir()
        releases.put(version, releases.directory / version / "server")
    current.symlink_to("v1")
    s = releases.start(f'exec {current}/server "$@"')
    assert version_of(s) == "v1"
    (releases.directory / "next").symlink_to("v2")
    (releases.directory / "next").rename(current)
    becomes(s, "v2")


def test_an_executable_that_is_gone_for_a_while(releases):
    """Told, and taken when it is there again."""
    s = releases.start(f'exec {releases.server} "$@"')
    releases.server.unlink()
    s.signal(SIGHUP)
    s.wait_log("reload 1 failed: .*No such file or directory; what ran before goes on")
    assert version_of(s) == "v1"
    releases.put("v2", releases.server)
    becomes(s, "v2")


def test_an_executable_that_becomes_a_script(releases):
    """A wrapper is as good as what it executes."""
    s = releases.start(f'exec {releases.server} "$@"')
    real = releases.directory / "real"
    releases.put("v2", real)
    fresh = releases.directory / "wrapper"
    fresh.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    fresh.chmod(0o755)
    fresh.rename(releases.server)
    becomes(s, "v2")


def test_through_the_dynamic_loader(releases):
    """Which is then what is executed, with the program as its argument."""
    loader = subprocess.run(["sh", "-c", f"ldd {releases.server} | grep -o '/[^ ]*ld-linux[^ ]*'"],
                            check=False, text=True, capture_output=True).stdout.strip()
    if not loader:
        pytest.skip("no dynamic loader found")
    s = releases.start(f'exec {loader} {releases.server} "$@"')
    releases.put("v2", releases.server)
    becomes(s, "v2")


def test_a_preloaded_library_stays(releases, server):
    """The environment is that of the process."""
    if "asan" in BUILD.name:
        pytest.skip("a sanitizer wants to be the first library")
    library = server.build("""#include <unistd.h>
        __attribute__((constructor)) static void hello(void) {
            static const char line[] = "preloaded\\n"; (void)!write(2, line, sizeof line - 1); }""",
                           shared=True, library=False)
    s = releases.start(f'LD_PRELOAD={library} exec {releases.server} "$@"')
    before = s.text().count("preloaded\n")
    releases.put("v2", releases.server)
    becomes(s, "v2")
    assert s.text().count("preloaded\n") > before


@pytest.mark.root
@pytest.mark.parametrize("how", ["unshare -m", "unshare -mpf --kill-child"])
def test_without_proc(releases, how):
    """Nothing can be learned of the program: workers are replaced, and a line says so."""
    if "asan" in BUILD.name:
        pytest.skip("a sanitizer needs /proc")
    if subprocess.run([*how.split(), "true"], check=False, capture_output=True).returncode:
        pytest.skip("no namespaces here")
    s = releases.start(f"exec {how} sh -c 'mount -t tmpfs none /proc && exec \"$0\" \"$@\"' "
                       f"{releases.server} \"$@\"")
    master = s.pid
    if "p" in how.split()[1]:
        (master,) = children_of(s.process.pid)
    os.kill(master, SIGHUP)
    s.wait_log("replacing all workers, because there was no /proc at the start to learn about "
               "the program")
    assert version_of(s) == "v1"
    if master != s.pid:
        os.kill(master, 15)
        s.pid = s.process.pid
        assert s.wait_exit() == 0


SERVE = r"""#include <prefork/prefork.h>
static void serve(struct prefork_conn *c, void *d) { char line[80]; (void)d;
    (void)prefork_gets(c, line, sizeof line); (void)prefork_printf(c, "v1\n"); }"""
TITLE = SERVE + r"""
#include <string.h>
int main(int argc, char **argv) {
    struct prefork *p = prefork_new(&(struct prefork_app){.name = "title",
                                                          .process_request = serve});
    int r = prefork_args(p, argc, argv, NULL);
    for (int i = 0; i < argc; i++) memset(argv[i], 'x', strlen(argv[i]));
    if (r == 0) r = prefork_run(p);
    prefork_free(p);
    return r; }"""


def test_arguments_that_are_overwritten(server):
    """They were read before."""
    s = server.start(server.build(TITLE), **ONE)
    for count in (1, 2):
        s.signal(SIGHUP)
        s.wait_log("generation .* serves", count=count)
    assert s.ask(b"\n") == b"v1\n"


# ---- programs that do more than to run one server ----------------------------------------------

SEVERAL = SERVE + r"""
#include <stdlib.h>
static struct prefork *make(int argc, char **argv) {
    struct prefork *p = prefork_new(&(struct prefork_app){.name = "several",
                                                          .process_request = serve});
    if (prefork_args(p, argc, argv, NULL) != 0 || prefork_check(p) != 0) exit(1);
    return p; }
int main(int argc, char **argv) {
    const char *runs = getenv("RUNS");
    struct prefork *other = make(argc, argv), *p = make(argc, argv);
    int r = 0;
    prefork_free(other);
    for (int i = runs ? atoi(runs) : 1; i > 0 && r == 0; i--) r = prefork_run(p);
    prefork_free(p);
    return r; }"""


def test_a_program_that_makes_another_server_first(server):
    """The one that runs takes over."""
    s = server.start(server.build(SEVERAL), **ONE)
    for count in (1, 2):
        s.signal(SIGHUP)
        s.wait_log("generation .* serves", count=count)
    assert s.ask(b"\n") == b"v1\n"


def test_the_second_server_of_a_process(server):
    """The program would begin with the first one: only workers are replaced."""
    s = server.start(server.build(SEVERAL), **ONE, env={"RUNS": 2})
    s.signal(SIGHUP)
    s.wait_log("generation 2 serves")
    os.kill(s.pid, 15)
    s.wait_log("notice: ready", count=2)
    s.signal(SIGHUP)
    s.wait_log("replacing all workers, because another server ran in this process before")
    assert s.ask(b"\n", index=-1) == b"v1\n"


FORKS = SERVE + r"""
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int status = 0;
    pid_t pid = fork();
    if (pid > 0) { (void)waitpid(pid, &status, 0); return WEXITSTATUS(status); }
    return prefork_main(argc, argv, &(struct prefork_app){.name = "forks",
                                                          .process_request = serve}); }"""


def test_a_program_that_forks_before_it_runs_its_server(server):
    """What is executed in the place of the master would not be the master: refused."""
    s = server.start(server.build(FORKS), **ONE)
    (master,) = children_of(s.process.pid)
    os.kill(master, SIGHUP)
    s.wait_log("reload 1 failed: the program forks before it runs its server")
    assert s.ask(b"\n") == b"v1\n" and is_alive(master)
    os.kill(master, 15)
    s.pid = s.process.pid
    assert s.wait_exit() == 0
