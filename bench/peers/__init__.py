"""Servers under measurement: prefork, its peers, and the limit.

Each module of this folder has one or more classes of Peer with a `key` of their own; PEERS
has all of them by that key. A peer has a temporary folder to itself, listens on loopback
only, and leaves nothing behind:

    with PEERS["apache"](bench, workers=16) as peer:
        load(bench, peer.port, 1000)
"""

import importlib
import os
import pkgutil
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import psutil

from harness import WORKERS, end, next_port

PEERS = {}

LINE = b"hello\n"
HTTP = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"


class NotMeasured(Exception):
    """A server that is not there or does not start: the reason goes to the results."""


class Peer:
    """One server: how it is started, asked and ended.

    What a class says: `key`, `name` (as results have it), `packages` (of Debian), `program`
    (which has to be there), `speaks` ("line": a line, the answer, the end of the stream;
    "http"; "fastcgi"), and argv(); prepare() if there are files to write, environment() and
    version() if the defaults do not do, ask() if it speaks otherwise; `ends_by`, the signal
    that ends it at once."""

    key = None
    name = ""
    packages = ()
    program = None
    speaks = "line"
    has_pool = True  # of processes that wait for connections
    ends_by = signal.SIGTERM
    patience = 30  # seconds, until it has answered for the first time

    def __init_subclass__(cls, **words):
        super().__init_subclass__(**words)
        if cls.__dict__.get("key"):
            PEERS[cls.key] = cls

    def __init__(self, bench, directory=None, workers=WORKERS, least=None, most=None, **options):
        """A pool of `workers`; if `least` and `most` are there, one that may grow and shrink
        between them, and `workers` is what it begins with. `under` are words to put before
        its command line: a program that watches it."""
        self.bench = bench
        self.given = directory is not None
        self.directory = directory or tempfile.mkdtemp(prefix="bench-")
        self.count = workers
        self.least = workers if least is None else least
        self.most = self.least if most is None else most
        self.options = options
        self.port = next_port()
        self.path = None  # of a unix socket, where it has one
        self.process = None

    # What a class says.

    def prepare(self):
        """Write what it needs into its folder."""

    def argv(self):
        """The words of its command line; it stays in the foreground."""
        raise NotImplementedError

    def environment(self):
        """Variables beside those that are there."""
        return {}

    @classmethod
    def version(cls):
        """What is installed, in a word or two."""
        for package in cls.packages:
            found = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            if found.returncode == 0:
                return f"{package} {found.stdout}"
        return ""

    # Life.

    def start(self):
        """Start it; when this returns it has answered one request."""
        if self.program and not self.find():
            raise NotMeasured(f"{self.name}: there is no program {self.program}")
        self.prepare()
        # In this session: processors are shared out among sessions first (sched(7), autogroup),
        # and what clients and servers of two cost each other would be measured too.
        with open(self.file("log"), "wb") as log:
            self.process = subprocess.Popen(
                [*self.options.get("under", ()), *self.argv()],
                env={**os.environ, **self.environment()}, cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)
        end = time.monotonic() + self.patience
        while not self.ask():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise NotMeasured(f"{self.name} did not start: {self.last_words()}")
            time.sleep(0.02)
        return self

    def stop(self):
        """End all of its processes, whatever state they are in."""
        if self.process is None:
            return
        tree = self.tree()
        self.process.send_signal(self.ends_by)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        end(tree + self.session())
        self.process.wait()
        while self.session():  # whom init is about to bury
            time.sleep(0.01)
        self.process = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.stop()
        if not self.given:
            shutil.rmtree(self.directory, ignore_errors=True)

    # What argv() and prepare() need.

    @classmethod
    def find(cls):
        """Where its program is, also for users who have no daemons on their PATH; or None."""
        return shutil.which(cls.program, path=f"{os.environ['PATH']}:/usr/sbin")

    def is_dynamic(self):
        """Whether the pool may grow and shrink."""
        return self.least < self.most

    def spare(self):
        """How many idle workers there are to be, at least and at most: prefork's defaults; in
        a fixed pool whatever makes it neither grow nor shrink."""
        return (2, min(10, self.most - 1)) if self.is_dynamic() else (1, self.most)

    def only_fixed(self):
        """Say that there is no other kind of pool."""
        if self.is_dynamic():
            raise NotMeasured(f"{self.name} has pools of a fixed size only")

    def write(self, name, text):
        """A file in its folder; its path."""
        os.makedirs(os.path.dirname(self.file(name)), exist_ok=True)
        with open(self.file(name), "w") as file:
            file.write(text)
        return self.file(name)

    # Questions.

    def file(self, name):
        """A path in its folder."""
        return os.path.join(self.directory, name)

    def ask(self):
        """One request: what came back; b"" if nothing did."""
        try:
            with self.connect() as s:
                s.settimeout(5)
                s.sendall(LINE if self.speaks == "line" else HTTP)
                parts = []
                while part := s.recv(4096):
                    parts.append(part)
                return b"".join(parts)
        except OSError:
            return b""

    def connect(self):
        """A connection to it."""
        if self.path is None:
            return socket.create_connection(("127.0.0.1", self.port), 5)
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.path)
        return s

    def tree(self):
        """All of its processes."""
        try:
            me = psutil.Process(self.process.pid)
            return [me] + me.children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def workers(self):
        """Those that serve: the children of the first process, unless a class knows better."""
        try:
            return psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def session(self):
        """Processes of its session, also those whose parent has gone."""
        return self.in_session(self.process.pid)

    @staticmethod
    def in_session(leader):
        """Processes of a session that are alive."""
        found = []
        for p in psutil.process_iter():
            try:
                if os.getsid(p.pid) == leader and p.status() != psutil.STATUS_ZOMBIE:
                    found.append(p)
            except (ProcessLookupError, PermissionError, psutil.Error):
                pass
        return found

    def signal(self, number=signal.SIGHUP):
        """To the first process."""
        self.process.send_signal(number)

    def last_words(self):
        """The end of its log."""
        with open(self.file("log"), errors="replace") as log:
            return " / ".join(line.strip() for line in log.readlines()[-3:]) or "no word of why"


for module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{module.name}")
