"""New connections per second, and CPU of all server processes for one: callback, peers, variants.

Sixteen clients open one connection after the other, send a line (or a request of HTTP or
FastCGI), and read to the end of the stream; every server has sixteen processes, unless its
name says otherwise. What else differs between the peers is said in bench/peers/. prefork runs
without recycling, as the others do.
"""

import functools
import statistics

from harness import WORKERS, next_port
from peers import PEERS
from results import pick
from standing import in_turns

BESIDE = ("bare", "bare-epoll", "netserver", "starman", "starlet", "apache", "gunicorn", "uwsgi", "php-fpm")
MANY = 500

FASTER = {"bare loop": (">=", 0.97), "Net::Server::PreFork": (">=", 3),
          "Apache mpm_prefork": (">=", 1.3)}
CHEAPER = {"bare loop": ("<=", 1.05)}


def ours(bench, *settings, **options):
    """What makes a prefork with these settings."""
    return functools.partial(PEERS["prefork"], bench,
                             settings=["--max_requests", "0", *settings], **options)


def compare(bench, what, samples, first, faster=None, cheaper=None):
    """Both numbers of each side."""
    bench.compare("rate", f"{what}connections", pick(samples, "rate"), "1/s", ours=first,
                  bounds=faster)
    bench.compare("rate", f"{what}CPU per connection", pick(samples, "cpu"), "us", ours=first,
                  bounds=cheaper)


def beside_peers(bench, rounds):
    """The callback, the limit, and the peers."""
    makers = {"prefork": ours(bench)}
    for key in BESIDE:
        makers[PEERS[key].name] = functools.partial(PEERS[key], bench)
    compare(bench, "", in_turns(bench, "rate", makers, rounds), "prefork", FASTER, CHEAPER)


def shapes(bench, rounds):
    """Other ways to listen, and to read and write."""
    ports = [next_port() for _ in range(3)]
    makers = {"callback": ours(bench),
              "stdio": ours(bench, "--no_client_stdout", "0", handler="stdio"),
              "4 ports": ours(bench, ports=ports)}
    compare(bench, "shapes, ", in_turns(bench, "rate", makers, rounds), "callback")
    makers = {"prefork": ours(bench, unix=True),
              "bare loop": functools.partial(PEERS["bare"], bench, unix=True)}
    compare(bench, "unix socket, ", in_turns(bench, "rate", makers, rounds), "prefork")


def serialize(bench, rounds):
    """Ways to take turns in waiting."""
    makers = {word: ours(bench, "--serialize", word)
              for word in ("none", "flock", "semaphore", "pipe")}
    compare(bench, "serialize, ", in_turns(bench, "rate", makers, rounds), "none")


def accept_order(bench, rounds):
    """Who gets the next connection: hot and fair are to be within 3 % of each other."""
    makers = {word: ours(bench, "--accept_order", word) for word in ("hot", "fair", "shard")}
    samples = in_turns(bench, "rate", makers, rounds)
    compare(bench, "accept_order, ", samples, "hot")
    rates = pick(samples, "rate")
    ratio = statistics.median(a / b for a, b in zip(rates["hot"], rates["fair"]))
    bench.value("rate", "hot and fair, difference of connections/s", abs(ratio - 1) * 100, "%",
                ("<=", 3))


def many_workers(bench, rounds):
    """What a connection costs in a pool that is much too large."""
    few, many = f"{WORKERS} workers", f"{MANY} workers"
    makers = {many: ours(bench, workers=MANY), few: ours(bench)}
    compare(bench, "size of the pool, ", in_turns(bench, "rate", makers, rounds), many,
            cheaper={few: ("<=", 1.1)})


def run(bench):
    """The peers first, then prefork beside itself."""
    beside_peers(bench, bench.rounds(21, quick=3))
    for group in shapes, serialize, accept_order, many_workers:
        group(bench, bench.rounds(13, quick=3))
