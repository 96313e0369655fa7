"""Counting what does not depend on the speed of the machine: system calls and instructions.

Three counters. strace(1) sees every call by name and stops the process for each, which changes
who is woken when: it is for one client and one worker, where nobody else can be. The kernel's
tracepoints, read by perf(1), change nothing, and are not there everywhere. callgrind(1) runs
the program on a processor made of software and counts its instructions, which come out the
same each time."""

import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from harness import load
from peers import PEERS, NotMeasured


def need(program):
    """It has to be there."""
    if not shutil.which(program):
        raise NotMeasured(f"there is no program {program}")


# ---- system calls ------------------------------------------------------------------------

def strace_calls(processes, run):
    """Calls of these processes while run() runs: how many of each name."""
    need("strace")
    with tempfile.TemporaryDirectory() as directory:
        table = os.path.join(directory, "calls")
        pids = [word for p in processes for word in ("-p", str(p.pid))]
        strace = subprocess.Popen(["strace", "-f", "-c", "-U", "calls,name", "-o", table, *pids],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            attached(strace, len(processes))
            run()
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate()
        with open(table) as file:
            rows = re.findall(r"^\s*(\d+)\s+(\w+)$", file.read(), re.M)
    return {name: int(calls) for calls, name in rows if name != "total"}


def attached(strace, count):
    """Wait until it has so many processes."""
    while count:
        line = strace.stderr.readline()
        if not line:
            raise NotMeasured("strace cannot attach here")
        count -= " attached" in line


def perf_calls(processes, run):
    """Calls of these processes while run() runs, counted by the kernel."""
    need("perf")
    ours, theirs = os.pipe(), os.pipe()  # what perf is told, and what it says to that
    perf = subprocess.Popen(
        ["perf", "stat", "-x,", "-D", "-1", "--control", f"fd:{ours[0]},{theirs[1]}", "-e",
         "raw_syscalls:sys_enter", "-p", ",".join(str(p.pid) for p in processes)],
        pass_fds=(ours[0], theirs[1]), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True)
    os.close(ours[0])
    os.close(theirs[1])
    try:
        tell(ours[1], theirs[0], b"enable\n")
        run()
        tell(ours[1], theirs[0], b"disable\n")
    finally:
        os.close(ours[1])
        os.close(theirs[0])
        perf.send_signal(signal.SIGINT)
        said = perf.communicate()[1]
    for line in said.splitlines():
        if "sys_enter" in line and line[0].isdigit():
            return int(line.split(",")[0])
    raise NotMeasured("perf cannot count system calls here")


def tell(command, answer, word):
    """A word to perf; it has taken effect when this returns."""
    try:
        os.write(command, word)
    except BrokenPipeError:
        raise NotMeasured("perf cannot count system calls here") from None
    if not os.read(answer, 16):
        raise NotMeasured("perf cannot count system calls here")


# ---- instructions ------------------------------------------------------------------------

def instructions(bench, key, connections, **options):
    """Of all processes of a server from its start to its end, for so many connections."""
    need("valgrind")
    with tempfile.TemporaryDirectory() as directory:
        under = ["valgrind", "-q", "--tool=callgrind",
                 f"--callgrind-out-file={directory}/%p.calls"]
        with PEERS[key](bench, workers=1, under=under, **options) as server:
            load(bench, server.port, connections, 1)
            tree = server.tree()
            for p in reversed(tree):
                p.terminate()
            server.process.wait(20)
            wait_for_files(directory, len(tree))
        return sum(map(total_of, glob.glob(f"{directory}/*.calls")))


def wait_for_files(directory, count, patience=20):
    """Until each process has written what it counted: the last line of a file is its total."""
    end = time.monotonic() + patience
    while sum(total_of(path) is not None for path in glob.glob(f"{directory}/*.calls")) < count:
        if time.monotonic() > end:
            raise NotMeasured("callgrind did not say what it counted")


def total_of(path):
    """What a file of callgrind says in the end; None if it is not yet there."""
    with open(path) as file:
        found = re.search(r"^totals: (\d+)$", file.read(), re.M)
    return int(found.group(1)) if found else None


def instructions_per_connection(bench, key, connections, **options):
    """By the difference of two runs, so that start and end are not in it."""
    few = instructions(bench, key, connections, **options)
    many = instructions(bench, key, 2 * connections, **options)
    return (many - few) / connections
