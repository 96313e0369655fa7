"""Protocol ssl: what clients see, what handlers see, what bad clients do. Bad files are in
test_tls_files.py."""

import os
import re
import signal
import socket
import ssl
import subprocess

import pytest

from certificates import certificates  # noqa: F401
from support import PATIENCE, converse, read_all, read_line, wait_until
from tls_clients import (V12, V13, Talk, converse_tls, facts, is_refused_tls, port, secure,
                         subject_of)


def weak_sum(data):
    """As the test program computes it."""
    total = 0
    for byte in data:
        total = (total * 31 + byte) & 0xffffffff
    return total


# ---- versions, names, protocols ----------------------------------------------------------


@pytest.mark.parametrize("version, word", [(V12, "TLSv1.2"), (V13, "TLSv1.3")])
def test_the_handler_knows_how_it_is_secured(server, certificates, version, word):
    s = server.start(server.program("tls"), port=port(certificates.server), log_level=3)
    found = facts(s, certificates.context(version))
    assert found["proto"] == "ssl"
    assert found["version"] == word
    assert "AES" in found["cipher"] or "CHACHA20" in found["cipher"]
    assert found["name"] == "localhost"
    assert (found["alpn"], found["subject"], found["verified"]) == ("", "", "0")
    s.wait_log(rf"info: secured 127.0.0.1:\d+ by {word} \S+, for localhost")


@pytest.mark.parametrize("setting, version, works", [
    ("TLSv1_2", V12, True), ("TLSv1_2", V13, False), ("TLSv1_3", V13, True),
    ("TLSv1_3", V12, False), ("SSLv23:!SSLv2:!SSLv3", V12, True),
    ("SSLv23:!TLSv1_3", V13, False),
])
def test_versions(server, certificates, setting, version, works):
    s = server.start(server.program("tls"),
                     port=port(certificates.server, f"SSL_version={setting}"))
    context = certificates.context(version)
    if works:
        assert facts(s, context)["proto"] == "ssl"
    else:
        with pytest.raises(ssl.SSLError):
            secure(s, context)
        s.wait_log("TLS handshake with .* failed: ")


def test_ciphers(server, certificates):
    s = server.start(server.program("tls"), port=port(
        certificates.server, "SSL_cipher_list=ECDHE-RSA-AES128-GCM-SHA256:"
        "ECDHE-ECDSA-AES128-GCM-SHA256", "SSL_ciphersuites=TLS_AES_128_GCM_SHA256"))
    assert facts(s, certificates.context(V12))["cipher"].endswith("AES128-GCM-SHA256")
    assert facts(s, certificates.context(V13))["cipher"] == "TLS_AES_128_GCM_SHA256"


def test_certificates_by_name(server, certificates):
    other, wild = certificates.other, certificates.wild
    s = server.start(server.program("tls"), port=port(
        certificates.server, f'SSL_sni="other.test,another.test {other.cert} {other.key}"',
        f'SSL_sni="*.wild.test {wild.cert} {wild.key}"'))
    for name, seen in {"other.test": "other.test", "OTHER.test": "other.test",
                       "another.test": "other.test", "a.wild.test": "*.wild.test",
                       "a.b.wild.test": "localhost", "wild.test": "localhost",
                       "nobody.test": "localhost", "localhost": "localhost"}.items():
        assert seen in subject_of(s, certificates, name), name
    assert facts(s, certificates.context(), name="other.test")["name"] == "other.test"


def test_names_of_all_ports(server, certificates):
    other, wild = certificates.other, certificates.wild
    s = server.start(server.program("tls"), SSL_cert_file=certificates.server.cert,
                     SSL_key_file=certificates.server.key,
                     SSL_sni=f"other.test {other.cert} {other.key}",
                     port=["127.0.0.1:0/ssl",
                           f'127.0.0.1:0/ssl SSL_sni="x.wild.test {wild.cert} {wild.key}"'])
    assert subject_of(s, certificates, "other.test", index=0) == {"other.test"}
    assert "localhost" in subject_of(s, certificates, "other.test", index=1)
    assert subject_of(s, certificates, "x.wild.test", index=1) == {"*.wild.test"}


def test_alpn(server, certificates):
    s = server.start(server.program("tls"),
                     port=port(certificates.server, "SSL_alpn=h2,http/1.1"))
    assert facts(s, certificates.context(alpn=["http/1.1", "h2"]))["alpn"] == "h2"
    assert facts(s, certificates.context(alpn=["http/1.1"]))["alpn"] == "http/1.1"
    assert facts(s, certificates.context())["alpn"] == ""
    with pytest.raises(ssl.SSLError):
        secure(s, certificates.context(alpn=["spdy/1"]))


def test_W27_each_port_keeps_its_certificate(server, certificates):
    s = server.start(server.program("tls"), port=[
        port(certificates.server, where="*:0"),
        port(certificates.other, "SSL_version=TLSv1_2", where="*:0")])
    names = {p: set() for p in s.ports}
    for index, p in enumerate(s.ports):
        names[p] |= subject_of(s, certificates, "localhost", index=index)
    assert "localhost" in names[s.ports[0]]
    assert names[s.ports[-1]] == {"other.test"}
    with pytest.raises(ssl.SSLError):
        secure(s, certificates.context(V13), index=len(s.ports) - 1)


# ---- certificates of clients --------------------------------------------------------------


@pytest.mark.parametrize("mode", ["none", "0", "4"])
def test_clients_are_not_asked(server, certificates, mode):
    s = server.start(server.program("tls"),
                     port=port(certificates.server, f"SSL_verify_mode={mode}"))
    found = facts(s, certificates.context(show=certificates.client))
    assert (found["subject"], found["verified"]) == ("", "0")


@pytest.mark.parametrize("mode", ["peer", "1", "5"])
def test_clients_may_show_a_certificate(server, certificates, mode):
    s = server.start(server.program("tls"), port=port(
        certificates.server, f"SSL_verify_mode={mode}", f"SSL_ca_file={certificates.ca}"))
    found = facts(s, certificates.context(show=certificates.client))
    assert "CN=ann" in found["subject"] and found["verified"] == "1"
    found = facts(s, certificates.context())
    assert (found["subject"], found["verified"]) == ("", "0")
    assert is_refused_tls(s, certificates.context(show=certificates.foreign))
    s.wait_log("TLS handshake with .* failed: certificate verify failed: ")


@pytest.mark.parametrize("mode", ["require", "3", "7"])
def test_clients_must_show_a_certificate(server, certificates, mode, tmp_path):
    directory = tmp_path / "ca"
    directory.mkdir()
    (directory / "any-name.crt").write_bytes(certificates.ca.read_bytes())
    (directory / "README").write_text("no certificate")
    s = server.start(server.program("tls"), port=port(
        certificates.server, f"SSL_verify_mode={mode}", f"SSL_ca_path={directory}"))
    (directory / "any-name.crt").unlink()  # it was read at start
    found = facts(s, certificates.context(show=certificates.client))
    assert "CN=ann" in found["subject"] and found["verified"] == "1"
    assert is_refused_tls(s, certificates.context())
    assert is_refused_tls(s, certificates.context(show=certificates.foreign))


@pytest.mark.shows("key:SSL_verify_callback")
def test_the_program_judges_certificates(server, certificates):
    s = server.start(server.program("tls"), env={"TLS_JUDGE": "bob"}, port=port(
        certificates.server, "SSL_verify_mode=require", f"SSL_ca_file={certificates.ca}"))
    found = facts(s, certificates.context(show=certificates.foreign))
    assert "CN=bob" in found["subject"] and found["verified"] == "0"
    assert is_refused_tls(s, certificates.context(show=certificates.client))
    s.wait_log("judge 127.0.0.1 1 0 .*CN=ann")


# ---- sessions ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [V12, V13])
def test_any_worker_resumes_a_session(server, certificates, version):
    s = server.start(server.program("tls"), port=port(certificates.server), min_servers=4,
                     accept_order="fair")
    context = certificates.context(version)
    first = facts(s, context)
    assert first["resumed"] == "0"
    pids = set()

    def another():
        found = facts(s, context, session=first["session"])
        assert found["resumed"] == "1"
        pids.add(found["pid"])
        return len(pids - {first["pid"]}) >= 3
    s.wait_until(another, "three other workers")


def test_a_resumed_session_gets_another_ticket(server, certificates):
    """With TLS 1.3 clients use a ticket once: without another they could resume but once."""
    s = server.start(server.program("tls"), port=port(certificates.server))
    context = certificates.context(V13)
    session = facts(s, context)["session"]
    for _ in range(3):
        found = facts(s, context, session=session)
        assert found["resumed"] == "1" and found["session"] != session
        session = found["session"]


@pytest.mark.parametrize("version", [V12, V13])
def test_workers_born_later_resume_sessions(server, certificates, version):
    s = server.start(server.program("tls"), port=port(certificates.server), min_servers=2)
    context = certificates.context(version)
    before = set(map(str, s.workers()))
    session = facts(s, context)["session"]
    s.signal(signal.SIGUSR2)
    s.wait_until(lambda: not before & set(map(str, s.workers())), "new workers")
    found = facts(s, context, session=session)
    assert found["pid"] not in before and found["resumed"] == "1"


def reload_tls(server, s, answer=0):
    """A reload; the pids of the workers from before, as texts."""
    before = set(map(str, s.workers()))
    done = server.prefork("reload", "--pid-file", s.pid_file, "--wait", timeout=4 * PATIENCE)
    assert done.returncode == answer, done.stderr + s.describe()
    if answer == 0:
        s.wait_until(lambda: not before & set(map(str, s.workers())), "new workers")
    return before


def start_to_reload(server, tmp_path, lines):
    """A server with a config file of these lines: it, and that file."""
    conf, pid_file = tmp_path / "conf", tmp_path / "pid"
    conf.write_text(lines)
    s = server.start(server.program("tls"), conf_file=conf, pid_file=pid_file, min_servers=2,
                     port=None)
    s.pid_file = pid_file
    return s, conf


@pytest.mark.parametrize("version", [V12, V13])
def test_sessions_are_resumed_after_reloads(server, certificates, tmp_path, version):
    """Of each generation by the next, and by the one that came back."""
    lines = f"port {port(certificates.server)}\n"
    s, conf = start_to_reload(server, tmp_path, lines)
    context = certificates.context(version)
    session = facts(s, context)["session"]
    for more, answer in ("", 0), ("max_requests 900\n", 0), ("port nonsense:\n", 75), ("", 0):
        conf.write_text(lines + more)
        before = reload_tls(server, s, answer)
        found = facts(s, context, session=session)
        assert found["resumed"] == "1"
        assert answer != 0 or found["pid"] not in before
        session = found["session"]


@pytest.mark.parametrize("more", ["SSL_verify_mode=peer", "SSL_ticket_rotation=100"])
def test_other_rules_begin_with_new_sessions(server, certificates, tmp_path, more):
    """A session does not let in whom a look at his certificate might keep out."""
    line = f"port {port(certificates.server)}"
    s, conf = start_to_reload(server, tmp_path, line + "\n")
    context = certificates.context()
    session = facts(s, context)["session"]
    conf.write_text(f"{line} {more} SSL_ca_file={certificates.ca}\n"
                    if "verify" in more else f"{line} {more}\n")
    reload_tls(server, s)
    assert facts(s, context, session=session)["resumed"] == "0"


def test_sessions_are_of_one_port(server, certificates):
    s = server.start(server.program("tls"),
                     port=[port(certificates.server), port(certificates.server)])
    context = certificates.context()
    session = facts(s, context)["session"]
    assert facts(s, context, session=session, index=1)["resumed"] == "0"
    assert facts(s, context, session=session, index=0)["resumed"] == "1"


def test_a_resumed_session_keeps_the_client(server, certificates):
    s = server.start(server.program("tls"), port=port(
        certificates.server, "SSL_verify_mode=require", f"SSL_ca_file={certificates.ca}"))
    context = certificates.context(show=certificates.client)
    found = facts(s, context, session=facts(s, context)["session"])
    assert found["resumed"] == "1" and found["verified"] == "1" and "CN=ann" in found["subject"]


def key_name(server, certificates, path):
    """The name of the key that tickets are made with now; the session is kept in path."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2",
               "-CAfile", certificates.ca, "-sess_out", path]
    subprocess.run(command, input=b"", capture_output=True, check=False, timeout=PATIENCE)
    text = subprocess.run(["openssl", "sess_id", "-in", path, "-noout", "-text"], check=True,
                          capture_output=True, text=True, timeout=PATIENCE).stdout
    return re.search(r"0000 - ([0-9a-f -]{47})", text).group(1)


def is_resumed(server, certificates, path):
    """Does the server take up the session in path?"""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2",
               "-CAfile", certificates.ca, "-sess_in", path]
    out = subprocess.run(command, input=b"", capture_output=True, check=False,
                         timeout=PATIENCE).stdout
    assert b"Reused, " in out or b"New, " in out
    return b"Reused, " in out


def test_ticket_keys_rotate(server, certificates, tmp_path):
    """The session of an epoch is known in the next, and not in the one after it. What epoch it
    is now, the name of the key in a fresh ticket tells."""
    s = server.start(server.program("tls"),
                     port=port(certificates.server, "SSL_ticket_rotation=4"), min_servers=3,
                     accept_order="fair")
    kept, fresh = tmp_path / "kept", tmp_path / "fresh"

    def known_in_the_next_epoch():
        first = key_name(s, certificates, kept)
        following = wait_until(
            lambda: (now := key_name(s, certificates, fresh)) != first and now, "rotation")
        resumed = is_resumed(s, certificates, kept)
        if key_name(s, certificates, fresh) != following:
            return False  # too slow: it may have been the epoch after
        assert resumed
        return True
    s.wait_until(known_in_the_next_epoch, "two epochs in a row")
    last = key_name(s, certificates, fresh)
    for _ in range(2):
        last = wait_until(
            lambda: (now := key_name(s, certificates, fresh)) != last and now, "rotation")
    assert not is_resumed(s, certificates, kept)


# ---- bytes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [V12, V13])
def test_large_transfers(server, certificates, version):
    s = server.start(server.program("tls"), port=port(certificates.server))
    data = os.urandom(3_000_001)
    reply = converse_tls(s, certificates.context(version), b"swallow\n" + data)
    assert reply.split() == [str(len(data)).encode(), str(weak_sum(data)).encode(), b"0"]
    reply = converse_tls(s, certificates.context(version), b"pour 5000003\n")
    assert len(reply) == 5000003
    assert reply == (bytes(range(251)) * 19921)[:5000003]


def test_a_cut_stream_is_no_end(server, certificates):
    s = server.start(server.program("tls"), port=port(certificates.server))
    talk = Talk(s, certificates.context())
    talk.send(b"swallow\nhalf")
    talk.raw.shutdown(socket.SHUT_WR)  # without a farewell
    s.wait_log(r"swallowed 4, then -104")
    talk.close()
    assert converse_tls(s, certificates.context(), b"swallow\nhalf").split()[2] == b"0"


def test_the_answer_survives_unread_input(server, certificates):
    """The client said farewell, which nobody reads: it gets the whole answer all the same."""
    s = server.serve(server.script("head -c 400000 /dev/zero"), port=port(certificates.server))
    for _ in range(10):
        assert len(converse_tls(s, certificates.context(), b"x" * 100)) == 400000


def test_a_client_that_is_gone(server, certificates):
    s = server.start(server.program("tls"), port=port(certificates.server))
    talk = Talk(s, certificates.context())
    talk.send(b"pour 50000000\n")
    talk.close()
    s.wait_log("poured -(32|104)")
    assert facts(s, certificates.context())["proto"] == "ssl"


def test_curl(server, certificates):
    s = server.start("http_hello", port=port(certificates.server))
    for version in "1.2", "1.3":
        done = server.command("curl", "-sS", "--cacert", certificates.ca, "--tls-max", version,
                              f"--tlsv{version}", f"https://localhost:{s.port}/")
        assert done.returncode == 0 and "hello" in done.stdout, done.stderr


def test_stdio_of_a_handler(server, certificates):
    s = server.start(server.program("tls"), port=[port(certificates.server), "127.0.0.1:0"],
                     no_client_stdout=0, env={"TLS_STDIO": "1"})
    for _ in range(3):  # more than once in a worker
        reply = converse_tls(s, certificates.context(), b"good day\n")
        assert reply == b"hello\nyou said good day\n"
    assert s.ask(b"plain\n", index=1) == b"hello\nraw\nyou said plain\n"


# ---- bad clients ---------------------------------------------------------------------------


def test_W37_a_silent_client_is_dropped(server, certificates):
    s = server.start(server.program("tls"), min_servers=1, max_servers=1,
                     port=port(certificates.server, "SSL_handshake_timeout=0.4"))
    with s.connect() as silent:
        worker = s.wait_workers(1, "busy")
        found = facts(s, certificates.context())  # waits until the worker is free again
        assert read_all(silent) == b""
    s.wait_log("TLS handshake with .* failed: it took longer than SSL_handshake_timeout")
    assert int(found["pid"]) == worker[0]


def test_W37_a_slow_client_is_dropped(server, certificates):
    """One byte at a time does not move the deadline."""
    s = server.start(server.program("tls"), min_servers=1, max_servers=1,
                     port=port(certificates.server, "SSL_handshake_timeout=0.5"))
    hello = iter(b"\x16\x03\x01\x40\x00" + bytes(0x4000))  # a record that is never whole
    with s.connect() as slow:
        def one_more():
            try:
                slow.sendall(bytes([next(hello)]))
            except ConnectionError:
                return True
            return s.find_log("failed: ")
        s.wait_until(one_more, "the end of the handshake")
        s.wait_log("failed: it took longer than SSL_handshake_timeout")
    assert facts(s, certificates.context())["proto"] == "ssl"


def test_W37_stalled_clients_leave_room_for_others(server, certificates):
    s = server.start(server.program("tls"), min_servers=2, max_servers=6,
                     port=port(certificates.server, "SSL_handshake_timeout=600"))
    stalled = [s.connect() for _ in range(5)]
    s.wait_workers(5, "busy")
    assert facts(s, certificates.context())["proto"] == "ssl"
    for client in stalled:
        client.close()
    s.wait_log("failed: the client closed", count=5)


def test_W37_a_stop_does_not_wait_for_a_stalled_client(server, certificates):
    s = server.start(server.program("tls"), stop_timeout=0.2,
                     port=port(certificates.server, "SSL_handshake_timeout=600"))
    with s.connect():
        s.wait_workers(1, "busy")
        assert s.stop() == 0


@pytest.mark.shows("key:SSL_error_callback")
@pytest.mark.parametrize("words, reason", [
    (b"GET / HTTP/1.0\r\n\r\n", "http request"),
    (bytes(range(200, 256)) * 20, "wrong version number|unsupported|unknown protocol"),
    (b"\x16\x03\x01\x00\x05hello", "."),
    (b"", "the client closed the connection without a farewell"),
], ids=["http", "garbage", "bad hello", "nothing"])
def test_what_is_no_handshake(server, certificates, words, reason):
    s = server.start(server.program("tls"), min_servers=1, max_servers=1,
                     port=port(certificates.server))
    worker = s.workers()
    with s.connect() as client:
        try:
            converse(client, words)
        except ConnectionResetError:
            pass
    s.wait_log(f"info: TLS handshake with 127.0.0.1:\\d+ failed: ({reason})")
    s.wait_log("hook: 127.0.0.1 failed: ")
    s.wait_log("hook: closed after 1")
    assert not s.find_log("hook: post_accept")
    assert facts(s, certificates.context())["pid"] == str(worker[0])
    s.wait_log("hook: post_accept TLSv1.3")


def test_clients_that_vanish_in_the_handshake(server, certificates):
    s = server.start(server.program("tls"), min_servers=2, max_servers=2,
                     port=port(certificates.server))
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = certificates.context().wrap_bio(inside, outside, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outside.read()
    for size in (1, 5, len(hello) // 2, len(hello)):
        with s.connect() as client:
            client.sendall(hello[:size])
    s.wait_log("TLS handshake with .* failed", count=4)
    assert facts(s, certificates.context())["proto"] == "ssl"


def test_plain_ports_stay_plain(server, certificates):
    s = server.start("echo", port=[port(certificates.server), "127.0.0.1:0"])
    assert s.ask(b"hello\n", index=1) == b"hello\n"
    with secure(s, certificates.context()) as client:
        client.sendall(b"hello\n")
        assert read_line(client) == b"hello\n"


def test_openssl_is_not_in_the_way_of_others(server):
    """Who has no port with TLS does not load it."""
    s = server.start("echo")
    with open(f"/proc/{s.pid}/maps", encoding="ascii") as f:
        maps = f.read()
    assert "libssl" not in maps and "prefork-tls" not in maps
