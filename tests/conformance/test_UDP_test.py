"""UDP_test: a datagram is one request, and what the handler writes is one datagram back."""

import socket

import pytest

from service import connect_inside, inside, own_network, serves, serves_inside, service
from support import PATIENCE

SMALL = {"min_servers": 1, "max_servers": 3}
NUMBER = 20203


def ask(address, text, family=socket.AF_INET, name=None):
    """Send one datagram: the answer."""
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(PATIENCE)
        if name:
            s.bind(str(name))
        s.connect(address if isinstance(address, tuple) else str(address))
        s.send(text)
        return s.recv(65536)


@pytest.mark.root
@pytest.mark.shows("proto:udp", "proto:tcp", "port:examples", "hook:get_client_info")
@pytest.mark.parametrize("form", ["{}/udp", "*:{}:udp", "{}/udp/IPv4", "127.0.0.1, {}, UDP"])
def test_udp_and_tcp_on_one_number(server, form):
    """Both are served: a datagram is answered, and then a stream works."""
    s = server.start(service(server), SMALL, preexec_fn=own_network(),
                     port=[f"127.0.0.1:{NUMBER}", form.format(NUMBER)])
    at = ("127.0.0.1", NUMBER)
    assert inside(s.pid, lambda: ask(at, b"hi there")) == b'You said "hi there"\r\n'
    assert inside(s.pid, lambda: ask(at, b"get proto")) == b"udp\r\n"
    assert inside(s.pid, lambda: ask(at, b"get peeraddr")) == b"127.0.0.1\r\n"
    assert serves_inside(s, f"127.0.0.1:{NUMBER}") == ("tcp", "127.0.0.1")
    with connect_inside(s, at) as talk:
        talk.sendall(b"exit\n")
        assert s.wait_exit() == 0


@pytest.mark.root
@pytest.mark.ipv6
@pytest.mark.shows("proto:udp", "port:expand-6")
def test_udp_over_ipv6(server):
    """IPv6 only, if that is asked for."""
    s = server.start(service(server), SMALL, preexec_fn=own_network(), port=f"{NUMBER}/udp/IPv6")
    v6 = inside(s.pid, lambda: ask(("::1", NUMBER), b"get peeraddr", socket.AF_INET6))
    assert v6 == b"::1\r\n"
    with pytest.raises(ConnectionRefusedError):
        inside(s.pid, lambda: ask(("127.0.0.1", NUMBER), b"get peeraddr"))


@pytest.mark.shows("key:udp_recv_len", "port:hash", "proto:udp")
@pytest.mark.parametrize("port, settings, expected", [
    ("127.0.0.1:0/udp", {}, 4096),
    ("127.0.0.1:0/udp", {"udp_recv_len": 100}, 100),
    ("127.0.0.1:0/udp udp_recv_len=512", {}, 512),
    ("127.0.0.1:0/udp udp_recv_len=512", {"udp_recv_len": 100}, 512),
])
def test_longer_datagrams_are_cut(server, port, settings, expected):
    """At udp_recv_len bytes, of all ports or of this one."""
    s = server.start(service(server), SMALL, port=port, **settings)
    assert int(ask(s.address, b"size" + bytes(8000))) == expected
    assert int(ask(s.address, b"size")) == 4


@pytest.mark.shows("key:udp_recv_flags")
def test_flags_of_recv(server):
    """A number, as recv(2) takes it: MSG_DONTWAIT changes nothing for a worker that waits for
    its datagram elsewhere, and what is no number is an error."""
    s = server.start(service(server), SMALL, port="127.0.0.1:0/udp",
                     udp_recv_flags=int(socket.MSG_DONTWAIT))
    assert ask(s.address, b"hi") == b'You said "hi"\r\n'
    done = server.command(service(server), "--port=127.0.0.1:0/udp", "--udp_recv_flags=peek")
    assert done.returncode == 78 and "udp" in done.stderr


@pytest.mark.shows("proto:unixdgram", "port:examples", "port:sock-type", "proto:unix")
@pytest.mark.parametrize("form", ["{}|unixdgram", "{}/unixdgram", "{}|sock_dgram|unix"])
def test_unix_datagrams(server, tmp_path, form):
    """A client with a name gets its answer; one without cannot, and disturbs nobody."""
    path = tmp_path / "sock"
    s = server.start(service(server), SMALL, port=form.format(path))
    nameless = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with nameless:
        nameless.connect(str(path))
        nameless.send(b"tell nameless")
        s.wait_log("told nameless")
    assert ask(path, b"hi", socket.AF_UNIX, tmp_path / "me") == b'You said "hi"\r\n'
    assert ask(path, b"get proto", socket.AF_UNIX, tmp_path / "me2") == b"unixdgram\r\n"
    assert s.stop() == 0
    assert not path.exists()


@pytest.mark.shows("proto:udp", "key:server_type")
@pytest.mark.parametrize("kind", ["Single", "Fork", "PreForkSimple", "PreFork"])
def test_datagrams_in_every_type(server, kind):
    """Each datagram is a request of its own, whoever serves it."""
    s = server.start(service(server), server_type=kind, port="127.0.0.1:0/udp")
    for n in range(20):
        assert ask(s.address, b"%d" % n) == b'You said "%d"\r\n' % n


@pytest.mark.shows("proto:udp", "hook:allow_deny_hook")
def test_datagrams_beside_a_path(server, tmp_path):
    """One server, three kinds of port."""
    s = server.start(service(server), SMALL, port=["127.0.0.1:0/udp", "127.0.0.1:0",
                                                   f"{tmp_path}/sock|unix"])
    assert ask(s.address, b"get proto") == b"udp\r\n"
    assert serves(s, 1) == ("tcp", "127.0.0.1")
    assert serves(s, 2) == ("unix", "")
