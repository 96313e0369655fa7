"""So many clients at once against a small pool: when has the last of them its answer?

Each of them sends half a request and stays, and so keeps its worker. One more comes behind
them and sends all of its own: it has its answer when there is a worker for each. Then the
others send the rest, and all of them have to be answered. The clock runs from the first
connect(2). Beside it as many bare forks, which say when they are there, without a connection.

How a pool grows is read from /proc meanwhile, in a run of its own that is not timed.
"""

import os
import subprocess
import time

from peers import HTTP, PEERS

LOOK = 0.002  # seconds between looks at how many there are


def hold(bench, peer, holders):
    """The clients, as a process."""
    request = [HTTP.decode()] if peer.speaks == "http" else []
    return subprocess.Popen([bench.path("client"), "hold", "127.0.0.1", str(peer.port),
                             str(holders), *request],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(clients, holders):
    """Let them send the rest."""
    answers = clients.communicate()[0].split()
    if len(answers) != 2 or int(answers[0]) != holders:
        raise RuntimeError(f"of {holders} holders {answers[0] if answers else 'none'} "
                           "were answered in the end")


def burst(bench, key, holders, least, most):
    """Milliseconds, and how many workers there were then."""
    with PEERS[key](bench, workers=least, least=least, most=most) as peer:
        clients = hold(bench, peer, holders)
        took = clients.stdout.readline()
        workers = len(peer.workers())
        finish(clients, holders)
    if not took:
        raise RuntimeError(f"nobody was answered behind {holders} holders")
    return {"ms": int(took) / 1000, "workers": workers}


def forks(bench, count):
    """The same of forks that do nothing else."""
    out = subprocess.run([bench.path("bare"), "forks", str(count)], stdout=subprocess.PIPE,
                         text=True, check=True).stdout
    return {"ms": int(out) / 1000, "workers": count}


# ---- growth ------------------------------------------------------------------------------

def children(pid):
    """How many a process has."""
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return len(f.read().split())


def watch(pid, is_over):
    """(milliseconds, children) each time the number has changed, until it is over."""
    start, points = time.monotonic(), []
    while True:
        is_last = is_over()
        count = children(pid)
        if is_last or not points or points[-1][1] != count:
            points.append((round((time.monotonic() - start) * 1000, 1), count))
        if is_last:
            return points
        time.sleep(LOOK)


def growth(bench, key, holders, least, most):
    """Of a server, until its last client is answered."""
    with PEERS[key](bench, workers=least, least=least, most=most) as peer:
        clients = hold(bench, peer, holders)
        os.set_blocking(clients.stdout.fileno(), False)
        points = watch(peer.process.pid,
                       lambda: clients.stdout.readline() != "" or clients.poll() is not None)
        os.set_blocking(clients.stdout.fileno(), True)
        finish(clients, holders)
    return points


def growth_of_forks(bench, count):
    """Of the bare forks; they end with their parent, so the last look is the one before."""
    parent = subprocess.Popen([bench.path("bare"), "forks", str(count)],
                              stdout=subprocess.PIPE, start_new_session=True)
    os.set_blocking(parent.stdout.fileno(), False)
    points = watch(parent.pid, lambda: parent.stdout.read() is not None)
    parent.wait()
    return [point for point in points if point[1] > 0]


# ---- the row -----------------------------------------------------------------------------

def times(samples):
    """Milliseconds of each side."""
    return {side: [v["ms"] for v in values] for side, values in samples.items()}


def beside_forks(bench, holders, least, most, rounds):
    """prefork beside as many bare forks."""
    samples = bench.interleave({
        "prefork": lambda: burst(bench, "prefork", holders, least, most),
        "bare": lambda: forks(bench, holders)}, rounds)
    bench.compare("burst", f"{least} to {holders} workers: the last client is answered after",
                  times(samples), "ms", bounds={"bare": ("<=", 2)})
    bench.value("burst", f"most workers for {holders + 1} clients",
                max(v["workers"] for v in samples["prefork"]), "", ("<=", most))


def beside_peers(bench, holders, least, most, rounds):
    """prefork beside servers that are made in the same way."""
    def side(key):
        return lambda: burst(bench, key, holders, least, most)
    samples = bench.interleave({key: side(key) for key in ("prefork", "netserver", "apache")},
                               rounds)
    bench.compare("burst", f"{least} to {holders} workers, beside peers: the last client is "
                  "answered after", times(samples), "ms",
                  bounds={"netserver": ("<=", 0.1), "apache": ("<=", 0.01)})


def draw(bench, holders, least, most):
    """Pools as they grow."""
    sides = {"prefork": lambda: growth(bench, "prefork", holders, least, most),
             "bare": lambda: growth_of_forks(bench, holders)}
    if holders <= 200:
        sides.update({key: lambda key=key: growth(bench, key, holders, least, most)
                      for key in ("netserver", "apache")})
    for side, points in bench.interleave(sides, 1).items():
        bench.series("burst", f"{side}, {least} to {holders}", points[0],
                     "ms since the first client", "workers")


def run(bench, pairs=9):
    """A pool of 5 that may have 250, and one of 10 that may have 1,200."""
    for holders, least, most in (200, 5, 250), (1000, 10, 1200):
        beside_forks(bench, holders, least, most, bench.rounds(pairs, 3))
        draw(bench, holders, least, most)
    beside_peers(bench, 200, 5, 250, bench.rounds(3))
