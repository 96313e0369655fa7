"""The service of the conformance tests: programs, conversations, and a network of its own.

Tests of Net::Server ask one service, and so do these: service.c greets, answers lines, and
knows facts of its connection. Numbers of ports are the kernel's choice (port 0), except in
a network namespace, where all numbers are free and nobody outside can connect.
"""

import ctypes
import fcntl
import os
import socket
import struct
import threading
from pathlib import Path

from support import address_of, connect, read_all, read_line, wait_until

HERE = Path(__file__).resolve().parent
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _SIOCSIFADDR = 0x8914, 0x8916
_UP = 0x1 | 0x8 | 0x40  # IFF_UP, IFF_LOOPBACK, IFF_RUNNING


def service(server, *cflags):
    """The program: a path."""
    return server.build((HERE / "service.c").read_text(), *cflags)


class Talk:
    """A conversation with the service; the greeting is heard first."""

    def __init__(self, s, index=0, address=None, first=None):
        self.socket = address if isinstance(address, socket.socket) else s.connect(index, address)
        if first:
            self.say(first)
        self.greeting = self.hear()
        assert self.greeting.startswith('Welcome to "service" ('), self.greeting

    @property
    def pid(self):
        """Of the worker, as the greeting names it."""
        return int(self.greeting.partition("(")[2].rstrip(")"))

    def say(self, line):
        """One line."""
        self.socket.sendall(line.encode() + b"\n")

    def hear(self):
        """One line; "" at the end."""
        return read_line(self.socket).decode().rstrip("\r\n")

    def ask(self, line):
        """One line for one line."""
        self.say(line)
        return self.hear()

    def fact(self, name):
        """What the service knows about this connection."""
        return self.ask(f"get {name}")

    def quit(self):
        """Say so: what is heard until the end, which is nothing."""
        self.say("quit")
        rest = read_all(self.socket)
        self.socket.close()
        return rest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def serves(s, index=0, address=None):
    """A whole conversation: greeting, one line, the end. The facts proto and peeraddr."""
    with Talk(s, index, address) as talk:
        assert talk.ask("hi there") == 'You said "hi there"'
        facts = talk.fact("proto"), talk.fact("peeraddr")
        assert talk.quit() == b""
    return facts


# ---- a network of its own ------------------------------------------------------------------


def _libc():
    return ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def own_network(ipv6=True, address=None):
    """For preexec_fn: the process gets a network with nothing but its own loopback, which may
    have one IPv6 address more."""
    def enter():
        _check(_libc().unshare(_CLONE_NEWNET))
        if not ipv6:
            Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
        with socket.socket() as s:
            fcntl.ioctl(s, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP))
        if address:
            _add_address(address)
    return enter


def _add_address(address):
    number = socket.if_nametoindex("lo")
    packed = struct.pack("=16sIi", socket.inet_pton(socket.AF_INET6, address), 64, number)
    with socket.socket(socket.AF_INET6) as s:
        fcntl.ioctl(s, _SIOCSIFADDR, packed)
    wait_until(lambda: _can_bind(address, number), f"the kernel to be done with {address}")


def _can_bind(address, number):
    """A new address is tentative at first, and nobody can bind it."""
    with socket.socket(socket.AF_INET6) as s:
        try:
            s.bind((address, 0, 0, number))
        except OSError:
            return False
    return True


def inside(pid, function):
    """function() in the network of a process, from a thread that ends with it. Sockets that
    it returns belong to that network for ever."""
    results = []

    def run():
        try:
            with open(f"/proc/{pid}/ns/net", "rb") as network:
                _check(_libc().setns(network.fileno(), _CLONE_NEWNET))
            results.append((function(), None))
        except BaseException as error:  # handed to the caller
            results.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = results[0]
    if error:
        raise error
    return value


def connect_inside(s, address):
    """A socket that is connected in the network of the server."""
    return inside(s.pid, lambda: connect(address))


def is_refused_inside(s, address):
    """True if nobody listens there, in the network of the server."""
    try:
        connect_inside(s, address).close()
    except OSError:
        return True
    return False


def serves_inside(s, text):
    """serves() for a listener that shows itself as this text."""
    return serves(s, address=connect_inside(s, address_of(text)))
