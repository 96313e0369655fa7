"""New code every second under load, beside the peers: what fails, and when is an answer there?

Each server answers with the version of its code. Once a second the code is replaced on disk,
by rename, with one that has another number, and the server is told by SIGHUP. A reload was
effective if the new number was heard before the next one. Meanwhile twenty clients open one
connection after the other, and every one that fails is counted by what failed.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from harness import Server, next_port

WORKERS = 16
LEAST_RELOADS = 10
MOST_RELOADS = 60
PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")
LINE = "hello\n"
HTTP = "GET / HTTP/1.0\r\n\r\n"


class Side:
    """A server whose code can be replaced: how it is started, asked, and how it answers."""

    says, begins = LINE, "version "

    def __init__(self, bench, directory):
        self.bench, self.directory = bench, directory
        self.port = next_port()
        self.process = None
        self.install(0)

    def install(self, version):
        """Replace the code on disk, in one step."""
        with open(self.source(), "rb") as file:
            code = file.read().replace(b"version 00000000", b"version %08d" % version)
        fresh = self.code() + ".new"
        with open(fresh, "wb") as file:
            file.write(code)
        shutil.copymode(self.source(), fresh)
        os.rename(fresh, self.code())

    def code(self):
        """Where the code of the server under measurement is."""
        return os.path.join(self.directory, os.path.basename(self.source()))

    def start(self):
        """Start it and wait for its first answer."""
        env = {**os.environ, "LD_LIBRARY_PATH": self.bench.build}
        self.process = subprocess.Popen(self.argv(), env=env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        while self.is_alive() and "version" not in self.ask():
            time.sleep(0.05)
        if not self.is_alive():
            raise RuntimeError(f"{self.name} did not start")

    def ask(self):
        """One answer; "" if there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                s.sendall(self.says.encode())
                parts = []
                while part := s.recv(4096):
                    parts.append(part)
                return b"".join(parts).decode()
        except OSError:
            return ""

    def serves(self, version):
        """It answers with this version, if asked a few times."""
        return any(f"version {version:08d}" in self.ask() for _ in range(5))

    def is_alive(self):
        """Its first process is there."""
        return self.process.poll() is None

    def stop(self):
        """End all of its processes, whatever state they are in."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Prefork(Side):
    """A callback in an executable of its own."""

    name = "prefork"

    def source(self):
        return self.bench.path("version")

    def argv(self):
        return [self.code(), "--port", f"127.0.0.1:{self.port}", "--min_servers", str(WORKERS),
                "--max_servers", str(2 * WORKERS), "--max_requests", "0"]


class NetServer(Side):
    """Net::Server::PreFork."""

    name = "Net::Server"

    def source(self):
        return os.path.join(PEERS, "net_server.pl")

    def argv(self):
        return [self.code(), str(self.port), str(WORKERS)]


class Starman(Side):
    """Starman, which speaks HTTP."""

    name, says, begins = "Starman", HTTP, "HTTP/1."

    def source(self):
        return os.path.join(PEERS, "app.psgi")

    def argv(self):
        return ["starman", "--listen", f"127.0.0.1:{self.port}", "--workers", str(WORKERS),
                "--disable-keepalive", "--max-requests", "1000000", self.code()]


class Churn:
    """The clients, from now until finish()."""

    def __init__(self, bench, port, says=LINE, begins="hello"):
        self.process = subprocess.Popen(
            [bench.path("churn"), "-s", says, "-b", begins, "-e", LINE, "tcp", "127.0.0.1",
             str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def counts(self):
        """So far."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def finish(self):
        """Of all."""
        self.process.stdin.close()
        counts = json.loads(self.process.stdout.readline())
        self.process.wait()
        return counts


def reload_each_second(side, churn, connections, pause):
    """Reload until there were enough connections: how often, and how often with effect."""
    reloads = effective = 0
    while side.is_alive() and reloads < MOST_RELOADS and (
            reloads < LEAST_RELOADS or churn.counts()["connections"] < connections):
        reloads += 1
        side.install(reloads)
        side.process.send_signal(signal.SIGHUP)
        time.sleep(pause)
        effective += side.serves(reloads)
    return reloads, effective


def kinds(counts):
    """What failed, in words."""
    return ", ".join(f"{kind}: {count}" for kind, count in counts["failures"].items())


def hand_in(bench, name, counts, bound=None):
    """What the clients of one server saw."""
    bench.value("reload", f"{name}: failed of {counts['connections']} connections",
                counts["failed"], "", bound, kinds(counts))
    for word in "p50", "p99", "max":
        bench.value("reload", f"{name}: latency, {word}", counts[word], "us")


def measure(side, connections, pause):
    """One server under load and reloads: what was counted, how many reloads there were and how
    many of them had an effect."""
    side.start()
    try:
        churn = Churn(side.bench, side.port, side.says, side.begins)
        reloads, effective = reload_each_second(side, churn, connections, pause)
        alive = side.is_alive()
        return churn.finish(), reloads, effective, alive
    finally:
        side.stop()


def measure_peer(bench, kind, connections, pause):
    """Bounds are for prefork alone."""
    with tempfile.TemporaryDirectory() as directory:
        counts, reloads, effective, alive = measure(kind(bench, directory), connections, pause)
    is_ours = kind is Prefork
    hand_in(bench, kind.name, counts, ("<=", 0) if is_ours else None)
    bench.value("reload", f"{kind.name}: effective of {reloads} reloads", effective, "",
                (">=", reloads) if is_ours else None, "" if alive else "then it died")


def measure_bare(bench, connections):
    """The limit: a loop that is never reloaded."""
    port = next_port()
    server = Server([bench.path("bare"), "loop", str(port), str(WORKERS)], "ready", "stdout")
    churn = Churn(bench, port)
    while churn.counts()["connections"] < connections:
        time.sleep(0.1)
    counts = churn.finish()
    server.stop()
    hand_in(bench, "bare loop, never reloaded", counts)


def run(bench, connections=100000, pause=1):
    """The same load for all."""
    for kind in Prefork, NetServer, Starman:
        try:
            measure_peer(bench, kind, connections, pause)
        except (RuntimeError, OSError) as error:
            if kind is Prefork:
                raise
            bench.absent("reload", kind.name, str(error))
    measure_bare(bench, connections)
