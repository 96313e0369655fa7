"""200 clients that send half a request and stay: when has the 201st its answer?"""

import subprocess

from peers import PEERS


def ours(bench):
    """Microseconds, and how many workers there were in the end."""
    with PEERS["prefork"](bench, workers=5, least=5, most=250) as server:
        holder = subprocess.Popen([bench.path("client"), "hold", "127.0.0.1",
                                   str(server.port), "200"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        took = int(holder.stdout.readline())
        workers = len(server.workers())
        holder.stdin.close()
        holder.wait()
    return {"ms": took / 1000, "workers": workers}


def bare_forks(bench):
    """How long 200 forks take that do nothing else."""
    out = subprocess.run([bench.path("bare"), "forks", "200"], stdout=subprocess.PIPE,
                         text=True, check=True).stdout
    return {"ms": int(out) / 1000, "workers": 200}


def run(bench, pairs=9):
    """A pool of 5 that may have 250."""
    samples = bench.interleave({"prefork": lambda: ours(bench),
                                "bare": lambda: bare_forks(bench)}, bench.rounds(pairs))
    bench.compare("burst", "the 201st is answered after",
                  {side: [v["ms"] for v in values] for side, values in samples.items()}, "ms",
                  bounds={"bare": ("<=", 2)})
    bench.value("burst", "most workers", max(v["workers"] for v in samples["prefork"]), "",
                ("<=", 250))
