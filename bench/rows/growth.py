"""What a connection costs as workers, listeners, access rules and readers of the board grow."""

import mmap
import os
import statistics
import subprocess
import threading

from harness import cost, next_port, wait_for_workers
from peers import PEERS

WORKERS = (16, 64, 250, 500, 2000)
LISTENERS = (1, 4, 16, 64)
RULES = (0, 10, 100, 1000)
READERS = (0, 1, 4, 16)
PAUSE = 0.02  # of a reader, between two looks
FIXED = ["--max_requests", 0]


def measure(bench, connections=16000, **options):
    """CPU microseconds of all processes for a connection."""
    with PEERS["prefork"](bench, **options) as server:
        wait_for_workers(server, server.least)
        return cost(bench, server, connections)["cpu"]


# ---- what grows ----------------------------------------------------------------------------

def with_workers(bench, count):
    """A larger pool under the load of the same sixteen clients."""
    return measure(bench, workers=count, settings=FIXED)


def with_listeners(bench, count):
    """More ports to wait at; the load comes to one of them."""
    ports = [next_port() for _ in range(count - 1)]
    return measure(bench, ports=ports, settings=FIXED)


def with_rules(bench, count):
    """More blocks that the client is not in."""
    rules = [word for i in range(count)
             for word in ("--cidr_deny", f"10.{i // 256}.{i % 256}.0/24")]
    return measure(bench, settings=[*FIXED, *rules])


class Readers:
    """Those who look at the board again and again: one of four asks `prefork status`, the
    others map the file and read all of it."""

    def __init__(self, bench, path, count):
        self.command = [os.path.join(bench.build, "prefork"), "status", "--scoreboard", path]
        self.path = path
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.ask if i % 4 == 0 else self.look)
                        for i in range(count)]

    def ask(self):
        """By the command."""
        while not self.is_over.wait(PAUSE):
            subprocess.run(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           check=True)

    def look(self):
        """In the file itself."""
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 0,
                                                      prot=mmap.PROT_READ) as board:
            while not self.is_over.wait(PAUSE):
                bytes(board)

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()


def with_readers(bench, count, connections=16000):
    """Others who look at what the workers write."""
    peer = PEERS["prefork"](bench, settings=FIXED)
    board = peer.file("board")
    peer.options["settings"] = [*FIXED, "--scoreboard_path", board]
    with peer as server:
        wait_for_workers(server, server.least)
        with Readers(bench, board, count):
            return cost(bench, server, connections)["cpu"]


# ---- the row -------------------------------------------------------------------------------

GROWING = {"workers": (with_workers, WORKERS), "listeners": (with_listeners, LISTENERS),
           "access rules": (with_rules, RULES), "board readers": (with_readers, READERS)}

NOTES = {"board readers": "readers take the processors and their caches from the workers"}


def grow(bench, what, measure_with, counts, rounds):
    """One line: in turns over all sizes, the last beside the first."""
    names = {f"{count} {what}": count for count in counts}
    samples = bench.interleave({name: lambda count=count: measure_with(bench, count)
                                for name, count in names.items()}, rounds)
    first, *_, last = samples
    bench.compare("growth", f"CPU per connection, {what}", samples, "us", ours=last,
                  bounds={first: ("<=", 1.1)}, note=NOTES.get(what, ""))
    bench.series("growth", what, [(names[name], statistics.median(values))
                                  for name, values in samples.items()],
                 what, "us of CPU per connection")


def run(bench, rounds=5):
    """Each alone: the others stay as small as they are in the other rows."""
    for what, (measure_with, counts) in GROWING.items():
        grow(bench, what, measure_with, counts, bench.rounds(rounds))
