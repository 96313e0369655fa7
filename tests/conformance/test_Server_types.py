"""Server_BASE, Server_Single, Server_Fork, Server_PreForkSimple, Server_PreFork,
Server_MultiType and Server_INET: one conversation with each type of server, on one port or
on two, and its end at the word of a client.

A type is a word for what many settings say. So each test also looks at what makes the type
what it is: how many processes there are, and who serves the second client.
"""

import socket

import pytest

from service import Talk, serves, service
from support import ANY_PORT, descendants, is_refused, wait_until

TWO = [ANY_PORT, ANY_PORT]


def start(server, kind, **settings):
    """A service of this type."""
    return server.start(service(server), server_type=kind, **settings)


def exit_by(s, index=0):
    """Ask for the end of the server: it comes, in order, and the port is free."""
    address = s.address
    with Talk(s, index) as talk:
        talk.say("exit")
        assert s.wait_exit() == 0
    assert s.find_log("before_shutdown a client asked for it$")
    assert is_refused(address)


def served_by(s, index=0):
    """A whole conversation: who had it."""
    with Talk(s, index) as talk:
        assert talk.ask("hi") == 'You said "hi"'
        assert talk.quit() == b""
        return talk.pid


@pytest.mark.shows("type:Single", "key:server_type")
def test_Server_BASE(server):
    """One process serves one connection after the other."""
    s = start(server, "Single")
    (worker,) = s.wait_workers(1, "idle")
    assert {served_by(s) for _ in range(5)} == {worker}
    exit_by(s)


@pytest.mark.shows("type:Single", "hook:accept_multi_port", "hook:close_parent")
def test_Server_BASE_with_two_ports(server):
    """The same on both."""
    s = start(server, "Single", port=TWO)
    assert len(set(s.ports)) == 2
    assert served_by(s, 0) == served_by(s, 1)
    exit_by(s, 1)


@pytest.mark.shows("type:Single")
def test_Server_Single_serves_one_at_a_time(server):
    """The second client waits for the first."""
    s = start(server, "Single")
    with Talk(s) as first, s.connect() as second:
        assert first.ask("hi") == 'You said "hi"'
        assert len(s.workers()) == 1
        first.quit()
        with Talk(s, address=second) as talk:
            assert talk.pid == first.pid


@pytest.mark.shows("type:Fork", "key:max_servers@Fork")
def test_Server_Fork(server):
    """A process per connection, which ends with it; never more than max_servers."""
    s = start(server, "Fork", max_servers=3)
    pids = [served_by(s) for _ in range(4)]
    assert len(set(pids)) == 4
    held = [Talk(s) for _ in range(3)]
    with s.connect() as fourth:
        fourth.sendall(b"hi\n")
        assert len(s.workers()) <= 3
        for talk in held:
            talk.quit()
        with Talk(s, address=fourth) as talk:
            assert talk.hear() == 'You said "hi"'
    exit_by(s)


@pytest.mark.shows("type:PreForkSimple", "key:max_servers", "key:max_requests", "hook:close_parent")
def test_Server_PreForkSimple(server):
    """Two ports, two children, two connections for each child."""
    s = start(server, "PreForkSimple", port=TWO, max_servers=2, max_requests=2,
              max_requests_jitter=0)
    first = set(s.wait_workers(2, "idle"))
    pids = [served_by(s, n % 2) for n in range(8)]
    assert max(pids.count(pid) for pid in pids) <= 2
    assert pids[0] in first and len(set(pids)) >= 4
    s.wait_workers(2, "idle")
    exit_by(s, 1)


@pytest.mark.shows("type:PreFork", "key:min_servers", "key:min_spare_servers",
                   "key:child_communication", "hook:close_parent")
def test_Server_PreFork(server):
    """The same with a floor of one child, no spares, and a stream to each child."""
    s = start(server, "PreFork", port=TWO, min_servers=1, min_spare_servers=0, max_servers=2,
              max_requests=2, child_communication=1)
    s.wait_workers(1)
    assert len({served_by(s, n % 2) for n in range(6)}) >= 3
    with Talk(s, 0) as first, Talk(s, 1) as second:
        assert first.pid != second.pid
    exit_by(s)


@pytest.mark.shows("key:server_type")
@pytest.mark.parametrize("kinds, workers", [
    ("Single", 1), ("PreForkSimple", 4), ("NoSuchType Single", 1),
    (["NoSuchType", "PreForkSimple"], 4), ("Single,PreForkSimple", 1)])
def test_Server_MultiType(server, kinds, workers):
    """The first name that is known decides."""
    s = start(server, kinds, max_servers=4) if workers > 1 else start(server, kinds)
    s.wait_workers(workers, "idle")
    exit_by(s)


@pytest.mark.shows("key:server_type")
def test_a_type_that_is_not_known(server):
    """Of several it is passed over, alone it is an error: there the base type was taken."""
    done = server.command(service(server), "--server_type=PreFrok", "--port", ANY_PORT)
    assert done.returncode == 78
    assert "PreFrok" in done.stderr


@pytest.mark.shows("type:INET", "env:REMOTE_HOST")
@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_Server_INET(server, family):
    """The connection is on standard input and output; after it the server ends. There the
    addresses were placeholders, here they are those of the connection."""
    ours, theirs = pair(family)
    with ours, theirs:
        s = server.start(service(server), server_type="INET", port=None, wait=None,
                         stdin=theirs, stdout=theirs)
        theirs.close()
        with Talk(s, address=ours) as talk:
            assert talk.ask("hi") == 'You said "hi"'
            assert talk.fact("peeraddr") == ("127.0.0.1" if family == "tcp" else "")
            assert talk.quit() == b""
    assert s.wait_exit() == 0
    wait_until(lambda: not descendants() - server.before, "the end of all processes")


def pair(family):
    """A connection: our end and theirs."""
    if family == "unix":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname(), timeout=15)
        return ours, listener.accept()[0]


@pytest.mark.shows("key:server_type", "source:conf_file")
def test_a_type_in_the_file(server, tmp_path):
    """As any other setting."""
    (tmp_path / "x.conf").write_text("server_type PreForkSimple\nmax_servers 3\n")
    s = server.start(service(server), conf_file=tmp_path / "x.conf")
    s.wait_workers(3, "idle")
    assert serves(s) == ("tcp", "127.0.0.1")
