"""What a worker's connection is to its program: reading and writing, addresses, standard
input and output."""

import os
import signal
import socket
import struct

import pytest

from support import connect, proc_status, read_all, read_line, title_of, wait_until
from test_worker import Conversation, wait_rest

ONE = {"sizing": "static", "max_servers": 1}


def lines_of(s, request, **where):
    """Ask and split the reply."""
    return s.ask(request, **where).decode().splitlines()


# ---- reading and writing -------------------------------------------------------------------


def test_lines_longer_than_the_buffer_come_in_pieces(server):
    """Each piece is terminated; together they are the line; the next line is whole."""
    s = server.start(server.program("probe"), **ONE)
    with Conversation(s) as c:
        c.socket.sendall(b"gets 5\n123456789\ngets 64\nshort\n")
        assert read_line(c.socket) == b"4 4 2 \n"
        assert read_line(c.socket) == b"6 \n"


def test_a_line_of_a_megabyte(server):
    """Through a buffer of 2 bytes less than it: nothing is lost."""
    s = server.start(server.program("probe"), **ONE)
    size = 1 << 20
    with Conversation(s) as c:
        c.socket.sendall(b"gets %d\n" % size + b"y" * size + b"\n")
        assert read_line(c.socket) == b"%d 2 \n" % (size - 1)
        assert c.ask("requests") == "1"


def test_the_last_line_may_lack_its_newline(server):
    """The end of the stream ends it."""
    s = server.start(server.program("probe"), **ONE)
    assert s.ask(b"requests") == b"1\n"
    assert s.ask(b"gets 80\nabc") == b"3 0 \n"


def test_reading_bytes_after_lines(server):
    """prefork_read() sees what prefork_gets() read ahead, zero bytes included."""
    s = server.start(server.program("probe"), **ONE)
    assert s.ask(b"read 5\n\x00\x01a\n\xffrequests\n") == b"0001610aff\n1\n"
    assert s.ask(b"read 3\nab") == b"6162(0)\n"


@pytest.mark.parametrize("command", ["fill", "bigprintf"])
def test_big_writes_to_a_slow_reader(server, command):
    """All of it arrives, though the reader begins when the writer is stuck already."""
    s = server.start(server.program("probe"), **ONE)
    (worker,) = wait_rest(s, 1)
    size = 16 << 20
    with s.connect() as c:
        c.sendall(b"%s %d\n" % (command.encode(), size))
        c.shutdown(socket.SHUT_WR)
        s.wait_until(lambda: is_stuck_writing(worker), "the writer to be stuck")
        assert not s.find_log("fill gave")
        received = read_all(c)
    assert len(received) == size and not received.strip(b"x")
    s.wait_log("fill gave 0")


def is_stuck_writing(pid):
    """Busy, and asleep."""
    return title_of(pid).endswith("worker busy") and proc_status(pid)["State"][0] == "S"


def test_a_nonblocking_socket_reads_and_writes_as_documented(server):
    """A handler that sets O_NONBLOCK harms nobody."""
    s = server.start(server.program("probe"), **ONE)
    with Conversation(s) as c:
        assert c.ask("nonblock") == "0"
        assert c.ask("requests") == "1"
        c.socket.sendall(b"fill %d\n" % (8 << 20))
        c.socket.shutdown(socket.SHUT_WR)
        s.wait_until(lambda: is_stuck_writing(s.workers()[0]), "the writer to be stuck")
        assert len(read_all(c.socket)) == 8 << 20
    s.wait_log("fill gave 0")


@pytest.mark.shows("signal:child:PIPE")
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_client_that_is_gone_is_an_error_and_no_signal(server, tmp_path, kind):
    """-EPIPE; the worker lives and serves the next."""
    port = f"{tmp_path}/s|unix" if kind == "unix" else "127.0.0.1:0"
    s = server.start(server.program("probe"), **ONE, port=port)
    (worker,) = wait_rest(s, 1)
    with s.connect() as c:
        c.sendall(b"epipe\n")
    assert s.wait_log(r"write gave (\w+)").group(1) == "EPIPE"
    assert int(s.ask(b"pid\n")) == worker


def test_a_client_that_resets_is_an_error_and_no_signal(server):
    """The worker is told by read or write, and serves the next."""
    s = server.start(server.program("probe"), **ONE)
    (worker,) = wait_rest(s, 1)
    with s.connect() as c:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.sendall(b"epipe\n")
    assert s.wait_log(r"write gave (\w+)").group(1) in ("EPIPE", "ECONNRESET")
    assert int(s.ask(b"pid\n")) == worker


def test_signals_of_the_program_interrupt_nothing(server):
    """A handler without SA_RESTART: reading goes on, and no byte is lost."""
    s = server.start(server.program("probe"), **ONE)
    (worker,) = wait_rest(s, 1)
    with Conversation(s) as c:
        assert c.ask("handle") == "0"
        for number in range(1, 4):
            s.wait_until(lambda: proc_status(worker)["State"][0] == "S", "the worker to read")
            os.kill(worker, signal.SIGUSR1)
            wait_until(lambda n=number: len(s.find_log("^signal seen")) == n, "the handler")
        assert c.ask("signals") == "3"


def test_signals_of_the_program_interrupt_no_write(server):
    """The same while a big write is stuck."""
    s = server.start(server.program("probe"), **ONE)
    (worker,) = wait_rest(s, 1)
    with Conversation(s) as c:
        assert c.ask("handle") == "0"
        c.socket.sendall(b"fill %d\n" % (16 << 20))
        c.socket.shutdown(socket.SHUT_WR)
        s.wait_until(lambda: is_stuck_writing(worker), "the writer to be stuck")
        os.kill(worker, signal.SIGUSR1)
        wait_until(lambda: s.find_log("^signal seen"), "the handler")
        assert len(read_all(c.socket)) == 16 << 20
    s.wait_log("fill gave 0")


def test_signals_of_the_program_do_not_disturb_waiting(server):
    """A signal between two connections: the worker waits on and serves the next."""
    s = server.start(server.program("probe"), **ONE)
    (worker,) = wait_rest(s, 1)
    assert s.ask(b"handle\n") == b"0\n"
    wait_rest(s, 1)
    os.kill(worker, signal.SIGUSR1)
    wait_until(lambda: s.find_log("^signal seen"), "the handler")
    assert lines_of(s, b"pid\nsignals\nrequests\n") == [str(worker), "1", "2"]


# ---- addresses -----------------------------------------------------------------------------


@pytest.mark.shows("hook:get_client_info")
def test_addresses_of_a_tcp_connection(server):
    """Peer and local end, as text, address and port."""
    s = server.start(server.program("probe"), **ONE)
    with Conversation(s) as c:
        port = c.socket.getsockname()[1]
        assert c.ask("addresses") == (f"tcp|127.0.0.1:{port}|127.0.0.1|{port}"
                                      f"|127.0.0.1:{s.port}|127.0.0.1|{s.port}")


def test_local_address_is_that_of_the_connection(server):
    """And not the wildcard that the listener is bound to."""
    s = server.start(server.program("probe"), **ONE, port="0/IPv4")
    with connect(("127.0.0.7", s.port)) as c:
        c.sendall(b"addresses\n")
        assert f"|127.0.0.7:{s.port}|127.0.0.7|{s.port}" in read_line(c).decode()


@pytest.mark.ipv6
def test_addresses_of_an_ipv6_connection(server):
    """Brackets in the text, none in the address."""
    s = server.start(server.program("probe"), **ONE, port="[::1]:0")
    with Conversation(s) as c:
        port = c.socket.getsockname()[1]
        assert c.ask("addresses") == f"tcp|[::1]:{port}|::1|{port}|[::1]:{s.port}|::1|{s.port}"


@pytest.mark.shows("hook:get_client_info", "proto:unix")
def test_addresses_of_a_unix_connection(server, tmp_path):
    """The listener's path as text, no address, no port; whatever the client is bound to."""
    path = tmp_path / "s"
    s = server.start(server.program("probe"), **ONE, port=f"{path}|unix")
    expected = f"unix|{path}||0|{path}||0\n".encode()
    assert s.ask(b"addresses\n") == expected
    with socket.socket(socket.AF_UNIX) as c:
        c.settimeout(10)
        c.bind(str(tmp_path / "client"))
        c.connect(str(path))
        c.sendall(b"addresses\n")
        assert read_line(c) == expected


def test_addresses_are_those_of_this_connection(server, tmp_path):
    """Nothing of the last connection shines through."""
    s = server.start(server.program("probe"), **ONE, port=["127.0.0.1:0", f"{tmp_path}/s|unix"])
    assert s.ask(b"addresses\n", 0).startswith(b"tcp|127.0.0.1:")
    assert s.ask(b"addresses\n", 1) == f"unix|{tmp_path}/s||0|{tmp_path}/s||0\n".encode()
    with Conversation(s) as c:
        port = c.socket.getsockname()[1]
        assert c.ask("addresses").startswith(f"tcp|127.0.0.1:{port}|127.0.0.1|{port}|")


# ---- standard input and output -------------------------------------------------------------


@pytest.mark.shows("key:no_client_stdout", "hook:post_accept")
def test_the_connection_as_standard_input_and_output(server):
    """no_client_stdout 0: read and print; the null device afterwards."""
    s = server.start(server.program("stdio"), **ONE, no_client_stdout=0)
    assert s.ask(b"hello\n") == b"read hello\n"
    s.wait_log(r"after: in /dev/null out /dev/null$")


@pytest.mark.shows("key:no_client_stdout", "hook:post_process_request")
def test_nothing_of_one_client_is_read_for_another(server):
    """What a client sent too much is forgotten with it, and so is its end."""
    s = server.start(server.program("stdio"), **ONE, no_client_stdout=0)
    assert s.ask(b"mine\nsecret\n") == b"read mine\n"
    assert s.ask(b"") == b"read nothing\n"
    assert s.ask(b"yours\n") == b"read yours\n"
    assert s.ask(b"without newline") == b"read without newline"


@pytest.mark.shows("key:no_client_stdout")
def test_by_default_the_connection_is_kept_off_standard_output(server):
    """What a handler prints does not reach the client."""
    s = server.start(server.program("stdio"), **ONE)
    assert s.ask(b"") == b""
    s.wait_log(r"after: in /dev/null out /dev/null$")  # as the test started it
