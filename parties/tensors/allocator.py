"""Memory that a party's process keeps instead of giving it back between two operations.

Arrays of shares come and go in every operation. By default the C library returns large ones to the system at once, and
the system fills fresh pages with zeros for the next ones, which takes as long as computing on them.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_KEPT_BYTES = 1 << 30


def keep_memory() -> bool:
    """Let this process keep up to 1 GiB that it has freed, and return whether its C library can do so.

    A process holds what it needed at most so far, which may be more than it needs now.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # not glibc
        return False
    return all(mallopt(option, _KEPT_BYTES) == 1 for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))
