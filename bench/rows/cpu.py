"""CPU of all server processes per connection, callback shape, beside the bare loop."""

from harness import cost
from peers import PEERS
from results import pick


def side(bench, key, connections):
    """One round of one server."""
    with PEERS[key](bench) as peer:
        return cost(bench, peer, connections)


def run(bench, pairs=9, connections=32000):
    """Both with as many workers."""
    samples = bench.interleave(
        {key: lambda key=key: side(bench, key, connections) for key in ("prefork", "bare")},
        bench.rounds(pairs))
    bench.compare("cpu", "CPU per connection", pick(samples, "cpu"), "us",
                  bounds={"bare": ("<=", 1.05)})
    bench.compare("cpu", "connections", pick(samples, "rate"), "1/s",
                  bounds={"bare": (">=", 0.97)})
