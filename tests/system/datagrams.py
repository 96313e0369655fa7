"""Clients for datagrams, and how the test program for them (programs/datagram.c) is started."""

import socket

from support import PATIENCE

SMALL = {"min_servers": 2, "max_servers": 3, "min_spare_servers": 0}
ONE = {"min_servers": 1, "max_servers": 1}
UDP = "127.0.0.1:0/udp"


def start(server, port=UDP, wait="ready", env=None, **settings):
    """The test program for datagrams."""
    return server.start(server.program("datagram"), {**SMALL, **settings}, port=port, wait=wait,
                        env=env)


class Client:
    """A datagram socket that talks to one address; of the same kind as the address."""

    def __init__(self, to, bind=None):
        self.to = to if isinstance(to, tuple) else str(to)
        family = socket.AF_UNIX
        if isinstance(to, tuple):
            family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        if bind:
            self.socket.bind(bind if isinstance(bind, tuple) else str(bind))

    def send(self, payload):
        """One datagram."""
        self.socket.sendto(payload, self.to)

    def hear(self):
        """One answer, with who sent it."""
        return self.socket.recvfrom(65536)

    def ask(self, payload):
        """Send, and the text of the answer, which has to come from where it was sent to."""
        self.send(payload)
        answer, sender = self.hear()
        if isinstance(self.to, tuple):
            assert sender[:2] == self.to[:2]
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def ask(to, payload, bind=None):
    """One question from a socket of its own."""
    with Client(to, bind) as c:
        return c.ask(payload)


def both(server, kind, tmp_path):
    """Port setting and a client's own address for a kind of datagram."""
    if kind == "udp":
        return UDP, None
    return f"{tmp_path}/s|unixdgram", tmp_path / "client"
