"""P16: the client of a running request has gone, and the master knows.

The test program gone.c writes a line for each call of on_client_disconnect. Its workers hold
their connections as long as a gate is shut, so that a client can go while it is served. That
nothing more was told is only said after something later was: the last client of a test is
one whose departure has to be told.
"""

import os
import re
import socket
import ssl
import threading
from signal import SIGCONT, SIGKILL, SIGSTOP

import pytest

from certificates import certificates  # noqa: F401
from clients import Gate
from departures import FIXED, gone, reset  # noqa: F401
from support import PATIENCE, campaign, connect, is_alive, read_all, read_line
from tls_clients import port as tls_port, secure


# ---- who has gone --------------------------------------------------------------------------


@pytest.mark.parametrize("listen, client, local, foreign", [
    ("127.0.0.1:0", None, "127.0.0.1", "127.0.0.1"),
    ("127.0.0.1:0", "127.0.0.9", "127.0.0.1", "127.0.0.9"),
    ("*:0/IPv4", None, "127.0.0.1", "127.0.0.1"),
    ("*:0/IPv4", "127.0.0.9", "127.0.0.1", "127.0.0.9"),
    pytest.param("[::1]:0", None, "::1", "::1", marks=pytest.mark.ipv6),
    pytest.param("*:0/IPv6", None, "::1", "::1", marks=pytest.mark.ipv6),
])
def test_P16_hosts_and_ports(gone, listen, client, local, foreign):
    """Once, with both ends as the client has them."""
    g = gone(port=listen)
    address = (local, g.server.port)
    s, pid = g.send("hold", address=address, source=client)
    there, here = s.getsockname()[1], s.getpeername()[1]
    s.close()
    assert g.wait_told(1) == [[str(pid), "0", "tcp", local, str(here), foreign, str(there)]]


@pytest.mark.ipv6
@pytest.mark.parametrize("to, by", [("127.0.0.1", None), ("127.0.0.7", "127.0.0.9"),
                                    ("::1", None)])
def test_P16_one_socket_for_both_versions(gone, to, by):
    """What IPv6 wraps is told as IPv4; an address of ours that nobody would guess is found."""
    g = gone(port="*:0")
    s, pid = g.send("hold", address=(to, g.server.port), source=by)
    there = s.getsockname()[1]
    s.close()
    assert g.wait_told(1) == [
        [str(pid), "0", "tcp", to, str(g.server.port), by or to, str(there)]]


def test_P16_an_address_is_found_for_each_of_many(gone):
    """All at once, more of them than are searched for in one turn: told one and all, each with
    its own end or none."""
    g = gone(port="0.0.0.0:0", workers=30)
    held = [g.send("hold", address=(f"127.0.1.{n}", g.server.port), source=f"127.0.2.{n}")
            for n in range(1, 31)]
    for s, _ in held:
        s.close()
    told = g.wait_told(30)
    assert sorted(int(words[0]) for words in told) == sorted(pid for _, pid in held)
    for words in told:
        assert words[3] in ("-", words[5].replace("127.0.2.", "127.0.1.")), words
    assert sum(words[3] != "-" for words in told) >= 8


def test_P16_unix(gone, tmp_path):
    """Its path, and nothing that a client of a unix socket has not."""
    path = tmp_path / "sock"
    g = gone(port=f"{path}|unix")
    s, pid = g.send("hold", address=path)
    s.close()
    assert g.wait_told(1) == [[str(pid), "0", "unix", str(path), "0", "-", "0"]]


def test_P16_tls(gone, certificates):
    """Also by a client that says no farewell."""
    g = gone(port=tls_port(certificates.server), workers=2)
    told = 0
    for rude in (False, True):
        s = secure(g.server, certificates.context())
        there = s.getsockname()[1]
        s.sendall(b"hold\n")
        pid = int(read_line(s).split()[0])
        if not rude:
            with pytest.raises((ssl.SSLError, OSError)):
                s.settimeout(0.05)
                s.unwrap()  # nobody answers
        s.close()
        told += 1
        words = g.wait_told(told)[-1]
        assert words[0] == str(pid)
        assert words[2:] == ["ssl", "127.0.0.1", str(g.server.port), "127.0.0.1", str(there)]


def test_P16_tls_a_client_that_leaves_the_handshake(gone, certificates):
    """It is served from accept on."""
    g = gone(port=tls_port(certificates.server, "SSL_handshake_timeout=30"),
             on_client_disconnect="kill", half_close="disconnect")
    (worker,) = g.server.wait_workers(1, "idle")
    s = g.server.connect()
    g.server.wait_workers(1, "busy")
    s.close()
    g.server.wait_until(lambda: g.lines() or g.server.workers("idle"), "its end")
    assert [words[0] for words in g.told()] in ([], [str(worker)])  # who was faster


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "*:0/IPv4"])
def test_P16_a_reset(gone, listen):
    """The kernel has forgotten the connection: of a listener for all addresses, which of them
    it was is not known any more."""
    g = gone(port=listen)
    s, pid = g.send("hold", address=("127.0.0.1", g.server.port))
    there = s.getsockname()[1]
    reset(s)
    local = "-" if listen.startswith("*") else "127.0.0.1"
    assert g.wait_told(1) == [
        [str(pid), "0", "tcp", local, str(g.server.port), "127.0.0.1", str(there)]]


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_P16_data_that_nobody_has_read(gone, tmp_path, unix):
    """It stands before the end of the input, and does not hide it."""
    path = tmp_path / "sock"
    g = gone(port=f"{path}|unix" if unix else "127.0.0.1:0")
    s, pid = g.send("hold", address=path if unix else None)
    s.sendall(b"x" * 5000)
    s.close()
    assert g.wait_told(1)[0][0] == str(pid)


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_P16_gone_before_anybody_served_it(gone, tmp_path, unix):
    """It waited in the queue, and left before its worker could register anything."""
    path = tmp_path / "sock"
    g = gone(port=f"{path}|unix" if unix else "127.0.0.1:0")
    (worker,) = g.server.wait_workers(1, "idle")
    os.kill(worker, SIGSTOP)
    early = g.server.connect()
    early.sendall(b"hold\n")
    early.close()
    assert g.told() == []
    os.kill(worker, SIGCONT)
    assert g.wait_told(1)[0][0] == str(worker)


def test_P16_gone_while_nobody_looks_but_still_served(gone, tmp_path):
    """The master hears of it late, and once."""
    slow = Gate(tmp_path / "slow")
    slow.close()
    g = gone(workers=3, env={"GONE_SLOW": slow})
    first, _ = g.send("hold")
    second, pid = g.send("hold")
    first.close()
    g.wait_told(1)  # and stays in the hook
    there = second.getsockname()[1]
    second.close()
    slow.open()
    told = g.wait_told(2)
    assert told[1][0] == str(pid) and told[1][-1] == str(there)


def test_P16_not_told_when_the_worker_was_done(gone, tmp_path):
    """While the master is kept in a hook, a client leaves and its worker finishes, idle or
    with the next client. Then there is nobody to tell about."""
    slow = Gate(tmp_path / "slow")
    slow.close()
    g = gone(workers=4, env={"GONE_SLOW": slow})
    held = [g.send("hold") for _ in range(3)]
    held[0][0].close()
    g.wait_told(1)  # and stays in the hook
    held[1][0].close()
    g.gate.open()  # both workers finish
    g.server.wait_until(lambda: read_all(held[2][0]) == b"", "the end of the third")
    g.server.wait_workers(4, "idle")
    g.gate.close()
    slow.open()
    last, pid = g.send("hold")
    last.close()
    told = g.wait_told(2)
    assert len(told) == 2 and told[1][0] == str(pid)


# ---- half of a close, and our own ----------------------------------------------------------


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_P16_half_a_close_counts(gone, tmp_path, unix):
    """By default; and the whole close that follows is not told again."""
    path = tmp_path / "sock"
    g = gone(port=f"{path}|unix" if unix else "127.0.0.1:0", workers=2)
    s, pid = g.send("again", address=path if unix else None)
    s.shutdown(socket.SHUT_WR)
    assert g.wait_told(1)[0][0] == str(pid)
    s.close()
    other, other_pid = g.send("hold", address=path if unix else None)
    other.close()
    assert [words[0] for words in g.wait_told(2)] == [str(pid), str(other_pid)]


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_P16_half_a_close_can_be_ignored(gone, tmp_path, unix):
    """The client reads on and gets its answer; a complete end is told."""
    path = tmp_path / "sock"
    g = gone(port=f"{path}|unix" if unix else "127.0.0.1:0", workers=2, half_close="ignore")
    s, pid = g.send("again", address=path if unix else None)
    s.shutdown(socket.SHUT_WR)
    other, other_pid = g.send("hold", address=path if unix else None)
    other.close() if unix else reset(other)
    assert [words[0] for words in g.wait_told(1)] == [str(other_pid)]
    g.gate.open()
    assert read_all(s) == f"{pid} still here\n".encode()
    assert len(g.told()) == 1


def test_P16_half_close_ignore_and_a_closed_tcp_client(gone):
    """It is gone when it answers to something that is sent: with a reset."""
    g = gone(workers=2, half_close="ignore")
    s, pid = g.send("shutwrite")  # what it sends is its FIN, which a closed client answers
    assert s.recv(10) == b""
    s.sendall(b"x")  # there is still a client
    reset(s)
    assert g.wait_told(1)[0][0] == str(pid)


@pytest.mark.parametrize("word", ["shut", "shutread"])
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("half_close", ["disconnect", "ignore"])
def test_P16_what_the_server_shuts_down_does_not_count(gone, tmp_path, word, unix, half_close):
    """Half of it cannot be told from the client's doing on a unix socket."""
    if unix and word == "shutread" and half_close == "disconnect":
        pytest.skip("documented: not to be told apart")
    path = tmp_path / "sock"
    g = gone(port=f"{path}|unix" if unix else "127.0.0.1:0", workers=2, half_close=half_close)
    address = path if unix else None
    mine, _ = g.send(word, address=address)
    if word == "shut":
        assert mine.recv(10) == b""
    other, other_pid = g.send("hold", address=address)
    other.close() if unix or half_close == "disconnect" else reset(other)
    assert [words[0] for words in g.wait_told(1)] == [str(other_pid)]


def test_P16_after_half_a_shutdown_of_ours_the_client_is_still_seen(gone):
    """The report of our own doing has not used up the watch."""
    g = gone(workers=2)
    s, pid = g.send("shutread")
    other, other_pid = g.send("hold")
    other.close()
    assert [words[0] for words in g.wait_told(1)] == [str(other_pid)]
    s.close()
    assert g.wait_told(2)[1][0] == str(pid)


# ---- never a false call --------------------------------------------------------------------


def converse(address, count, source=None):
    """So many clients that wait for the end of their connection, one after the other."""
    for _ in range(count):
        with connect(address) if source is None else \
                socket.create_connection(address, PATIENCE, (source, 0)) as s:
            s.sendall(b"quick\n")
            assert read_all(s).endswith(b" quick\n")


def test_P16_quick_connections_in_a_row(gone):
    """Clients leave while others, at the same workers, wait for the end of their connection:
    these are never told about."""
    g = gone(workers=2, log_level=2)
    stop = threading.Event()

    def leave():
        while not stop.is_set():
            with socket.create_connection(g.server.address, PATIENCE, ("127.0.0.8", 0)) as s:
                s.sendall(b"quick\n")  # and goes without a look at the answer

    thread = threading.Thread(target=leave)
    thread.start()
    try:
        converse(g.server.address, campaign(1500, 20000), "127.0.0.9")
    finally:
        stop.set()
        thread.join()
    s, _ = g.send("hold", source="127.0.0.7")
    s.close()
    g.server.wait_until(lambda: "127.0.0.7" in [words[5] for words in g.told()], "the last")
    told = [tuple(words[5:]) for words in g.told()]
    assert {host for host, _ in told} <= {"127.0.0.7", "127.0.0.8"}


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_P16_who_stays_is_never_told_about(gone, tmp_path, unix):
    """Thousands of conversations, one after the other and side by side."""
    path = tmp_path / "sock"
    g = gone(port=f"{path}|unix" if unix else "127.0.0.1:0", workers=4, log_level=2)
    address = path if unix else g.server.address
    threads = [threading.Thread(target=converse, args=(address, campaign(500, 5000)))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    s, pid = g.send("hold", address=address)
    s.close()
    assert [words[0] for words in g.wait_told(1)] == [str(pid)]


def test_P16_a_copy_of_the_socket_that_was_left_behind(gone):
    """A child of the handler keeps the connection, and its worker goes on: when the client
    leaves then, it leaves nobody who serves it."""
    g = gone(workers=1)
    s, pid = g.send("leave")
    assert read_line(s).endswith(b" left\n")
    g.server.wait_workers(1, "idle")
    other, _ = g.send("again")
    s.close()
    other_port = other.getsockname()[1]
    other.close()
    assert [words[-1] for words in g.wait_told(1)] == [str(other_port)]
    assert len(g.told()) == 1


def test_P16_many_at_once(gone):
    """200 clients close together: all are told, each once, with its own worker."""
    count = 200
    g = gone(workers=count, log_level=2)
    held = [g.send("hold") for _ in range(count)]
    ports = {str(s.getsockname()[1]): str(pid) for s, pid in held}
    for s, _ in held:
        s.close()
    told = g.wait_told(count)
    assert {words[-1]: words[0] for words in told} == ports and len(told) == count


def test_P16_the_master_goes_on_meanwhile(gone):
    """With a hundred departures to look into it still replaces a worker that was killed."""
    g = gone(workers=101, log_level=2)
    victim, pid = g.send("hold")
    held = [g.send("hold") for _ in range(100)]
    for s, _ in held:
        s.close()
    os.kill(pid, SIGKILL)
    g.wait_told(100)
    g.server.wait_workers(101)
    g.gate.open()
    assert g.server.stop() == 0
    longest = float(re.search(r"longest turn ([\d.]+) ms", g.server.text()).group(1))
    assert longest < 1000, longest


# ---- other users, bad workers --------------------------------------------------------------


@pytest.mark.root
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("jail", [False, True], ids=["user", "chroot"])
def test_P16_after_privileges_are_dropped(gone, open_path, unix, jail):
    """By a master that may do nothing and sees no files."""
    os.chmod(open_path, 0o777)
    g = gone(directory=open_path, workers=1, user="nobody", **({"chroot": open_path} if jail else {}),
             port=f"{open_path}/sock|unix" if unix else "*:0/IPv4")
    s, pid = g.send("hold", address=open_path / "sock" if unix else None)
    s.close()
    words = g.wait_told(1)[0]
    assert words[0] == str(pid)
    assert words[3] == (str(open_path / "sock") if unix else "127.0.0.1")


HOSTILE = r"""
#include <prefork/prefork.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
/* Rings with every number there is, by descriptors that are always ready, without end. */
static void
ring(void)
{
    int bell = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    for (int n = 0; n < 200; n++) {
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.u64 = (unsigned)n};
        for (int ep = 3; ep < 64; ep++)
            (void)epoll_ctl(ep, EPOLL_CTL_ADD, dup(bell), &e);
    }
    (void)pause();
}
static void
gone(const struct prefork_disconnect *g, void *data)
{
    (void)data;
    prefork_log(PREFORK_LOG_NOTICE, "gone %d", (int)g->pid);
}
static void
serve(struct prefork_conn *c, void *data)
{
    char line[16] = "";
    (void)data;
    (void)prefork_gets(c, line, sizeof line);
    prefork_printf(c, "%d\n", (int)getpid());
    if (line[0] == 'h')
        ring();
    if (line[0] == 'p')
        (void)pause();
}
int main(int argc, char **argv)
{
    return prefork_main(argc, argv, &(struct prefork_app){
        .name = "hostile", .process_request = serve, .on_client_disconnect = gone});
}
"""


def test_P16_a_worker_that_never_stops_ringing(server):
    """The others are looked after as before; what it says of itself ends with it."""
    s = server.start(server.build(HOSTILE), **FIXED, max_servers=3)

    def ask(word):
        client = s.connect()
        client.sendall(word + b"\n")
        return client, int(read_line(client))
    bad_client, bad = ask(b"h")
    for _ in range(3):
        good_client, good = ask(b"p")
        good_client.close()
        s.wait_log(rf"notice: gone {good}$")
        os.kill(good, SIGKILL)
        s.wait_until(lambda good=good: not is_alive(good), "its end")
        s.wait_workers(3)
    assert len(s.find_log(rf"notice: gone {bad}$")) <= 1
    os.kill(bad, SIGKILL)
    s.wait_workers(3)
    bad_client.close()
