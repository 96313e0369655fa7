"""Handshakes, full and resumed, beside a bare loop over OpenSSL."""

import os
import subprocess
import tempfile

from harness import CLIENTS, WORKERS, Server, cpu_ns, next_port
from results import pick


def make_pair(directory):
    """A certificate of the usual kind (ECDSA, P-256) and its key."""
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                    "-days", "2", "-keyout", key, "-out", cert], check=True,
                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


def load_tls(bench, kind, port, connections):
    """How many handshakes in how many microseconds."""
    out = subprocess.run([bench.path("client-tls"), kind, "127.0.0.1", str(port),
                          str(connections), str(CLIENTS)], check=True, text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    answered, failed, microseconds = map(int, out.split())
    if failed:
        raise RuntimeError(f"{failed} of {connections} handshakes failed")
    return answered, microseconds


def prefork(bench, port, cert, key):
    """The library."""
    return Server([bench.path("answer"), "--port", f"127.0.0.1:{port}/ssl",
                   "--SSL_cert_file", cert, "--SSL_key_file", key,
                   "--min_servers", str(WORKERS), "--max_servers", str(WORKERS)], "ready")


def bare(bench, port, cert, key):
    """The limit."""
    return Server([bench.path("bare-tls"), str(port), str(WORKERS), cert, key], "ready",
                  "stdout")


def side(bench, start, kind, pair, connections):
    """Handshakes per second, and CPU of all server processes for one."""
    port = next_port()
    server = start(bench, port, *pair)
    try:
        load_tls(bench, kind, port, 320)
        tree = server.tree()
        before = cpu_ns(tree)
        answered, microseconds = load_tls(bench, kind, port, connections)
        return {"cpu": (cpu_ns(tree) - before) / answered / 1000,
                "rate": answered / microseconds * 1e6}
    finally:
        server.stop()


def run(bench, pairs=7, connections=1600):
    """A handshake, a line, its answer."""
    with tempfile.TemporaryDirectory() as directory:
        pair = make_pair(directory)
        for kind in "full", "resumed":
            samples = bench.interleave(
                {"prefork": lambda: side(bench, prefork, kind, pair, connections),
                 "bare": lambda: side(bench, bare, kind, pair, connections)},
                bench.rounds(pairs))
            bench.compare("tls", f"{kind} handshakes", pick(samples, "rate"), "1/s",
                          bounds={"bare": (">=", 0.95)})
            bench.compare("tls", f"CPU per {kind} handshake", pick(samples, "cpu"), "us")
