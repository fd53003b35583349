"""Words that commands and reports have in common."""

from __future__ import annotations

PRIVATE_WARNING = (
    "The decrypted numbers hold noise that depends on the private key, so they are private to its holder (Li and "
    "Micciancio, EUROCRYPT 2021)."
)


def megabytes(size: int) -> str:
    """Return a size for a person."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
