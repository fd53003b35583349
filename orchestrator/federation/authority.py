"""The authority of a federation. Whoever coordinates keeps it in a folder of their own.

It signs a member's certificate from the member's request (PKCS #10, RFC 2986) and never sees a private key. What it has
signed stands in a journal, so that a certificate can be revoked by name, and so that nothing is lost when it is killed.
A bundle, which is what a member installs, is the member's certificate, the authority's own, and the list of revoked
certificates (RFC 5280, section 5).
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from parties.frame.certificates import VALID_BEFORE, make_authority, now, pem, private_pem, sign_party
from parties.frame.errors import PartyError
from parties.frame.journal import JournalError, locked
from parties.frame.members import Federation
from parties.frame.private_files import write_private

_LARGEST = 1 << 16  # bytes of a request; a real one has 400


class CertificateError(PartyError):
    """A request, a certificate or an authority that cannot be used. The message says what was expected and found."""


class Issued(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the journal, which is a certificate that was signed or revoked.

    Attributes:
        name: the member.
        serial: of the certificate, in hex.
        until: seconds since 1970, the end of the certificate.
        fingerprint: SHA-256 of the certificate in hex.
        revoked: seconds since 1970 when it was revoked, 0 for a line that says that it was signed.
    """

    name: str
    serial: str
    until: float
    fingerprint: str
    revoked: float = 0.0


@dataclass(frozen=True)
class Authority:
    """The authority whose key and journal lie in `folder`."""

    folder: Path
    federation: Federation

    @classmethod
    def make(cls, folder: Path, federation: Federation) -> Authority:
        """Make the key and the authority's own certificate. Raises `CertificateError` where there is one already."""
        made = cls(folder, federation)
        if made._key.exists() or made._certificate.exists():
            raise CertificateError(f"expected no authority in {folder} yet, found one: a second would disown the first")
        key = Ed25519PrivateKey.generate()
        days = datetime.timedelta(days=federation.authority_days)
        write_private(made._key, private_pem(key))
        write_private(made._certificate, pem(make_authority(f"{federation.name} authority", key, days)))
        return made

    @property
    def _key(self) -> Path:
        return self.folder / "authority-key.pem"

    @property
    def _certificate(self) -> Path:
        return self.folder / "authority.pem"

    @property
    def _journal(self) -> Path:
        return self.folder / "issued.jsonl"

    @property
    def certificate(self) -> x509.Certificate:
        """The authority's own certificate. Raises `CertificateError` where there is none."""
        return read_certificate(self._certificate)

    def approve(self, request: bytes, days: float | None = None) -> bytes:
        """Return the bundle that answers a member's request.

        Args:
            request: PKCS #10 as text. Its name must be a member's, and its signature must be by the key in it.
            days: of validity, the federation's `certificate_days` by default.

        Raises:
            CertificateError: the request cannot be used, or the authority has ended.
        """
        name, public_key = read_request(request)
        if name not in self.federation.names:
            raise CertificateError(
                f"request: expected a member of {self.federation.name} ({', '.join(self.federation.names)}), "
                f"found {name!r}"
            )
        authority = self.certificate
        if authority.not_valid_after_utc <= now():
            raise CertificateError(
                f"authority: expected one that is still valid, found that it ended on {authority.not_valid_after_utc}"
            )
        valid_for = datetime.timedelta(days=self.federation.certificate_days if days is None else days)
        certificate = sign_party(name, public_key, authority, self._private_key(), valid_for)
        until = certificate.not_valid_after_utc.timestamp()
        self._note(Issued(name, f"{certificate.serial_number:x}", until, fingerprint(certificate)))
        return pem(certificate) + pem(authority) + pem(self.revocation_list())

    def revoke(self, name: str) -> list[Issued]:
        """Revoke all certificates of a member that are still valid, and return them. Raises `CertificateError`."""
        gone = [one for one in self.issued() if one.name == name and not one.revoked and one.until > now().timestamp()]
        if not gone:
            raise CertificateError(f"revoke: expected a valid certificate of {name!r}, found none")
        for one in gone:
            self._note(msgspec.structs.replace(one, revoked=now().timestamp()))
        return gone

    def issued(self) -> list[Issued]:
        """Return every certificate that was signed, in order, with when it was revoked."""
        try:
            with locked(self._journal) as journal:
                lines = [msgspec.json.decode(line, type=Issued) for line in journal.lines]
        except (JournalError, msgspec.DecodeError, msgspec.ValidationError) as error:
            raise CertificateError(
                f"expected the journal of an authority in {self._journal}, found: {error}"
            ) from error
        by_serial: dict[str, Issued] = {}
        for line in lines:
            by_serial[line.serial] = line  # of two lines the later one holds
        return list(by_serial.values())

    def revocation_list(self) -> x509.CertificateRevocationList:
        """Return the list of revoked certificates, which holds until the authority itself ends.

        An older list stays valid, so that a member that does not get the newest goes on. It knows fewer revocations.
        """
        authority = self.certificate
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.subject)
            .last_update(now() - VALID_BEFORE)
            .next_update(authority.not_valid_after_utc)
            .add_extension(x509.CRLNumber(int(now().timestamp())), critical=False)
        )
        for one in self.issued():
            if one.revoked:
                when = datetime.datetime.fromtimestamp(one.revoked, datetime.timezone.utc)
                entry = x509.RevokedCertificateBuilder(int(one.serial, 16), when)
                builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._private_key(), algorithm=None)

    def _private_key(self) -> Ed25519PrivateKey:
        return read_private_key(self._key)

    def _note(self, line: Issued) -> None:
        try:
            with locked(self._journal) as journal:
                journal.append(msgspec.json.encode(line))
        except JournalError as error:
            raise CertificateError(str(error)) from error


def read_request(request: bytes) -> tuple[str, Ed25519PublicKey]:
    """Return the name and the key in a request that is signed by that key. Raises `CertificateError`."""
    if len(request) > _LARGEST:
        raise CertificateError(f"request: expected at most {_LARGEST} bytes, found {len(request)}")
    try:
        parsed = x509.load_pem_x509_csr(request)
        names = parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        key, signed = parsed.public_key(), parsed.is_signature_valid
    except (ValueError, InvalidSignature) as error:
        raise CertificateError(f"request: expected a certificate request (PKCS #10) as text, found {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise CertificateError(f"request: expected an Ed25519 key, found {type(key).__name__}")
    if not signed:
        raise CertificateError("request: expected a signature by its own key, found another")
    if len(names) != 1 or not isinstance(names[0].value, str):
        raise CertificateError(f"request: expected one common name, found {len(names)}")
    return names[0].value, key


def read_certificate(path: Path) -> x509.Certificate:
    """Read one certificate from a file. Raises `CertificateError`."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        found = error.strerror if isinstance(error, OSError) else "something else"
        raise CertificateError(f"expected a certificate in {path}, found {found}") from error


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key that only its owner may read. Raises `CertificateError`."""
    try:
        if path.stat().st_mode & 0o077:
            raise CertificateError(
                f"expected {path} to be its owner's alone (mode 0600), found mode {path.stat().st_mode & 0o777:04o}"
            )
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        found = error.strerror if isinstance(error, OSError) else "something else"
        raise CertificateError(f"expected a private key in {path}, found {found}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise CertificateError(f"expected an Ed25519 key in {path}, found {type(key).__name__}")
    return key


def fingerprint(certificate: x509.Certificate) -> str:
    """Return SHA-256 of a certificate in hex, as `openssl x509 -fingerprint -sha256` gives it without colons."""
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def check_fingerprint(what: str, expected: str, found: str, whom: str) -> None:
    """Raise `CertificateError` unless a fingerprint is the one that came by another way. `whom` is to be asked then.

    The expected one may have colons and capitals.
    """
    wanted = expected.replace(":", "").strip().lower()
    if not hmac.compare_digest(wanted.encode(), found.encode()):
        raise CertificateError(f"fingerprint of the {what}: expected {wanted}, found {found}: ask {whom}")


def key_fingerprint(key: Ed25519PublicKey) -> str:
    """Return SHA-256 of a public key (SubjectPublicKeyInfo) in hex, by which two people compare a request by voice."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest()
