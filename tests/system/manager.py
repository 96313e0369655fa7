"""A service manager that stores descriptors, as systemd does it (sd_notify(3), FDSTORE=1).

It listens at a notify socket, keeps what services store under a name, drops what hangs up, and
starts programs with what it has: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, from descriptor 3
upwards. The same open file twice under one name is kept once; another file under the same name is
kept besides. What comes in is read when somebody looks, so no thread is needed: the queue of the
socket is what a manager that is slow looks like."""

import array
import ctypes
import fcntl
import os
import select
import socket

_SYS_KCMP = {"x86_64": 312, "aarch64": 272}.get(os.uname().machine)
_KCMP_FILE = 0
_HIGH = 400  # beyond all that is handed on
_libc = ctypes.CDLL(None, use_errno=True)


def same_file(a, b):
    """Are these two descriptors of one open file? Where kcmp(2) is not there: of one file?"""
    pid = os.getpid()
    if _SYS_KCMP:
        r = _libc.syscall(_SYS_KCMP, pid, pid, _KCMP_FILE, a, b)
        if r >= 0:
            return r == 0
    return os.path.sameopenfile(a, b)


class ServiceManager:
    """The notify socket and the store of one service; .variable is its NOTIFY_SOCKET."""

    def __init__(self, path):
        self.variable = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.variable)
        self.socket.setblocking(False)
        self.store = []     # (name, descriptor), in the order in which they came
        self.offers = 0     # descriptors that were to be stored, so far
        self.words = []     # all other lines

    def close(self):
        """Let go of everything."""
        self.forget()
        self.socket.close()

    def forget(self):
        """As when a service is stopped for good."""
        for _, fd in self.store:
            os.close(fd)
        self.store = []

    # ---- what services say ----

    def pump(self):
        """Take all messages, and drop what hung up: self."""
        while self._read_one():
            pass
        self._drop_dead()
        return self

    def read(self, count):
        """Take so many messages, if there are as many."""
        for _ in range(count):
            self._read_one()

    def _read_one(self):
        try:
            text, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(256 * 4))
        except BlockingIOError:
            return False
        self._take(text.decode().splitlines(), _descriptors(control))
        return True

    def _take(self, lines, fds):
        name = next((line[7:] for line in lines if line.startswith("FDNAME=")), "stored")
        if "FDSTOREREMOVE=1" in lines:
            self._remove(lambda item: item[0] == name)
        elif "FDSTORE=1" in lines:
            self.offers += len(fds)
            for fd in fds:
                self._keep(name, fd)
            fds = []
        else:
            self.words += lines
        for fd in fds:
            os.close(fd)

    def _keep(self, name, fd):
        if any(n == name and same_file(f, fd) for n, f in self.store):
            os.close(fd)
            return
        self.store.append((name, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)))
        os.close(fd)

    def _remove(self, condition):
        for item in [item for item in self.store if condition(item)]:
            self.store.remove(item)
            os.close(item[1])

    def replace(self, prefix, items):
        """Hold these (name, descriptor) in place of all with such names."""
        self._remove(lambda item: item[0].startswith(prefix))
        self.store += items

    def _drop_dead(self):
        poll = select.poll()
        for _, fd in self.store:
            poll.register(fd, 0)
        dead = {fd for fd, events in poll.poll(0) if events & (select.POLLHUP | select.POLLERR)}
        self._remove(lambda item: item[1] in dead)

    def names(self, prefix=""):
        """What is stored now, sorted."""
        return sorted(name for name, _ in self.pump().store if name.startswith(prefix))

    def get(self, name):
        """The descriptor that was stored last under this name."""
        return [fd for n, fd in self.pump().store if n == name][-1]

    # ---- starting a service ----

    def start(self, servers, what, *settings, **more):
        """Start a program as its main process, with all that is stored."""
        self.pump()
        fds = [fd for _, fd in self.store]
        env = {"NOTIFY_SOCKET": self.variable, **more.pop("env", {})}
        if fds:
            env |= {"LISTEN_FDS": len(fds), "LISTEN_FDNAMES": ":".join(n for n, _ in self.store)}
        return servers.start(what, *settings, env=env, pass_fds=fds, prefix=_launcher(fds), **more)


def _launcher(fds):
    """Words in front of a command: the shell puts descriptors into their places and becomes
    the program, so that LISTEN_PID is right."""
    moves = "".join(f"exec {3 + i}<&{fd} {fd}<&-\n" for i, fd in enumerate(fds))
    return ["/bin/bash", "-c", moves + 'LISTEN_PID=$$ exec "$@"', "manager"] if fds else []


def _descriptors(control):
    fds = array.array("i")
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
    return list(fds)
