"""Datagrams: udp and unixdgram, from the port setting to the answer.

Clients are plain sockets of the test. Who wants to know whether something is *not* answered
asks something else afterwards by the same socket and looks at what comes first. Addresses
other than 127.0.0.1 are of the loopback network, which is this machine whatever the number;
broadcasts happen in a network namespace of the test's own. test_datagram_load.py is about
many at once.
"""

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from clients import Gate
from datagrams import ONE, SMALL, UDP, Client, ask, both, start
from support import EXAMPLES, PATIENCE, PREFORK, address_of, connect, converse, flags
from test_listen import copies, hand_in, refusal

CONFIG = 78


# ---- udp -----------------------------------------------------------------------------------


@pytest.mark.parametrize("port, ask_at", [
    ("127.0.0.1:0/udp", ["127.0.0.1"]),
    ("*:0/udp/IPv4", ["127.0.0.1", "127.0.0.7"]),
    pytest.param("[::1]:0/udp", ["::1"], marks=pytest.mark.ipv6),
    pytest.param("0/udp", ["127.0.0.1", "127.0.0.7", "::1"], marks=pytest.mark.ipv6),
    pytest.param("0/udp/IPv4/IPv6", ["127.0.0.1", "127.0.0.7", "::1"], marks=pytest.mark.ipv6),
])
def test_echo(server, port, ask_at):
    """By IPv4, by IPv6, by one socket for both: the answer comes from the address asked."""
    s = server.start("echo", SMALL, port=port)
    assert s.wait_log(r"listening on \S+ \(udp\)$")
    for host in ask_at:
        assert ask((host, s.port), b"one\ntwo\n") == b"one\ntwo\n"
        assert ask((host, s.port), b"") == b""


@pytest.mark.parametrize("port", [
    "*:0/udp/IPv4", pytest.param("0/udp", marks=pytest.mark.ipv6)])
def test_addresses(server, port):
    """The client's is where it is bound, ours is the one it asked, not the wildcard."""
    s = start(server, port)
    with Client(("127.0.0.9", s.port), bind=("127.0.0.5", 0)) as c:
        mine = c.socket.getsockname()[1]
        assert c.ask(b"addresses").decode() == (
            f"udp|127.0.0.5:{mine}|127.0.0.5|{mine}|127.0.0.9:{s.port}|127.0.0.9|{s.port}")


@pytest.mark.ipv6
def test_ipv6_addresses(server):
    """As text with brackets."""
    s = start(server, "0/udp")
    with Client(("::1", s.port)) as c:
        c.send(b"addresses")
        mine = c.socket.getsockname()[1]
        assert c.hear()[0].decode() == (
            f"udp|[::1]:{mine}|::1|{mine}|[::1]:{s.port}|::1|{s.port}")


def test_a_bound_address_is_the_local_one(server):
    """Without asking the kernel for each datagram."""
    s = start(server, "127.0.0.3:0/udp")
    assert ask(("127.0.0.3", s.port), b"addresses").endswith(
        b"|127.0.0.3:%d|127.0.0.3|%d" % (s.port, s.port))


def test_each_client_gets_its_own_answer(server):
    """Many at once, each with several questions underway."""
    s = start(server, "*:0/udp/IPv4", max_servers=8)
    hosts = [f"127.0.0.{1 + n % 7}" for n in range(60)]
    crowd = [Client((host, s.port)) for host in hosts]
    for turn in range(4):
        for n, c in enumerate(crowd):
            c.send(b"%d %d" % (n, turn))
    for n, c in enumerate(crowd):
        with c:
            answers = {c.hear() for _ in range(4)}
        assert answers == {(b"%d %d" % (n, turn), (hosts[n], s.port)) for turn in range(4)}


def test_tcp_and_udp_on_one_number(server):
    """As in the reference's own test: a datagram is echoed, then a stream works."""
    s = server.start("echo", SMALL, port=["127.0.0.1:0/tcp"])
    number = s.port
    s.stop()
    s = server.start("echo", SMALL, port=[f"127.0.0.1:{number}/tcp", f"127.0.0.1:{number}/udp"])
    assert len(s.listeners) == 2
    assert ask(("127.0.0.1", number), b"datagram") == b"datagram"
    assert converse(connect(("127.0.0.1", number)), b"stream\n") == b"stream\n"


def test_the_same_udp_port_twice_is_one_socket(server):
    """As for TCP."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = f"127.0.0.1:{probe.getsockname()[1]}/udp"
    s = start(server, [port, port])
    assert len(s.listeners) == 1
    assert s.wait_log("is named twice: one socket serves both")


def test_two_servers_never_share_a_udp_port(server):
    """SO_REUSEADDR would let the second one take the datagrams of the first."""
    s = start(server)
    line = refusal(server, port=f"127.0.0.1:{s.port}/udp")
    assert f"port {s.port} on 127.0.0.1: in use by another process (ss -lunp" in line
    assert ask(s.address, b"still here") == b"still here"


def test_a_service_name_is_looked_up_for_udp(server):
    """tftp is known for udp only; nobody else is asked for its number."""
    done = server.command(EXAMPLES / "echo", *flags(port="192.0.2.1:tftp/udp", log_level=1))
    assert "port 69 on 192.0.2.1: no such address" in done.stderr
    done = server.command(EXAMPLES / "echo", *flags(port="192.0.2.1:tftp/tcp", log_level=1))
    assert "no such service" in done.stderr


# ---- payload -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["udp", "unixdgram"])
def test_what_is_too_long_is_cut_and_told(server, tmp_path, kind):
    """The handler sees what fits and how much is missing."""
    port, mine = both(server, kind, tmp_path)
    s = start(server, port, udp_recv_len=100)
    with Client(s.address, mine) as c:
        assert c.ask(b"size".ljust(100, b"x")) == b"100 0"
        assert c.ask(b"size".ljust(101, b"x")) == b"100 1"
        assert c.ask(b"size".ljust(5000, b"x")) == b"100 4900"
        assert c.ask(b"y" * 5000) == b"y" * 100


def test_read_and_gets_give_the_payload_and_then_the_end(server):
    """In pieces, like a stream that ends."""
    s = start(server)
    assert ask(s.address, b"read and so on") == b"read |and s|o on|0"
    assert ask(s.address, b"gets 1\n2\n\n3") == b"gets |1\n|2\n|\n|3|0"


def test_the_default_is_4096_bytes_and_the_most_65535(server):
    """The longest datagram of all is received whole if asked for."""
    s = start(server, [UDP, UDP + " udp_recv_len=65535"])
    small, large = (address_of(text) for text in s.listeners)
    assert ask(small, b"size".ljust(4097, b"x")) == b"4096 1"
    assert ask(large, b"size".ljust(65507, b"x")) == b"65507 0"


def test_what_does_not_fit_into_one_datagram_is_refused(server):
    """And nothing of it is sent."""
    s = start(server)
    with Client(s.address) as c:
        c.send(b"big 65508")
        assert c.hear()[0] == b"EMSGSIZE"
        c.send(b"big 65507")
        assert (len(c.hear()[0]), c.hear()[0]) == (65507, b"0")


def test_each_write_is_a_datagram(server):
    """Two writes, two answers, of which an empty one is one too."""
    s = start(server)
    with Client(s.address) as c:
        c.send(b"twice")
        assert [c.hear()[0], c.hear()[0]] == [b"twice", b"twice"]
        assert c.ask(b"") == b""


def test_garbage(server):
    """Any bytes of any length, none included, come back; nobody dies."""
    s = start(server, log_level=3)
    workers = s.workers()
    with Client(s.address) as c:
        for size in [0, 1, 2, 63, 64, 511, 1471, 1472, 1473, 4095, 4096]:
            noise = os.urandom(size)
            assert c.ask(noise) == noise
        assert c.ask(b"\0" * 100) == b"\0" * 100
    assert set(workers) <= set(s.workers())


def test_standard_input_and_output_stay_out_of_it(server):
    """no_client_stdout 0 is for streams: descriptor 1 of a worker is never the socket."""
    s = start(server, no_client_stdout=0, **ONE)
    gate_pid = int(ask(s.address, b"pid"))
    assert not os.readlink(f"/proc/{gate_pid}/fd/1").startswith("socket:")


# ---- hooks, counting -----------------------------------------------------------------------


@pytest.mark.parametrize("payload, verdict", [(b"hello", True), (b"deny", False)])
def test_hooks_are_those_of_a_connection(server, payload, verdict):
    """In the same order; what is denied gets no answer but its own hook."""
    s = start(server, env={"HOOKS": 1}, **ONE)
    with Client(s.address) as c:
        c.send(payload)
        expected = ["post_accept", "allow_deny",
                    "process_request" if verdict else "request_denied",
                    f"post_process_request {int(verdict)}", "post_client_connection"]
        s.wait_log("hook post_client_connection$")
        assert [m.group(1) for m in s.find_log(r"hook (.*)$")] == expected
        if not verdict:
            c.send(b"after")
            assert c.hear()[0] == b"after"
        else:
            assert c.hear()[0] == payload


def test_connections_are_logged(server):
    """At level 3, with protocol and both ends."""
    s = start(server, log_level=3)
    with Client(s.address) as c:
        c.ask(b"x")
        mine = c.socket.getsockname()[1]
        s.wait_log(rf"connect udp peer 127\.0\.0\.1:{mine} local 127\.0\.0\.1:{s.port}")


def test_max_requests_counts_datagrams(server):
    """A worker serves so many and another takes over; none is lost."""
    s = start(server, max_requests=10, max_requests_jitter=0, **ONE)
    with Client(s.address) as c:
        counts = [int(c.ask(b"requests")) for _ in range(35)]
        assert max(counts) == 10
        assert counts.count(1) >= 3
    s.wait_log(r"max_requests")
    assert s.stop() == 0
    assert s.wait_log(r"stopped after 35 connections")


def test_max_requests_is_exact_in_a_run(server, tmp_path):
    """Also when many datagrams wait and the worker takes one after the other."""
    gate = Gate(tmp_path / "gate")
    gate.close()
    s = start(server, env={"GATE": gate}, max_requests=10, max_requests_jitter=0, **ONE)
    with Client(s.address) as c:
        c.send(b"hold")
        c.hear()
        for _ in range(50):
            c.send(b"requests")
        gate.open()
        c.hear()
        assert max(int(c.hear()[0]) for _ in range(50)) == 10


# ---- unixdgram -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}|unixdgram", "{}/unixdgram", "{} sock_dgram unix",
                                  "{}|unix|sock_dgram"])
def test_forms_of_a_unix_datagram_socket(server, tmp_path, form):
    """The path is there while the server is."""
    path = tmp_path / "s"
    s = server.start("echo", SMALL, port=form.format(path), socket_mode="0620")
    assert path.stat().st_mode & 0o777 == 0o620
    assert s.wait_log(rf"listening on {path} \(unixdgram\)$")
    assert ask(path, b"hello", tmp_path / "client") == b"hello"
    assert s.stop() == 0
    assert not path.exists()


@pytest.mark.shows("key:unix_type")
@pytest.mark.parametrize("word", ["SOCK_DGRAM", "sock_dgram", "2"])
def test_unix_type(server, tmp_path, word):
    """Is for ports that do not say it themselves, and for unix ports only."""
    start(server, [f"{tmp_path}/a|unix", f"{tmp_path}/b|unix|sock_stream", UDP,
                   f"{tmp_path}/c unix_type=SOCK_STREAM"], unix_type=word)
    assert ask(tmp_path / "a", b"hello", tmp_path / "client") == b"hello"
    assert converse(connect(tmp_path / "b")) == b"a stream"
    assert converse(connect(tmp_path / "c")) == b"a stream"


def test_addresses_of_unix_datagrams(server, tmp_path):
    """The peer has the name it gave itself."""
    s = start(server, f"{tmp_path}/s|unixdgram")
    mine = tmp_path / "client"
    assert ask(tmp_path / "s", b"addresses", mine).decode() == (
        f"unixdgram|{mine}||0|{tmp_path}/s||0")
    assert s.address == f"{tmp_path}/s"


def test_a_sender_without_a_name_cannot_be_answered(server, tmp_path):
    """The handler hears EDESTADDRREQ, and goes on."""
    s = start(server, f"{tmp_path}/s|unixdgram")
    with Client(tmp_path / "s") as c:
        c.send(b"errno")
        s.wait_log("answering gave EDESTADDRREQ$")
    assert ask(tmp_path / "s", b"next", tmp_path / "client") == b"next"


def test_a_sender_that_is_gone(server, tmp_path):
    """ECONNREFUSED while its path is still there, ENOENT after."""
    gate = Gate(tmp_path / "gate")
    gate.close()
    s = start(server, f"{tmp_path}/s|unixdgram", env={"GATE": gate}, **ONE)
    with Client(tmp_path / "s", tmp_path / "holder") as holder:
        holder.send(b"hold")
        holder.hear()
        with Client(tmp_path / "s", tmp_path / "client") as c:
            c.send(b"errno")
        gate.open()
        s.wait_log("answering gave ECONNREFUSED$")


def test_a_client_that_does_not_read_holds_nobody_up(server, tmp_path):
    """Its queue is full: EAGAIN, at once."""
    s = start(server, f"{tmp_path}/s|unixdgram", **ONE)
    with Client(tmp_path / "s", tmp_path / "deaf") as deaf:
        def fill():
            deaf.send(b"errno")
            return s.find_log("answering gave EAGAIN$")
        s.wait_until(fill, "a full queue")
        assert ask(tmp_path / "s", b"next", tmp_path / "client") == b"next"


def test_descriptors_that_are_sent_along_are_not_kept(server, tmp_path):
    """A worker has as many open as before."""
    start(server, f"{tmp_path}/s|unixdgram", **ONE)
    with Client(tmp_path / "s", tmp_path / "client") as c:
        pid = int(c.ask(b"pid"))
        before = len(os.listdir(f"/proc/{pid}/fd"))
        with open("/dev/null", "rb") as null:
            for _ in range(20):
                c.socket.connect(c.to)
                socket.send_fds(c.socket, [b"with"], [null.fileno()])
                assert c.hear()[0] == b"with"
        assert len(os.listdir(f"/proc/{pid}/fd")) == before


def test_a_stale_datagram_path_is_replaced_and_a_live_one_is_not(server, tmp_path):
    """As for streams."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as stale:
        stale.bind(str(tmp_path / "s"))
    s = start(server, f"{tmp_path}/s|unixdgram")
    line = refusal(server, port=f"{tmp_path}/s|unixdgram")
    assert f"socket {tmp_path}/s: in use by another process" in line
    assert ask(tmp_path / "s", b"hello", tmp_path / "client") == b"hello"
    assert s.stop() == 0


def test_a_path_has_one_type(server, tmp_path):
    """Stream and datagram at one path contradict each other."""
    line = refusal(server, port=[f"{tmp_path}/s|unix", f"{tmp_path}/s|unixdgram"], status=CONFIG)
    assert "already listens there with a socket of another type" in line
    assert not (tmp_path / "s").exists()


# ---- settings ------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["0", "MSG_TRUNC", "msg_dontwait|MSG_TRUNC", "32",
                                  "MSG_TRUNC, MSG_WAITALL", str(0x20 | 0x40)])
def test_flags_that_make_sense(server, flag):
    """Are taken and break nothing."""
    s = start(server, udp_recv_flags=flag, udp_recv_len=50)
    assert ask(s.address, b"size".ljust(60)) == b"50 10"


@pytest.mark.parametrize("flag, sentence", [
    ("MSG_PEEK", "MSG_PEEK would serve the same datagram without end"),
    ("2", "2 would serve the same datagram without end"),
    ("MSG_OOB", "is for streams"),
    ("MSG_ERRQUEUE", "reads errors only"),
    ("4096", "4096 is not a sum of flags of recv(2)"),
    ("MSG_TRUNC MSG_WHAT", "MSG_WHAT is not a flag of recv(2)"),
    ("-1", "-1 is not a flag"),
])
def test_flags_that_do_not(server, tmp_path, flag, sentence):
    """End the start with one line that names the place, in a port as well."""
    conf = tmp_path / "conf"
    conf.write_text(f"port 127.0.0.1:0/udp\nudp_recv_flags {flag}\n")
    line = refusal(server, conf_file=conf, status=CONFIG)
    assert f"{conf}:2: udp_recv_flags" in line and sentence in line
    conf.write_text(f'port 127.0.0.1:0/udp udp_recv_flags="{flag}"\n')
    line = refusal(server, conf_file=conf, status=CONFIG)
    assert f"{conf}:1: port: udp_recv_flags" in line and sentence in line


@pytest.mark.parametrize("setting, sentence", [
    ({"udp_recv_len": 0}, "1 to 65535 is allowed"),
    ({"udp_recv_len": 65536}, "1 to 65535 is allowed"),
    ({"udp_recv_len": "many"}, "is not a whole number"),
    ({"udp_broadcast": "perhaps"}, "is neither 1, yes"),
    ({"unix_type": "SOCK_RAW"}, "is neither SOCK_STREAM (1) nor SOCK_DGRAM (2)"),
])
def test_other_settings_are_checked(server, setting, sentence):
    """By name and range."""
    assert sentence in refusal(server, port=UDP, status=CONFIG, **setting)


def test_a_program_for_each_connection_is_refused(server, tmp_path):
    """At check already, with what to do instead."""
    port = f"{tmp_path}/s|unixdgram"
    for command in (["check"], ["serve"]):
        done = server.prefork(*command, "--port", port, "--handler", "nowait", "--", "cat")
        assert done.returncode == CONFIG
        assert "use handler wait" in done.stderr
    assert server.prefork("check", "--port", port).returncode == 0
    assert not (tmp_path / "s").exists()


def test_a_program_that_waits_has_the_socket(server):
    """As descriptor 0, blocking, and by LISTEN_FDS: what inetd calls dgram and wait."""
    program = server.script(
        "import os, socket\n"
        "s = socket.socket(fileno=0)\n"
        "assert os.environ['LISTEN_FDS'] == '1' and os.get_blocking(0)\n"
        "while True:\n"
        "    payload, peer = s.recvfrom(4096)\n"
        "    s.sendto(payload.upper(), peer)\n", interpreter="/usr/bin/python3")
    s = server.serve(program, port=UDP, handler="wait", min_servers=2, kill_timeout=1)
    assert ask(s.address, b"hello") == b"HELLO"


# ---- sockets that were handed in -----------------------------------------------------------


def bound(address=("127.0.0.1", 0)):
    """A datagram socket of the test, as a service manager makes it."""
    unix = isinstance(address, (str, Path))
    s = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(str(address) if unix else address)
    return s


def test_inherited_datagram_sockets(server, tmp_path):
    """Are served without a port, with the server's udp_recv_len, and survive our stop."""
    with bound(("0.0.0.0", 0)) as udp, bound(tmp_path / "s") as unix:
        number = udp.getsockname()[1]
        for _ in range(2):
            s = hand_in(server, [udp, unix], port=None, udp_recv_len=7,
                        program=(server.program("datagram"),))
            assert len(s.find_log(r"\((udp|unixdgram)\) \(inherited\)$")) == 2
            assert ask(("127.0.0.4", number), b"sizes and sizes") == b"7 8"
            assert ask(tmp_path / "s", b"size", tmp_path / "client") == b"4 0"
            (tmp_path / "client").unlink()
            assert s.stop() == 0
            assert (tmp_path / "s").is_socket()


def reserved(number):
    """A TCP socket that keeps this number for a server, or None: somebody has it."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind(("127.0.0.1", number))
    except OSError:
        s.close()
        return None
    return s


def test_a_udp_port_adopts_the_inherited_socket(server):
    """And not the TCP socket of the same number."""
    udp = bound()
    while not (tcp := reserved(udp.getsockname()[1])):
        udp = bound()
    with udp, tcp:
        number = udp.getsockname()[1]
        s = hand_in(server, [udp], port=[f"127.0.0.1:{number}/udp", f"127.0.0.1:{number}/tcp"])
        assert len(s.listeners) == 2
        assert len(s.find_log(r"\(udp\) \(inherited\)$")) == 1
        assert ask(("127.0.0.1", number), b"hello") == b"hello"
        assert s.ask(b"hello\n", address=("127.0.0.1", number)) == b"hello\n"


def test_an_inherited_datagram_socket_and_a_program_for_each_connection(server):
    """The same refusal as for a port."""
    helper = server.program("hand_in", library=False)
    with bound() as udp, copies([udp]) as (fds, names):
        done = server.command(helper, names, PREFORK, "serve", "--", "cat", pass_fds=fds)
    assert done.returncode == CONFIG
    assert "handed in: 127.0.0.1:" in done.stderr and "use handler wait" in done.stderr


# ---- weaknesses ----------------------------------------------------------------------------


def listen_queue(address):
    """The bound of a TCP listener's queue, as ss(8) tells it (Send-Q)."""
    out = subprocess.run(["ss", "-ltnH", f"sport = :{address[1]}"], check=True, text=True,
                         capture_output=True).stdout
    return int(out.split()[2])


def test_W27_a_port_keeps_its_own_attributes_with_the_default_ipv(server):
    """With ipv * all further keys of a port were dropped (listen 7 became 4096).
    Here they stay with their port."""
    s = start(server, ["127.0.0.1:0/tcp listen=7", UDP + " udp_recv_len=10", UDP], ipv="*",
              udp_recv_len=20)
    first, second, third = (address_of(text) for text in s.listeners)
    assert listen_queue(first) == 7
    assert ask(second, b"size".ljust(30)) == b"10 20"
    assert ask(third, b"size".ljust(30)) == b"20 10"


IN_A_NAMESPACE = """
import fcntl, os, socket, struct, subprocess, sys
for words in ("link set lo up", "link add wire type veth peer name far", "link set far up",
              "addr add 10.77.0.1/24 broadcast 10.77.0.255 dev wire", "link set wire up"):
    subprocess.run(["ip", *words.split()], check=True)
os.execv(sys.argv[1], sys.argv[1:])
"""


def in_namespace(pid, *code):
    """Run Python in the network namespace of a process: what it prints."""
    return subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", *code],
                          check=True, text=True, capture_output=True, timeout=PATIENCE).stdout


BROADCAST = """
import socket, sys
ear = socket.socket(type=socket.SOCK_DGRAM)
ear.bind(("", 0))
ear.settimeout(5)
s = socket.socket(type=socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.settimeout(5)
s.sendto(b"broadcast 10.77.0.255 %d" % ear.getsockname()[1], ("10.77.0.255", int(sys.argv[1])))
answer, sender = s.recvfrom(100)
print(answer.decode(), sender[0])
print(ear.recv(100).decode() if answer == b"0" else "nothing")
"""


@pytest.mark.root
@pytest.mark.parametrize("port", ["*:0/udp/IPv4", "0/udp"])
@pytest.mark.parametrize("flag, told, heard", [(0, "EACCES", "nothing"), (1, "0", "hello")])
def test_W28_udp_broadcast_is_applied(server, port, flag, told, heard):
    """The option was read by a misspelt key and never had an effect.
    Here it decides whether a worker may broadcast; what was asked by broadcast is answered
    from the machine's own address in any case."""
    program = server.program("datagram")
    s = server.start("/usr/bin/unshare", ["-n", "/usr/bin/python3", "-c", IN_A_NAMESPACE,
                                          program], SMALL, port=port, udp_broadcast=flag)
    out = in_namespace(s.pid, BROADCAST, str(s.port)).splitlines()
    assert out == [f"{told} 10.77.0.1", heard]


def test_W29_hosts_pair_with_ports_whatever_a_port_becomes(server):
    """Pairing counted the sockets made so far, so that an entry with two sockets shifted the
    rest. Here it counts ports."""
    s = start(server, ["0", "0", "0"], host=["127.0.0.2", "localhost", "127.0.0.4"],
              proto=["udp", "tcp", "udp"], ipv=["4", "*", "4"])
    texts = [m.group(1) for m in s.find_log(r"listening on (.*)$")]
    assert texts[0].startswith("127.0.0.2:") and texts[0].endswith("(udp)")
    assert texts[-1].startswith("127.0.0.4:") and texts[-1].endswith("(udp)")
    assert len(texts) >= 3
    assert not any(text.endswith("(udp)") for text in texts[1:-1])


@pytest.mark.ipv6
@pytest.mark.parametrize("port", ["0/udp/IPv6", "[::]:0/udp"])
def test_W30_ipv6_only_is_ipv6_only_for_udp_too(server, port):
    """V6ONLY was left to the system's default, so that ipv 6 received IPv4 as well.
    Here it is always set: IPv4 is refused, and another server can have that port."""
    s = start(server, port)
    assert ask(("::1", s.port), b"six") == b"six"
    with socket.socket(type=socket.SOCK_DGRAM) as c:
        c.settimeout(PATIENCE)
        c.connect(("127.0.0.1", s.port))
        c.send(b"four")
        with pytest.raises(ConnectionRefusedError):
            c.recv(10)
    other = start(server, f"*:{s.port}/udp/IPv4")
    assert ask(("127.0.0.1", s.port), b"four") == b"four"
    assert other.stop() == 0
