"""The names of accounts, which follow the owner and its records, not a dataset's name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from parties.learning.records import Images


def account_name(owner: int, owners: int, parts: Iterable[Images]) -> str:
    """Return the name of data owner number `owner` out of so many, with a digest of the images ``(n, ...)``.

    The digest takes the images of all `parts` as a set. Neither their order nor their labels change it.
    """
    images = {hashlib.sha256(np.ascontiguousarray(image, "<f4").tobytes()).digest() for part in parts for image in part}
    digest = hashlib.sha256(b"".join(sorted(images))).hexdigest()
    return f"party-{owner}-of-{owners}/{digest[:16]}"
