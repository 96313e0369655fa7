"""11_TCP_ipv4 to 17_TCP_DoublePort: which IP versions a port answers on.

There each test binds the wildcard address of the machine; here that happens in a network of
its own, so that nobody else is asked and every number is free.
"""

import pytest

from service import Talk, connect_inside, is_refused_inside, own_network, service, serves_inside

NUMBER = 20203  # the default of Net::Server
V4, V6 = ("127.0.0.1", NUMBER), ("::1", NUMBER)
SMALL = {"min_servers": 2, "max_servers": 4}

pytestmark = [pytest.mark.root, pytest.mark.ipv6]


def start(server, ipv6=True, **settings):
    """A service in a network of its own."""
    settings.setdefault("port", None)
    return server.start(service(server), SMALL, preexec_fn=own_network(ipv6), **settings)


def peer(s, address):
    """Who asks, as the service sees it."""
    with Talk(s, address=connect_inside(s, address)) as talk:
        assert talk.ask("hi") == 'You said "hi"'
        return talk.fact("peeraddr")


@pytest.mark.shows("key:host", "key:ipv", "proto:tcp", "hook:default_port", "port:expand-4")
def test_11_tcp_ipv4(server):
    """IPv4 is answered, IPv6 refused, on the default port."""
    s = start(server, host="*", ipv="4")
    assert s.listeners == [f"0.0.0.0:{NUMBER}"]
    assert peer(s, V4) == "127.0.0.1"
    assert is_refused_inside(s, V6)


@pytest.mark.shows("key:ipv", "port:expand-6")
def test_12_tcp_ipv6(server):
    """And the other way round: the IPv6 socket takes no IPv4."""
    s = start(server, host="*", ipv="6")
    assert s.listeners == [f"[::]:{NUMBER}"]
    assert peer(s, V6) == "::1"
    assert is_refused_inside(s, V4)


@pytest.mark.shows("key:ipv", "port:expand-any", "hook:get_client_info")
def test_13_tcp_ipv_any(server):
    """One socket for both. There an IPv4 client was shown as ::ffff:127.0.0.1, here it is not."""
    s = start(server, host="*", ipv="*")
    assert len(s.listeners) == 1
    assert peer(s, V4) == "127.0.0.1"
    assert peer(s, V6) == "::1"


@pytest.mark.shows("env:IPV", "env:NO_IPV6", "port:expand-any")
@pytest.mark.parametrize("how", ["kernel", "IPV=4", "NO_IPV6=1"])
def test_14_tcp_no_v6(server, how):
    """Without IPv6, in the kernel or by decree, every version is IPv4, and no failure."""
    environment = dict([how.split("=")]) if "=" in how else {}
    s = start(server, ipv6=how != "kernel", host="*", env=environment)
    assert len(s.listeners) == 1
    assert peer(s, V4) == "127.0.0.1"
    assert is_refused_inside(s, V6)


@pytest.mark.shows("key:ipv", "port:ipv-stacked", "port:expand-6")
def test_15_tcp_ipv4v6(server):
    """Two sockets with the same number."""
    s = start(server, host="*", ipv="v4v6")
    assert sorted(s.listeners) == [f"0.0.0.0:{NUMBER}", f"[::]:{NUMBER}"]
    assert (peer(s, V4), peer(s, V6)) == ("127.0.0.1", "::1")


@pytest.mark.shows("port:ipv", "port:ipv-stacked", "port:expand-6")
def test_16_tcp_stack_ipv(server):
    """The same, said in the port."""
    s = start(server, port=f"{NUMBER}/IPv4/IPv6")
    assert sorted(s.listeners) == [f"0.0.0.0:{NUMBER}", f"[::]:{NUMBER}"]
    assert (peer(s, V4), peer(s, V6)) == ("127.0.0.1", "::1")


@pytest.mark.shows("key:port", "port:ipv")
def test_17_tcp_double_port(server):
    """The same, said in two ports."""
    s = start(server, port=[f"{NUMBER}/IPv4", f"{NUMBER}/IPv6"])
    assert s.listeners == [f"0.0.0.0:{NUMBER}", f"[::]:{NUMBER}"]
    assert (peer(s, V4), peer(s, V6)) == ("127.0.0.1", "::1")


@pytest.mark.shows("port:expand-any")
def test_Wa_every_address_where_there_is_no_ipv6(server):
    """A resolver that knows IPv6 and a kernel that has none made the wildcard fail. Here the
    server answers on what there is."""
    s = start(server, ipv6=False, port=[f"{NUMBER}", f"localhost:{NUMBER + 1}"])
    serves_inside(s, f"127.0.0.1:{NUMBER}")
    serves_inside(s, f"127.0.0.1:{NUMBER + 1}")
