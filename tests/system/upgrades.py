"""What tests of reloads need: code that has versions, a place to deploy it, and a load.

A Site is a directory with all that a server is made of: its config file, its executable, its
shared object. Each part is replaced by rename, as a deployment does it, by a good version or
by one that is broken in a way that has a name. Who answers says which version of the code it
is (programs/version.c).

A Churn is twenty clients in C (bench/client/churn.c), which count each connection that fails;
a Crowd is clients in threads that stay for a while.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from signal import SIGHUP

import psutil
import pytest

from clients import Gate, children_of, lines, zombies_of
from support import (BUILD, PATIENCE, PREFORK, REPO, address_of, is_alive, proc_fds, read_all,
                     read_line, title_of, wait_until)

VERSIONS = 4  # good ones, deployed in turns
_own_ports = itertools.count(20000)

# What can be wrong with code: how it is compiled. Who hangs is given up after reload_timeout.
BROKEN_CODE = {
    "crashes when loaded": ["-DSTART=abort()"],
    "hangs when loaded": ["-DSTART=pause()"],
    "crashes in its init": ["-DINIT=abort()"],
    "hangs in its init": ["-DINIT=pause()"],
    "refuses before its loop": ["-DLATE=return -1"],
    "crashes before its loop": ["-DLATE=abort()"],
    "hangs before its loop": ["-DLATE=pause()"],
    "ends before its loop": ["-DLATE=exit(0)"],
    "overflows its stack": ["-DLATE=sink(1)"],
    "lacks a symbol": ["-DMISSING"],
}


def own_port():
    """A port that stays the same over reloads and that no other test can have: on an address
    of loopback for this process, below those that the kernel chooses."""
    pid = os.getpid()
    return f"127.{1 + pid % 250}.{1 + pid // 250 % 250}.1:{next(_own_ports)}"


def compile_version(servers, version, shared, *cflags, name="version"):
    """One version of the code."""
    more = ["-Wl,-z,now"] if shared else []
    if "-DMISSING" in cflags:
        more.append("-Wl,--unresolved-symbols=ignore-all")
    return servers.program(name, f'-DVERSION="{version}"', *cflags, *more, shared=shared,
                           library=name == "version")


needs_reload = pytest.mark.skipif(
    "reload-timeout" not in subprocess.run([PREFORK, "--help"], check=False, text=True,
                                           capture_output=True).stdout,
    reason="reloads are still to come")


class Site:
    """A directory that a server is deployed in, and the server.

    shape: "program" (an executable of its own), "so" (a shared object, served by a copy of
    the prefork command), "wait" or "nowait" (programs, likewise)."""

    def __init__(self, servers, directory, shape="program"):
        self.servers, self.shape = servers, shape
        self.directory = Path(directory) / "site"
        self.directory.mkdir()
        self.conf = self.directory / "conf"
        self.pid_file = self.directory / "pid"
        self.settings, self.lines = {}, ""  # the config file as it should be
        self.version = "v1"  # that should serve
        self.server = None
        self.executable = self.directory / "server"
        self.code = self.directory / {"program": "server", "so": "version.so"}.get(
            shape, "handler")
        if shape != "program":
            self.put(self.executable, PREFORK)
        self.deploy(self.version)

    # ---- deploying ----

    def put(self, path, source):
        """Replace a file in one step; source is a file, or a text."""
        fresh = self.directory / "fresh"
        if isinstance(source, Path):
            shutil.copy(source, fresh)
        else:
            fresh.write_text(source)
        fresh.rename(path)

    def deploy(self, version):
        """Good code of this version."""
        self.put(self.code, self.compile(version))
        if self.shape == "nowait":
            self.code.chmod(0o755)

    def compile(self, version, *cflags):
        """The code: a path, or the text of a script."""
        if self.shape == "nowait":
            return f"#!/bin/sh\nread line\necho {version} $PPID\n"
        name = "version_wait" if self.shape == "wait" else "version"
        return compile_version(self.servers, version, self.shape == "so", *cflags, name=name)

    def deploy_next(self):
        """The next good version; its name, once it was reloaded, is for serves()."""
        self.version = f"v{int(self.version[1:]) % VERSIONS + 1}"
        self.deploy(self.version)

    def break_code(self, how):
        """Code that is broken in this way; its version is "broken"."""
        self.put(self.code, self.compile("broken", *BROKEN_CODE[how]))

    def break_executable(self):
        """The executable crashes at once, whatever it serves."""
        self.put(self.executable, self.servers.build("""#include <stdlib.h>
            int main(void) { abort(); }""", library=False))

    def repair(self):
        """All as it was before something was broken."""
        self.configure()
        if self.shape != "program":
            self.put(self.executable, PREFORK)
        self.deploy(self.version)

    def configure(self, **changes):
        """Write the config file, with changes of settings; None takes one out. A list is a
        line for each. It stays so."""
        self.settings.update(changes)
        lines = [f"{key} {one}\n" for key, value in self.settings.items() if value is not None
                 for one in (value if isinstance(value, list) else [value])]
        self.lines = "".join(lines)
        self.put(self.conf, self.lines)

    def break_conf(self, text):
        """A config file with this at its end."""
        self.put(self.conf, self.lines + text)

    # ---- running ----

    def start(self, *words, env=(), arguments=(), **settings):
        """Start it. Settings stand in the config file, arguments (a dict) and words on the
        command line."""
        self.configure(**{"port": own_port(), "reload_timeout": PATIENCE, **settings})
        serve, tail = [], []
        if self.shape != "program":
            serve, tail = ["serve"], ["--", self.code]
        if self.shape == "wait":
            words = [*words, "--handler=wait"]
        arguments = {"port": None, "conf_file": self.conf, "pid_file": self.pid_file,
                     **dict(arguments)}
        self.server = self.servers.start(self.executable, *serve, *words, tail=tail,
                                         env={"LD_LIBRARY_PATH": BUILD, **dict(env)},
                                         **arguments)
        return self.server

    @property
    def address(self):
        """The first that it listens on, by its settings."""
        port = self.settings["port"]
        return address_of((port if isinstance(port, str) else port[0]).split("/ssl")[0])

    def hang_up(self):
        """SIGHUP, and nothing more."""
        self.server.signal(SIGHUP)

    def reload(self, timeout=None, pid_file=None):
        """`prefork reload --wait`: how it ended."""
        return self.servers.prefork("reload", "--pid-file", pid_file or self.pid_file, "--wait",
                                    timeout=timeout or 4 * PATIENCE)

    def start_reload(self):
        """The same, in the background: a Popen."""
        return subprocess.Popen([PREFORK, "reload", "--pid-file", self.pid_file, "--wait"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)

    # ---- looking ----

    def answer(self, address=None):
        """Who serves: (version, pid)."""
        address = address or self.address
        words = self.server.ask(b"version\n", address=address).decode().split()
        assert len(words) == 2, words
        return words[0], int(words[1])

    def serves(self, address=None):
        """The version that answers."""
        return self.answer(address)[0]

    def _is_served(self):
        """What has to serve does."""
        version = self.serves()
        assert version == self.version, f"{version} serves\n{self.server.describe()}"

    def _workers(self):
        """Also those that one master took over from another: the keeper is their parent."""
        kept = tree_of(self.server)["worker"] if "keeper" in self.settings else set()
        return kept | set(self.server.workers())

    def succeed(self):
        """A reload that has to be good: when all old workers have left, only what it was to
        bring serves."""
        old = self._workers()
        done = self.reload()
        assert done.returncode == 0, done.stderr + self.server.describe()
        self.server.wait_until(lambda: not old & self._workers(), "other workers")
        self._is_served()
        return done

    def fail(self, pattern="", timeout=None):
        """A reload that has to come to nothing, for a reason that is told; the old code
        serves on, in the same process."""
        done = self.reload(timeout)
        assert done.returncode not in (0, 64), done.stderr + self.server.describe()
        assert re.search(pattern, done.stderr) and done.stderr.strip(), done.stderr
        self._is_served()
        assert int(self.pid_file.read_text()) == self.server.pid, self.server.describe()
        return done


class Churn:
    """Clients that connect all the time, from here until the end of the block."""

    CLIENTS = 20

    def __init__(self, servers, address, tls=False, begins="v", says="version\n"):
        clients = REPO / "bench/client"
        parts = [str(clients / name) for name in ("common.c", "histogram.c", "tally.c")]
        program = servers.build((clients / "churn.c").read_text(), f"-I{clients}", *parts,
                                "-fno-sanitize=all", "-Wl,--no-as-needed", "-lssl", "-lcrypto",
                                library=False)
        aim = (["tls" if tls else "tcp", address[0], str(address[1])]
               if isinstance(address, tuple) else ["unix", str(address)])
        self.argv = [program, "-c", str(self.CLIENTS), "-b", begins, "-s", says,
                     "-w", str(int(2 * PATIENCE)), *aim]
        self.process, self.end = None, None

    def counts(self):
        """So far."""
        if self.end:
            return self.end
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    @property
    def connections(self):
        """How many so far."""
        return self.counts()["connections"]

    def wait_for(self, count, timeout=None):
        """Wait for so many more."""
        goal = self.connections + count
        wait_until(lambda: self.connections >= goal, f"{count} connections", timeout,
                   lambda: str(self.counts()))

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE)
        self.wait_for(1)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.end = json.loads(self.process.stdout.readline())
        self.process.stdout.close()
        self.process.wait(4 * PATIENCE)


class Crowd:
    """So many clients, each of which keeps a worker busy all the time by requests that take
    their time: until a gate is opened (hold), or as long as the worker likes (slow)."""

    def __init__(self, server, count, word="hold"):
        self.server, self.word = server, word
        self.done, self.failures = 0, []
        self.lock, self.over = threading.Lock(), threading.Event()
        self.turn = threading.Condition(self.lock)
        self.holding, self.released = 0, 0
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def _run(self):
        while not self.over.is_set():
            try:
                with self.server.connect(timeout=4 * PATIENCE) as s:
                    self._converse(s)
            except (OSError, AssertionError) as error:
                with self.turn:
                    self.failures.append(repr(error))

    def _converse(self, s):
        s.sendall(f"{self.word}\n".encode())
        version = read_line(s).decode().split()
        assert version, "no answer"
        if self.word == "hold":
            self._wait_for_release()
            s.sendall(b"\n")
        rest = read_all(s).decode()
        assert rest == f"{version[0]} done\n", f"cut: {rest!r}"
        with self.turn:
            self.done += 1

    def _wait_for_release(self):
        with self.turn:
            self.holding += 1
            mine = self.released
            while self.released == mine and not self.over.is_set():
                self.turn.wait(PATIENCE)

    def wait_holding(self, count):
        """Wait until so many requests are being held."""
        self.server.wait_until(lambda: self.holding >= count, f"{count} busy workers")

    def release(self):
        """Let those that hold now finish."""
        with self.turn:
            self.released += 1
            self.holding = 0
            self.turn.notify_all()

    def wait_done(self, count):
        """Wait until so many more have finished."""
        goal = self.done + count
        self.server.wait_until(lambda: self.done >= goal, f"{count} finished requests")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.release()
        for thread in self.threads:
            thread.join(4 * PATIENCE)


# ---- steps of a test ----------------------------------------------------------------------


def births(site):
    """Versions of all workers that were born, in order."""
    return [words[0] for words in lines(site.directory / "births")]


def started(site, *words, env=(), **settings):
    """The site's server, which writes down births and events."""
    return site.start(*words, env={"BIRTHS": site.directory / "births",
                                   "EVENTS": site.directory / "events", **dict(env)}, **settings)


def ended(process):
    """The exit status of a `prefork reload --wait` in the background, and what it said."""
    said = process.communicate(timeout=4 * PATIENCE)[1]
    return process.returncode, said


def fail_and_recover(site, pattern=""):
    """What is deployed now is refused for this reason; the next good version is taken."""
    site.fail(pattern)
    site.repair()
    site.deploy_next()
    site.succeed()


def held(site, clients, word="hold"):
    """A client that a worker is busy with: the client, and the worker's pid."""
    client = clients.send(site.server, f"{word}\n")
    version, pid = client.hear()
    assert version == site.version
    return client, int(pid)


def tree_of(s):
    """All live processes of a server with a keeper, by what their titles end with."""
    tree = {"master": set(), "worker": set()}
    for process in psutil.Process(s.process.pid).children(recursive=True):
        words = title_of(process.pid).split()
        for kind in set(tree) & set(words) if is_alive(process.pid) else ():
            tree[kind].add(process.pid)
    return tree


def wait_next_master(s, dead, workers):
    """Wait until there is another master, and so many workers: its pid."""
    def look():
        tree = tree_of(s)
        masters = tree["master"] - {dead}
        return masters.pop() if len(masters) == 1 and len(tree["worker"]) == workers else None
    return s.wait_until(look, "the next master with its pool")


# ---- what a master has -----------------------------------------------------------------------


def pss_kib(pid):
    """Memory of a process, shared pages by share."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))


def rss_kib(pid):
    """Memory of a process, all pages."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Rss:\s+(\d+)", text, re.M).group(1))


class Census:
    """Looks at the children of a master all the time: what it never may have is kept."""

    def __init__(self, pid):
        self.pid, self.zombies, self.samples = pid, {}, 0
        self.lasting = set()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        while not self.over.wait(0.05):
            now = set(zombies_of(self.pid))
            self.lasting |= {pid for pid in now if self.zombies.get(pid, 0) >= 20}
            self.zombies = {pid: self.zombies.get(pid, 0) + 1 for pid in now}
            self.samples += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(PATIENCE)


def belongings(server):
    """What may not grow: descriptors and child processes of the master."""
    return {"descriptors": sorted(re.sub(r"\d+", "N", text)
                                  for text in proc_fds(server.pid).values()),
            "children": len(children_of(server.pid))}


# ---- fixtures ------------------------------------------------------------------------------


@pytest.fixture
def site(server, tmp_path):
    """site(shape): a directory to deploy a server in."""
    return lambda shape="program": Site(server, tmp_path, shape)


@pytest.fixture
def gate(tmp_path):
    """Where new workers wait while it is closed."""
    return Gate(tmp_path / "gate")
