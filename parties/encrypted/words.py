"""Words that commands and reports have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mpc.errors import MpcError
from parties.encrypted.container import Header
from parties.frame.errors import PartyError

PRIVATE_WARNING = (
    "The decrypted numbers hold noise that depends on the private key, so they are private to its holder (Li and "
    "Micciancio, EUROCRYPT 2021)."
)


def megabytes(size: int) -> str:
    """Return a size for a person."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


@contextmanager
def in_a_sentence() -> Iterator[None]:
    """Turn an error of the computation into one for a person."""
    try:
        yield
    except MpcError as error:
        raise PartyError(f"{error}.") from error


def digests_seen(header: Header) -> str:
    """Return the digests of what is done to records that a header shows, and what they tell."""
    shown = "a digest of how features are prepared, which tells nothing of it"
    if header.extractor:
        shown += (
            f", the extractor's digest {header.extractor[:16]}, which tells who knows the extractor that it is used, "
            "and which jobs use the same one,"
        )
    return shown
