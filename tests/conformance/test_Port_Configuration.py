"""Port_Configuration: what a port may look like, and which sockets it becomes.

There a function returns tables; here the sockets are looked at from outside: each example is
served in a network of its own, so that the numbers are those of the examples.
"""

import socket

import pytest

from service import (Talk, connect_inside, is_refused_inside, own_network, serves,
                     serves_inside, service)
from support import address_of, flags

V4, V6, OTHER = "127.0.0.1", "::1", "127.0.0.9"
SMALL = {"min_servers": 1, "max_servers": 3}
CONFIG = 78


def start(server, **settings):
    """A service in a network of its own."""
    return server.start(service(server), SMALL, preexec_fn=own_network(), **settings)


def answers(s, number):
    """Which of three addresses answer on this port: one of each version, and one that nobody
    names."""
    return {host for host in (V4, V6, OTHER) if not is_refused_inside(s, (host, number))}


# ---- the examples --------------------------------------------------------------------------

EVERYWHERE, ANY_V4, ONLY_V4, ONLY_V6 = {V4, V6, OTHER}, {V4, OTHER}, {V4}, {V6}

EXAMPLES = [
    ("20203", 20203, EVERYWHERE),
    ("*:20203", 20203, EVERYWHERE),
    ("*:80/IPv4", 80, ANY_V4),
    ("[*]:20201:IPv6", 20201, ONLY_V6),
    ("80/ipv6", 80, ONLY_V6),
    ("*:20203/IPv4/IPv6", 20203, EVERYWHERE),
    ("[::1]:80", 80, ONLY_V6),
    ("::1:80", 80, ONLY_V6),
    ("::1, 80", 80, ONLY_V6),
    ("[::]:80", 80, ONLY_V6),
    ("127.0.0.1:80", 80, ONLY_V4),
    # as far as S, a run of separators, goes
    ("*|80|tcp|IPv4", 80, ANY_V4),
    ("* 80 TCP ipv4", 80, ANY_V4),
    ("*,80,tcp,IPV6", 80, ONLY_V6),
    ("127.0.0.1 ,| 80", 80, ONLY_V4),
    ("127.0.0.1:http", 80, ONLY_V4),
    ("[]:80", 80, EVERYWHERE),
    (":80", 80, EVERYWHERE),
    ("80/IPv46", 80, EVERYWHERE),
    ("80/IPv*", 80, EVERYWHERE),
]


@pytest.mark.root
@pytest.mark.ipv6
@pytest.mark.shows("port:examples", "port:separators", "port:ipv", "port:ipv-stacked", "port:proto",
                   "port:host", "port:port", "port:host-default", "port:host-brackets",
                   "port:expand-any", "port:expand-4", "port:expand-6", "key:port")
@pytest.mark.parametrize("port, number, hosts", EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_examples(server, port, number, hosts):
    """Who answers, and that it is the service."""
    s = start(server, port=port)
    assert answers(s, number) == hosts
    for host in hosts:
        assert serves_inside(s, f"[{host}]:{number}" if ":" in host else f"{host}:{number}")[0] == "tcp"


@pytest.mark.root
@pytest.mark.shows("port:examples", "port:host", "port:expand-any")
@pytest.mark.parametrize("port, number", [
    ("localhost:20204/tcp", 20204), ("localhost, 20204, tcp, IPv*", 20204),
    ("localhost | 20204 | tcp", 20204), ("localhost:http", 80)])
def test_examples_with_a_name(server, port, number):
    """Every address of the name, and no other."""
    s = start(server, port=port)
    found = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
    assert {address_of(text)[0] for text in s.listeners} == {entry[4][0] for entry in found}
    assert V4 in answers(s, number)
    assert OTHER not in answers(s, number)


@pytest.mark.root
@pytest.mark.shows("port:examples", "port:ipv-stacked", "key:ipv")
def test_a_name_in_both_versions_needs_both(server):
    """As there: two sockets, or no server where the name has one version only."""
    versions = {entry[0] for entry in socket.getaddrinfo("localhost", 80)}
    if len(versions) == 2:
        s = start(server, port="localhost:20203/IPv4/IPv6")
        assert answers(s, 20203) == {V4, V6}
    else:
        done = server.command(service(server), *flags(port="localhost:0/IPv4/IPv6"))
        assert done.returncode != 0 and "localhost" in done.stderr


@pytest.mark.shows("port:examples", "proto:unix", "port:expand-unix", "port:sock-type", "key:proto")
@pytest.mark.parametrize("form, proto", [
    ("{}|unix", None), ("{}/unix", None), ("{} unix", None), ("{}|sock_stream|unix", None),
    ("{},UNIX", None), ("{}", "unix")])
def test_examples_of_paths(server, tmp_path, form, proto):
    """One unix socket of that name."""
    path = tmp_path / "sock"
    s = server.start(service(server), SMALL, port=form.format(path), proto=proto)
    assert s.listeners == [str(path)]
    assert serves(s) == ("unix", "")


# ---- defaults and their order --------------------------------------------------------------


@pytest.mark.root
@pytest.mark.ipv6
@pytest.mark.shows("key:host", "key:proto", "key:ipv", "port:host-default", "port:pairing")
def test_defaults_pair_with_ports(server, tmp_path):
    """Host, protocol and version of the same index; the last one serves all further ports."""
    path = tmp_path / "sock"
    s = start(server, port=["81", "82", str(path), "84"], host=[V4, "::1", "*", OTHER],
              proto=["tcp", "tcp", "unix", "tcp"], ipv=["4", "6", "*", "4"])
    assert s.listeners == [f"{V4}:81", "[::1]:82", str(path), f"{OTHER}:84"]
    s = start(server, port=["81", "82", "83"], host=[V4, OTHER])
    assert s.listeners == [f"{V4}:81", f"{OTHER}:82", f"{OTHER}:83"]


@pytest.mark.root
@pytest.mark.ipv6
@pytest.mark.shows("port:ipv-precedence", "key:ipv", "env:IPV")
@pytest.mark.parametrize("settings, environment, hosts", [
    ({"port": "80"}, None, EVERYWHERE),
    ({"port": "80"}, "4", ANY_V4),
    ({"port": "80", "ipv": "6"}, "4", ONLY_V6),
    ({"port": "80/IPv4", "ipv": "6"}, None, ANY_V4),
    ({"port": "80/IPv4", "host": "*/IPv6"}, None, ONLY_V6),
    ({"port": "80/IPv6", "host": "*/IPv6", "proto": "tcp/IPv4"}, None, ANY_V4),
    ({"port": "80", "ipv": "IPv4 IPv6"}, None, EVERYWHERE),
    ({"port": "80", "ipv": "46"}, None, EVERYWHERE),
])
def test_the_strongest_version_counts(server, settings, environment, hosts):
    """Protocol, host, port, setting, environment, in this order."""
    s = start(server, env={"IPV": environment}, **settings)
    assert answers(s, 80) == hosts


@pytest.mark.root
@pytest.mark.ipv6
@pytest.mark.shows("port:expand-0", "port:expand-6")
def test_port_zero_is_one_number_for_all(server):
    """The kernel chooses once."""
    s = start(server, port="0/IPv4/IPv6")
    assert len(s.listeners) == 2 and len(set(s.ports)) == 1
    assert answers(s, s.port) == EVERYWHERE


@pytest.mark.root
@pytest.mark.shows("port:expand-twice")
def test_the_same_twice(server):
    """One socket serves both, and it is told."""
    s = start(server, port=["127.0.0.1:80", "127.0.0.1:80/tcp", "127.0.0.1:81"])
    assert s.listeners == ["127.0.0.1:80", "127.0.0.1:81"]
    assert s.find_log("named twice")


@pytest.mark.shows("key:listen")
def test_listen(server, tmp_path):
    """How many connections wait in the kernel: for a unix socket the next one is refused at
    once."""
    s = server.start(service(server), port=f"{tmp_path}/sock|unix", listen=3, sizing="static",
                     max_servers=1)
    with Talk(s):
        assert queue_of(tmp_path / "sock") == 3


@pytest.mark.shows("port:hash", "key:listen", "key:host", "key:ipv", "key:proto")
def test_attributes_of_one_port(server, tmp_path):
    """Words behind the port are settings for this port alone."""
    one, two = tmp_path / "one", tmp_path / "two"
    s = server.start(service(server), sizing="static", max_servers=1, listen=2,
                     port=[f"{one}|unix listen=5", f"{two}", "0 host=127.0.0.9 ipv=4 proto=tcp"])
    assert s.listeners[2].startswith("127.0.0.9:")
    with Talk(s):
        assert (queue_of(one), queue_of(two)) == (5, 2)


def queue_of(path):
    """How many connections the kernel queues there while nobody accepts."""
    waiting = []
    try:
        while len(waiting) < 99:
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            waiting[-1].connect(str(path))
    except BlockingIOError:
        pass
    for client in waiting:
        client.close()
    return len(waiting) - 2  # the kernel allows one more, and the last was refused


# ---- what surprised there ------------------------------------------------------------------


@pytest.mark.shows("port:surprise-path", "port:surprise-blank-in-path", "port:surprise-sock-dgram",
                   "port:sock-type")
@pytest.mark.parametrize("name, form, proto", [
    ("sock", "{}", "tcp"),           # was port /path, protocol sock
    ("a b", "{}|unix", None),        # was cut at the blank
    ("sock", "{}|SOCK_STREAM", None),  # was host and port
    ("tcp", "{}", None),
    ("x:y", "{}", None),
])
def test_a_path_is_a_path(server, tmp_path, name, form, proto):
    """What begins with a slash is never cut."""
    path = tmp_path / name
    s = server.start(service(server), SMALL, port=form.format(path), proto=proto)
    assert s.listeners == [str(path)]
    assert serves(s) == ("unix", "")


@pytest.mark.root
@pytest.mark.shows("port:surprise-host-slash", "port:surprise-trailing-blank", "file:comment")
@pytest.mark.parametrize("line", ["127.0.0.1/80", "127.0.0.1:80   # with a comment",
                                  "127.0.0.1:80 \t\r"])
def test_what_should_have_worked_there_works(server, tmp_path, line):
    """A slash after the host, blanks after the whole."""
    (tmp_path / "x.conf").write_text(f"port {line}\n", newline="")
    s = start(server, port=None, conf_file=tmp_path / "x.conf")
    assert s.listeners == ["127.0.0.1:80"]
    assert answers(s, 80) == ONLY_V4


@pytest.mark.root
@pytest.mark.ipv6
@pytest.mark.shows("port:surprise-scope")
def test_a_scope_id(server):
    """An address of one interface: the brackets hold it whole."""
    s = server.start(service(server), SMALL, port="[fe80::1%lo]:80",
                     preexec_fn=own_network(address="fe80::1"))
    peer = serves(s, address=connect_inside(s, ("fe80::1", 80, 0, 1)))[1]  # lo is the first
    assert peer.startswith("fe80::1")
    assert answers(s, 80) == set()


@pytest.mark.shows("port:bad-host", "port:bad-proto", "port:surprise-two-protos", "proto:class",
                   "port:expand-nothing", "port:surprise-unresolved")
@pytest.mark.parametrize("port, sentence", [
    ("80/tcp/udp", "two protocols"),
    ("80/MyTcp", "protocol MyTcp is not"),
    ("80/My::Tcp", "protocol My::Tcp is not"),
    ("127.0.0.1:80/IPv6", "127.0.0.1 is an IPv4 address, but IPv6"),
    ("[::1]:80/IPv4", "::1 is an IPv6 address, but IPv4"),
    ("a!b:80", 'contains "!"'),
    ("[::1:80", "the bracket is not closed"),
    ("", "port"),
    ("localhost:", "port"),
    ("80/IPv5", '"IPv5" is not known'),
    ("sock|unix", "begins with /"),
    ("no-such-host.invalid:80", 'host "no-such-host.invalid"'),
])
def test_Wb_what_cannot_be_listened_on_is_said_exactly(server, port, sentence):
    """There some of these were taken apart in unexpected ways, and others ended in a message
    about something else. Here one line names the port and what is wrong with it."""
    done = server.command(service(server), *flags(port=port, log_level=0))
    assert done.returncode != 0
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and sentence in lines[0], done.stderr


@pytest.mark.root
@pytest.mark.shows("port:expand-0")
def test_Wd_a_free_port_is_bound_once_and_kept(server):
    """There a port was learnt by binding it, closing it and binding again; somebody else could
    have it by then. Here the socket that learnt it is the one that serves: never is the number
    bound twice. With ten servers at once each has its own, and all answer."""
    many = [server.start(service(server), SMALL, port="127.0.0.1:0") for _ in range(10)]
    assert len({s.port for s in many}) == 10
    for s in many:
        assert serves(s)[0] == "tcp"
