"""What system tests need to run real servers: start, watch, ask, stop.

Three rules shape this file.

*Tests wait for events, never for time.* Everything here that waits looks at a condition (a
line in the log, a process that is there, an exit status) again and again until it holds, and
fails with a sentence and the server's log when PATIENCE is over. Nothing sleeps to let
something happen.

*Nothing is left behind.* The process that runs the tests adopts the orphans among its
descendants, so a daemon, a worker that lost its master, or a program that lost its worker is
still found below it. When a test ends, its servers are stopped and whatever is then still
alive is ended and fails the test.

*What the server says is kept.* Standard error goes to a file in the test's own directory.
A report of a sanitizer or of valgrind in there fails the test, whatever the test looked at.

Environment:

    PREFORK_BUILD        build directory (default: build/ of this checkout)
    PREFORK_WRAPPER      command put in front of every server, such as "valgrind -q"
    PREFORK_TEST_CFLAGS  more flags for test programs, such as -fsanitize=address
    PREFORK_PATIENCE     seconds a condition may take (default 15)
    PREFORK_CAMPAIGN     tests named test_campaign_* run at their full size (./dev campaign)
"""

import ctypes
import fcntl
import hashlib
import os
import re
import shlex
import socket
import subprocess
import time
from pathlib import Path
from signal import SIGKILL, SIGTERM

import psutil

REPO = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PREFORK_BUILD", REPO / "build")).resolve()
PREFORK = BUILD / "prefork"
EXAMPLES = BUILD / "examples"
PROGRAMS = Path(__file__).resolve().parent / "programs"
PATIENCE = float(os.environ.get("PREFORK_PATIENCE", "15"))
ANY_PORT = "127.0.0.1:0"

IN_CAMPAIGN = os.environ.get("PREFORK_CAMPAIGN", "") != ""

_POLL = 0.004  # seconds between two looks at a condition
_PR_SET_CHILD_SUBREAPER = 36
_REPORTS = re.compile(
    r"ERROR: (?:Address|Leak|Thread|Memory)Sanitizer|runtime error: "
    r"|AddressSanitizer:DEADLYSIGNAL|ERROR SUMMARY: [1-9]")


def campaign(short, full):
    """How much a test named test_campaign_* does: short in ./dev test, full by itself."""
    return full if IN_CAMPAIGN else short


def wait_until(predicate, message="the condition", timeout=None, details=None):
    """The first true value of predicate(). AssertionError when the time is over."""
    deadline = time.monotonic() + (PATIENCE if timeout is None else timeout)
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            more = "\n" + details() if details else ""
            raise AssertionError(f"waited in vain for {message}{more}")
        time.sleep(_POLL)


def adopt_orphans():
    """Make this process the parent of descendants that lose theirs."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants():
    """Pids of all live descendants of this process; zombies of orphans are reaped."""
    pids = set()
    for process in psutil.Process().children(recursive=True):
        if is_alive(process.pid):
            pids.add(process.pid)
    return pids


def is_alive(pid):
    """True unless the process is gone or only waits to be reaped."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def reap(pid):
    """Reap an adopted child if it ended: its status as subprocess counts it, or None."""
    try:
        got, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if got == pid else None


def proc_status(pid):
    """/proc/PID/status as a dict of texts."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def proc_fds(pid):
    """Open descriptors of a process: number -> what the link says."""
    fds = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            fds[int(entry.name)] = os.readlink(entry)
        except FileNotFoundError:
            continue  # closed meanwhile
    return fds


def title_of(pid):
    """What ps shows as the command line; "" for a process that is gone. A title ends with its
    first NUL byte; that it is one, may be marked by a full stop where argv ended."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if raw.endswith(b"\0."):
        raw = raw.split(b"\0")[0]
    return raw.replace(b"\0", b" ").decode(errors="replace")


def flags(*groups, **settings):
    """Settings as command line words. A group is a dict, a list of words or one word."""
    words = []
    for group in groups:
        if isinstance(group, dict):
            words += _flags_of(group)
        elif isinstance(group, (list, tuple)):
            words += [str(word) for word in group]
        else:
            words.append(str(group))
    return words + _flags_of(settings)


def _flags_of(settings):
    words = []
    for key, value in settings.items():
        if value is None:
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            words.append(f"--{key}={int(one) if isinstance(one, bool) else one}")
    return words


class Log:
    """A growing text file."""

    def __init__(self, path):
        self.path = Path(path)

    def text(self):
        """All of it so far."""
        return self.path.read_text(errors="replace") if self.path.exists() else ""

    def mark(self):
        """Where it ends now: a later search can begin there."""
        return len(self.text())

    def find(self, pattern, since=0):
        """All matches, as a list."""
        return list(re.finditer(pattern, self.text()[since:], re.MULTILINE))

    def wait(self, pattern, since=0, count=1, timeout=None, alive=lambda: True):
        """The count-th match; fails at once if alive() is false and it is not there."""
        def look():
            may_come = alive()
            found = self.find(pattern, since)
            if len(found) >= count:
                return found[count - 1]
            assert may_come, f"the server ended without /{pattern}/\n{self.text()}"
            return None
        return wait_until(look, f"/{pattern}/ in the log", timeout, self.text)


class Server:
    """One running server. Made by Servers.start() and its relatives."""

    def __init__(self, process, log, logs=()):
        self.process = process      # what was started: the master, or its starter
        self.log = log              # its standard error
        self.logs = [log, *logs]    # and its log_file
        self.pid = None             # of the master
        self.status = None          # exit status of the master, once it ended
        self.starter_status = None  # exit status of the starter of a daemon

    # ---- what it says ----

    def text(self):
        """All that was logged so far, everywhere."""
        return "".join(log.text() for log in self.logs)

    def mark(self):
        """A point in the log for the argument since."""
        return self.logs[-1].mark()

    def wait_log(self, pattern, since=0, count=1, timeout=None):
        """Wait for a line; the match."""
        return self.logs[-1].wait(pattern, since, count, timeout, self._may_speak)

    def find_log(self, pattern, since=0):
        """All matches so far."""
        return self.logs[-1].find(pattern, since)

    def _may_speak(self):
        return is_alive(self.pid if self.pid else self.process.pid)

    # ---- where it listens ----

    @property
    def listeners(self):
        """The texts of its listeners, in order."""
        found = self.find_log(r"notice: listening on (.*?)"
                              r"(?: \((?:udp|unixdgram)\))?(?: \(inherited\))?$")
        return [match.group(1) for match in found]

    @property
    def address(self):
        """Where to connect to for the first listener: (host, port), or a path."""
        return address_of(self.listeners[0])

    @property
    def port(self):
        """The port of the first listener."""
        return self.address[1]

    @property
    def ports(self):
        """The ports of all TCP listeners."""
        addresses = [address_of(text) for text in self.listeners]
        return [address[1] for address in addresses if isinstance(address, tuple)]

    def connect(self, index=0, address=None, timeout=None):
        """A connected socket, with a timeout so that no test hangs."""
        return connect(address or address_of(self.listeners[index]), timeout)

    def ask(self, request=b"", index=0, address=None):
        """Send, say that this is all, and read all of the reply."""
        with self.connect(index, address) as s:
            return converse(s, request)

    # ---- its processes ----

    def workers(self, state=None):
        """Pids of live workers: children of the master that lead a group of their own, or
        have not left the master's yet. With a state, "idle" or "busy": those whose title
        says so."""
        try:
            children = psutil.Process(self.pid).children()
        except psutil.NoSuchProcess:
            return []
        pids = [c.pid for c in children if is_alive(c.pid) and self._owns(c.pid)]
        if state:
            pids = [pid for pid in pids if title_of(pid).endswith(f"worker {state}")]
        return sorted(pids)

    def _owns(self, pid):
        """Not so: what a worker left behind, which is in the worker's group."""
        try:
            return os.getpgid(pid) in (pid, os.getpgid(self.pid))
        except ProcessLookupError:
            return False

    def wait_workers(self, count, state=None, timeout=None):
        """Wait until there are so many workers (in this state, if one is given)."""
        def look():
            pids = self.workers(state)
            return (pids,) if len(pids) == count else None
        message = f"{count} {state or 'live'} workers"
        return wait_until(look, message, timeout, self.describe)[0]

    def titles(self):
        """Titles of master and workers, by pid."""
        return {pid: title_of(pid) for pid in [self.pid, *self.workers()]}

    def programs(self):
        """Pids of live processes below workers."""
        pids = []
        for worker in self.workers():
            try:
                pids += [c.pid for c in psutil.Process(worker).children(recursive=True)
                         if is_alive(c.pid)]
            except psutil.NoSuchProcess:
                continue
        return sorted(pids)

    def wait_until(self, predicate, message="the condition", timeout=None):
        """wait_until() that shows this server when it fails."""
        return wait_until(predicate, message, timeout, self.describe)

    def describe(self):
        """State and log, for the message of a failed test."""
        titles = "\n".join(f"  {pid} {title}" for pid, title in self.titles().items())
        return f"status {self.status}, processes:\n{titles}\nlog:\n{self.text()}"

    # ---- its end ----

    def signal(self, signum):
        """Send the master a signal."""
        os.kill(self.pid, signum)

    def wait_exit(self, timeout=None):
        """Wait for the end of the master: its exit status, negative for a signal."""
        self.wait_until(self._ended, "the end of the server", timeout)
        return self.status

    def stop(self, signum=SIGTERM, timeout=None):
        """Stop it: the exit status of the master."""
        if self.status is None:
            self.signal(signum)
        return self.wait_exit(timeout)

    def _ended(self):
        if self.status is None:
            self.status = self.process.poll() if self._is_started() else reap(self.pid)
        return self.status is not None

    def _is_started(self):
        return self.pid is None or self.pid == self.process.pid or self.starter_status is None


def address_of(text):
    """The address to connect to a listener that shows itself as this text."""
    if not re.search(r":\d+$", text):
        return "\0" + text[1:] if text.startswith("@") else text
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    return {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1", "*": "127.0.0.1"}.get(host, host), int(port)


def connect(address, timeout=None):
    """A connected socket to (host, port) or a path."""
    if isinstance(address, (str, Path)):
        s = socket.socket(socket.AF_UNIX)
    else:
        s = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    s.settimeout(PATIENCE if timeout is None else timeout)
    try:
        s.connect(address if isinstance(address, tuple) else str(address))
    except BaseException:
        s.close()
        raise
    return s


def read_all(s):
    """Everything until the end of the stream."""
    parts = []
    while part := s.recv(65536):
        parts.append(part)
    return b"".join(parts)


def read_line(s):
    """Up to and with a newline, or what there was at the end of the stream."""
    line = b""
    while not line.endswith(b"\n") and (byte := s.recv(1)):
        line += byte
    return line


def converse(s, request=b""):
    """Send, say that this is all, and read all of the reply."""
    if request:
        s.sendall(request)
    s.shutdown(socket.SHUT_WR)
    return read_all(s)


def is_refused(address):
    """True if nobody listens there."""
    try:
        connect(address).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    return False


class Servers:
    """The fixture `server`: starts servers for one test and cleans up after it."""

    def __init__(self, directory, cache):
        self.directory = Path(directory)
        self.cache = Path(cache)
        self.running = []
        self.before = descendants()
        self.count = 0

    # ---- programs ----

    def build(self, source, *cflags, shared=False, library=True):
        """Compile C text against libprefork: the path of the program (or .so)."""
        return build(self.cache, source, cflags, shared, library)

    def program(self, name, *cflags, **options):
        """Compile programs/NAME.c."""
        return self.build((PROGRAMS / f"{name}.c").read_text(), *cflags, **options)

    def script(self, text, name="handler", interpreter="/bin/sh"):
        """An executable script in the test's directory."""
        path = self.directory / name
        path.write_text(f"#!{interpreter}\n{text}\n")
        path.chmod(0o755)
        return path

    # ---- servers ----

    def start(self, what, *settings, wait="ready", **more):
        """Start an example by name, or a program by path, and wait until it is ready.

        Settings are given as words, dicts, lists or keyword arguments; a port is chosen
        unless one is given (port=None: none). Further keywords: env (a dict of changes; None
        removes), cwd, pass_fds, preexec_fn, umask, stdin, stdout; prefix: words in front of it;
        tail: words after the settings.
        wait: a pattern that means ready, or None to return at once."""
        argv = more.pop("prefix", [])
        argv = [*argv, EXAMPLES / what if what in ("echo", "http_hello", "jobs") else what]
        return self._launch(argv, more.pop("tail", []), settings, wait, more)

    def serve(self, program, *settings, wait="ready", **more):
        """`prefork serve` with a program (a path, or a list with its arguments)."""
        words = program if isinstance(program, (list, tuple)) else [program]
        return self._launch([PREFORK, "serve"], ["--", *words], settings, wait, more)

    def command(self, *words, env=None, timeout=None, **options):
        """Run something to its end: a CompletedProcess with texts."""
        argv = _wrapper() + [str(word) for word in words]
        return subprocess.run(argv, env=self._environment(env), text=True, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=PATIENCE if timeout is None else timeout, **options)

    def prefork(self, *words, **options):
        """Run the prefork command to its end."""
        return self.command(PREFORK, *words, **options)

    def _launch(self, command, tail, settings, wait, more):
        options = {key: more.pop(key) for key in _POPEN if key in more}
        words = flags(*settings)
        # getopt-like: the port is chosen unless somebody named one
        if "port" not in more and not any(re.match(r"--(no-)?port\b", w) for w in words):
            more["port"] = ANY_PORT
        more.setdefault("log_level", 4)
        words += flags(**more)
        server = self._popen(command + words + tail, more, options)
        self.running.append(server)
        if wait:
            self._wait_ready(server, wait)
        return server

    def _popen(self, argv, settings, options):
        self.count += 1
        log = self.directory / f"stderr.{self.count}"
        logs = [Log(settings[key]) for key in ("log_file", "error_log_path") if settings.get(key)]
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.DEVNULL)
        options["env"] = self._environment(options.get("env"))
        with open(log, "ab") as stderr:
            options.setdefault("stderr", stderr)
            process = subprocess.Popen(_wrapper() + [str(a) for a in argv], **options)
        server = Server(process, Log(log), logs)
        server.background = any(settings.get(key) for key in ("background", "daemonize", "setsid"))
        return server

    def _wait_ready(self, server, pattern):
        if server.background:
            server.starter_status = server.process.wait(PATIENCE)
            assert server.starter_status == 0, server.text()
        match = server.logs[-1].wait(rf"\[(\d+)\] notice: {pattern}",
                                     alive=lambda: server.background or server._may_speak())
        server.pid = int(match.group(1))

    def _environment(self, changes):
        env = {key: value for key, value in os.environ.items()
               if not key.startswith(("LISTEN_", "PREFORK_", "SERVER_STARTER_"))
               and key not in ("IPV", "NO_IPV6", "NOTIFY_SOCKET")}
        path = self.directory / "sanitizer"
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            given = env.get(name, "")
            env[name] = f"{given}:log_path={path}:print_stacktrace=1".lstrip(":")
        for key, value in (changes or {}).items():
            env.pop(key, None)
            if value is not None:
                env[key] = str(value)
        return env

    # ---- the end of a test ----

    def finish(self):
        """Stop what runs; complain about what was left behind or reported."""
        complaints = []
        for server in self.running:
            complaints += self._finish_one(server)
        complaints += self._end_leftovers()
        complaints += self._reports()
        assert not complaints, "\n".join(complaints)

    def _finish_one(self, server):
        if server.status is not None or server._ended():
            return []
        if server.pid is None and server.starter_status is None:
            server.pid = server.process.pid
        try:
            status = server.stop()
        except AssertionError as error:
            return [str(error)]
        return [] if status == 0 else [f"exit status {status}\n{server.text()}"]

    def _left(self):
        for pid in psutil.Process().children():
            if pid.pid not in self.before and not is_alive(pid.pid):
                self._reap_orphan(pid.pid)
        return descendants() - self.before

    def _reap_orphan(self, pid):
        if pid not in [server.process.pid for server in self.running]:
            reap(pid)

    def _end_leftovers(self):
        try:
            wait_until(lambda: not self._left(), "the end of all processes", 5)
            return []
        except AssertionError:
            pass
        left = self._left()
        complaints = [f"left behind: {pid} {title_of(pid)}" for pid in left]
        while self._left():
            for pid in self._left():
                _kill(pid)
        return complaints + [server.text() for server in self.running]

    def _reports(self):
        texts = [server.text() for server in self.running]
        texts += [path.read_text(errors="replace") for path in self.directory.glob("sanitizer.*")]
        return [text for text in texts if _REPORTS.search(text)]


_POPEN = ("env", "cwd", "pass_fds", "preexec_fn", "extra_groups", "stdin",
          "stdout", "stderr", "umask", "start_new_session")


def _wrapper():
    return shlex.split(os.environ.get("PREFORK_WRAPPER", ""))


def _kill(pid):
    try:
        os.kill(pid, SIGKILL)
    except ProcessLookupError:
        return


def build(cache, source, cflags=(), shared=False, library=True):
    """Compile C text; the same text is compiled once in a test run."""
    command = ["gcc", "-std=c17", "-D_GNU_SOURCE", "-g", "-Wall", "-Wextra",
               f"-I{REPO / 'include'}", *shlex.split(os.environ.get("PREFORK_TEST_CFLAGS", "")),
               *cflags]
    if shared:
        command += ["-shared", "-fPIC"]
    link = [f"-L{BUILD}", f"-Wl,-rpath,{BUILD}", "-lprefork"] if library else []
    name = hashlib.sha256("\0".join([source, *command, *link]).encode()).hexdigest()[:16]
    target = Path(cache) / (f"p{name}.so" if shared else f"p{name}")
    with open(Path(cache) / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _compile(command, link, source, target)
    return target


def _compile(command, link, source, target):
    text = target.with_suffix(".c")
    text.write_text(source)
    fresh = target.with_suffix(".new")
    done = subprocess.run([*command, "-o", fresh, text, *link], text=True, check=False,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    fresh.rename(target)
