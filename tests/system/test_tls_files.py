"""Protocol ssl: files and settings that are wrong are found at start, and only there."""

import os
import signal
import subprocess

import pytest

from certificates import certificates  # noqa: F401
from support import EXAMPLES, PATIENCE, PREFORK
from tls_clients import facts, port


def bad_files(c):
    """Settings of a port, and the sentence."""
    locked = c.encrypted_key("locked.key", b"secret", c.server.key)
    old, new = c.dated("old", -20, -10), c.dated("new", 10, 20)
    garbage = c.write("garbage.pem", b"this is no PEM\n")
    good = c.write("good.passwd", b"secret\n")
    wrong = c.write("wrong.passwd", b"guess\n")
    empty = c.write("empty.passwd", b"")
    cert, key = c.server.cert, c.server.key
    yield "", "protocol ssl needs SSL_cert_file"
    yield "SSL_cert_file=/nowhere.pem", "SSL_cert_file: /nowhere.pem: No such file"
    yield f"SSL_cert_file={garbage}", f"SSL_cert_file: {garbage}: no certificate can be read"
    yield f"SSL_cert_file={key}", f"SSL_cert_file: {key}: no certificate can be read"
    yield f"SSL_cert_file={cert}", f"SSL_cert_file: {cert}: no private key can be read"
    yield (f"SSL_cert_file={cert} SSL_key_file=/nowhere.key",
           "SSL_key_file: /nowhere.key: No such file")
    yield (f"SSL_cert_file={cert} SSL_key_file={garbage}",
           f"SSL_key_file: {garbage}: no private key can be read")
    yield (f"SSL_cert_file={cert} SSL_key_file={c.other.key}",
           f"{c.other.key}: this is not the key of the certificate in {cert}")
    yield old.words(), f"SSL_cert_file: {old.cert}: a certificate in it expired at "
    yield new.words(), f"SSL_cert_file: {new.cert}: a certificate in it is not valid before"
    yield (f"SSL_cert_file={cert} SSL_key_file={locked}",
           f"{locked}: the key is encrypted; set SSL_passwd_file")
    yield (f"SSL_cert_file={cert} SSL_key_file={locked} SSL_passwd_file={wrong}",
           f"{locked}: the password does not open the key")
    yield (f"SSL_cert_file={cert} SSL_key_file={locked} SSL_passwd_file={empty}",
           f"SSL_passwd_file: {empty}: no password in its first line")
    yield (f"SSL_cert_file={cert} SSL_key_file={locked} SSL_passwd_file=/nowhere",
           "SSL_passwd_file: /nowhere: No such file")
    yield f"SSL_cert_file={cert} SSL_key_file={locked} SSL_passwd_file={good}", None
    ok = c.server.words()
    yield f"{ok} SSL_verify_mode=peer", "only be checked with SSL_ca_file or SSL_ca_path"
    yield f"{ok} SSL_verify_mode=2", '"2" is not one of none, peer, require'
    yield f"{ok} SSL_verify_mode=peer SSL_ca_file=/nowhere", "SSL_ca_file: /nowhere: No such"
    yield (f"{ok} SSL_verify_mode=peer SSL_ca_file={garbage}",
           f"{garbage}: no certificate can be read")
    yield f"{ok} SSL_verify_mode=peer SSL_ca_path=/nowhere", "SSL_ca_path: /nowhere: No such"
    yield f"{ok} SSL_cipher_list=NONSENSE", 'SSL_cipher_list: "NONSENSE": no cipher match'
    yield f"{ok} SSL_ciphersuites=NONSENSE", 'SSL_ciphersuites: "NONSENSE": '
    yield f"{ok} SSL_version=TLSv1_1", '"TLSv1_1" is not safe; the least is TLSv1_2'
    yield f"{ok} SSL_version=TLSv1_3:!TLSv13", "no version is left"
    yield f"{ok} SSL_version=TLSv9", '"TLSv9" is no version'
    yield f"{ok} SSL_use_cert=0", "a server has to show a certificate"
    yield f"{ok} SSL_sni=lonely", "names, certificate and key are expected"
    yield f'{ok} SSL_sni="a.test /nowhere"', "SSL_sni: /nowhere: No such file"


def test_bad_files_are_found_at_start(server, certificates, tmp_path):
    conf = tmp_path / "x.conf"
    for words, sentence in bad_files(certificates):
        conf.write_text(f"# TLS\nport 127.0.0.1:0/ssl {words}\n")
        done = server.prefork("check", "--conf_file", conf, "--", "cat")
        if sentence is None:
            assert done.returncode == 0, done.stderr
            continue
        assert done.returncode == 78, words
        assert f"{conf}:2: " in done.stderr and sentence in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1
        done = server.prefork("serve", "--conf_file", conf, "--", "cat")
        assert done.returncode == 78 and sentence in done.stderr


def test_the_line_of_a_common_setting_is_named(server, certificates, tmp_path):
    conf = tmp_path / "x.conf"
    conf.write_text(f"port 127.0.0.1:0/ssl\nSSL_cert_file {certificates.server.cert}\n"
                    "ssl_key_file /nowhere.key\n")
    done = server.prefork("check", "--conf_file", conf, "--", "cat")
    assert f"{conf}:3: SSL_key_file: /nowhere.key: No such file" in done.stderr


@pytest.mark.parametrize("words, command, sentence", [
    ("{ok}", ["--handler", "wait"], "use handler nowait"),
    ("tcp", [], "SSL_cert_file is for protocol ssl only"),
])
def test_what_does_not_go_together(server, certificates, words, command, sentence):
    ok = port(certificates.server)
    said = ok if words == "{ok}" else ok.replace("/ssl", "/tcp")
    done = server.prefork("check", "--port", said, *command, "--", "cat")
    assert done.returncode == 78 and sentence in done.stderr


def test_main_loop_does_not_speak_tls(server, certificates):
    done = server.command(EXAMPLES / "jobs", "--port", port(certificates.server))
    assert done.returncode == 78 and "use process_request" in done.stderr


@pytest.mark.shows("key:SSL_passwd_cb")
def test_the_program_knows_the_password(server, certificates):
    locked = certificates.encrypted_key("hook.key", b"by hook", certificates.server.key)
    words = f"127.0.0.1:0/ssl SSL_cert_file={certificates.server.cert} SSL_key_file={locked}"
    s = server.start(server.program("tls"), port=words)
    assert facts(s, certificates.context())["proto"] == "ssl"


@pytest.mark.root
def test_the_key_is_read_before_privileges_are_dropped(server, certificates, open_path):
    key = open_path / "root.key"
    key.write_bytes(certificates.server.key.read_bytes())
    key.chmod(0o600)
    s = server.start(server.program("tls"), user="nobody", min_servers=2,
                     port=f"127.0.0.1:0/ssl SSL_cert_file={certificates.server.cert} "
                          f"SSL_key_file={key}")
    key.unlink()
    s.signal(signal.SIGHUP)  # and workers born later need no file either
    s.wait_log("SIGHUP")
    for _ in range(4):
        assert facts(s, certificates.context())["proto"] == "ssl"


def test_no_password_is_asked_on_a_terminal(server, certificates):
    locked = certificates.encrypted_key("tty.key", b"secret", certificates.server.key)
    leader, follower = os.openpty()
    try:
        done = subprocess.run(
            [PREFORK, "check", "--port", f"127.0.0.1:0/ssl SSL_cert_file="
             f"{certificates.server.cert} SSL_key_file={locked}", "--", "cat"],
            stdin=follower, stdout=follower, stderr=subprocess.PIPE, text=True, check=False,
            timeout=PATIENCE, start_new_session=True)
        assert done.returncode == 78 and "the key is encrypted" in done.stderr
    finally:
        os.close(leader)
        os.close(follower)


def test_prefork_check_shows_the_settings(server, certificates):
    done = server.prefork("check", "--port", port(certificates.server), "--", "cat")
    assert done.returncode == 0
    assert "SSL_handshake_timeout 10  # default" in done.stdout


