"""One certificate authority a run and one Ed25519 certificate a party (RFC 5280, RFC 8410).

The authority's private key lives in this process's memory until the last certificate is signed and is never written.
A party's name is its certificate's common name and its one DNS name, which is what its peers check.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from parties.frame.private_files import write_private

VALID_BEFORE = datetime.timedelta(hours=1)  # clocks of parties on other machines may be late
VALID_AFTER = datetime.timedelta(days=2)

# key usage bits, in the order of x509.KeyUsage's arguments
_SIGNS_CERTIFICATES = (False, False, False, False, False, True, True, False, False)
_SIGNS_HANDSHAKES = (True, False, False, False, False, False, False, False, False)


def issue(run: str, folders: Iterable[tuple[str, Path]]) -> None:
    """Write `certificate.pem`, `key.pem` and `ca.pem` (mode 0600) into each named party's folder."""
    authority_key = Ed25519PrivateKey.generate()
    authority = _sign(f"{run} authority", authority_key.public_key(), authority_key, issuer=None)
    for name, folder in folders:
        key = Ed25519PrivateKey.generate()
        certificate = _sign(name, key.public_key(), authority_key, issuer=authority)
        write_private(folder / "ca.pem", _pem(authority))
        write_private(folder / "certificate.pem", _pem(certificate))
        write_private(
            folder / "key.pem",
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )


def _sign(
    name: str, public_key: Ed25519PublicKey, signer: Ed25519PrivateKey, issuer: x509.Certificate | None
) -> x509.Certificate:
    """Return a certificate of `name`, which is the authority's own when `issuer` is None."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    is_authority = issuer is None
    now = datetime.datetime.now(datetime.timezone.utc)
    usage = x509.KeyUsage(*(_SIGNS_CERTIFICATES if is_authority else _SIGNS_HANDSHAKES))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID_BEFORE)
        .not_valid_after(now + VALID_AFTER)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not is_authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
    return builder.sign(signer, algorithm=None)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
