"""The examples as a newcomer meets them, and the command without arguments.

Each is started as its own comment says, answers what it promises, and stops with status 0.
"""

import re
import socket

import pytest

from support import EXAMPLES, converse, read_all

USAGE = 64


# ---- echo ----------------------------------------------------------------------------------


def test_echo(server):
    """Every line comes back, also from several clients at once."""
    s = server.start("echo", min_servers=2)
    clients = [s.connect() for _ in range(4)]
    for number, client in enumerate(clients):
        client.sendall(b"client %d\n" % number)
    for number, client in enumerate(clients):
        assert client.recv(100) == b"client %d\n" % number
        client.close()
    assert s.ask(b"one\ntwo") == b"one\ntwo"
    assert s.stop() == 0


# ---- http_hello ----------------------------------------------------------------------------


def parts_of(reply):
    """Status line, headers, body."""
    head, _, body = reply.decode().partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), body


def test_http_get(server):
    """What curl sends, and an answer that curl takes: status, length, body."""
    s = server.start("http_hello", min_servers=2)
    request = (b"GET /any?x=1 HTTP/1.1\r\nHost: here\r\nUser-Agent: curl/7.88.1\r\n"
               b"Accept: */*\r\n\r\n")
    with s.connect() as c:
        c.sendall(request)  # the client does not say that this is all
        status, headers, body = parts_of(read_all(c))
    assert status == "HTTP/1.1 200 OK"
    assert headers["Content-Length"] == str(len(body))
    assert headers["Connection"] == "close"
    match = re.fullmatch(r"hello, 127\.0\.0\.1: worker (\d+) has greeted 1\n", body)
    assert int(match.group(1)) in s.workers()
    assert s.stop() == 0


def test_http_worker_counts_over_its_life(server):
    """What child_init_hook made lasts."""
    s = server.start("http_hello", sizing="static", max_servers=1)
    bodies = [s.ask(b"GET / HTTP/1.0\r\n\r\n") for _ in range(3)]
    assert [body.split()[-1] for body in bodies] == [b"1", b"2", b"3"]


def test_http_head(server):
    """Headers as for GET, and no body."""
    s = server.start("http_hello", min_servers=2)
    status, headers, body = parts_of(s.ask(b"HEAD / HTTP/1.1\r\nHost: here\r\n\r\n"))
    assert status == "HTTP/1.1 200 OK"
    assert int(headers["Content-Length"]) > 0
    assert body == ""


@pytest.mark.parametrize("request_bytes", [
    b"", b"\r\n", b"garbage\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET x HTTP/1.1\r\n\r\n",
    b"GET / FTP/1.1\r\n\r\n", b" / HTTP/1.1\r\n\r\n", b"\x00\xff\x16\x03\x01\n", b"GET / HTTP/1.1",
    b"GET / HTTP/1.1\r\nHost: here\r\n", b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
])
def test_http_garbage_and_halves(server, request_bytes):
    """400, and the client gets to read it; the worker serves on."""
    s = server.start("http_hello", sizing="static", max_servers=1)
    (worker,) = s.wait_workers(1, "idle")
    status, headers, body = parts_of(s.ask(request_bytes))
    assert status == "HTTP/1.1 400 Bad Request"
    assert headers["Content-Length"] == str(len(body))
    assert s.ask(b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
    assert s.workers() == [worker]


def test_http_client_that_goes_away(server):
    """In the middle of its request: nothing happens but that the next is served."""
    s = server.start("http_hello", sizing="static", max_servers=1)
    with s.connect() as c:
        c.sendall(b"GET / HT")
    assert s.ask(b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")


# ---- hello (jobs has a file of its own) ----------------------------------------------------


def test_hello_shared_object(server):
    """prefork serve build/examples/hello.so."""
    s = server.serve(EXAMPLES / "hello.so")
    with s.connect() as c:
        port = c.getsockname()[1]
        assert converse(c) == b"Hello, 127.0.0.1:%d\r\n" % port
    assert s.stop() == 0


# ---- help and version ----------------------------------------------------------------------


@pytest.mark.shows("command:help")
@pytest.mark.parametrize("words", [["--help"], ["-h"], ["serve", "--help"], ["check", "--help"]])
def test_help_of_the_command(server, words):
    """Subcommands and every setting, on standard output."""
    done = server.prefork(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "prefork serve" in done.stdout
    keys = set(re.findall(r'PF_SETTING\(\w+, "[^"]*", "(\w+)"', settings_source()))
    assert len(keys) > 30
    shown = set(re.findall(r"^ +--(?:\[no-\])?([A-Za-z-]+)", done.stdout, re.MULTILINE))
    assert shown >= {key.replace("_", "-") for key in keys}


def settings_source():
    """The table of settings."""
    from support import REPO
    return (REPO / "src/config/settings.def").read_text()


@pytest.mark.parametrize("name", ["echo", "http_hello", "jobs"])
def test_help_of_a_program(server, name):
    """The same settings under the program's name."""
    done = server.command(EXAMPLES / name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {name} ")
    assert "--max-servers" in done.stdout or "--max_servers" in done.stdout


def test_version(server):
    """Of the command and of a program, which tells both."""
    version = re.search(r"version: '([\d.]+)'", meson_source()).group(1)
    done = server.prefork("--version")
    assert (done.returncode, done.stdout) == (0, f"prefork {version}\n")
    done = server.command(EXAMPLES / "echo", "--version")
    assert (done.returncode, done.stdout) == (0, f"echo, on prefork {version}\n")


def meson_source():
    """The build description."""
    from support import REPO
    return (REPO / "meson.build").read_text()


@pytest.mark.shows("command:net-server")
@pytest.mark.parametrize("words, sentence", [
    ([], "usage:"), (["bogus"], 'there is no subcommand "bogus"'), (["serve"], "which program?"),
    (["--port", "1"], 'there is no subcommand "--port"'),
])
def test_the_command_without_sense(server, words, sentence):
    """Status 64, on standard error."""
    done = server.prefork(*words)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert sentence in done.stderr


def test_a_program_with_a_word_too_many(server):
    """Is not ignored."""
    done = server.command(EXAMPLES / "echo", "--port=127.0.0.1:0", "start")
    assert done.returncode == USAGE
    assert 'unexpected word "start"' in done.stderr


def test_help_that_nobody_reads(server):
    """A reader that is gone is no reason to hang or to crash."""
    reader, writer = socket.socketpair()
    reader.close()
    done = server.start(EXAMPLES / "echo", "--help", wait=None, stdout=writer.fileno())
    writer.close()
    assert done.process.wait(15) in (0, -13)
    done.status = 0
