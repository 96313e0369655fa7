"""What rows of the bench share: free ports, loads, and what the kernel says about processes.

CPU time is read from /proc/PID/task/*/schedstat (nanoseconds on a processor) and memory from
/proc/PID/smaps_rollup. Both are of the processes named and of nobody else: what the clients
cost is not in it.
"""

import os
import signal
import socket
import subprocess
import threading
import time

import psutil

WORKERS = 16
CLIENTS = 16


def next_port():
    """A port of loopback that is free now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- what the kernel says ---------------------------------------------------------------

def cpu_ns(processes):
    """Nanoseconds that all threads of these processes had a processor; those that are gone
    count as 0."""
    total = 0
    for p in processes:
        try:
            for task in os.listdir(f"/proc/{p.pid}/task"):
                with open(f"/proc/{p.pid}/task/{task}/schedstat") as f:
                    total += int(f.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def private_kib(process):
    """Memory that belongs to this process alone."""
    with open(f"/proc/{process.pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_"))


def switches(pid):
    """How often the process went to sleep by itself: once for each time it was woken."""
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("voluntary_ctxt_switches"):
                return int(line.split()[1])
    return 0


def descriptors(pid):
    """How many the process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def wait_until_quiet(process, pause=0.5):
    """Until the process did nothing for a while."""
    last = -1
    while cpu_ns([process]) != last:
        last = cpu_ns([process])
        time.sleep(pause)


def wait_for_workers(peer, count, patience=120):
    """Until there are so many."""
    end = time.monotonic() + patience
    while len(peer.workers()) < count:
        if time.monotonic() > end:
            raise RuntimeError(f"{len(peer.workers())} of {count} workers after {patience} s")
        time.sleep(0.1)


# ---- loads -------------------------------------------------------------------------------

def client(bench, *words):
    """The numbers that the client in C prints."""
    out = subprocess.run([bench.path("client"), *map(str, words)], check=True, text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    return [int(word) for word in out.split()]


def load(bench, port, connections, clients=CLIENTS):
    """So many connections, one after the other by each client: how many were answered, in
    how many microseconds. One that fails ends the measurement."""
    answered, failed, microseconds = client(bench, "load", "127.0.0.1", port, connections,
                                            clients)
    if failed:
        raise RuntimeError(f"{failed} of {connections} connections failed")
    return answered, microseconds


def rate(bench, port, connections, clients=CLIENTS):
    """Connections per second."""
    answered, microseconds = load(bench, port, connections, clients)
    return answered / microseconds * 1e6


def cost(bench, peer, connections, clients=CLIENTS, warm=2000):
    """CPU microseconds of all processes of the server for one connection ("cpu"), and
    connections per second ("rate")."""
    load(bench, peer.port, warm, clients)
    tree = peer.tree()
    before = cpu_ns(tree)
    answered, microseconds = load(bench, peer.port, connections, clients)
    return {"cpu": (cpu_ns(tree) - before) / answered / 1000,
            "rate": answered / microseconds * 1e6}


def end(processes):
    """Kill those that are still there."""
    for p in processes:
        try:
            p.kill()
        except (psutil.Error, OSError):  # it went while it was looked at
            pass


# ---- programs that are no servers of ours ------------------------------------------------

class Server:
    """A program that says a word when it is ready and ends with its standard input."""

    def __init__(self, argv, ready, stream="stderr"):
        pipes = {stream: subprocess.PIPE}
        if stream != "stderr":
            pipes["stderr"] = subprocess.DEVNULL
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, text=True,
                                        process_group=0, **pipes)
        self.lines = getattr(self.process, stream)
        for line in self.lines:
            if ready in line:
                break
        else:
            raise RuntimeError(f"{argv[0]} did not start")
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        """Whatever else it says is read, so that it never waits for a reader."""
        for _ in self.lines:
            pass

    def tree(self):
        """It and all of its descendants."""
        me = psutil.Process(self.process.pid)
        return [me] + me.children(recursive=True)

    def workers(self):
        """Its children."""
        return psutil.Process(self.process.pid).children()

    def stop(self):
        """End it, whatever state it is in."""
        tree = self.tree()
        self.process.send_signal(signal.SIGTERM)
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        end(tree)
