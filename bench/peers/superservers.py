"""Servers that start a program for each connection: tcpserver, tcpsvd, xinetd.

`command` is the program, without words. What differs: none of them has processes that wait,
each forks when a connection is there, and up to 64 at once (xinetd: any number). xinetd's
queue is 64 connections long, which cannot be set. tcpserver and tcpsvd put addresses into the
environment, as prefork does; nobody looks up names. xinetd makes a session of each program: where
the kernel shares processors among sessions (sched_autogroup_enabled), its programs get more than
those of the others as soon as anything else runs on the machine, so nothing should.
"""

import os
import pwd

from peers import Peer

XINETD = """\
defaults
{{
    log_type = FILE {directory}/xinetd.log
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 1000000 1
}}
service bench
{{
    type = UNLISTED
    socket_type = stream
    protocol = tcp
    wait = no
    bind = 127.0.0.1
    port = {port}
    user = {user}
    server = {command}
    disable = no
}}
"""


class SuperServer(Peer):
    """There are processes only while there are connections."""

    has_pool = False
    most_at_once = "64"

    def command(self):
        """The program."""
        return self.options.get("command", [self.bench.path("program")])


class TcpServer(SuperServer):
    """Of ucspi-tcp."""

    key = "tcpserver"
    name = "tcpserver"
    packages = ("ucspi-tcp",)
    program = "tcpserver"

    def argv(self):
        return [self.find(), "-q", "-RHl0", "-b", "4096", "-c", self.most_at_once, "127.0.0.1",
                str(self.port), *self.command()]


class TcpSvd(SuperServer):
    """Of ipsvd."""

    key = "tcpsvd"
    name = "tcpsvd"
    packages = ("ipsvd",)
    program = "tcpsvd"

    def argv(self):
        return [self.find(), "-l", "0", "-b", "4096", "-c", self.most_at_once, "127.0.0.1",
                str(self.port), *self.command()]


class Xinetd(SuperServer):
    """In the foreground, with one service."""

    key = "xinetd"
    name = "xinetd"
    packages = ("xinetd",)
    program = "xinetd"

    def prepare(self):
        """The configuration."""
        (command,) = self.command()
        user = pwd.getpwuid(os.geteuid()).pw_name
        self.write("xinetd.conf", XINETD.format(
            directory=self.directory, port=self.port, command=command, user=user))

    def argv(self):
        return [self.find(), "-dontfork", "-f", self.file("xinetd.conf"),
                "-pidfile", self.file("pid")]
