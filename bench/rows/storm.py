"""SIGKILL to random workers under load: what fails, and when is the pool whole?"""

import random
import subprocess
import time

import psutil

from harness import CLIENTS, WORKERS, descriptors, load
from peers import PEERS


def kill_workers(server, seconds, per_second):
    """How many were killed."""
    end = time.monotonic() + seconds
    killed = 0
    while time.monotonic() < end:
        workers = server.workers()
        if workers:
            try:
                random.choice(workers).kill()
                killed += 1
            except psutil.NoSuchProcess:
                pass
        time.sleep(1 / per_second)
    return killed


def is_dead(process):
    """It has ended, and nobody has asked how."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def seconds_until_whole(server):
    """Until there are as many workers as there should be."""
    start = time.monotonic()
    while sum(not is_dead(p) for p in server.workers()) < WORKERS:
        pass
    return time.monotonic() - start


def spare_descriptors(server):
    """Those of the master that belong to no worker."""
    return descriptors(server.process.pid) - len(server.workers())


def run(bench, seconds=30, per_second=20):
    """One connection may fail for each worker that is killed: the one that it served."""
    with PEERS["prefork"](bench, defaults=True, settings=[
            "--min_servers", WORKERS, "--max_requests", 0]) as server:
        load(bench, server.port, 2000)
        spare = spare_descriptors(server)
        clients = subprocess.Popen([bench.path("client"), "run", "127.0.0.1", str(server.port),
                                    str(seconds + 2), str(CLIENTS)], stdout=subprocess.PIPE,
                                   text=True)
        killed = kill_workers(server, seconds, per_second)
        whole = seconds_until_whole(server)
        answered, failed, _ = map(int, clients.stdout.read().split())
        clients.wait()
        time.sleep(0.5)
        leaked = spare_descriptors(server) - spare
        dead = sum(is_dead(p) for p in server.workers())
    bench.value("storm", f"connections failed of {answered + failed}, {killed} workers killed",
                failed, "", ("<=", killed))
    bench.value("storm", "pool whole after", whole * 1000, "ms", ("<=", 1000))
    bench.value("storm", "zombies", dead, "", ("<=", 0))
    bench.value("storm", "descriptors leaked", leaked, "", ("<=", 0))
