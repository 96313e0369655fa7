"""Servers of WSGI applications: gunicorn and uWSGI.

What differs from the others: they speak HTTP and run an application in Python. The sync worker
of gunicorn closes each connection; with `keepalive=True` it has its gthread worker instead,
with one thread. uWSGI's own HTTP (http-socket) closes each connection as well. Its queue is as
long as the kernel allows, because it refuses to start with a longer one.
"""

import signal

from peers import Peer

APPLICATION = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\\n"]
"""

GUNICORN = """\
bind = "127.0.0.1:{port}"
backlog = 4096
workers = {workers}
worker_class = "{kind}"
threads = 1
keepalive = 60
max_requests = 0
preload_app = True
accesslog = None
loglevel = "error"
worker_tmp_dir = "/dev/shm"
"""


class Wsgi(Peer):
    """A server with an application, app.py in its folder."""

    speaks = "http"
    ends_by = signal.SIGINT

    def prepare(self):
        """The application."""
        self.write("app.py", APPLICATION)

    def environment(self):
        return {"PYTHONDONTWRITEBYTECODE": "1"}


class Gunicorn(Wsgi):
    """Its heartbeats are touches of files, which are in memory here, as its manual advises."""

    key = "gunicorn"
    name = "gunicorn"
    packages = ("gunicorn",)
    program = "gunicorn"

    def prepare(self):
        """The application and the configuration."""
        super().prepare()
        kind = "gthread" if self.options.get("keepalive") else "sync"
        self.write("gunicorn.py",
                   GUNICORN.format(port=self.port, workers=self.most, kind=kind))

    def argv(self):
        self.only_fixed()
        return [self.find(), "-c", self.file("gunicorn.py"), "app:application"]


class Uwsgi(Wsgi):
    """With a master, without logs of requests."""

    key = "uwsgi"
    name = "uWSGI"
    packages = ("uwsgi-core", "uwsgi-plugin-python3")
    program = "uwsgi-core"

    def argv(self):
        with open("/proc/sys/net/core/somaxconn") as file:
            backlog = min(4096, int(file.read()))
        words = [self.find(), "--plugin", "python3", "--master", "--die-on-term", "--need-app",
                 "--http-socket", f"127.0.0.1:{self.port}", "--listen", str(backlog),
                 "--processes", str(self.most), "--disable-logging",
                 "--wsgi-file", self.file("app.py")]
        if self.is_dynamic():
            words += ["--cheaper", str(self.least), "--cheaper-initial", str(self.least)]
        return words
