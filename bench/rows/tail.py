"""How long do the slowest clients wait, at half of what a server can do?

First, what each server can do: sixteen clients in a closed loop. Then requests come in an
open loop (bench/client/pace.c): when they are due does not depend on the server, and a latency
counts from then on. Once at half of what the slowest of the servers can do, the same for all,
and once at half of what each can do itself. The arrivals are the same for all.

How late the client itself was is reported as well: where that is not far below what it
measured, the machine is too small for both.
"""

import json
import subprocess

from harness import CLIENTS, client
from peers import HTTP, PEERS

SIDES = ("prefork", "bare", "netserver", "apache", "starman", "gunicorn")
POINTS = {"p50": 50, "p99": 99, "p99.9": 99.9, "max": 100}

LATE = {"late_p99": "p99 of how late the client was itself"}


def request(peer):
    """What is sent instead of a line, if something is."""
    return [HTTP.decode()] if peer.speaks == "http" else []


def saturation(bench, key, seconds=2):
    """Connections per second, each client beginning when it has been answered."""
    with PEERS[key](bench) as peer:
        client(bench, "load", "127.0.0.1", peer.port, 2000, CLIENTS, *request(peer))
        answered, failed, microseconds = client(bench, "run", "127.0.0.1", peer.port, seconds,
                                                CLIENTS, *request(peer))
    if failed:
        raise RuntimeError(f"{failed} of {answered + failed} connections failed")
    return answered / microseconds * 1e6


def pace(bench, peer, rate, seconds):
    """What the open loop says, if everybody was answered."""
    out = subprocess.run([bench.path("pace"), "127.0.0.1", str(peer.port), str(rate),
                          str(seconds), *request(peer)], check=True, text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    said = json.loads(out)
    if said["failed"]:
        raise RuntimeError(f"{said['failed']} of {said['sent']} requests failed: "
                           f"{said['failures']}")
    return said


def measure(bench, key, rates, seconds):
    """At each of the rates, by its name."""
    with PEERS[key](bench) as peer:
        client(bench, "load", "127.0.0.1", peer.port, 2000, CLIENTS, *request(peer))
        return {name: pace(bench, peer, rate, seconds) for name, rate in rates.items()}


def report(bench, what, samples):
    """Each quantile, and the whole of them as a line for each server."""
    for point in [*POINTS, *LATE]:
        bench.compare("tail", f"{what}, {LATE.get(point, point)}",
                      {side: [said[point] for said in values]
                       for side, values in samples.items()}, "us")
    for side, values in samples.items():
        bench.series("tail", f"{what}: {side}",
                     [(x, sorted(said[point] for said in values)[len(values) // 2])
                      for point, x in POINTS.items()], "percent of requests", "us")


def run(bench, rounds=3, seconds=4):
    """Sixteen workers each."""
    most = {side: values[0] for side, values in bench.interleave(
        {side: lambda side=side: saturation(bench, side) for side in SIDES}, 1).items()}
    for side, rate in most.items():
        bench.value("tail", f"{side}, closed loop", rate, "1/s")
    common = round(min(most.values()) / 2)

    def side_of(side):
        rates = {"common": common, "own": round(most[side] / 2)}
        return lambda: measure(bench, side, rates, seconds)
    samples = bench.interleave({side: side_of(side) for side in most}, bench.rounds(rounds))
    for name, what in {"common": f"{common} requests/s each", "own": "half of its own"}.items():
        report(bench, what, {side: [value[name] for value in values]
                             for side, values in samples.items()})
