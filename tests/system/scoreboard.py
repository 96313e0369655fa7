"""The layout of a scoreboard, and reading one as another program would: with nothing but that.

Scores(path) reads the file at each call; what it gives is whole, or an AssertionError. Files
that no server wrote are made by scorefiles.py.
"""

import fcntl
import os
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HEAD = struct.Struct("=8sIIIIIiq64s")
TOTALS = struct.Struct("=qQQII")
LINE = struct.Struct("=iBBHqqqQ16s24s24s88s")
END = struct.Struct("=HHI16s")
RECORD_BYTES = 8 + LINE.size
NO_LISTENER = 0xffff

assert LINE.size == 192 and HEAD.size == 104


@dataclass
class Line:
    """One line; times are in microseconds since the epoch."""

    slot: int
    sequence: int
    pid: int
    state: str
    listener: int
    born: int
    request: int
    updated: int
    requests: int
    proto: str
    peer: tuple
    local: tuple
    label: str


def _text(raw):
    return raw.split(b"\0")[0].decode()


def _end(raw):
    family, port, _, address = END.unpack(raw)
    if family == 0:
        return None
    size = 4 if family == socket.AF_INET else 16
    return socket.inet_ntop(family, address[:size]), port


class Scores:
    """The scoreboard at a path."""

    def __init__(self, path):
        self.path = Path(path)

    def head(self):
        """The head that does not change, as a dict."""
        names = ("magic", "order", "version", "head_bytes", "stride", "records", "pid",
                 "started", "name")
        with open(self.path, "rb") as file:
            head = dict(zip(names, HEAD.unpack(file.read(HEAD.size))))
        head["name"] = _text(head["name"])
        return head

    def _record(self, file, offset, size):
        """Sequence number and bytes, once they belong together."""
        for _ in range(1000):
            before = os.pread(file.fileno(), 8, offset)
            raw = os.pread(file.fileno(), size, offset + 8)
            after = os.pread(file.fileno(), 8, offset)
            sequence = int.from_bytes(before, sys.byteorder)
            if before == after and sequence % 2 == 0:
                return sequence, raw
            time.sleep(0.001)
        raise AssertionError(f"the record at {offset} is always being written")

    def totals(self):
        """updated, births, requests, stopping, used, as a dict."""
        with open(self.path, "rb", buffering=0) as file:
            _, raw = self._record(file, HEAD.size, TOTALS.size)
        return dict(zip(("updated", "births", "requests", "stopping", "used"),
                        TOTALS.unpack(raw)))

    def line(self, slot):
        """The line of this slot."""
        with open(self.path, "rb", buffering=0) as file:
            return self._line(file, slot, self.head())

    def _line(self, file, slot, head):
        sequence, raw = self._record(file, head["head_bytes"] + slot * head["stride"], LINE.size)
        pid, state, zero, listener, born, request, updated, requests, proto, peer, local, label = \
            LINE.unpack(raw)
        assert zero == 0
        return Line(slot, sequence, pid, chr(state), listener, born, request, updated, requests,
                    _text(proto), _end(peer), _end(local), _text(label))

    def lines(self):
        """Those of all slots in which somebody is."""
        head = self.head()
        with open(self.path, "rb", buffering=0) as file:
            lines = [self._line(file, slot, head) for slot in range(head["records"])]
        return [line for line in lines if line.state != "\0"]

    def by_pid(self):
        """The same, by pid; a pid is there once."""
        lines = self.lines()
        assert len({line.pid for line in lines}) == len(lines), lines
        return {line.pid: line for line in lines}

    def states(self):
        """The letters, in the order of the slots."""
        return "".join(line.state for line in self.lines())

    def is_held(self):
        """Does a master that lives hold it?"""
        question = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0)
        with open(self.path, "rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, question)
        return struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK
