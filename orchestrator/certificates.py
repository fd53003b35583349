"""One certificate authority a run and one certificate a party.

The authority's private key lives in this process's memory until the last certificate is signed and is never written.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from parties.frame.certificates import make_authority, pem, private_pem, sign_party
from parties.frame.private_files import write_private

VALID_AFTER = datetime.timedelta(days=2)


class RunAuthority:
    """Signs the certificates of one run. It is as private as its key, which it never shows."""

    def __init__(self, run: str) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._certificate = make_authority(f"{run} authority", self._key, VALID_AFTER)

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate as PEM."""
        return pem(self._certificate)

    def sign(self, name: str, public_key: Ed25519PublicKey) -> bytes:
        """Return a party's certificate as PEM."""
        return pem(sign_party(name, public_key, self._certificate, self._key, VALID_AFTER))


def issue(run: str, folders: Iterable[tuple[str, Path]]) -> None:
    """Write `certificate.pem`, `key.pem` and `ca.pem` (mode 0600) into each named party's folder."""
    authority = RunAuthority(run)
    for name, folder in folders:
        key = Ed25519PrivateKey.generate()
        write_private(folder / "ca.pem", authority.certificate)
        write_private(folder / "certificate.pem", authority.sign(name, key.public_key()))
        write_private(folder / "key.pem", private_pem(key))
