"""What a party of a run does that no honest one does, if the configuration says so, to see what becomes of the run.

A party with a fault plays its part as all do, up to its part in the first grant. From there on it lies, crashes or
keeps silent. A provider's fault concerns its reports.
"""

from __future__ import annotations

import hashlib
import os
import signal
from dataclasses import dataclass, replace
from typing import Literal

from mpc.commons.encoding import decode, encode
from mpc.commons.entries import Entry, Report, sign_entry
from mpc.commons.identities import Identity
from mpc.commons.judging import SaidWords
from mpc.commons.steps import Words
from mpc.commons.summing import SumShare

FaultKind = Literal["", "lies", "crashes", "silent"]


@dataclass(frozen=True)
class Fault:
    """What a party does instead of its part."""

    kind: FaultKind = ""

    def strike(self, message: bytes) -> bytes:
        """Return what a trustee says in place of a proven part, unless it says nothing any more.

        The last byte is one of the proof.
        """
        self.fail()
        return message[:-1] + bytes([message[-1] ^ 1]) if self.kind == "lies" else message

    def fail(self) -> None:
        """Crash, or stop until somebody continues this process, where that is the fault."""
        if self.kind == "crashes":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "silent":
            os.kill(os.getpid(), signal.SIGSTOP)

    def of_report(self, identity: Identity, origin: str, entry: bytes) -> bytes:
        """Return the entry of a report whose public share is not that of its shares, where the provider lies."""
        self.fail()
        report = decode(Entry, entry).contents()
        if self.kind != "lies" or not isinstance(report, Report):
            return entry
        return sign_entry(
            identity, origin, replace(report, public_share=bytes(byte ^ 1 for byte in report.public_share))
        )

    def of_words(self, identity: Identity, origin: str, grant: bytes, said: bytes, entry: bytes) -> tuple[bytes, bytes]:
        """Return the entry and the verifier words that an aggregator says in place of its own."""
        self.fail()
        if self.kind != "lies":
            return entry, said
        words = tuple(_changed(word) for word in decode(SaidWords, said).words)
        said = encode(SaidWords(words))
        return sign_entry(identity, origin, Words(grant, hashlib.sha256(said).digest())), said

    def of_sum(self, message: bytes) -> bytes:
        """Return the sum that an aggregator sends in place of its own."""
        self.fail()
        if self.kind != "lies":
            return message
        found = decode(SumShare, message)
        return encode(replace(found, share=_changed(found.share)))


HONEST = Fault()


def _changed(message: bytes) -> bytes:
    """Return a message of the same length in which one bit is another."""
    return bytes([message[0] ^ 1]) + message[1:] if message else message
