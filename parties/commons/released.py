"""A trustee's shares of releases that it has computed, so that a question that is asked again costs nothing.

A release reads every ciphertext of a batch, while nobody else can use the trustee. What it gives for a certified grant
does not change, and neither does a refusal, unless an attachment is still to come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from mpc.commons.attachments import AbsentAttachmentError
from mpc.errors import ProtocolError

MOST_BYTES = 1 << 26
"""Of all that is kept. Beyond it, what nobody has asked for the longest is computed again."""

_BESIDE = 1 << 10  # bytes that an answer counts for beside its own


class Released:
    """What was computed, by the leaf hash of the grant.

    Args:
        compute: returns the share for a grant, or raises `ProtocolError`.
    """

    def __init__(self, compute: Callable[[bytes], bytes], most_bytes: int = MOST_BYTES) -> None:
        self._compute, self._most = compute, most_bytes
        self._kept: OrderedDict[bytes, bytes | str] = OrderedDict()
        self._bytes = 0

    def share(self, grant: bytes) -> bytes:
        """Return the share for a grant. Raises `ProtocolError` with the sentence of the first time."""
        if grant in self._kept:
            self._kept.move_to_end(grant)
            found = self._kept[grant]
        else:
            found = self._first(grant)
        if isinstance(found, str):
            raise ProtocolError(found)
        return found

    def _first(self, grant: bytes) -> bytes | str:
        found: bytes | str
        try:
            found = self._compute(grant)
        except AbsentAttachmentError:
            raise
        except ProtocolError as error:
            found = str(error)
        self._kept[grant] = found
        self._bytes += len(found) + _BESIDE
        while self._bytes > self._most and self._kept:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest) + _BESIDE
        return found

    def __repr__(self) -> str:
        return f"Released({len(self._kept)})"
