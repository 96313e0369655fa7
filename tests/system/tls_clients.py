"""Clients that speak TLS, and the ports they speak to."""

import socket
import ssl

from support import read_line

V12 = ssl.TLSVersion.TLSv1_2
V13 = ssl.TLSVersion.TLSv1_3
FACTS = ("proto", "version", "cipher", "name", "alpn", "subject", "verified", "resumed", "pid")


def port(pair, *words, where="127.0.0.1:0"):
    """A port with TLS and its own settings."""
    return " ".join([f"{where}/ssl", pair.words(), *words])


def secure(server, context, name="localhost", session=None, index=0):
    """A connected client whose handshake is done."""
    raw = server.connect(index)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return context.wrap_socket(raw, server_hostname=name, session=session)
    except BaseException:
        raw.close()
        raise


def facts_of(s):
    """What the handler knows of this connection."""
    s.sendall(b"facts\n")
    return dict(zip(FACTS, read_line(s).decode().rstrip("\n").split("|")))


def facts(server, context, **more):
    """The same of a new connection, which ends with it; plus the client's session."""
    with secure(server, context, **more) as s:
        found = facts_of(s)
        found["session"] = s.session
        return found


def subject_of(server, certificates, name, index=0):
    """The names in the certificate that a client sees who asks for this name."""
    context = certificates.context()
    context.check_hostname = False
    with secure(server, context, name, index=index) as s:
        return {value for _, value in s.getpeercert()["subjectAltName"]}


class Talk:
    """A client that can end its own half and still read, which the ssl module cannot do on
    a socket."""

    def __init__(self, server, context, name="localhost"):
        self.raw = server.connect()
        self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inside, self.outside = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.inside, self.outside, server_hostname=name)
        self._do(self.tls.do_handshake)

    def _do(self, action, *words):
        while True:
            try:
                result = action(*words)
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                got = self.raw.recv(65536)
                if got:
                    self.inside.write(got)
                else:
                    self.inside.write_eof()

    def _flush(self):
        if self.outside.pending:
            self.raw.sendall(self.outside.read())

    def send(self, data):
        """All of it."""
        for at in range(0, len(data), 65536):
            self._do(self.tls.write, data[at:at + 65536])

    def farewell(self):
        """Say that this was all; without waiting for an answer."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self._flush()

    def read_all(self):
        """Up to the server's farewell. Anything else that ends the stream is an error."""
        parts = []
        while True:
            try:
                part = self._do(self.tls.read, 65536)
            except ssl.SSLZeroReturnError:
                part = b""
            if not part:
                return b"".join(parts)
            parts.append(part)

    def close(self):
        """Without a word."""
        self.raw.close()


def converse_tls(server, context, request):
    """Send all, say so, read all of the reply, at the same time."""
    talk = Talk(server, context)
    try:
        talk.send(request)
        talk.farewell()
        return talk.read_all()
    finally:
        talk.close()


def is_refused_tls(server, context):
    """True if no answer comes; with TLS 1.3 the client hears of a refusal when it reads."""
    try:
        with secure(server, context) as s:
            s.sendall(b"facts\n")
            return read_line(s) == b""
    except (ssl.SSLError, ConnectionError):
        return True
