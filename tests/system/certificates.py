"""Certificates for tests: throw-away authorities, good and bad pairs, clients' contexts.

`certificates` makes them once for a whole test run of one process. All files are PEM.
"""

import datetime
import ssl

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Pair:
    """Paths of a certificate with its chain, and of its key."""

    def __init__(self, cert, key):
        self.cert = cert
        self.key = key

    def words(self):
        """As settings of a port."""
        return f"SSL_cert_file={self.cert} SSL_key_file={self.key}"


class Certificates:
    """What a test may want to show or to trust."""

    def __init__(self, directory):
        self.directory = directory
        self.authority = trustme.CA()
        self.stranger = trustme.CA()
        self.ca = self._authority(self.authority, "ca")
        self.strange_ca = self._authority(self.stranger, "strange-ca")
        self.server = self.pair("server", "localhost", "127.0.0.1")
        self.other = self.pair("other", "other.test")
        self.wild = self.pair("wild", "*.wild.test")
        self.client = self.pair("client", "ann@client.test", common_name="ann")
        self.foreign = self.pair("foreign", "bob@client.test", common_name="bob",
                                 authority=self.stranger)

    def path(self, name):
        """A file of this name."""
        return self.directory / name

    def write(self, name, data):
        """The path of a file with this content."""
        path = self.path(name)
        path.write_bytes(data)
        return path

    def _authority(self, authority, name):
        return self.write(f"{name}.pem", authority.cert_pem.bytes())

    def pair(self, name, *identities, authority=None, **more):
        """A new certificate."""
        made = (authority or self.authority).issue_cert(*identities, **more)
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        return Pair(self.write(f"{name}.pem", chain),
                    self.write(f"{name}.key", made.private_key_pem.bytes()))

    def dated(self, name, first, last):
        """A self-signed certificate valid from and to so many days from today."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.utcnow()
        days = datetime.timedelta
        made = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now + days(first)).not_valid_after(now + days(last))
                .sign(key, hashes.SHA256()))
        return Pair(self.write(f"{name}.pem", made.public_bytes(serialization.Encoding.PEM)),
                    self.write(f"{name}.key", self._key_bytes(key)))

    def encrypted_key(self, name, password, key_file):
        """The same key, locked."""
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        return self.write(name, self._key_bytes(key, password))

    @staticmethod
    def _key_bytes(key, password=None):
        lock = (serialization.BestAvailableEncryption(password) if password
                else serialization.NoEncryption())
        return key.private_bytes(serialization.Encoding.PEM,
                                 serialization.PrivateFormat.PKCS8, lock)

    def context(self, version=None, show=None, alpn=None):
        """A client that trusts the authority."""
        context = ssl.create_default_context(cafile=self.ca)
        if version:
            context.minimum_version = context.maximum_version = version
        if show:
            context.load_cert_chain(show.cert, show.key)
        if alpn:
            context.set_alpn_protocols(alpn)
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Certificates of this test run; readable by everybody."""
    directory = tmp_path_factory.mktemp("certificates")
    return Certificates(directory)
