"""Servers that stand while they are loaded in turns.

A row that compares serving, and not starting, starts all of its servers first and then lets
each of them work for as long as the others, round after round. Idle servers cost the one that
works nothing that could be measured: they sleep.

A load is so many connections that the server needs about as many seconds as were asked for:
how many that is, each server shows once before it counts.
"""

import contextlib
import subprocess

from harness import CLIENTS, cpu_ns, wait_for_workers
from peers import HTTP, NotMeasured


class Standing:
    """A peer that runs."""

    warm = 1600  # connections that show how fast it is

    def __init__(self, bench, peer, seconds):
        self.bench, self.peer, self.seconds = bench, peer, seconds
        self.connections = self.warm

    def prepare(self):
        """Warm it, and find out how many connections it answers in the time it has."""
        self.load(self.warm)
        answered, microseconds = self.load(self.warm)
        each = max(1, round(answered / microseconds * 1e6 * self.seconds / CLIENTS))
        self.connections = each * CLIENTS

    def measure(self):
        """One load: connections per second ("rate") and microseconds of CPU of all processes
        of the server for one ("cpu")."""
        tree = self.peer.tree()
        before = cpu_ns(tree)
        answered, microseconds = self.load(self.connections)
        return {"cpu": (cpu_ns(tree) - before) / answered / 1000,
                "rate": answered / microseconds * 1e6}

    def load(self, connections):
        """How many were answered, in how many microseconds; clients are shared out among
        ports, if there are several. One that fails ends the measurement."""
        ports = [self.peer.port, *self.peer.options.get("ports", ())]
        clients = [subprocess.Popen(self.words(port, connections // len(ports),
                                               CLIENTS // len(ports)),
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
                   for port in ports]
        counts = [list(map(int, client.communicate()[0].split())) for client in clients]
        if not all(counts):
            raise RuntimeError(f"a client of {self.peer.name} broke")
        failed = sum(count[1] for count in counts)
        if failed:
            raise RuntimeError(f"{failed} of {connections} connections failed")
        return sum(count[0] for count in counts), max(count[2] for count in counts)

    def words(self, port, connections, clients):
        """The command line of the client that speaks as the server does."""
        where = [self.peer.path, 0] if self.peer.path else ["127.0.0.1", port]
        words = ["client", "load", *where, connections, clients]
        if self.peer.speaks == "fastcgi":
            words = ["client-fastcgi", *words[1:], self.peer.script]
        elif self.peer.speaks == "http":
            words.append(HTTP.decode())
        return [self.bench.path(words[0]), *map(str, words[1:])]


def stand(bench, stack, row, peers, seconds, kind):
    """Start peers, a dictionary of what makes each by its name in the results, to be stopped
    with the stack. What comes back are their measure(), for bench.interleave(). The first one
    has to start; others that do not are reported."""
    sides = {}
    for name, make in peers.items():
        try:
            standing = kind(bench, stack.enter_context(make()), seconds)
            if standing.peer.has_pool:
                wait_for_workers(standing.peer, standing.peer.count)
            standing.prepare()
            sides[name] = standing.measure
        except (NotMeasured, RuntimeError, subprocess.SubprocessError) as error:
            if not sides:
                raise
            bench.absent(row, name, str(error))
    return sides


def in_turns(bench, row, peers, rounds, seconds=0.7, kind=Standing):
    """Samples of all that stand: each is loaded for so many seconds, `rounds` times."""
    if bench.quick:
        seconds /= 5
    with contextlib.ExitStack() as stack:
        return bench.interleave(stand(bench, stack, row, peers, seconds, kind), rounds)
