"""Sockets opened by others, with the real ones: systemd-socket-activate and start_server.

Neither of them lets the kernel choose a port. So each test has an address of the loopback of its
own, made of its process id, and the number on it is always the same.
"""

import os
import re
import socket
from itertools import count
from signal import SIGHUP

from clients import Load
from datagrams import Client as DatagramClient
from support import EXAMPLES, PREFORK, connect, converse, is_alive, is_refused

PORT = 7007
SMALL = {"min_servers": 2, "max_servers": 3}
ECHO = EXAMPLES / "echo"
_hosts = count(1)


def own_host():
    """An address that no other process of these tests has (nor this one had before)."""
    pid = os.getpid()
    return f"127.{64 + next(_hosts) % 64}.{pid >> 8 & 255}.{pid & 255}"


# ---- systemd-socket-activate ----------------------------------------------------------------


def activate(server, *words, program=(ECHO,), **settings):
    """Let it listen, and become the program when a client comes."""
    options = [f"--setenv={name}" for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS")
               if name in os.environ]
    s = server.start("systemd-socket-activate", *options, *words, *program, port=None, wait=None,
                     **SMALL, **settings)
    s.pid = s.process.pid
    s.wait_log("^Listening on ", count=sum(word.startswith("--listen") for word in words))
    return s


def test_systemd_starts_the_server_for_the_first_client(server, tmp_path):
    """Who is served, as all others are; TCP and unix."""
    host = own_host()
    s = activate(server, f"--listen={host}:{PORT}", f"--listen={tmp_path / 's'}",
                 "--fdname=web:side")
    with connect((host, PORT)) as first:
        assert converse(first, b"first\n") == b"first\n"
    s.wait_log("ready")
    assert s.listeners == [f"{host}:{PORT}", str(tmp_path / "s")]
    assert len(s.find_log(r"\(inherited\)$")) == 2
    assert s.ask(b"unix\n", 1) == b"unix\n"
    assert s.stop() == 0
    assert is_refused((host, PORT))
    assert (tmp_path / "s").is_socket()  # of whoever made it


def test_systemd_starts_the_server_for_a_datagram(server):
    """It is in the socket still, and answered."""
    host = own_host()
    s = activate(server, "--datagram", f"--listen={host}:{PORT}")
    client = DatagramClient((host, PORT))
    assert client.ask(b"first") == b"first"
    s.wait_log(r"listening on .* \(udp\) \(inherited\)$")
    client.socket.close()


def test_descriptors_that_were_stored_are_no_listeners(server, tmp_path):
    """Their names begin with prefork., and a unit of systemd that is called so is none."""
    paths = [tmp_path / name for name in ("unit", "stored", "other")]
    s = activate(server, *(f"--listen={path}" for path in paths),
                 "--fdname=prefork.socket:prefork.l.1:web")
    with connect(paths[0]) as first:
        assert converse(first, b"unit\n") == b"unit\n"
    s.wait_log("ready")
    assert s.listeners == [str(paths[0]), str(paths[2])]
    assert is_refused(paths[1])


# ---- start_server ---------------------------------------------------------------------------


def start_server(server, *words, program=(ECHO,), **settings):
    """A server below start_server, which does not wait between the generations."""
    s = server.start("start_server", "--interval=0", *words, "--", *program, port=None,
                     wait=None, **{**SMALL, **settings})
    s.pid = s.process.pid
    wait_generation(s, 1)
    return s


def wait_generation(s, number):
    """Until the server that start_server has started as this one serves: its pid."""
    match = s.wait_log(rf"\[(\d+)\] notice: generation {number} of Server::Starter$")
    pid = int(match.group(1))
    s.wait_log(rf"\[{pid}\] notice: ready")
    return pid


def test_start_server_hands_sockets_in(server, tmp_path):
    """TCP, UDP and a path, in its order; it alone removes the path."""
    host = own_host()
    s = start_server(server, f"--port={host}:{PORT}", f"--port={host}:u{PORT}",
                     f"--path={tmp_path / 's'}")
    assert s.listeners == [f"{host}:{PORT}", f"{host}:{PORT}", str(tmp_path / "s")]
    assert s.ask(b"tcp\n", 0) == b"tcp\n"
    client = DatagramClient((host, PORT))
    assert client.ask(b"udp") == b"udp"
    client.socket.close()
    assert s.ask(b"unix\n", 2) == b"unix\n"
    assert s.stop() == 0
    assert not (tmp_path / "s").exists()


def test_start_server_may_use_standard_input(server):
    """--port=address=0."""
    host = own_host()
    s = start_server(server, f"--port={host}:{PORT}=0")
    assert s.ask(b"hello\n") == b"hello\n"


def test_start_server_starts_generations_under_load(server):
    """Old and new server have the same socket: nobody is lost, and the old one leaves when its
    clients are served."""
    s = start_server(server, f"--port={own_host()}:{PORT}", program=(server.program("pool"),),
                     min_servers=4, max_servers=8)
    masters = [wait_generation(s, 1)]
    with Load(s, word="pid") as load, Load(s, word="hold") as holding:
        for generation in range(2, 6):
            os.kill(s.pid, SIGHUP)
            masters.append(wait_generation(s, generation))
            s.wait_until(lambda: not any(map(is_alive, masters[:-1])), "the end of the old one")
            load.wait_for(20)
            holding.wait_for(4)
    assert load.failures == [] and holding.failures == []
    assert len(set(masters)) == 5
    assert s.stop() == 0


def test_a_lonely_client_does_not_wait(server):
    """Workers of two servers sleep at the same socket. Who is woken and about to leave is not the
    only one who knows of the connection: no other one would come and wake somebody else."""
    s = start_server(server, f"--port={own_host()}:{PORT}", program=(server.program("pool"),),
                     min_servers=4, max_servers=8)
    with Load(s, count=1, word="pid") as load:
        for generation in range(2, 12):
            os.kill(s.pid, SIGHUP)
            wait_generation(s, generation)
            load.wait_for(3)
    assert load.failures == []


def test_a_client_is_served_to_the_end_by_the_generation_before(server):
    """It is asked to leave by SIGTERM and does so when nobody is there any more."""
    s = start_server(server, f"--port={own_host()}:{PORT}", graceful_timeout=0)
    first = wait_generation(s, 1)
    with s.connect() as client:
        client.sendall(b"early\n")
        assert client.recv(6) == b"early\n"
        os.kill(s.pid, SIGHUP)
        wait_generation(s, 2)
        s.wait_log(rf"\[{first}\] notice: SIGTERM: stopping$")
        assert s.ask(b"new\n") == b"new\n"
        assert converse(client, b"late\n") == b"late\n"
    s.wait_until(lambda: not is_alive(first), "the end of the old one")


def test_a_reload_below_start_server(server):
    """It does not see it: the process is the same, and so are its sockets."""
    s = start_server(server, f"--port={own_host()}:{PORT}")
    master = wait_generation(s, 1)
    os.kill(master, SIGHUP)
    s.wait_log(rf"\[{master}\] notice: reload 1: generation 2 serves, the one before is leaving$")
    assert s.ask(b"hello\n") == b"hello\n" and is_alive(master)
    assert s.stop() == 0


def test_programs_hear_of_the_generation(server):
    """And not of sockets: those were for the server."""
    s = start_server(server, f"--port={own_host()}:{PORT}", program=(PREFORK, "serve"),
                     tail=["--", server.script("exec env", "program")])
    reply = s.ask()
    assert b"SERVER_STARTER_GENERATION=1\n" in reply
    assert b"SERVER_STARTER_PORT" not in reply


def test_a_server_below_a_server(server):
    """It is told of its sockets twice, by both conventions, and takes them once."""
    s = server.serve([ECHO, "--min_servers=1", "--max_servers=1"], handler="wait", min_servers=1,
                     max_servers=1, wait=None)
    s.pid = s.process.pid
    s.wait_log(r"listening on .* \(inherited\)$")
    assert s.ask(b"hello\n") == b"hello\n"
    assert len(s.find_log(r"listening on .* \(inherited\)$")) == 1


def test_what_start_server_cannot_mean_ends_the_start(server):
    """The variable is named, and what is wrong."""
    for text, sentence in (("8080", '"8080" is not address=descriptor'),
                           ("8080=77", "descriptor 77 is not open"),
                           ("8080=0", "descriptor 0 is not a socket")):
        done = server.command(ECHO, "--log_level=1", env={"SERVER_STARTER_PORT": text})
        assert done.returncode == 78
        assert re.fullmatch(rf".*SERVER_STARTER_PORT: {re.escape(sentence)}\n", done.stderr)
