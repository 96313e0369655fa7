"""Clients of the test program pool.c, and other people around a pool.

A client sends one word and hears who serves it; what the words do is written in
programs/pool.c. `clients` keeps track of them and hangs all of them up before the server of
the test is stopped, so that no stop has to wait for a forgotten connection.
"""

import fcntl
import random
import threading
import time
from pathlib import Path

import pytest

from support import PATIENCE, is_refused, read_all, read_line, wait_until

CLOCK_MONOTONIC_COARSE = 6  # of Linux; the time module has no name for it


class Client:
    """One connection; the word may be half of one."""

    def __init__(self, server, text):
        self.socket = server.connect()
        self.socket.sendall(text.encode())

    def hear(self):
        """The next line's words; none at the end of the stream."""
        return read_line(self.socket).decode().split()

    def hear_pid(self):
        """Who answers."""
        words = self.hear()
        assert words, "hung up without an answer"
        return int(words[0])

    def finish(self):
        """Send the line that a holding worker waits for: what it says then."""
        self.socket.sendall(b"\n")
        return read_all(self.socket).decode().split()

    def is_cut(self):
        """Wait for the end of the connection: True if nothing was said any more."""
        try:
            return read_all(self.socket) == b""
        except ConnectionResetError:
            return True

    def hang_up(self):
        """Close; twice is fine."""
        self.socket.close()


class Clients:
    """All clients of a test."""

    def __init__(self):
        self.all = []

    def send(self, server, text):
        """Connect and send a text, whatever comes of it."""
        self.all.append(Client(server, text))
        return self.all[-1]

    def say(self, server, word):
        """Connect, send the word and hear who answers: (client, pid)."""
        client = self.send(server, word + "\n")
        return client, client.hear_pid()

    def hold(self, server, count):
        """So many workers are kept busy: a dict pid -> client."""
        sent = [self.send(server, "hold\n") for _ in range(count)]
        return {client.hear_pid(): client for client in sent}

    def hang_up(self):
        """Close all of them."""
        for client in self.all:
            client.hang_up()


@pytest.fixture
def clients(server):
    """Clients that hang up before the server of the test is stopped."""
    everybody = Clients()
    yield everybody
    everybody.hang_up()


def ask_pid(server):
    """A whole conversation: the pid of the worker that served it."""
    return int(server.ask(b"pid\n").split()[0])


def is_shut(address):
    """Nobody gets in there any more. Who knocks while the door falls shut may be thrown out
    instead of refused: then it is worth another look."""
    try:
        return is_refused(address)
    except ConnectionResetError:
        return False


class Gate:
    """A file whose lock keeps workers from becoming ready, or from finishing."""

    def __init__(self, path):
        self.path = Path(path)
        self.file = open(path, "w", encoding="ascii")

    def __str__(self):
        return str(self.path)

    def close(self):
        """Nobody gets through."""
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def open(self):
        """Everybody gets through, whoever waits as well."""
        fcntl.flock(self.file, fcntl.LOCK_UN)


def children_of(pid):
    """Pids of all child processes, zombies included: what the kernel counts."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_zombie(pid):
    """It ended and nobody has reaped it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def zombies_of(pid):
    """Children that ended and were not reaped."""
    return [child for child in children_of(pid) if is_zombie(child)]


def next_tick():
    """Wait until the clock by which workers tell their times has moved."""
    start = time.clock_gettime(CLOCK_MONOTONIC_COARSE)
    wait_until(lambda: time.clock_gettime(CLOCK_MONOTONIC_COARSE) > start, "the clock")


def lines(path):
    """Lines of a file that a hook writes, as lists of words; none before the first."""
    path = Path(path)
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


class Watch:
    """Looks at the number of child processes all the time, from a thread of its own."""

    def __init__(self, server):
        self.pid = server.pid
        self.least, self.most = None, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        while not self.over.is_set():
            self._count()
            time.sleep(0.0005)  # leaves the processor to the servers

    def _count(self):
        count = len(children_of(self.pid))
        self.most = max(self.most, count)
        self.least = count if self.least is None else min(self.least, count)

    def settle(self, count):
        """Wait until there are exactly so many, and none of them has still to be reaped."""
        wait_until(lambda: len(children_of(self.pid)) == count, f"{count} child processes")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(PATIENCE)
        self._count()


class Load:
    """Clients that converse with a server all the time, each from a thread of its own.

    A conversation is: who are you? - PID holds - go on - PID done. Failures are kept with
    the pid that was heard before, None if there was none."""

    def __init__(self, server, count=4, word="hold"):
        self.server, self.word = server, word
        self.done, self.failures = 0, []
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def _run(self):
        while not self.over.is_set():
            pid, error = self._converse()
            with self.lock:
                self.done += error is None
                if error:
                    self.failures.append((pid, error))

    def _converse(self):
        client, pid = None, None
        try:
            client = Client(self.server, self.word + "\n")
            pid = client.hear_pid()
            said = client.finish() if self.word == "hold" else read_all(client.socket) or True
            return pid, None if said else "not finished"
        except (OSError, AssertionError) as error:
            return pid, repr(error)
        finally:
            if client:
                client.hang_up()

    def wait_for(self, count):
        """Wait until so many more conversations have come to a good end."""
        start = self.done
        self.server.wait_until(lambda: self.done >= start + count, f"{count} conversations")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(2 * PATIENCE)


def choose_worker(server, seed=random.Random(2021)):
    """Some live worker."""
    return seed.choice(server.wait_until(server.workers, "a worker"))
