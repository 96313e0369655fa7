"""Datagrams answered per second, beside as many processes in recvfrom and sendto."""

from harness import Server, client, next_port

WORKERS = 4
CLIENTS = 4


def rate(bench, port, datagrams):
    """Datagrams per second that are answered."""
    answered, failed, microseconds = client(bench, "udp", "127.0.0.1", port, datagrams, CLIENTS)
    if failed:
        raise RuntimeError(f"{failed} of {datagrams} datagrams were not answered")
    return answered / microseconds * 1e6


def start(bench, ports):
    """Both pools."""
    bare = Server([bench.path("bare"), "udp", str(ports[0]), str(WORKERS)], "ready", "stdout")
    prefork = Server([bench.path("answer"), "--port", f"127.0.0.1:{ports[1]}/udp",
                      "--min_servers", str(WORKERS), "--max_servers", str(WORKERS),
                      "--max_requests", "0"], "ready")
    return bare, prefork


def run(bench, pairs=21, datagrams=160000):
    """Both run all the time, and are loaded in turns: what is compared is serving, not
    starting. The first round is for warming up."""
    ports = next_port(), next_port()
    servers = start(bench, ports)
    try:
        sides = {"prefork": lambda: rate(bench, ports[1], datagrams),
                 "bare": lambda: rate(bench, ports[0], datagrams)}
        bench.interleave(sides, 1)
        samples = bench.interleave(sides, bench.rounds(pairs - 1))
    finally:
        for server in servers:
            server.stop()
    bench.compare("udp", "datagrams", samples, "1/s", bounds={"bare": (">=", 0.95)})
