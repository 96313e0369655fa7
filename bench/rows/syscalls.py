"""System calls per connection beside the bare loop: one client, and sixteen at once."""

import signal
import subprocess
import time

from harness import CLIENTS, load
from peers import PEERS

STEADY = True


def counted(server, run_load):
    """System calls of all processes of the server while run_load() runs, counted by the kernel
    (perf's tracepoints), which unlike strace does not change who is woken when."""
    pids = ",".join(str(p.pid) for p in server.tree())
    perf = subprocess.Popen(["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", pids],
                            stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)
    run_load()
    perf.send_signal(signal.SIGINT)
    for line in perf.communicate()[1].splitlines():
        if "sys_enter" in line and line[0].isdigit():
            return int(line.split(",")[0])
    raise RuntimeError("perf cannot count system calls here")


def per_connection(bench, key, connections, clients):
    """Of one server."""
    with PEERS[key](bench) as server:
        return counted(server, lambda: load(bench, server.port, connections,
                                            clients)) / connections


def run(bench, connections=20000):
    """Less than one more than the limit."""
    for clients in (1, CLIENTS):
        samples = {key: [per_connection(bench, key, connections, clients)]
                   for key in ("prefork", "bare")}
        bench.compare("syscalls", f"system calls per connection, {clients} at once", samples, "")
        bench.value("syscalls", f"more than the bare loop, {clients} at once",
                    samples["prefork"][0] - samples["bare"][0], "", ("<=", 1.005))
