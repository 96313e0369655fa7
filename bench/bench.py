"""The bench: prefork beside a bare accept loop, in one run, as ratios.

    bench.py BUILD_DIR [ROW ...]

Every row that names a ratio runs its two sides in turns (A B A B ...), so that a machine
that gets slower gets slower for both, and quotes the median of the paired ratios. Every
row prints one line: its name, what was measured, the bound, and whether it holds. The exit
status is 1 if a bound was missed.

CPU time is read from /proc/PID/schedstat (nanoseconds on a processor) and memory from
/proc/PID/smaps_rollup; both count the server's processes and nothing else.
"""

import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import psutil

from harness import Server, next_port
from reload import row_reload

WORKERS = 16
CLIENTS = 16
UDP_WORKERS = 4
UDP_CLIENTS = 4


class Bench:
    """Where the programs are, and what was found."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.missed = 0

    def path(self, name):
        return os.path.join(self.build, "bench", name)

    def row(self, name, text, holds):
        """A measurement with a bound."""
        self.missed += not holds
        print(f"{name:10} {'ok  ' if holds else 'MISS'} {text}", flush=True)

    def beside(self, name, text):
        """Another one that it is to be compared with."""
        print(f"{name:10}      {text}", flush=True)


def answer(bench, port, *settings):
    return Server([bench.path("answer"), "--port", f"127.0.0.1:{port}", *settings], "ready")


def bare_loop(bench, port):
    return Server([bench.path("bare"), "loop", str(port), str(WORKERS)], "ready", "stdout")


def udp_rate(bench, port, datagrams):
    """Datagrams per second that are answered."""
    answered, failed, microseconds = client(bench, "udp", "127.0.0.1", port, datagrams,
                                            UDP_CLIENTS)
    if failed:
        raise RuntimeError(f"{failed} of {datagrams} datagrams were not answered")
    return answered / microseconds * 1e6


def cpu_ns(processes):
    total = 0
    for p in processes:
        with open(f"/proc/{p.pid}/schedstat") as f:
            total += int(f.read().split()[0])
    return total


def client(bench, *words):
    out = subprocess.run([bench.path("client"), *map(str, words)], check=True, text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    return [int(word) for word in out.split()]


def load(bench, port, connections, clients=CLIENTS):
    answered, failed, microseconds = client(bench, "load", "127.0.0.1", port, connections,
                                            clients)
    if failed:
        raise RuntimeError(f"{failed} of {connections} connections failed")
    return answered, microseconds


def pinned(count):
    """Defaults, but a pool of exactly this size, as the bare loop has."""
    return ["--min_servers", str(count), "--max_servers", str(count)]


def cpu_per_connection(bench, server, port, connections):
    load(bench, port, 2000)
    tree = server.tree()
    before = cpu_ns(tree)
    answered, microseconds = load(bench, port, connections)
    return (cpu_ns(tree) - before) / answered / 1000, answered / microseconds * 1e6


def spread(values):
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def row_cpu(bench, pairs=9, connections=32000):
    """CPU of all server processes per connection, callback shape, beside the bare loop."""
    ours, bares, ratios, rates = [], [], [], []
    for _ in range(pairs):
        port = next_port()
        server = bare_loop(bench, port)
        bare, bare_rate = cpu_per_connection(bench, server, port, connections)
        server.stop()
        port = next_port()
        server = answer(bench, port, *pinned(WORKERS))
        our, our_rate = cpu_per_connection(bench, server, port, connections)
        server.stop()
        ours.append(our)
        bares.append(bare)
        ratios.append(our / bare)
        rates.append(our_rate / bare_rate)
    ratio = statistics.median(ratios)
    bench.row("cpu", f"{statistics.median(ours):.2f} us per connection, bare loop "
              f"{statistics.median(bares):.2f} us: ratio {spread(ratios)}, bound 1.10; "
              f"connections/s ratio {spread(rates)}", ratio <= 1.10)


def syscalls(server, run):
    """System calls of all processes of the server while run() runs, counted by the kernel
    (perf's tracepoints), which unlike strace does not change who is woken when."""
    pids = ",".join(str(p.pid) for p in server.tree())
    perf = subprocess.Popen(["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", pids],
                            stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)
    run()
    perf.send_signal(signal.SIGINT)
    for line in perf.communicate()[1].splitlines():
        if "sys_enter" in line and line[0].isdigit():
            return int(line.split(",")[0])
    raise RuntimeError("perf cannot count system calls here")


def row_syscalls(bench, connections=20000):
    """System calls per connection: one client after the other, and sixteen at once."""
    for clients in (1, CLIENTS):
        port = next_port()
        server = bare_loop(bench, port)
        bare = syscalls(server, lambda: load(bench, port, connections, clients)) / connections
        server.stop()
        port = next_port()
        server = answer(bench, port, *pinned(WORKERS))
        our = syscalls(server, lambda: load(bench, port, connections, clients)) / connections
        server.stop()
        bench.row("syscalls", f"{clients} clients: {our:.3f} per connection, bare loop "
                  f"{bare:.3f}: {our - bare:.3f} more, bound 1", our - bare <= 1.005)


def switches(pid):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("voluntary_ctxt_switches"):
                return int(line.split()[1])
    return 0


def row_wakeups(bench, connections=50000):
    """How often the master ran while the pool served, default settings."""
    port = next_port()
    server = answer(bench, port)
    load(bench, port, 20000)
    before = switches(server.process.pid)
    load(bench, port, connections)
    woken = switches(server.process.pid) - before
    server.stop()
    bench.row("wakeups", f"master woken {woken} times by {connections} connections, bound 50",
              woken <= 50)


def burst_once(bench):
    forks = client_forks(bench)
    port = next_port()
    server = answer(bench, port, "--min_servers", "5", "--max_servers", "250")
    holder = subprocess.Popen([bench.path("client"), "hold", "127.0.0.1", str(port), "200"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    took = int(holder.stdout.readline())
    workers = len(server.workers())
    holder.stdin.close()
    holder.wait()
    server.stop()
    return took, forks, workers


def client_forks(bench):
    out = subprocess.run([bench.path("bare"), "forks", "200"], stdout=subprocess.PIPE,
                         text=True, check=True).stdout
    return int(out)


def row_burst(bench, pairs=9):
    """200 clients that send half a request and stay: when has the 201st its answer?"""
    runs = [burst_once(bench) for _ in range(pairs)]
    ratios = [took / forks for took, forks, _ in runs]
    most = max(workers for _, _, workers in runs)
    bench.row("burst", f"201st answered after {statistics.median(r[0] for r in runs) / 1000:.1f}"
              f" ms, 200 bare forks {statistics.median(r[1] for r in runs) / 1000:.1f} ms: "
              f"ratio {spread(ratios)}, bound 3; at most {most} workers, bound 250",
              statistics.median(ratios) <= 3 and most <= 250)


def private_kib(process):
    with open(f"/proc/{process.pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_"))


def row_memory(bench, count=2000):
    """Private memory of an idle worker among 2,000, and what the idle master costs."""
    sleepers = Server([bench.path("bare"), "sleep", str(count)], "ready", "stdout")
    bare = statistics.median(private_kib(p) for p in sleepers.workers()[::20])
    sleepers.stop()
    port = next_port()
    server = answer(bench, port, *pinned(count))
    while len(server.workers()) < count:
        time.sleep(0.1)
    wait_until_quiet(server)
    our = statistics.median(private_kib(p) for p in server.workers()[::20])
    master = psutil.Process(server.process.pid)
    before = cpu_ns([master])
    time.sleep(5)
    idle_us = (cpu_ns([master]) - before) / 1000
    server.stop()
    bench.row("memory", f"{our:.0f} KiB private per idle worker of {count}, bare child "
              f"{bare:.0f} KiB: ratio {our / bare:.2f}, bound 2; master used {idle_us:.0f} us "
              "in 5 idle seconds, bound 1000", our <= 2 * bare and idle_us <= 1000)


def wait_until_quiet(server):
    master = psutil.Process(server.process.pid)
    last = -1
    while cpu_ns([master]) != last:
        last = cpu_ns([master])
        time.sleep(0.5)


def rate(bench, port, connections):
    answered, microseconds = load(bench, port, connections)
    return answered / microseconds * 1e6


def nowait_rate(bench, connections):
    port = next_port()
    server = Server([os.path.join(bench.build, "prefork"), "serve", "--port",
                     f"127.0.0.1:{port}", *pinned(WORKERS), "--", bench.path("program")],
                    "ready")
    load(bench, port, 200)
    result = rate(bench, port, connections)
    server.stop()
    return result


def tcpserver_rate(bench, connections):
    port = next_port()
    process = subprocess.Popen(["tcpserver", "-q", "-RHl0", "-b", "4096", "-c", "64",
                                "127.0.0.1", str(port), bench.path("program")],
                               stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    while client(bench, "load", "127.0.0.1", port, 1, 1)[0] == 0:
        pass
    load(bench, port, 200)
    result = rate(bench, port, connections)
    process.kill()
    process.wait()
    return result


def row_nowait(bench, pairs=7, connections=3200):
    """A static program per connection, beside tcpserver."""
    ours, theirs = [], []
    for _ in range(pairs):
        ours.append(nowait_rate(bench, connections))
        theirs.append(tcpserver_rate(bench, connections))
    ratios = [a / b for a, b in zip(ours, theirs)]
    bench.row("nowait", f"{statistics.median(ours):.0f} connections/s, tcpserver "
              f"{statistics.median(theirs):.0f}: ratio {spread(ratios)}, bound 1.0",
              statistics.median(ratios) >= 1.0)


def row_udp(bench, pairs=21, datagrams=160000):
    """Datagrams answered per second, beside as many processes in recvfrom and sendto. Both
    run all the time, and are loaded in turns: what is compared is serving, not starting."""
    ports = next_port(), next_port()
    bare = Server([bench.path("bare"), "udp", str(ports[0]), str(UDP_WORKERS)], "ready", "stdout")
    prefork = answer(bench, f"{ports[1]}/udp", *pinned(UDP_WORKERS), "--max_requests", "0")
    try:
        both = [[udp_rate(bench, port, datagrams) for port in ports] for _ in range(pairs)]
    finally:
        bare.stop()
        prefork.stop()
    ratios = [ours / theirs for theirs, ours in both[1:]]
    bench.row("udp", f"{statistics.median(ours for _, ours in both):.0f} datagrams/s, bare pool "
              f"{statistics.median(theirs for theirs, _ in both):.0f}: ratio {spread(ratios)}, "
              "bound 0.95", statistics.median(ratios) >= 0.95)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def kill_workers(server, seconds, per_second):
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


def zombies(server):
    return sum(p.status() == psutil.STATUS_ZOMBIE for p in server.workers())


def row_storm(bench, seconds=30, per_second=20):
    """SIGKILL to random workers under load: what fails, and when is the pool whole?"""
    port = next_port()
    server = answer(bench, port, "--min_servers", str(WORKERS), "--max_requests", "0")
    load(bench, port, 2000)
    pool = len(server.workers())
    fds = descriptors(server.process.pid) - 2 * pool
    clients = subprocess.Popen([bench.path("client"), "run", "127.0.0.1", str(port),
                                str(seconds + 2), str(CLIENTS)], stdout=subprocess.PIPE,
                               text=True)
    killed = kill_workers(server, seconds, per_second)
    start = time.monotonic()
    while len([p for p in server.workers() if p.status() != psutil.STATUS_ZOMBIE]) < WORKERS:
        pass
    whole = time.monotonic() - start
    answered, failed, _ = map(int, clients.stdout.read().split())
    time.sleep(0.5)
    leaked = descriptors(server.process.pid) - 2 * len(server.workers()) - fds
    dead = zombies(server)
    server.stop()
    bench.row("storm", f"{killed} workers killed: {failed} of {answered + failed} connections "
              f"failed (bound {killed}); whole after {whole * 1000:.0f} ms (bound 1000); "
              f"{dead} zombies, {leaked} descriptors leaked",
              failed <= killed and whole <= 1 and dead == 0 and leaked == 0)


def row_access(bench, blocks=1000, patterns=100, rounds=200):
    """What the rules of access cost a connection that none of them names."""
    out = subprocess.run([bench.path("access"), str(blocks), str(patterns), str(rounds)],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    plain, named = (int(word) / 1000 for word in out.split())
    bench.row("access", f"{blocks} blocks and {patterns} patterns: {plain:.2f} us per "
              f"connection, {named:.2f} us with a name to match as well, bound 5",
              max(plain, named) <= 5)


def make_pair(directory):
    """A certificate of the usual kind (ECDSA, P-256) and its key."""
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                    "-days", "2", "-keyout", key, "-out", cert], check=True,
                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


def tls_once(bench, start, kind, connections):
    """Handshakes per second, and CPU of all server processes for one."""
    port = next_port()
    server = start(port)

    def load_tls(count):
        out = subprocess.run([bench.path("client-tls"), kind, "127.0.0.1", str(port),
                              str(count), str(CLIENTS)], check=True, text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
        answered, failed, microseconds = map(int, out.split())
        if failed:
            raise RuntimeError(f"{failed} of {count} handshakes failed")
        return answered, microseconds
    load_tls(320)
    tree = server.tree()
    before = cpu_ns(tree)
    answered, microseconds = load_tls(connections)
    cpu = (cpu_ns(tree) - before) / answered / 1000
    server.stop()
    return answered / microseconds * 1e6, cpu


def row_tls(bench, pairs=7, connections=1600):
    """Handshakes, full and resumed, beside a bare loop over OpenSSL."""
    with tempfile.TemporaryDirectory() as directory:
        cert, key = make_pair(directory)

        def ours(port):
            return Server([bench.path("answer"), "--port", f"127.0.0.1:{port}/ssl",
                           "--SSL_cert_file", cert, "--SSL_key_file", key, *pinned(WORKERS)],
                          "ready")

        def bare(port):
            return Server([bench.path("bare-tls"), str(port), str(WORKERS), cert, key],
                          "ready", "stdout")
        for kind in "full", "resumed":
            both = [(tls_once(bench, ours, kind, connections),
                     tls_once(bench, bare, kind, connections)) for _ in range(pairs)]
            rates = [a[0] / b[0] for a, b in both]
            cpus = [a[1] / b[1] for a, b in both]
            bench.row("tls", f"{kind}: {statistics.median(a[0] for a, _ in both):.0f} "
                      f"handshakes/s, bare loop {statistics.median(b[0] for _, b in both):.0f}: "
                      f"ratio {spread(rates)}, bound 0.95; CPU ratio {spread(cpus)}",
                      statistics.median(rates) >= 0.95)


ROWS = {
    "syscalls": row_syscalls,
    "wakeups": row_wakeups,
    "cpu": row_cpu,
    "burst": row_burst,
    "memory": row_memory,
    "nowait": row_nowait,
    "udp": row_udp,
    "storm": row_storm,
    "access": row_access,
    "tls": row_tls,
    "reload": row_reload,
}


def main():
    bench = Bench(sys.argv[1])
    names = sys.argv[2:] or list(ROWS)
    for name in names:
        if name not in ROWS:
            sys.exit(f"bench: no row \"{name}\"; there are: {' '.join(ROWS)}")
    print(f"# {platform.release()} {platform.machine()}, {os.cpu_count()} processors", flush=True)
    for name in names:
        ROWS[name](bench)
    sys.exit(1 if bench.missed else 0)


if __name__ == "__main__":
    main()
