"""Protocol ssl in front of a program: the relay."""

import hashlib
import os
import signal
import threading

from certificates import certificates  # noqa: F401
from support import is_alive
from tls_clients import V13, Talk, converse_tls, port, secure


def test_a_program_behind_tls(server, certificates):
    s = server.serve("cat", port=port(certificates.server))
    data = os.urandom(100_000)
    assert converse_tls(s, certificates.context(), data) == data


def pump(server, context, data):
    """Send and read at the same time."""
    parts = []
    with secure(server, context) as talk:
        for at in range(0, len(data), 65536):
            part = data[at:at + 65536]
            sender = threading.Thread(target=talk.sendall, args=(part,))
            sender.start()
            got = b""
            while len(got) < len(part):
                got += talk.recv(65536)
            sender.join()
            parts.append(got)
    return b"".join(parts)


def test_large_transfers_through_a_program(server, certificates):
    s = server.serve("cat", port=port(certificates.server))
    data = os.urandom(5_000_011)
    assert hashlib.sha256(pump(s, certificates.context(), data)).digest() == \
        hashlib.sha256(data).digest()
    s = server.serve("sha256sum", port=port(certificates.server))
    reply = converse_tls(s, certificates.context(), data)
    assert reply.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_a_program_that_reads_late_or_never(server, certificates):
    s = server.serve(server.script("exec 3<&0; head -c 2000000 /dev/zero; sha256sum <&3"),
                     port=port(certificates.server))
    data = os.urandom(100)
    reply = converse_tls(s, certificates.context(), data)
    assert reply[:2000000] == bytes(2000000)
    assert reply[2000000:].split()[0].decode() == hashlib.sha256(data).hexdigest()
    s = server.serve(server.script("echo bye", name="deaf"), port=port(certificates.server))
    assert converse_tls(s, certificates.context(), b"x" * 1000) == b"bye\n"


def test_a_program_says_farewell_first(server, certificates):
    """It shuts its output down and goes on reading."""
    script = server.script(
        "import socket, sys\n"
        "s = socket.socket(fileno=0)\n"
        "s.sendall(b'over')\n"
        "s.shutdown(socket.SHUT_WR)\n"
        "got = b''.join(iter(lambda: s.recv(65536), b''))\n"
        "print('after that', got, file=sys.stderr)",
        interpreter="/usr/bin/python3")
    s = server.serve(script, port=port(certificates.server))
    talk = Talk(s, certificates.context())
    assert talk.read_all() == b"over"
    talk.send(b"still here")
    talk.farewell()
    s.wait_log("after that b'still here'")
    talk.close()


def test_the_environment_of_a_program(server, certificates):
    s = server.serve("env", port=port(certificates.server, "SSL_verify_mode=peer",
                                      f"SSL_ca_file={certificates.ca}"),
                     env={"SSL_CLIENT_S_DN": "CN=forged", "SSL_TLS_SNI": "forged"})
    context = certificates.context(V13, show=certificates.client)
    lines = converse_tls(s, context, b"").decode().splitlines()
    env = dict(line.split("=", 1) for line in lines if "=" in line)
    assert env["PROTO"] == "SSL"
    assert env["SSLREMOTEIP"] == env["TCPREMOTEIP"] == env["REMOTE_ADDR"] == "127.0.0.1"
    assert env["SSLLOCALPORT"] == env["TCPLOCALPORT"] == str(s.port)
    assert env["SSL_PROTOCOL"] == "TLSv1.3"
    assert env["SSL_CIPHER"].startswith("TLS_")
    assert env["SSL_TLS_SNI"] == "localhost"
    assert env["SSL_CLIENT_VERIFY"] == "SUCCESS" and "CN=ann" in env["SSL_CLIENT_S_DN"]
    lines = converse_tls(s, certificates.context(), b"").decode().splitlines()
    assert "SSL_CLIENT_VERIFY=NONE" in lines
    assert not [line for line in lines if line.startswith("SSL_CLIENT_S_DN=")]


def test_the_end_of_a_program(server, certificates):
    s = server.serve(server.script("echo half; kill -9 $$"), port=port(certificates.server))
    assert converse_tls(s, certificates.context(), b"") == b"half\n"
    s.wait_log("was killed by signal 9")


def test_a_child_of_the_program_holds_nobody(server, certificates):
    s = server.serve(server.script("sleep 1000 & echo done"), port=port(certificates.server))
    assert converse_tls(s, certificates.context(), b"") == b"done\n"


def test_a_program_that_vanishes(server, certificates, tmp_path):
    program = tmp_path / "gone"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    s = server.serve(program, port=port(certificates.server))
    program.unlink()
    with secure(s, certificates.context()) as client:
        assert client.recv(10) == b""
    s.wait_log("No such file")


def test_a_stop_ends_program_and_connection(server, certificates):
    s = server.serve("cat", port=port(certificates.server), stop_timeout=0)
    talk = Talk(s, certificates.context())
    talk.send(b"x")
    s.wait_until(s.programs, "the program")
    program = s.programs()[0]
    s.signal(signal.SIGTERM)
    assert talk.read_all() == b"x"  # and a farewell
    talk.close()
    assert s.wait_exit() == 0
    assert not is_alive(program)


def test_a_client_breaks_off_behind_a_program(server, certificates):
    s = server.serve("cat", port=port(certificates.server), log_level=3)
    talk = Talk(s, certificates.context())
    talk.send(b"x")
    s.wait_until(s.programs, "the program")
    talk.close()
    s.wait_log("127.0.0.1:\\d+ broke off: ")
    s.wait_until(lambda: not s.programs(), "the end of the program")
