"""prefork itself and the limit.

Every option that a row gives as `settings` is a word of the command line more."""

import os

from peers import Peer


class Own(Peer):
    """A program of this build: a callback of bench/handler, unless `handler` names another."""

    handler = "answer"

    def settings(self):
        """Defaults, but a pool of exactly the size that was asked for, if one was."""
        least = ["--min_servers", str(self.least), "--max_servers", str(self.most)]
        if self.options.get("defaults"):
            least = []
        return [*least, *map(str, self.options.get("settings", ()))]

    def prepare(self):
        """With `unix` it listens on a socket in its folder and nowhere else."""
        self.path = self.file("socket") if self.options.get("unix") else None

    def endpoints(self):
        """Where it listens; `ports` is a list of further ones."""
        first = f"{self.path}|unix" if self.path else f"127.0.0.1:{self.port}"
        further = [f"127.0.0.1:{port}" for port in self.options.get("ports", ())]
        return [word for port in [first, *further] for word in ("--port", port)]

    def argv(self):
        return [self.bench.path(self.options.get("handler", self.handler)),
                *self.endpoints(), *self.settings()]

    @classmethod
    def version(cls):
        return "this build"


class Prefork(Own):
    """The library, with a callback."""

    key = "prefork"
    name = "prefork"


class PreforkHttp(Own):
    """The library, with a callback that speaks HTTP: with `keepalive=True` one that keeps
    connections, otherwise the example, which does not."""

    key = "prefork-http"
    name = "prefork"
    speaks = "http"

    def argv(self):
        program = self.bench.path("http")
        if not self.options.get("keepalive"):
            program = os.path.join(self.bench.build, "examples", "http_hello")
        return [program, *self.endpoints(), *self.settings()]


class PreforkServe(Own):
    """The command, with a program for each connection; `command` is its words."""

    key = "prefork-serve"
    name = "prefork serve"

    def argv(self):
        command = self.options.get("command", [self.bench.path("program")])
        return [os.path.join(self.bench.build, "prefork"), "serve", *self.endpoints(),
                *self.settings(), "--", *command]


class PreforkWait(PreforkServe):
    """The command, with a program that accepts by itself: the bare one."""

    key = "prefork-wait"

    def argv(self):
        return [os.path.join(self.bench.build, "prefork"), "serve", "--handler", "wait",
                *self.endpoints(), *self.settings(), "--", self.bench.path("bare"), "wait"]


class Bare(Peer):
    """The limit: forked children that accept, read, write and close; with `unix` on a socket
    in its folder."""

    key = "bare"
    name = "bare loop"

    def prepare(self):
        self.path = self.file("socket") if self.options.get("unix") else None

    def argv(self):
        if self.path:
            return [self.bench.path("bare"), "unix", self.path, str(self.count)]
        return [self.bench.path("bare"), "loop", str(self.port), str(self.count)]

    @classmethod
    def version(cls):
        return "this build"


class BareEpoll(Bare):
    """The same loop, if it waits by epoll_wait(2): what that costs is no part of ours."""

    key = "bare-epoll"
    name = "bare loop with epoll"

    def argv(self):
        return [self.bench.path("bare"), "epoll", str(self.port), str(self.count)]


class BareWait(Bare):
    """The program of prefork-wait, started as often by hand."""

    key = "bare-wait"
    name = "the same program, bare"

    def argv(self):
        return [self.bench.path("bare"), "waiters", str(self.port), str(self.count)]
