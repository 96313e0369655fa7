"""From 10 workers to 10,000: what a birth, an idle worker, the master and a connection cost."""

import os
import resource
import statistics
import struct
import subprocess
import time

import psutil

from harness import Server, cpu_ns, load, private_kib, wait_for_workers, wait_until_quiet
from peers import PEERS, NotMeasured

COUNTS = (10, 100, 1000, 10000)
CONNECTIONS = 20000
RECORD = struct.Struct("qq")  # of a birth, as bench/handler/births.c writes it
KIB_EACH = 400  # of the kernel and of the worker, so that the machine never swaps
SPARE = 1000    # processes and descriptors that others need
OF_ITS_OWN = 60 # descriptors of a master without workers


# ---- whether the machine can ---------------------------------------------------------------

def number(path):
    """The number in a file of the kernel's."""
    with open(path) as file:
        return int(file.read())


def what_blocks(count):
    """The first limit that so many workers would pass; "" if there is none."""
    limits = {
        "kernel.pid_max": (number("/proc/sys/kernel/pid_max"), count + SPARE),
        "kernel.threads-max": (number("/proc/sys/kernel/threads-max"), count + SPARE),
        "available memory (KiB)": (psutil.virtual_memory().available // 1024, count * KIB_EACH)}
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    if os.geteuid() != 0 and most != resource.RLIM_INFINITY:
        limits["RLIMIT_NPROC"] = most, count + SPARE
    for name, (most, needed) in limits.items():
        if most < needed:
            return f"{name} is {most}, and {count} workers need {needed}"
    return ""


def words_for_files(count):
    """Words to start a server with that may have a descriptor for each of so many workers;
    none if the limit that is there cannot be raised."""
    files = count + SPARE
    words = ["prlimit", f"--nofile={files}:{files}"]
    raised = subprocess.run([*words, "true"], stderr=subprocess.DEVNULL)
    return words if raised.returncode == 0 else []


def most_within_files(bench, count):
    """So many, or as many as there are descriptors for, which is reported."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if words_for_files(count) or files >= count + OF_ITS_OWN:
        return count
    most = files - OF_ITS_OWN
    bench.absent("scale", f"{count} workers", f"RLIMIT_NOFILE is {files} and may not be raised "
                 f"here, and the master has a descriptor for each worker: {most} instead")
    return most


def start(bench, count):
    """A pool of so many whose workers say when they were born."""
    return Births(bench, workers=count, settings=["--max_requests", 0],
                  under=words_for_files(count))


class Births(PEERS["prefork"]):
    """The callback, and the file of births."""

    handler = "births"
    patience = 300

    def environment(self):
        return {"BENCH_BIRTHS": self.file("births")}

    def births(self):
        """All so far, in their order: when, and the CPU time of the worker until then, both in
        microseconds."""
        with open(self.file("births"), "rb") as file:
            return sorted((at / 1000, cpu / 1000) for at, cpu in RECORD.iter_unpack(file.read()))

    def count_births(self):
        """How many there were."""
        return os.path.getsize(self.file("births")) // RECORD.size

    def wait_for_births(self, count):
        """Until there were so many, without asking the kernel about each process."""
        end = time.monotonic() + self.patience
        while self.count_births() < count:
            if time.monotonic() > end:
                raise NotMeasured(f"{self.count_births()} of {count} workers after "
                                  f"{self.patience} s")
            time.sleep(0.01)


# ---- what is measured ----------------------------------------------------------------------

def mean_us(births):
    """From each to the next."""
    return (births[-1][0] - births[0][0]) / (len(births) - 1)


def late_births(server, rounds=20):
    """Births when all the others are there: CPU of master and worker together, and the time
    from the death of the one before. Medians, in microseconds."""
    master = [psutil.Process(server.process.pid)]
    cpus, delays = [], []
    for victim in server.workers()[-rounds:]:
        known = server.count_births()
        before, start_us = cpu_ns(master), time.monotonic_ns() / 1000
        victim.kill()
        server.wait_for_births(known + 1)
        at, of_worker = server.births()[-1]
        delays.append(at - start_us)
        wait_until_quiet(master[0], 0.05)
        cpus.append((cpu_ns(master) - before) / 1000 + of_worker)
    return statistics.median(cpus), statistics.median(delays)


def idle_us(master, seconds=5):
    """CPU of the master that has nothing to do."""
    wait_until_quiet(master)
    before = cpu_ns([master])
    time.sleep(seconds)
    return (cpu_ns([master]) - before) / 1000


def under_load(bench, server, connections=CONNECTIONS):
    """CPU microseconds for a connection: of all processes, and of the master alone."""
    load(bench, server.port, 2000)
    tree = server.tree()
    all_before, master_before = cpu_ns(tree), cpu_ns(tree[:1])
    load(bench, server.port, connections)
    master = cpu_ns(tree[:1]) - master_before
    return (cpu_ns(tree) - all_before) / connections / 1000, master / connections / 1000


def measure(bench, count):
    """Everything about a pool of so many."""
    with start(bench, count) as server:
        server.wait_for_births(count)
        births = server.births()
        workers = server.workers()
        step = max(1, count // 50)
        found = {"private memory of a worker": median_kib(workers[::step]),
                 IDLE: idle_us(psutil.Process(server.process.pid), 1 if bench.quick else 5)}
        each, of_master = under_load(bench, server)
        found |= {"CPU per connection": each, "CPU of the master per connection": of_master,
                  "a birth, all in a row": mean_us(births)}
        cpu, delay = late_births(server)
    return found | {FULL: cpu,
                    "from a death to the next birth": delay}


def median_kib(workers):
    """Private memory."""
    return statistics.median(private_kib(p) for p in workers)


def bare(bench, count):
    """The limit: what a forked child costs, and a connection among so many."""
    sleepers = Server([bench.path("bare"), "sleep", str(count)], "ready", "stdout")
    try:
        private = median_kib(sleepers.workers()[::max(1, count // 50)])
    finally:
        sleepers.stop()
    forks = int(subprocess.run([bench.path("bare"), "forks", str(count)], check=True, text=True,
                               stdout=subprocess.PIPE).stdout) / count
    with PEERS["bare"](bench, workers=count) as server:
        wait_for_workers(server, count)
        return {"private memory of a worker": private, "a birth, all in a row": forks,
                "CPU per connection": under_load(bench, server)[0]}


# ---- the row -------------------------------------------------------------------------------

IDLE = "CPU of the idle master in 5 s"
FULL = "CPU of a birth in a full pool"
UNITS = {"private memory of a worker": "KiB"}
DRAWN = ("private memory of a worker", "CPU per connection", FULL, "a birth, all in a row")
BOUNDS = {IDLE: ("<=", 1000)}


def hand_in(bench, count, ours, limit):
    """One size."""
    for what, figure in ours.items():
        bench.value("scale", f"{count} workers: {what}", figure, UNITS.get(what, "us"),
                    BOUNDS.get(what), f"bare {limit[what]:.1f}" if what in limit else "")


def draw(bench, side, found):
    """A line for each thing that has one."""
    for what in DRAWN:
        if not any(what in each for each in found.values()):
            continue
        bench.series("scale", f"{what}: {side}",
                     [(count, each[what]) for count, each in found.items()], "workers",
                     UNITS.get(what, "us"))


def compare_ends(bench, ours, few, many):
    """The last worker of many beside the last of few."""
    for what, bound in ((FULL, ("<=", 1.5)),
                        ("private memory of a worker", ("<=", 1.5)),
                        ("CPU per connection", ("<=", 1.1))):
        bench.compare("scale", what, {f"{many} workers": [ours[many][what]],
                                      f"{few} workers": [ours[few][what]]},
                      UNITS.get(what, "us"), ours=f"{many} workers",
                      bounds={f"{few} workers": bound})


def run(bench):
    """Each size once: what is compared is the same server with itself."""
    ours, limits = {}, {}
    for count in COUNTS[:3] if bench.quick else COUNTS:
        blocked = what_blocks(count)
        if blocked:
            bench.absent("scale", f"{count} workers", blocked)
            continue
        count = most_within_files(bench, count)
        try:
            ours[count], limits[count] = measure(bench, count), bare(bench, count)
        except NotMeasured as error:
            bench.absent("scale", f"{count} workers", str(error))
            continue
        hand_in(bench, count, ours[count], limits[count])
    draw(bench, "prefork", ours)
    draw(bench, "bare", limits)
    if len(ours) > 1:
        compare_ends(bench, ours, min(ours), max(ours))
