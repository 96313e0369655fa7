"""A real rsyslogd for one test: own configuration, own sockets, own output.

It listens on a datagram and a stream socket in a directory of its own and on one UDP and TCP
port of the loopback interface, and writes every line as

    INPUT FACILITY HOST NAME[PID] SEVERITY: TEXT

where PID is "-" if the line had none. Nothing of the system's own syslog is touched.
"""

import os
import socket
import subprocess
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

from support import Log, connect, proc_status, wait_until

_CONFIGURATION = """
global(workDirectory="{0}" net.enableDNS="off")
module(load="imuxsock" SysSock.Use="off")
module(load="imudp")
module(load="imtcp")
module(load="imptcp")
template(name="line" type="string" string="%inputname% %syslogfacility-text% %hostname% \
%programname%[%procid%] %syslogseverity-text%:%msg%\\n")
input(type="imuxsock" Socket="{0}/log" ruleset="all")
input(type="imptcp" path="{0}/stream" unlink="on" ruleset="all")
input(type="imudp" address="127.0.0.1" port="{1}" ruleset="all")
input(type="imtcp" address="127.0.0.1" port="{1}" ruleset="all")
ruleset(name="all") {{ action(type="omfile" file="{0}/out" template="line") }}
"""


def free_port():
    """A port number that nobody has, for UDP and TCP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return tcp.getsockname()[1]


class Rsyslog:
    """The daemon; start() and stop() as often as a test likes."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.chmod(0o755)  # servers may be somebody else
        self.path = self.directory / "log"
        self.stream = self.directory / "stream"
        self.port = free_port()
        self.out = Log(self.directory / "out")
        self.process = None
        (self.directory / "rsyslog.conf").write_text(
            _CONFIGURATION.format(self.directory, self.port))

    def start(self):
        """Start it and wait until every way to it is open."""
        with open(self.directory / "stderr", "ab") as stderr:
            self.process = subprocess.Popen(
                ["/usr/sbin/rsyslogd", "-n", "-f", self.directory / "rsyslog.conf",
                 "-i", self.directory / "pid"], stdin=subprocess.DEVNULL, stdout=stderr,
                stderr=stderr, env={**os.environ, "TZ": "UTC"})
        wait_until(self._is_up, "rsyslogd", details=self.describe)

    def _is_up(self):
        assert self.process.poll() is None, self.describe()
        try:
            connect(self.stream).close()
            connect(("127.0.0.1", self.port)).close()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.connect(str(self.path))
        except OSError:
            return False
        return f":{self.port:04X} " in Path("/proc/net/udp").read_text()

    def describe(self):
        """What it says about itself."""
        return (self.directory / "stderr").read_text()

    def stop(self, signum=SIGTERM):
        """End it, if it runs."""
        if self.process:
            if signum == SIGTERM:
                self.process.send_signal(SIGCONT)
            self.process.send_signal(signum)
            self.process.wait()
        self.process = None

    def kill(self):
        """It has no time to clean up."""
        self.stop(SIGKILL)

    def pause(self):
        """It stands still and reads nothing."""
        self.process.send_signal(SIGSTOP)
        wait_until(lambda: proc_status(self.process.pid)["State"].startswith("T"), "a stop")

    def resume(self):
        """It goes on."""
        self.process.send_signal(SIGCONT)
