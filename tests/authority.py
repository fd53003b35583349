"""A certificate authority for tests: Ed25519, and one certificate a name unless a test wants it otherwise."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from mpc.channels.credentials import Credentials

LATE = datetime.timedelta(minutes=-5)
DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates, whose files it puts into a folder."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._name = name
        self._key = Ed25519PrivateKey.generate()
        self.path = folder / "ca.pem"
        self.path.write_bytes(self._sign(name, self._key, None, LATE, DAY))

    def issue(
        self,
        name: str,
        dns_names: Sequence[str] | None = None,
        since: datetime.timedelta = LATE,
        until: datetime.timedelta = DAY,
    ) -> Credentials:
        """Credentials of that common name. Its DNS names are that one alone if none are given."""
        key = Ed25519PrivateKey.generate()
        stem, again = name, 1
        while (self.folder / f"{stem}.pem").exists():
            stem, again = f"{name}-{again}", again + 1
        credentials = Credentials(self.folder / f"{stem}.pem", self.folder / f"{stem}.key", self.path)
        credentials.certificate.write_bytes(
            self._sign(name, key, [name] if dns_names is None else dns_names, since, until)
        )
        credentials.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return credentials

    def revoke(self, *revoked: Credentials) -> Path:
        """The file of a list that names these certificates, which replaces an older list."""
        now = datetime.datetime.now(datetime.timezone.utc)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name)])
        builder = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now + LATE)
        builder = builder.next_update(now + DAY)
        for one in revoked:
            serial = x509.load_pem_x509_certificate(one.certificate.read_bytes()).serial_number
            builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, now + LATE).build())
        path = self.folder / "revoked.pem"
        path.write_bytes(builder.sign(self._key, None).public_bytes(serialization.Encoding.PEM))
        return path

    def _sign(
        self,
        name: str,
        key: Ed25519PrivateKey,
        dns_names: Sequence[str] | None,
        since: datetime.timedelta,
        until: datetime.timedelta,
    ) -> bytes:
        """A certificate, which is the authority's own where `dns_names` is None."""
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + since)
            .not_valid_after(now + until)
            .add_extension(x509.BasicConstraints(ca=dns_names is None, path_length=None), critical=True)
        )
        if dns_names:
            alternative = x509.SubjectAlternativeName([x509.DNSName(one) for one in dns_names])
            builder = builder.add_extension(alternative, critical=False)
        return builder.sign(self._key, None).public_bytes(serialization.Encoding.PEM)


def issue(folder: Path, *names: str) -> dict[str, Credentials]:
    """Credentials for every name, signed by one fresh authority."""
    authority = Authority(folder)
    return {name: authority.issue(name) for name in names}
