"""One certificate authority a run and one certificate a party.

The authority's private key lives in this process's memory until the last certificate is signed and is never written.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from parties.frame.certificates import make_authority, pem, private_pem, sign_party
from parties.frame.private_files import write_private

VALID_AFTER = datetime.timedelta(days=2)


def issue(run: str, folders: Iterable[tuple[str, Path]]) -> None:
    """Write `certificate.pem`, `key.pem` and `ca.pem` (mode 0600) into each named party's folder."""
    authority_key = Ed25519PrivateKey.generate()
    authority = make_authority(f"{run} authority", authority_key, VALID_AFTER)
    for name, folder in folders:
        key = Ed25519PrivateKey.generate()
        certificate = sign_party(name, key.public_key(), authority, authority_key, VALID_AFTER)
        write_private(folder / "ca.pem", pem(authority))
        write_private(folder / "certificate.pem", pem(certificate))
        write_private(folder / "key.pem", private_pem(key))
