"""Sockets: what a port setting becomes, what is refused, what is left alone.

The grammar itself has unit tests; here each form meets the kernel. Ports are chosen by the
kernel (port 0) except where a test is about a port that is taken: then the test holds it.
Inherited sockets are made by the test and handed over as a service manager would do it.
"""

import fcntl
import os
import re
import socket
import stat
from contextlib import contextmanager
from signal import SIGKILL, SIGQUIT

import pytest

from support import EXAMPLES, PREFORK, connect, converse, flags, is_refused

SYSTEM, CONFIG = 71, 78
SMALL = {"min_servers": 2, "max_servers": 3}


def refusal(server, *words, status=SYSTEM, **settings):
    """The one line that a start ends with."""
    done = server.command(EXAMPLES / "echo", *flags(*words, log_level=1, **settings))
    assert done.returncode == status, (done.returncode, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


# ---- TCP -----------------------------------------------------------------------------------


@pytest.mark.shows("port:separators", "port:proto", "port:host", "port:port", "port:expand-4",
                   "key:port")
@pytest.mark.parametrize("port", [
    "127.0.0.1:0", "127.0.0.1, 0", "127.0.0.1|0|tcp", "127.0.0.1 0 tcp", "127.0.0.1:0/tcp",
    "127.0.0.1:0/IPv4", "127.0.0.1,0,tcp,IPv4",
])
def test_forms_of_an_ipv4_port(server, port):
    """All of them are one socket that answers."""
    s = server.start("echo", **SMALL, port=port)
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", s.listeners[0])
    assert len(s.listeners) == 1
    assert s.ask(b"hello\n") == b"hello\n"


@pytest.mark.shows("port:host-brackets", "port:expand-6")
@pytest.mark.ipv6
@pytest.mark.parametrize("port", ["[::1]:0", "[::1]:0/tcp", "[::1], 0", "[::1]:0/IPv6"])
def test_forms_of_an_ipv6_port(server, port):
    """Brackets tell the address from the port."""
    s = server.start("echo", **SMALL, port=port)
    assert re.fullmatch(r"\[::1\]:[1-9]\d*", s.listeners[0])
    assert s.ask(b"hello\n") == b"hello\n"


@pytest.mark.shows("key:host", "port:host-default")
def test_host_stands_for_ports_without_one(server):
    """port 0 and host 127.0.0.1."""
    s = server.start("echo", **SMALL, port="0", host="127.0.0.1")
    assert s.listeners[0].startswith("127.0.0.1:")
    assert s.ask(b"hello\n") == b"hello\n"


@pytest.mark.shows("key:host", "port:pairing")
def test_hosts_pair_with_ports_by_index(server):
    """The first with the first, and the last serves all further ones."""
    s = server.start("echo", **SMALL, port=["0", "127.0.0.9:0", "0", "0"],
                     host=["127.0.0.2", "127.0.0.3", "127.0.0.4"])
    hosts = [text.rpartition(":")[0] for text in s.listeners]
    assert hosts == ["127.0.0.2", "127.0.0.9", "127.0.0.4", "127.0.0.4"]


@pytest.mark.shows("port:expand-any", "port:expand-0")
def test_a_name_is_resolved(server):
    """localhost is at least 127.0.0.1, and all its addresses have one port."""
    s = server.start("echo", **SMALL, port="localhost:0")
    assert any(text.startswith("127.0.0.1:") for text in s.listeners)
    assert len(set(s.ports)) == 1
    for index in range(len(s.listeners)):
        assert s.ask(b"hello\n", index) == b"hello\n"


@pytest.mark.shows("port:expand-any", "hook:get_client_info")
@pytest.mark.ipv6
def test_one_dual_stack_socket_shows_ipv4_clients_as_ipv4(server):
    """A bare port is one socket for both, and nobody meets ::ffff:127.0.0.1."""
    s = server.start(server.program("probe"), **SMALL, port="0")
    assert len(s.listeners) == 1
    for host in ("127.0.0.1", "::1"):
        reply = s.ask(b"addresses\n", address=(host, s.port)).decode()
        kind, text, peer, port, local_text, local, local_port = reply.strip().split("|")
        shown = f"[{host}]" if ":" in host else host
        assert (kind, peer, local) == ("tcp", host, host)
        assert (text, local_text) == (f"{shown}:{port}", f"{shown}:{s.port}")
        assert int(local_port) == s.port


@pytest.mark.shows("port:ipv-stacked", "port:expand-0", "port:expand-6")
@pytest.mark.ipv6
def test_ipv4_and_ipv6_asked_for_are_two_sockets(server):
    """With the same port, and the IPv6 one serves IPv6 only."""
    s = server.start("echo", **SMALL, port="0/IPv4/IPv6")
    assert len(s.listeners) == 2
    assert len(set(s.ports)) == 1
    assert s.ask(b"4\n", address=("127.0.0.1", s.port)) == b"4\n"
    assert s.ask(b"6\n", address=("::1", s.port)) == b"6\n"


@pytest.mark.shows("key:ipv", "port:expand-6")
@pytest.mark.ipv6
@pytest.mark.parametrize("settings", [{"port": "0/IPv6"}, {"port": "0", "ipv": "6"}])
def test_ipv6_only(server, settings):
    """Does not answer on IPv4."""
    s = server.start("echo", **SMALL, **settings)
    assert s.ask(b"6\n", address=("::1", s.port)) == b"6\n"
    assert is_refused(("127.0.0.1", s.port))


@pytest.mark.shows("env:IPV")
def test_ipv_of_the_environment(server):
    """IPV=4 makes a bare port an IPv4 socket."""
    s = server.start("echo", **SMALL, port="0", env={"IPV": "4"})
    assert s.listeners[0].startswith("0.0.0.0:")
    assert s.ask(b"hello\n") == b"hello\n"


@pytest.mark.shows("key:port", "proto:tcp", "proto:unix", "hook:accept_multi_port")
def test_several_ports_at_once(server, tmp_path):
    """Each has its own number, all are served by the same workers."""
    path = tmp_path / "s"
    s = server.start("echo", **SMALL, port=["127.0.0.1:0", "127.0.0.1:0", f"{path}|unix"])
    assert len(set(s.ports)) == 2
    assert s.listeners[2] == str(path)
    for index in range(3):
        assert s.ask(b"%d\n" % index, index) == b"%d\n" % index


@pytest.mark.shows("port:port")
def test_a_service_name(server, tmp_path):
    """Is looked up; the name and its number are one port."""
    number = _free_service()
    if not number:
        pytest.skip("every known service port is taken or not allowed")
    name = socket.getservbyport(number, "tcp")
    s = server.start("echo", **SMALL, port=f"127.0.0.1:{name}")
    assert s.listeners == [f"127.0.0.1:{number}"]
    assert s.ask(b"hello\n") == b"hello\n"


def _free_service():
    """The number of a service of /etc/services, unprivileged and free here."""
    offset = 7 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    names = ["postgresql", "mysql", "ircd", "distcc", "svn", "nut", "sieve", "munin", "x11-6",
             "x11-7", "amanda", "gnunet", "zope", "bgpd", "ospfd", "isisd", "x11-5", "x11-4"]
    for name in names[offset % len(names):] + names:
        try:
            number = socket.getservbyname(name, "tcp")
            with socket.socket() as s:
                s.bind(("127.0.0.1", number))
        except OSError:
            continue
        return number
    return 0


@pytest.mark.shows("port:expand-twice")
def test_the_same_port_twice_is_one_socket(server):
    """The second is told and not made."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    s = server.start("echo", **SMALL, port=[f"127.0.0.1:{port}", f"127.0.0.1:{port}"])
    assert s.listeners == [f"127.0.0.1:{port}"]
    assert s.wait_log("is named twice: one socket serves both")


def test_a_port_in_use(server):
    """One line that names it, exit status 71, and the owner is not disturbed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(server, port=f"127.0.0.1:{port}")
        assert f"port {port} on 127.0.0.1: in use by another process" in line
        connect(("127.0.0.1", port)).close()


def test_a_port_in_use_takes_back_the_others(server, tmp_path):
    """What was bound before is gone again: sockets, their paths, the pid file."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refusal(server, port=[f"{tmp_path}/s|unix", f"127.0.0.1:{port}"],
                pid_file=tmp_path / "pid")
    assert not (tmp_path / "s").exists()
    assert not (tmp_path / "pid").exists()


@pytest.mark.shows("port:surprise-unresolved", "port:expand-nothing")
@pytest.mark.parametrize("port, sentence", [
    ("127.0.0.1:no-such-service-x", "no such service"),
    ("no-such-host.invalid:0", 'host "no-such-host.invalid"'),
    ("192.0.2.1:0", "no such address on this machine"),
])
def test_what_the_network_refuses(server, port, sentence):
    """Names what is wrong: the service, the host or the address."""
    done = server.command(EXAMPLES / "echo", *flags(port=port, log_level=1))
    assert done.returncode in (SYSTEM, CONFIG)
    assert len(done.stderr.splitlines()) == 1
    assert sentence in done.stderr


# ---- unix sockets --------------------------------------------------------------------------


@pytest.mark.shows("proto:unix", "port:expand-unix")
@pytest.mark.parametrize("form", ["{}|unix", "{}/unix", "{} unix", "{}|UNIX", "{}"])
def test_forms_of_a_unix_socket(server, tmp_path, form):
    """A path, with or without the word unix."""
    path = tmp_path / "a.sock"
    s = server.start("echo", **SMALL, port=form.format(path))
    assert s.listeners == [str(path)]
    assert s.ask(b"hello\n") == b"hello\n"
    assert s.stop() == 0
    assert not path.exists()


@pytest.mark.shows("port:surprise-blank-in-path")
def test_a_path_with_a_blank(server, tmp_path):
    """Is one path."""
    path = tmp_path / "a b.sock"
    s = server.start("echo", **SMALL, port=f"{path}|unix")
    assert s.ask(b"hello\n") == b"hello\n"


@pytest.mark.parametrize("mode", ["0600", "0666", "0000"])
def test_W40_mode_of_a_unix_socket(server, tmp_path, mode):
    """socket_mode is exact, whatever the umask."""
    path = tmp_path / "s"
    server.start("echo", **SMALL, port=f"{path}|unix", socket_mode=mode, umask=0o077)
    assert stat.S_IMODE(path.stat().st_mode) == int(mode, 8)


def test_the_umask_decides_without_a_mode(server, tmp_path):
    """As for any file."""
    path = tmp_path / "s"
    server.start("echo", **SMALL, port=f"{path}|unix", umask=0o027)
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


@pytest.mark.root
@pytest.mark.parametrize("owner, ids", [("12345", (12345, 0)), ("12345:23456", (12345, 23456)),
                                        (":23456", (0, 23456))])
def test_W40_owner_of_a_unix_socket(server, tmp_path, owner, ids):
    """User, group or both, by number."""
    path = tmp_path / "s"
    server.start("echo", **SMALL, port=f"{path}|unix", socket_owner=owner, socket_mode="0640")
    status = path.stat()
    assert (status.st_uid, status.st_gid) == ids
    assert stat.S_IMODE(status.st_mode) == 0o640


def test_W41_a_stale_unix_socket_is_replaced(server, tmp_path):
    """What a killed server left behind is no obstacle."""
    path = tmp_path / "s"
    first = server.start("echo", **SMALL, port=f"{path}|unix")
    assert first.stop(SIGKILL) == -SIGKILL
    assert path.is_socket()
    first.wait_until(lambda: is_refused(path), "the end of the first server's workers")
    second = server.start("echo", **SMALL, port=f"{path}|unix")
    assert second.ask(b"hello\n") == b"hello\n"


def test_W41_a_live_unix_socket_is_refused(server, tmp_path):
    """And goes on serving, also when the second start has failed."""
    path = tmp_path / "s"
    first = server.start("echo", **SMALL, port=f"{path}|unix")
    assert "in use by another process" in refusal(server, port=f"{path}|unix")
    assert first.ask(b"hello\n") == b"hello\n"


def test_W41_somebody_elses_socket_with_a_full_queue_is_live(server, tmp_path):
    """A server that does not get round to accepting is one."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(str(path))
        busy.listen(0)
        client.connect(str(path))
        assert "in use by another process" in refusal(server, port=f"{path}|unix")
        assert path.is_socket()


def test_W41_a_regular_file_is_refused_and_untouched(server, tmp_path):
    """Nothing but a socket is ever removed."""
    path = tmp_path / "precious"
    path.write_text("precious")
    assert "exists and is not a socket" in refusal(server, port=f"{path}|unix")
    assert path.read_text() == "precious"


def test_W41_a_symbolic_link_is_refused_and_untouched(server, tmp_path):
    """Also one that leads to a dead socket."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "dead")
    assert "is a symbolic link" in refusal(server, port=f"{path}|unix")
    assert path.is_symlink() and (tmp_path / "dead").exists()


def test_a_missing_directory(server, tmp_path):
    """Is named."""
    line = refusal(server, port=f"{tmp_path}/no/where/s|unix")
    assert f"the directory {tmp_path}/no/where does not exist" in line


def test_the_path_is_left_to_whoever_replaced_it(server, tmp_path):
    """At stop the path is removed only if it is still ours."""
    path = tmp_path / "s"
    s = server.start("echo", **SMALL, port=f"{path}|unix")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert s.stop() == 0
        assert path.is_socket()
        connect(path).close()


@pytest.mark.parametrize("signum", [15, 2, SIGQUIT])
def test_the_path_is_gone_after_each_way_to_stop(server, tmp_path, signum):
    """TERM, INT, QUIT."""
    path = tmp_path / "s"
    s = server.start("echo", **SMALL, port=f"{path}|unix")
    assert s.stop(signum) == 0
    assert not path.exists()


def test_stopped_servers_refuse_at_once(server):
    """After the stop the port is free: another server can have it."""
    first = server.start("echo", **SMALL)
    address = first.address
    assert first.stop() == 0
    assert is_refused(address)
    second = server.start("echo", **SMALL, port=f"{address[0]}:{address[1]}")
    assert second.ask(b"hello\n") == b"hello\n"


# ---- sockets that are handed in ------------------------------------------------------------


@contextmanager
def copies(sockets):
    """Copies with numbers far from 3, so that moving them down cannot hit one."""
    fds = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 100) for s in sockets]
    try:
        yield fds, ",".join(str(fd) for fd in fds) or "none"
    finally:
        for fd in fds:
            os.close(fd)


def hand_in(server, sockets, *words, program=(EXAMPLES / "echo",), **more):
    """Start a server with these sockets as descriptors 3 and up, as systemd does it."""
    helper = server.program("hand_in", library=False)
    with copies(sockets) as (fds, names):
        return server.start(helper, names, *program, *words, **more, pass_fds=fds)


def listening(address=("127.0.0.1", 0)):
    """A listening socket of the test."""
    if isinstance(address, tuple):
        return socket.create_server(address)
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(address))
    s.listen()
    return s


@pytest.mark.shows("hook:bind")
def test_inherited_sockets_replace_the_default_port(server, tmp_path):
    """TCP and unix; the server says that they were handed in."""
    with listening() as tcp, listening(tmp_path / "s") as unix:
        s = hand_in(server, [tcp, unix], port=None)
        assert len(s.find_log(r"listening on .* \(inherited\)$")) == 2
        assert s.listeners == ["127.0.0.1:%d" % tcp.getsockname()[1], str(tmp_path / "s")]
        assert s.ask(b"tcp\n", 0) == b"tcp\n"
        assert s.ask(b"unix\n", 1) == b"unix\n"


def test_inherited_sockets_survive_our_stop(server, tmp_path):
    """They are the manager's: still listening, the path still there, the next start works."""
    with listening() as tcp, listening(tmp_path / "s") as unix:
        assert hand_in(server, [tcp, unix], port=None).stop() == 0
        assert (tmp_path / "s").is_socket()
        for address in (tcp.getsockname(), tmp_path / "s"):
            with connect(address) as early:  # queued while nobody serves
                again = hand_in(server, [tcp, unix], port=None)
                assert converse(early, b"late\n") == b"late\n"
                assert again.stop() == 0


def test_a_port_adopts_the_inherited_socket_it_names(server):
    """It is not bound again; another port is made as usual."""
    with listening() as tcp:
        port = tcp.getsockname()[1]
        s = hand_in(server, [tcp], port=[f"127.0.0.1:{port}", "127.0.0.1:0"])
        assert len(s.listeners) == 2
        assert len(s.find_log(r"\(inherited\)$")) == 1
        assert s.listeners[0] == f"127.0.0.1:{port}"
        assert s.ask(b"hello\n", 0) == s.ask(b"hello\n", 1) == b"hello\n"


def test_variables_for_another_process_are_not_ours(server):
    """LISTEN_PID names the shell that starts us: the descriptor is left alone."""
    shell = server.script('"$@"; exit $?', "shell")
    with listening() as tcp:
        s = hand_in(server, [tcp], program=(shell, EXAMPLES / "echo"), **SMALL)
        assert len(s.listeners) == 1
        assert s.port != tcp.getsockname()[1]
        assert s.ask(b"hello\n") == b"hello\n"


def test_programs_do_not_see_the_variables(server):
    """LISTEN_FDS was for us; a program that is started later must not act on it."""
    with listening() as tcp:
        hand_in(server, [tcp], port=None, program=(PREFORK, "serve"), **SMALL, tail=["env"])
        with connect(tcp.getsockname()) as client:
            reply = converse(client)
        assert b"REMOTE_ADDR=127.0.0.1\n" in reply
        assert b"LISTEN_" not in reply


@pytest.mark.parametrize("kind, sentence", [
    ("file", "descriptor 3 is not a socket"),
    ("datagram", "descriptor 3 is not bound"),
    ("raw", "descriptor 3 is neither a stream nor a datagram socket"),
    ("connected", "descriptor 3 does not listen"),
    ("closed", "descriptor 3 is not open"),
])
def test_a_wrong_descriptor_ends_the_start(server, kind, sentence):
    """Serving half of what the manager means would hide its mistake."""
    helper = server.program("hand_in", library=False)
    made = {"file": lambda: [open("/dev/null", "rb")],
            "datagram": lambda: [socket.socket(type=socket.SOCK_DGRAM)],
            "raw": lambda: [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)],
            "connected": lambda: list(socket.socketpair()),
            "closed": lambda: []}[kind]()
    with copies(made) as (fds, names):
        done = server.command(helper, names, EXAMPLES / "echo", "--log_level=1", pass_fds=fds,
                              env={"LISTEN_FDS": 1})
    for one in made:
        one.close()
    assert done.returncode == CONFIG
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", ["many", "-1", "99999999999999999999"])
def test_a_wrong_number_of_descriptors(server, number):
    """The variable is named."""
    helper = server.program("hand_in", library=False)
    done = server.command(helper, "none", EXAMPLES / "echo", env={"LISTEN_FDS": number})
    assert done.returncode == CONFIG
    assert "LISTEN_FDS" in done.stderr
