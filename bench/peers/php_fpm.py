"""php-fpm, which speaks FastCGI.

What differs from the others: a client of its own (bench/client/fastcgi.c), and frames of
FastCGI around request and answer. There is no web server in front. The script is compiled
once, by the cache that comes with the package; no php.ini of the machine is read.
"""

import glob
import struct
import subprocess

from peers.unprivileged import Unprivileged

CONFIGURATION = """\
[global]
daemonize = no
error_log = {directory}/error.log
log_level = error
[bench]
listen = 127.0.0.1:{port}
listen.backlog = 4096
{user}
pm.max_children = {most}
pm.max_requests = 0
"""

RESPONDER = struct.pack("!HB5x", 1, 0)
BEGIN, PARAMS, STDIN = 1, 4, 5

FIXED = "pm = static\n"

DYNAMIC = """\
pm = dynamic
pm.start_servers = {least}
pm.min_spare_servers = {min_spare}
pm.max_spare_servers = {max_spare}
"""


class PhpFpm(Unprivileged):
    """Its script is hello.php in its folder."""

    key = "php-fpm"
    name = "php-fpm"
    packages = ("php-fpm",)
    program = next(iter(sorted(glob.glob("/usr/sbin/php-fpm*"))), "php-fpm")
    speaks = "fastcgi"

    def prepare(self):
        """The script and the configuration of one pool."""
        self.script = self.write("hello.php", '<?php echo "hello\\n";\n')
        min_spare, max_spare = self.spare()
        user = f"user = {self.USER}\ngroup = {self.USER}" if self.is_root() else ""
        text = CONFIGURATION + (DYNAMIC if self.is_dynamic() else FIXED)
        self.write("fpm.conf", text.format(
            directory=self.directory, port=self.port, user=user, least=self.least,
            most=self.most, min_spare=min_spare, max_spare=max_spare))

    def argv(self):
        return [self.find(), "-n", "-d", "zend_extension=opcache", "-F", "-y",
                self.file("fpm.conf")]

    @classmethod
    def version(cls):
        """The package says no more than the number of PHP's version."""
        if not cls.find():
            return ""
        out = subprocess.run([cls.find(), "-n", "-v"], text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL).stdout
        return " ".join(out.split()[:2])

    def ask(self):
        """One request: the records that came back."""
        try:
            with self.connect() as s:
                s.settimeout(5)
                s.sendall(record(BEGIN, RESPONDER) + record(PARAMS, self.parameters()) +
                          record(PARAMS, b"") + record(STDIN, b""))
                parts = []
                while part := s.recv(4096):
                    parts.append(part)
        except OSError:
            return b""
        answer = b"".join(parts)
        return answer if b"hello\n" in answer else b""

    def parameters(self):
        """What php-fpm wants to know of a request."""
        pairs = {"SCRIPT_FILENAME": self.script, "REQUEST_METHOD": "GET"}
        return b"".join(struct.pack("!BB", len(name), len(value)) + (name + value).encode()
                        for name, value in pairs.items())


def record(kind, body):
    """One of FastCGI: version 1, request 1, no padding."""
    return struct.pack("!BBHHxx", 1, kind, 1, len(body)) + body
