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

    def endpoints(self):
        """Where it listens; `ports` is a list of further ones."""
        words = []
        for port in [f"127.0.0.1:{self.port}", *self.options.get("ports", ())]:
            words += ["--port", str(port)]
        return words

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
    """The library, with the example that speaks HTTP and keeps connections alive."""

    key = "prefork-http"
    name = "prefork (http_hello)"
    speaks = "http"

    def argv(self):
        return [os.path.join(self.bench.build, "examples", "http_hello"), *self.endpoints(),
                *self.settings()]


class PreforkServe(Own):
    """The command, with a program for each connection; `command` is its words."""

    key = "prefork-serve"
    name = "prefork serve"

    def argv(self):
        command = self.options.get("command", [self.bench.path("program")])
        return [os.path.join(self.bench.build, "prefork"), "serve", *self.endpoints(),
                *self.settings(), "--", *command]


class Bare(Peer):
    """The limit: forked children that accept, read, write and close."""

    key = "bare"
    name = "bare loop"

    def argv(self):
        return [self.bench.path("bare"), "loop", str(self.port), str(self.count)]

    @classmethod
    def version(cls):
        return "this build"
