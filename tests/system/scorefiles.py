"""Scoreboards in files that no server wrote: what readers are tried with."""

import fcntl
import socket
import struct
import time
from pathlib import Path

from scoreboard import END, HEAD, LINE, NO_LISTENER, RECORD_BYTES, TOTALS

HEAD_BYTES = 4096
STRIDE = 4096


def micro(seconds):
    """Seconds since the epoch as the file has them."""
    return round(seconds * 1e6)


def end(address=None, port=0, scope=0):
    """One end of a connection; without an address that of a unix socket."""
    if address is None:
        return END.pack(0, 0, 0, b"")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return END.pack(family, port, scope, socket.inet_pton(family, address))


def line(pid, state, **more):
    """A line as bytes; texts are bytes, times are seconds."""
    return LINE.pack(pid, ord(state), 0, more.get("listener", NO_LISTENER),
                     micro(more.get("born", 0)), micro(more.get("request", 0)),
                     micro(more.get("updated", 0)), more.get("requests", 0),
                     more.get("proto", b""), more.get("peer", end()),
                     more.get("local", end()), more.get("label", b""))


def record(words, sequence=2):
    """A record of a line, or of totals."""
    return struct.pack("=Q", sequence) + words.ljust(RECORD_BYTES - 8, b"\0")


class Scoreboard:
    """A file, and the lock that says that its server lives."""

    def __init__(self, path, lines=(), records=None, **head):
        self.path = Path(path)
        count = len(lines) if records is None else records
        totals = TOTALS.pack(micro(head.get("updated", 0)), head.get("births", 0),
                             head.get("requests", 0), head.get("stopping", 0), 0)
        first = HEAD.pack(head.get("magic", b"PREFORK\n"), head.get("order", 0x01020304),
                          head.get("version", 1), HEAD_BYTES, STRIDE, max(count, 1),
                          head.get("pid", 4711), micro(head.get("started", time.time())),
                          head.get("name", b"hello")) + record(totals)
        body = b"".join((one if len(one) == RECORD_BYTES else record(one)).ljust(STRIDE, b"\0")
                        for one in lines)
        self.path.write_bytes((first.ljust(HEAD_BYTES, b"\0") + body).ljust(
            HEAD_BYTES + max(count, 1) * STRIDE, b"\0"))
        self.locked = None

    def lock(self):
        """What a living master does."""
        self.locked = open(self.path, "r+b")  # pylint: disable=consider-using-with
        fcntl.fcntl(self.locked, fcntl.F_OFD_SETLK,
                    struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        return self

    def close(self):
        """And its end."""
        if self.locked:
            self.locked.close()
