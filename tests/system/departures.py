"""Servers of gone.c, whose clients go, and what their hook wrote."""

import os
import socket
import struct
from contextlib import ExitStack

import pytest

from clients import Gate
from support import PATIENCE, read_line

FIXED = {"sizing": "static", "stop_timeout": 0.2, "kill_timeout": 0.5}


class Gone:
    """A server of gone.c, its gate, and what its hook wrote."""

    def __init__(self, server, directory, *words, workers=1, **settings):
        self.path = directory / "gone"
        self.gate = Gate(directory / "gate")
        os.chmod(self.gate.path, 0o666)
        self.gate.close()
        env = {"GONE_LOG": self.path, "GONE_GATE": self.gate, **settings.pop("env", {})}
        self.server = server.start(server.program("gone"), *words, env=env,
                                   **{**FIXED, "max_servers": workers, **settings})
        self.clients = []

    def send(self, word, index=0, address=None, source=None):
        """A client that has heard its answer: (socket, pid of the worker)."""
        if source:
            s = socket.create_connection(address or self.server.address, PATIENCE,
                                         (source, 0))
        else:
            s = self.server.connect(index, address)
        self.clients.append(s)
        s.sendall(word.encode() + b"\n")
        return s, int(read_line(s).split()[0])

    def told(self):
        """What the hook said so far: lists of words behind the time."""
        return [line.split()[1:] for line in self.lines()]

    def lines(self):
        """The same with the times."""
        return self.path.read_text().splitlines() if self.path.exists() else []

    def wait_told(self, count, **more):
        """Wait until so many were told."""
        self.server.wait_until(lambda: len(self.lines()) >= count, f"{count} calls", **more)
        return self.told()

    def finish(self):
        """Let everybody go."""
        self.gate.open()
        for s in self.clients:
            s.close()


@pytest.fixture
def gone(server, tmp_path):
    """Starts a server of gone.c; lets its workers go before it is stopped."""
    with ExitStack() as stack:
        def start(*words, **more):
            g = Gone(server, more.pop("directory", tmp_path), *words, **more)
            stack.callback(g.finish)
            return g
        yield start


def reset(s):
    """Close so that the other end gets a reset."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
