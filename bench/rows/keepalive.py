"""Requests of HTTP per second on connections that stay, by wrk, and CPU for one of them.

Each of sixteen connections has a process to itself; only gunicorn, which has its gthread worker
here because its sync worker closes each connection, gives them to processes as it likes.
prefork's side is bench/handler/http.c: the example http_hello closes each connection. Heads of
answers differ in length, bodies do not.
"""

import functools
import re
import subprocess

from harness import CLIENTS, cpu_ns
from peers import PEERS, NotMeasured
from results import pick
from standing import Standing, in_turns

BESIDE = ("apache", "starman", "gunicorn")


class ByWrk(Standing):
    """A peer that is loaded by wrk."""

    def prepare(self):
        """Warm it."""
        self.load(1)

    def measure(self):
        """One load: requests per second ("rate") and microseconds of CPU for one ("cpu")."""
        tree = self.peer.tree()
        before = cpu_ns(tree)
        answered, rate = self.load(max(1, round(self.seconds)))
        return {"cpu": (cpu_ns(tree) - before) / answered / 1000, "rate": rate}

    def load(self, seconds):
        """How many requests were answered, and how many per second."""
        try:
            out = subprocess.run(
                ["wrk", "-t", "2", "-c", str(CLIENTS), "-d", str(seconds),
                 f"http://127.0.0.1:{self.peer.port}/"], check=True, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
        except FileNotFoundError:
            raise NotMeasured("there is no program wrk") from None
        if "Non-2xx" in out or "Socket errors" in out:
            raise RuntimeError(f"{self.peer.name}: {' '.join(out.split())}")
        return (int(re.search(r"(\d+) requests in", out)[1]),
                float(re.search(r"Requests/sec: +([\d.]+)", out)[1]))


def run(bench):
    """With sixteen processes each."""
    makers = {"prefork": functools.partial(PEERS["prefork-http"], bench, keepalive=True,
                                           settings=["--max_requests", "0"])}
    for key in BESIDE:
        makers[PEERS[key].name] = functools.partial(PEERS[key], bench, keepalive=True)
    samples = in_turns(bench, "keepalive", makers, bench.rounds(13, quick=2),
                       seconds=2, kind=ByWrk)
    bench.compare("keepalive", "requests", pick(samples, "rate"), "1/s")
    bench.compare("keepalive", "CPU per request", pick(samples, "cpu"), "us")
