"""A program for each connection, beside tcpserver, tcpsvd and xinetd; one that accepts by itself.

In the shape nowait all start the same program anew for each connection: a static one, a script
of the shell, one of Perl. What starting the program costs is the same for all of them, so the
dearer the program, the closer they are. prefork has a pool of sixteen workers that wait for
connections and for the end of their programs; the others fork when a connection is there. Sixteen
clients keep as many programs busy. In the shape wait prefork starts sixteen processes of a
program, and beside it the same program is started as often by hand.
"""

import functools
import os

from peers import PEERS
from results import pick
from standing import Standing, in_turns

BESIDE = ("tcpserver", "tcpsvd", "xinetd")
HANDLERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "handler")
UNLIMITED = ["--max_requests", "0"]


class Slow(Standing):
    """A server that has a process to start for each connection."""

    warm = 160


def nowait(bench, what, program, rounds, bound):
    """One program, all servers."""
    makers = {"prefork": functools.partial(PEERS["prefork-serve"], bench, command=[program],
                                           settings=UNLIMITED)}
    for key in BESIDE:
        makers[PEERS[key].name] = functools.partial(PEERS[key], bench, command=[program])
    samples = in_turns(bench, "programs", makers, rounds, seconds=1, kind=Slow)
    bench.compare("programs", f"{what}, connections", pick(samples, "rate"), "1/s",
                  bounds={PEERS[key].name: bound for key in BESIDE})


def wait(bench, rounds):
    """One program that accepts by itself, sixteen times."""
    makers = {"prefork": functools.partial(PEERS["prefork-wait"], bench),
              "bare": functools.partial(PEERS["bare-wait"], bench)}
    samples = in_turns(bench, "programs", makers, rounds)
    bench.compare("programs", "wait, connections", pick(samples, "rate"), "1/s")
    bench.compare("programs", "wait, CPU per connection", pick(samples, "cpu"), "us")


def run(bench):
    """Nowait with each program, then wait."""
    rounds = bench.rounds(13, quick=2)
    nowait(bench, "static program", bench.path("program"), rounds, (">=", 1.1))
    nowait(bench, "shell script", os.path.join(HANDLERS, "program.sh"), rounds, (">=", 1.1))
    nowait(bench, "Perl script", os.path.join(HANDLERS, "program.pl"), rounds, (">=", 1.1))
    wait(bench, rounds)
