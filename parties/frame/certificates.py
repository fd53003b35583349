"""The certificates by which parties know each other (RFC 5280), all with Ed25519 keys (RFC 8410).

A party's name is its certificate's common name and its one DNS name, which is what its peers check. An authority signs
the certificates of all parties that may meet. A party's certificate signs nothing.
"""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_BEFORE = datetime.timedelta(hours=1)
"""A certificate is valid from so long before it was signed, because clocks of other machines may be late."""

# key usage bits, in the order of x509.KeyUsage's arguments
_SIGNS_CERTIFICATES = (False, False, False, False, False, True, True, False, False)
_SIGNS_HANDSHAKES = (True, False, False, False, False, False, False, False, False)


def now() -> datetime.datetime:
    """Return the present time in UTC, to the second, as certificates hold it."""
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def common_name(name: str) -> x509.Name:
    """Return a distinguished name that is a common name alone."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def make_authority(name: str, key: Ed25519PrivateKey, valid_for: datetime.timedelta) -> x509.Certificate:
    """Return an authority's own certificate, which signs certificates of parties and no further authority."""
    public = key.public_key()
    unsigned = _builder(common_name(name), common_name(name), public, public, valid_for, _SIGNS_CERTIFICATES)
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    return unsigned.add_extension(constraints, critical=True).sign(key, algorithm=None)


def sign_party(
    name: str,
    public_key: Ed25519PublicKey,
    authority: x509.Certificate,
    authority_key: Ed25519PrivateKey,
    valid_for: datetime.timedelta,
) -> x509.Certificate:
    """Return a party's certificate, for both ends of TLS. It ends with the authority's own at the latest."""
    left = authority.not_valid_after_utc - now()
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    return (
        _builder(
            common_name(name),
            authority.subject,
            public_key,
            authority_key.public_key(),
            min(valid_for, left),
            _SIGNS_HANDSHAKES,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(usage, critical=False)
        .sign(authority_key, algorithm=None)
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: Ed25519PublicKey,
    signer: Ed25519PublicKey,
    valid_for: datetime.timedelta,
    usage: tuple[bool, ...],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - VALID_BEFORE)
        .not_valid_after(now() + valid_for)
        .add_extension(x509.KeyUsage(*usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def pem(certificate: x509.Certificate | x509.CertificateRevocationList | x509.CertificateSigningRequest) -> bytes:
    """Return a certificate, a list or a request as text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """Return a private key as text, without a password. The caller writes it for its owner alone."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
