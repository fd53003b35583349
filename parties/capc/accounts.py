"""The names of accounts, which follow the owner and its records, not a dataset's name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from parties.learning.records import Images, image_digests


def account_name(owner: int, owners: int, parts: Iterable[Images], name: str = "") -> str:
    """Return the name of a data owner's account, with a digest of the images ``(n, ...)``.

    It is the owner's own `name` if it has one, and otherwise its number `owner` out of so many. The digest takes the
    images of all `parts` as a set. Neither their order nor their labels change it.
    """
    images = set[bytes]().union(*map(image_digests, parts))
    digest = hashlib.sha256(b"".join(sorted(images))).hexdigest()
    return f"{name or f'party-{owner}-of-{owners}'}/{digest[:16]}"


def folder_of(kind: str, owner: int, name: str = "") -> str:
    """Return the name of an owner's folder that outlives a run, which follows its own name like its account."""
    return f"{kind}-{name or owner}"
