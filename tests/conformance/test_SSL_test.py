"""SSL_test and what SSLEAY_test reads and writes: the same conversations through TLS."""

import socket
import ssl
import subprocess

import pytest

from service import Talk, serves, service
from support import PATIENCE, address_of, read_line

SMALL = {"min_servers": 1, "max_servers": 3}


@pytest.fixture(name="certificate")
def _certificate(tmp_path):
    """Makes certificates: certificate(name) -> (certificate file, key file)."""
    def make(name):
        cert, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key,
                        "-out", cert], check=True, capture_output=True)
        return cert, key
    return make


def secure(address, trusted, name, own=None):
    """A TLS connection that trusts this certificate and wants this name; own: certificate and
    key of the client."""
    context = ssl.create_default_context(cafile=trusted)
    if own:
        context.load_cert_chain(*own)
    plain = socket.create_connection(address, timeout=PATIENCE)
    return context.wrap_socket(plain, server_hostname=name)


@pytest.mark.shows("proto:ssl", "key:SSL_cert_file", "key:SSL_key_file", "hook:post_accept")
@pytest.mark.parametrize("where", ["port", "settings"])
def test_greeting_through_tls(server, certificate, where):
    """Certificate and key of the port, or of all ports."""
    cert, key = certificate("localhost")
    own = f" SSL_cert_file={cert} SSL_key_file={key}" if where == "port" else ""
    settings = {} if own else {"SSL_cert_file": cert, "SSL_key_file": key}
    s = server.start(service(server), SMALL, port=f"127.0.0.1:0/ssl{own}", **settings)
    assert serves(s, address=secure(s.address, cert, "localhost")) == ("ssl", "127.0.0.1")
    with Talk(s, address=secure(s.address, cert, "localhost")) as talk:
        talk.say("exit")
        assert s.wait_exit() == 0


@pytest.mark.shows("proto:ssl", "port:hash", "key:SSL_cert_file", "key:SSL_key_file")
def test_each_port_has_its_own_certificate(server, certificate):
    """Beside a port without TLS."""
    one, two = certificate("one.example"), certificate("two.example")
    ports = [f"127.0.0.1:0/ssl SSL_cert_file={cert} SSL_key_file={key}" for cert, key in (one, two)]
    s = server.start(service(server), SMALL, port=[*ports, "127.0.0.1:0"])
    for index, (cert, name) in enumerate([(one[0], "one.example"), (two[0], "two.example")]):
        where = address_of(s.listeners[index])
        assert serves(s, address=secure(where, cert, name)) == ("ssl", "127.0.0.1")
        with pytest.raises(ssl.SSLError):
            secure(where, two[0] if index == 0 else one[0], name)
    assert serves(s, 2) == ("tcp", "127.0.0.1")


@pytest.mark.shows("key:SSL_verify_mode", "key:SSL_ca_file", "key:SSL_ca_path")
@pytest.mark.parametrize("place", ["SSL_ca_file", "SSL_ca_path"])
def test_clients_with_certificates(server, certificate, tmp_path, place):
    """Mode 3 lets nobody in without one that an authority of ours has signed."""
    (cert, key), known = certificate("localhost"), certificate("client")
    authorities = {"SSL_ca_file": known[0], "SSL_ca_path": tmp_path / "authorities"}
    (tmp_path / "authorities").mkdir()
    (tmp_path / "authorities" / "client.pem").write_bytes(known[0].read_bytes())
    subprocess.run(["openssl", "rehash", tmp_path / "authorities"], check=True)
    s = server.start(service(server), SMALL, SSL_cert_file=cert, SSL_key_file=key,
                     SSL_verify_mode=3, port="127.0.0.1:0/ssl", **{place: authorities[place]})
    ours = secure(s.address, cert, "localhost", own=known)
    assert serves(s, address=ours) == ("ssl", "127.0.0.1")
    for own in (None, certificate("stranger")):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            secure(s.address, cert, "localhost", own=own).recv(1)


@pytest.mark.shows("key:SSL_version", "key:SSL_cipher_list")
@pytest.mark.parametrize("settings, version, cipher", [
    ({"SSL_version": "TLSv1_2"}, "TLSv1.2", ""),
    ({"SSL_version": "TLSv1_3"}, "TLSv1.3", ""),
    ({"SSL_version": "TLSv1_2", "SSL_cipher_list": "ECDHE-ECDSA-AES128-GCM-SHA256"}, "TLSv1.2",
     "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ({"SSL_version": "TLSv1_2", "SSL_cipher_list": "ECDHE-ECDSA-CHACHA20-POLY1305"}, "TLSv1.2",
     "ECDHE-ECDSA-CHACHA20-POLY1305")])
def test_versions_and_ciphers(server, certificate, settings, version, cipher):
    """Are those that are asked for, of those that the client knows."""
    cert, key = certificate("localhost")
    s = server.start(service(server), SMALL, port="127.0.0.1:0/ssl", SSL_cert_file=cert,
                     SSL_key_file=key, **settings)
    connection = secure(s.address, cert, "localhost")
    assert connection.version() == version
    assert cipher in ("", connection.cipher()[0])
    assert serves(s, address=connection) == ("ssl", "127.0.0.1")


@pytest.mark.shows("proto:ssl")
def test_lines_and_ends(server, certificate):
    """Many lines at once, long ones, and the end of either side: nothing is lost."""
    cert, key = certificate("localhost")
    s = server.start(service(server), SMALL, env={"SERVICE_LOUD": 1},
                     port=f"127.0.0.1:0/ssl SSL_cert_file={cert} SSL_key_file={key}")
    with Talk(s, address=secure(s.address, cert, "localhost"), first="hello") as talk:
        talk.socket.sendall(b"".join(b"line %d\n" % n for n in range(1000)))
        for n in range(1000):
            assert talk.hear() == f'You said "line {n}"'
        talk.say("x" * 1000)
        assert talk.hear() == f'You said "{"x" * 1000}"'
        assert talk.quit() == b""  # the server's end of the stream, with a proper good-bye
    with Talk(s, address=secure(s.address, cert, "localhost"), first="hello") as talk:
        talk.socket.unwrap().close()
        s.wait_log("the client said all")


@pytest.mark.shows("proto:ssl")
@pytest.mark.parametrize("said", [b"", b"hello, is there no TLS?\r\n\r\n"])
def test_who_does_not_speak_tls_costs_only_himself(server, certificate, said):
    """There a failed handshake ended the child, or the whole server."""
    cert, key = certificate("localhost")
    s = server.start(service(server), server_type="Single",
                     port=f"127.0.0.1:0/ssl SSL_cert_file={cert} SSL_key_file={key}")
    (worker,) = s.wait_workers(1, "idle")
    with socket.create_connection(s.address, timeout=PATIENCE) as rude:
        rude.sendall(said)
        rude.shutdown(socket.SHUT_WR)
        try:
            assert not read_line(rude).startswith(b"Welcome")
        except ConnectionResetError:
            pass
    assert serves(s, address=secure(s.address, cert, "localhost")) == ("ssl", "127.0.0.1")
    assert s.workers() == [worker]
    assert s.stop() == 0


@pytest.mark.shows("proto:ssl", "key:SSL_use_cert")
@pytest.mark.parametrize("what", ["no certificate", "no key file", "another key"])
def test_a_certificate_that_does_not_do(server, certificate, tmp_path, what):
    """Is told at the start, with the port."""
    cert, _ = certificate("one.example")
    _, other = certificate("two.example")
    words = {"no certificate": "", "another key": f" SSL_cert_file={cert} SSL_key_file={other}",
             "no key file": f" SSL_cert_file={cert} SSL_key_file={tmp_path}/none"}[what]
    done = server.command(service(server), "--log_level=0", f"--port=127.0.0.1:0/ssl{words}")
    assert done.returncode in (71, 78)
    assert len(done.stderr.splitlines()) == 1 and "SSL_" in done.stderr
