"""How often the master runs while the pool serves, with the settings it has by itself."""

from harness import load, switches
from peers import PEERS

STEADY = QUICK = True


def run(bench, connections=50000):
    """Each time it sleeps again it was woken once."""
    with PEERS["prefork"](bench, defaults=True) as server:
        load(bench, server.port, 20000)
        before = switches(server.process.pid)
        load(bench, server.port, connections)
        woken = switches(server.process.pid) - before
    bench.value("wakeups", f"master woken by {connections} connections", woken, "times",
                ("<=", 50))
