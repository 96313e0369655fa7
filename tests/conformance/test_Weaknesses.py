"""Rows of section (j), the known weaknesses, that no other file shows.

Their tests bear the number of the row, as everywhere; docs/differences.md says what is
different.
"""

import fcntl
import os
import socket

import pytest

from clients import clients  # noqa: F401
from service import Talk, service
from support import connect, title_of


def test_W25_titles_and_log_show_the_pool(server, clients):
    """There nothing could be asked. Here ps shows what each worker does, and the log names
    each birth and end with its reason, and at the end the totals."""
    s = server.start(server.program("pool"), sizing="static", max_servers=3)
    _, busy = clients.say(s, "hold")
    s.wait_workers(2, "idle")
    assert s.workers("busy") == [busy]
    assert title_of(s.pid) == "pool: master"
    assert clients.send(s, "crash\n").is_cut()
    s.wait_log(r"worker \d+ .*killed by signal 6")
    s.wait_log("started 1 worker: fewer than")
    clients.hang_up()
    s.wait_workers(3, "idle")
    assert s.stop() == 0
    assert s.find_log(r"stopped after 2 connections")


@pytest.mark.parametrize("example", ["echo", "http_hello"])
def test_W45_nobody_can_stop_or_dump_a_server_by_asking(server, example):
    """The service that came with it obeyed "exit" and "dump". The examples here know no such
    words: the server that was asked is there with the same workers, and tells nothing of
    itself."""
    s = server.start(example, sizing="static", max_servers=2)
    before = s.wait_workers(2, "idle")
    for word in (b"exit", b"dump", b"get user", b"get pid_file", b"quit"):
        reply = s.ask(word + b"\r\n")
        assert reply in (b"", word + b"\r\n") or reply.startswith(b"HTTP/1.1 400 ")
        assert b"max_servers" not in reply and str(s.pid).encode() not in reply
    assert s.wait_workers(2, "idle") == before


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_Wc_sockets_are_handed_in(server, tmp_path, kind):
    """There only the server's own restart could hand over sockets. Here whoever starts it can:
    a client that came before the server is answered, and the socket outlives it."""
    listener = socket.create_server(("127.0.0.1", 0)) if kind == "tcp" else unix_listener(tmp_path)
    with listener, connect(listener.getsockname()) as early:
        copy = fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 100)  # far from 3
        s = server.start(server.program("hand_in", library=False), str(copy), service(server),
                         sizing="static", max_servers=1, port=None, pass_fds=[copy])
        os.close(copy)
        with Talk(s, address=early) as talk:
            assert talk.ask("hi") == 'You said "hi"'
            assert talk.quit() == b""
        assert s.stop() == 0
        connect(listener.getsockname()).close()  # nobody serves, and it is still there


def unix_listener(tmp_path):
    """A listening unix socket of the test."""
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(tmp_path / "sock"))
    s.listen()
    return s
