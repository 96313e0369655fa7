"""A static program per connection, beside tcpserver."""

from harness import WORKERS, load, rate
from peers import PEERS, Peer


class TcpServer(Peer):
    """tcpserver, with the same program."""

    name = program = "tcpserver"

    def argv(self):
        return ["tcpserver", "-q", "-RHl0", "-b", "4096", "-c", "64", "127.0.0.1",
                str(self.port), self.bench.path("program")]


def side(bench, kind, connections):
    """One round of one server."""
    with kind(bench, workers=WORKERS) as server:
        load(bench, server.port, 200)
        return rate(bench, server.port, connections)


def run(bench, pairs=7, connections=3200):
    """Both start the program anew for each connection."""
    samples = bench.interleave(
        {"prefork": lambda: side(bench, PEERS["prefork-serve"], connections),
         "tcpserver": lambda: side(bench, TcpServer, connections)}, bench.rounds(pairs))
    bench.compare("nowait", "connections", samples, "1/s", bounds={"tcpserver": (">=", 1.1)})
