"""What a connection costs, counted and not timed: system calls and instructions.

With one worker and one client every connection is the same, and strace(1) tells its calls by
name. With sixteen workers there are races for connections, and the kernel counts. Both are
differences, so that what a server does at its start is not in it.

Instructions are those outside of the kernel. prefork runs without a pool for that (`prefork
0`): the work of a worker in one process, as callgrind does not know pidfd_open(2)."""

from counting import instructions_per_connection, perf_calls, strace_calls
from harness import CLIENTS, load
from peers import PEERS, NotMeasured

STEADY = QUICK = True
SIDES = ("prefork", "bare")


def calls_by_name(bench, key, connections):
    """Calls of one worker for one connection."""
    with PEERS[key](bench, workers=1) as server:
        load(bench, server.port, 100, 1)
        few, many = (strace_calls(server.tree(), lambda n=n: load(bench, server.port, n, 1))
                     for n in (connections, 2 * connections))
    return {name: (calls - few.get(name, 0)) / connections for name, calls in many.items()}


def in_words(calls):
    """Those that are there more than now and then."""
    return ", ".join(f"{name} {number:.2f}" for name, number in sorted(calls.items())
                     if number >= 0.01)


def one_worker(bench, connections=1000):
    """Every connection is the same."""
    calls = {key: calls_by_name(bench, key, connections) for key in SIDES}
    what = "system calls per connection, one worker (strace)"
    samples = {key: [sum(calls[key].values())] for key in SIDES}
    bench.compare("cost", what, samples, "",
                  note="; ".join(f"{key}: {in_words(calls[key])}" for key in SIDES))
    bench.value("cost", f"{what}: more than bare", samples["prefork"][0] - samples["bare"][0],
                "", ("<=", 1.01))


def calls_of_pool(bench, key, connections, clients):
    """Calls of sixteen workers and their master for one connection."""
    with PEERS[key](bench, settings=["--max_requests", 0] if key == "prefork" else []) as server:
        load(bench, server.port, 1000, clients)
        return perf_calls(server.tree(), lambda: load(bench, server.port, connections,
                                                      clients)) / connections


def pool(bench, connections=20000):
    """One client after the other, and sixteen at once."""
    for clients in (1, CLIENTS):
        samples = {key: [calls_of_pool(bench, key, connections, clients)] for key in SIDES}
        what = f"system calls per connection, 16 workers, {clients} at once (perf)"
        bench.compare("cost", what, samples, "")
        bench.value("cost", f"{what}: more than bare",
                    samples["prefork"][0] - samples["bare"][0], "", ("<=", 1.25))


def software_processor(bench, connections=500):
    """Instructions."""
    samples = {
        "prefork": [instructions_per_connection(bench, "prefork", connections, defaults=True,
                                                settings=["--prefork", 0])],
        "bare": [instructions_per_connection(bench, "bare", connections)]}
    what = "instructions per connection outside of the kernel (callgrind)"
    bench.compare("cost", what, samples, "")
    bench.value("cost", f"{what}: more than bare", samples["prefork"][0] - samples["bare"][0],
                "", ("<=", 2000))


def run(bench):
    """Each of the three, whatever becomes of the others."""
    for part in one_worker, pool, software_processor:
        try:
            part(bench)
        except NotMeasured as error:
            bench.absent("cost", part.__name__.replace("_", " "), str(error))
