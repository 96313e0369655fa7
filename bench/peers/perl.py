"""Servers in Perl: Net::Server::PreFork, Starman, which is built on it, and Starlet.

What differs: Net::Server answers a line, as prefork does; Starman and Starlet speak HTTP and
run a PSGI application. Net::Server takes turns in accept by a lock on a file, its default.
Starlet has the kernel hold a connection back until there is something to read on it.
"""

from peers import Peer

NO_END = "1000000000"  # requests of a process in its life; 0 is not "no limit" here

SERVICE = """\
use strict;
use warnings;
use base 'Net::Server::PreFork';

sub process_request {
    my $line = <STDIN>;
    print "hello\\n" if defined $line;
}

__PACKAGE__->run(@ARGV);
"""

APPLICATION = """\
sub { [200, ['Content-Type' => 'text/plain', 'Content-Length' => 6], ["hello\\n"]] }
"""


class NetServer(Peer):
    """As its manual shows it: a class with process_request."""

    key = "netserver"
    name = "Net::Server::PreFork"
    packages = ("libnet-server-perl",)
    program = "perl"

    def prepare(self):
        """The service."""
        self.write("service.pl", SERVICE)

    def argv(self):
        min_spare, max_spare = self.spare()
        settings = {"host": "127.0.0.1", "port": self.port, "ipv": 4, "listen": 4096,
                    "log_level": 0, "max_requests": NO_END, "min_servers": self.least,
                    "max_servers": self.most, "min_spare_servers": min_spare,
                    "max_spare_servers": max_spare}
        return [self.find(), self.file("service.pl"),
                *(word for key, value in settings.items() for word in (f"--{key}", str(value)))]

    def spare(self):
        """Fewer than there may be processes, on which it insists."""
        least, most = super().spare()
        return (least, most) if self.is_dynamic() else (0, self.most - 1)


class Plack(Peer):
    """A server of PSGI applications; `keepalive=True` keeps connections."""

    speaks = "http"

    def prepare(self):
        """The application."""
        self.write("app.psgi", APPLICATION)


class Starman(Plack):
    """The application is loaded before processes are made."""

    key = "starman"
    name = "Starman"
    packages = ("starman",)
    program = "starman"

    def argv(self):
        words = [self.find(), "--listen", f"127.0.0.1:{self.port}", "--backlog", "4096",
                 "--workers", str(self.most), "--max-requests", NO_END, "--preload-app"]
        if self.is_dynamic():
            min_spare, max_spare = self.spare()
            words += ["--min-servers", str(self.least), "--max-servers", str(self.most),
                      "--min-spare-servers", str(min_spare),
                      "--max-spare-servers", str(max_spare)]
        if not self.options.get("keepalive"):
            words += ["--disable-keepalive"]
        return [*words, self.file("app.psgi")]


class Starlet(Plack):
    """Without the middleware that plackup adds for developers."""

    key = "starlet"
    name = "Starlet"
    packages = ("starlet",)
    program = "plackup"

    def argv(self):
        self.only_fixed()
        requests = NO_END if self.options.get("keepalive") else "1"
        return [self.find(), "-s", "Starlet", "-E", "deployment", "--host", "127.0.0.1",
                "--port", str(self.port), "--max-workers", str(self.most),
                "--max-reqs-per-child", NO_END, "--max-keepalive-reqs", requests,
                "-a", self.file("app.psgi")]
