"""Private memory of an idle worker among 2,000, and what the idle master costs."""

import statistics
import time

import psutil

from harness import Server, cpu_ns, private_kib, wait_for_workers, wait_until_quiet
from peers import PEERS

STEADY = QUICK = True


def median_kib(server):
    """Of every twentieth worker."""
    return statistics.median(private_kib(p) for p in server.workers()[::20])


def bare_kib(bench, count):
    """Of children that were forked and do nothing."""
    sleepers = Server([bench.path("bare"), "sleep", str(count)], "ready", "stdout")
    try:
        return median_kib(sleepers)
    finally:
        sleepers.stop()


def idle_us(master, seconds):
    """CPU time of a process that has nothing to do."""
    before = cpu_ns([master])
    time.sleep(seconds)
    return (cpu_ns([master]) - before) / 1000


def run(bench, count=2000):
    """A pool that waits, beside a bare one that waits."""
    bare = bare_kib(bench, count)
    with PEERS["prefork"](bench, workers=count) as server:
        wait_for_workers(server, count)
        master = psutil.Process(server.process.pid)
        wait_until_quiet(master)
        samples = {"prefork": [median_kib(server)], "bare": [bare]}
        idle = idle_us(master, 5)
    bench.compare("memory", f"private memory of an idle worker of {count}", samples, "KiB",
                  bounds={"bare": ("<=", 1.5)})
    bench.value("memory", "CPU of the idle master in 5 s", idle, "us", ("<=", 1000))
