"""A certificate authority for tests: Ed25519, one certificate a name."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from mpc.channels.credentials import Credentials


def issue(folder: Path, *names: str) -> dict[str, Credentials]:
    """Credentials for every name, signed by one fresh authority."""
    folder.mkdir(parents=True, exist_ok=True)
    authority_key = Ed25519PrivateKey.generate()
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    authority = _certificate(authority_name, authority_name, authority_key, authority_key, None)
    authority_path = folder / "ca.pem"
    authority_path.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    issued = {}
    for name in names:
        key = Ed25519PrivateKey.generate()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = _certificate(subject, authority_name, key, authority_key, name)
        credentials = Credentials(folder / f"{name}.pem", folder / f"{name}.key", authority_path)
        credentials.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        credentials.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        issued[name] = credentials
    return issued


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: Ed25519PrivateKey,
    signer: Ed25519PrivateKey,
    dns_name: str | None,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=dns_name is None, path_length=None), critical=True)
    )
    if dns_name is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns_name)]), critical=False)
    return builder.sign(signer, None)
