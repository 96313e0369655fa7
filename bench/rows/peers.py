"""Whether every server of the bench starts, answers and ends, and leaves nothing behind."""

import os
import socket

from peers import PEERS, NotMeasured

STEADY = True


def is_free(port):
    """Nobody listens there any more."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            s.listen()
            return True
        except OSError:
            return False


def leavings(peer, session):
    """What is left of it, in words."""
    left = [f"process {p.pid} ({p.name()})" for p in peer.in_session(session)]
    if os.path.exists(peer.directory):
        left.append(peer.directory)
    if not is_free(peer.port):
        left.append(f"port {peer.port}")
    return left


def check(bench, key):
    """Start one, ask it once, stop it."""
    with PEERS[key](bench) as peer:
        session = peer.process.pid
        answered = b"hello" in peer.ask()
    left = leavings(peer, session)
    bench.value("peers", f"{key}: answers", int(answered), "", (">=", 1),
                f"{peer.name}; {peer.version()}")
    bench.value("peers", f"{key}: left behind", len(left), "", ("<=", 0), ", ".join(left))


def run(bench):
    """Every one that there is."""
    for key in PEERS:
        try:
            check(bench, key)
        except NotMeasured as error:
            bench.absent("peers", key, str(error))
