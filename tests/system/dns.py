"""Name servers for tests: a real one, one that never answers, and a place to see them from.

The real one is dnsmasq on a loopback address of its own, so that tests can run side by side
although name servers have a fixed port. The one that never answers is a bound socket that
nobody reads. The place is a mount namespace in which resolv.conf(5), nsswitch.conf(5) and
hosts(5) are the test's: a server that is started there asks these name servers and no other.
All of it needs root.
"""

import ctypes
import os
import random
import socket
import subprocess
from pathlib import Path

from support import Log, wait_until

_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_DOMAIN = 53
_TRIES = 20


def reverse(address):
    """The domain under which the name of an IPv4 address is found."""
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


class Names:
    """The fixture `names`: name servers of one test, and the place that sees them."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.sockets = []
        self.processes = []
        self.log = None  # what the last dnsmasq said
        for name, text in (("resolv.conf", ""), ("hosts", ""),
                           ("nsswitch.conf", "hosts: files dns\n")):
            (self.directory / name).write_text(text)

    # ---- name servers ----

    def serve(self, reverse_names=(), addresses=(), *more):
        """Start dnsmasq: reverse_names are (address, name), addresses (name, address); more
        are its options. Its own address."""
        words = [f"--ptr-record={reverse(a)},{n}" for a, n in dict(reverse_names).items()]
        words += [f"--address=/{n}/{a}" for n, a in addresses]
        for _ in range(_TRIES):
            address = _any_address()
            self.log = Log(self.directory / f"dnsmasq.{address}")
            process = self._dnsmasq(address, [*words, *more])
            if wait_until(lambda: self.log.find("started|FAILED|failed") or
                          process.poll() is not None, "dnsmasq", details=self.log.text) \
                    and self.log.find("started"):
                return address
            process.wait()
        raise AssertionError(self.log.text())

    def silent(self):
        """A name server that never answers: its address."""
        for _ in range(_TRIES):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                s.bind((_any_address(), _DOMAIN))
            except OSError:
                s.close()
                continue
            self.sockets.append(s)
            return s.getsockname()[0]
        raise AssertionError("no free address")

    def queries(self, text=""):
        """What dnsmasq was asked so far: lines that have this text."""
        return [line for line in self.log.text().splitlines()
                if " query[" in line and text in line]

    def _dnsmasq(self, address, words):
        argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root",
                "--pid-file=", "--no-hosts", "--no-resolv", "--bind-interfaces",
                "--cache-size=0", f"--listen-address={address}", "--log-queries",
                f"--log-facility={self.log.path}", "--local=/test/", "--local=/in-addr.arpa/",
                "--local=/ip6.arpa/", *words]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    # ---- the place ----

    def use(self, *name_servers, options=""):
        """Make these the name servers of the place, also for those who are in it already."""
        lines = [f"nameserver {address}" for address in name_servers]
        lines += [f"options {options}"] if options else []
        (self.directory / "resolv.conf").write_text("\n".join(lines) + "\n")

    def enter(self):
        """To be run in a child before it becomes a server: go to the place."""
        libc = ctypes.CDLL(None, use_errno=True)
        _checked(libc.unshare(_CLONE_NEWNS))
        _checked(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
        for name in ("resolv.conf", "hosts", "nsswitch.conf"):
            source = str(self.directory / name).encode()
            target = os.path.realpath(f"/etc/{name}").encode()
            _checked(libc.mount(source, target, None, _MS_BIND, None))

    def finish(self):
        """End the name servers."""
        for s in self.sockets:
            s.close()
        for process in self.processes:
            process.kill()
            process.wait()


def _any_address():
    return f"127.53.{random.randrange(256)}.{random.randrange(1, 255)}"


def _checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "cannot enter a mount namespace")
