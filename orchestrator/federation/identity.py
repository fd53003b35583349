"""One member's key and certificate. The key is made on the member's own machine and never leaves it.

    member                                          coordinator, who holds the authority
    make a key  request.csr  ------------------->   compares the fingerprint by voice
                <------------------------------     approves: certificate, authority, list of revoked
    checks the authority's fingerprint, installs

A certificate is renewed in the same way, with a new key. The old one serves until the new one is installed.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from orchestrator.federation.authority import (
    CertificateError,
    check_fingerprint,
    fingerprint,
    key_fingerprint,
    read_certificate,
    read_private_key,
)
from orchestrator.federation.state import MemberFolder
from parties.frame.certificates import common_name, now, pem, private_pem
from parties.frame.private_files import write_private


@dataclass(frozen=True)
class Identity:
    """The identity of one member in its folder."""

    name: str
    folder: MemberFolder

    def request(self) -> tuple[Path, str]:
        """Make a key and a request for its certificate. Return the request's file and the key's fingerprint.

        A request that was made before and is not answered yet is made again with the same key, so that an answer to
        the first one still fits.
        """
        pending = self.folder.next_key
        key = read_private_key(pending) if pending.exists() else Ed25519PrivateKey.generate()
        write_private(pending, private_pem(key))
        builder = x509.CertificateSigningRequestBuilder().subject_name(common_name(self.name))
        names = x509.SubjectAlternativeName([x509.DNSName(self.name)])
        write_private(self.folder.request, pem(builder.add_extension(names, critical=False).sign(key, algorithm=None)))
        return self.folder.request, key_fingerprint(key.public_key())

    def install(self, bundle: bytes, expected: str) -> x509.Certificate:
        """Check what the authority sent and put it into place. Return the member's certificate.

        Args:
            bundle: certificate, authority and list of revoked certificates as text.
            expected: the authority's fingerprint (SHA-256 in hex, colons allowed), which came by another way.

        Raises:
            CertificateError: anything does not fit. Nothing is changed then.
        """
        certificate, authority, revoked = _parts(bundle)
        check_fingerprint("authority", expected, fingerprint(authority), "the coordinator")
        _check_signed(certificate, authority, revoked)
        name = str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        if name != self.name:
            raise CertificateError(f"certificate: expected one for {self.name}, found one for {name}")
        if certificate.not_valid_after_utc <= now():
            raise CertificateError(
                f"certificate: expected one that is valid, found one that ended on {certificate.not_valid_after_utc}"
            )
        if revoked.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
            raise CertificateError("certificate: expected one that is valid, found it among the revoked")
        fitting = self._key_of(certificate)
        write_private(self.folder.authority, pem(authority))
        self._install_list(revoked)
        # The key before the certificate: killed in between, the member has an old certificate and asks again.
        write_private(self.folder.key, private_pem(fitting))
        write_private(self.folder.certificate, pem(certificate))
        self.folder.next_key.unlink(missing_ok=True)
        self.folder.request.unlink(missing_ok=True)
        return certificate

    def install_revoked(self, content: bytes) -> int:
        """Put a newer list of revoked certificates into place, and return how many it names.

        Raises:
            CertificateError: it is not by this federation's authority, or it is older than the installed one.
        """
        try:
            revoked = x509.load_pem_x509_crl(content)
        except ValueError as error:
            raise CertificateError(f"expected a list of revoked certificates, found {error}") from error
        if not revoked.is_signature_valid(_key(read_certificate(self.folder.authority))):
            raise CertificateError(
                "list of revoked certificates: expected this federation's, found another authority's"
            )
        self._install_list(revoked)
        return len(revoked)

    def _install_list(self, revoked: x509.CertificateRevocationList) -> None:
        if self.folder.revoked.exists():
            installed = x509.load_pem_x509_crl(self.folder.revoked.read_bytes())
            same_authority = installed.is_signature_valid(_key(read_certificate(self.folder.authority)))
            if same_authority and _number(installed) > _number(revoked):
                raise CertificateError(
                    "list of revoked certificates: expected one no older than the installed one, found an older one"
                )
        write_private(self.folder.revoked, pem(revoked))

    def _key_of(self, certificate: x509.Certificate) -> Ed25519PrivateKey:
        """Return the private key in this folder that a certificate is for. Raises `CertificateError`."""
        for path in (self.folder.next_key, self.folder.key):
            if path.exists():
                key = read_private_key(path)
                if key.public_key() == certificate.public_key():
                    return key
        raise CertificateError(
            f"certificate: expected one for the key that was made in {self.folder.path}, found one for another key"
        )

    def days_left(self) -> float:
        """Return how many days the installed certificate is still valid. Raises `CertificateError`."""
        return (self.ends() - now()) / datetime.timedelta(days=1)

    def ends(self) -> datetime.datetime:
        """Return when the installed certificate ends, in UTC. Raises `CertificateError`."""
        return read_certificate(self.folder.certificate).not_valid_after_utc

    def check_valid(self) -> None:
        """Raise `CertificateError` where the installed certificate has ended, with how to mend it."""
        if self.days_left() <= 0:
            raise CertificateError(
                f"certificate: expected one that is valid, found that {self.name}'s ended on "
                f"{self.ends():%Y-%m-%d %H:%M} UTC: make a new one by `cert renew`, `approve` and `install`"
            )


def _parts(bundle: bytes) -> tuple[x509.Certificate, x509.Certificate, x509.CertificateRevocationList]:
    try:
        certificates = x509.load_pem_x509_certificates(bundle)
        begin = bundle.index(b"-----BEGIN X509 CRL-----")
        revoked = x509.load_pem_x509_crl(bundle[begin:])
    except ValueError as error:
        raise CertificateError(
            f"expected a certificate, its authority's and a list of revoked certificates, found {error}"
        ) from error
    if len(certificates) != 2:
        raise CertificateError(
            f"expected two certificates, the member's and the authority's, found {len(certificates)}"
        )
    return certificates[0], certificates[1], revoked


def _check_signed(
    certificate: x509.Certificate, authority: x509.Certificate, revoked: x509.CertificateRevocationList
) -> None:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise CertificateError("certificate: expected one that this authority signed, found another's") from error
    if not revoked.is_signature_valid(_key(authority)):
        raise CertificateError("list of revoked certificates: expected this authority's, found another's")


def _key(authority: x509.Certificate) -> Ed25519PublicKey:
    key = authority.public_key()
    if not isinstance(key, Ed25519PublicKey):
        raise CertificateError(f"authority: expected an Ed25519 key, found {type(key).__name__}")
    return key


def _number(revoked: x509.CertificateRevocationList) -> int:
    return revoked.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
