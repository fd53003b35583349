"""What is fixed before a log's first entry: its trustees, how many of them may be faulty, and its tasks.

The log's origin holds a digest of all this. Every signature of an entry or a checkpoint covers the origin, so nobody
can put other trustees or tasks under the same signatures.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from mpc.commons.encoding import KEY, MOST_NAME, U8, U32, Many, Name, Nested, Record, coded, encode
from mpc.commons.notes import COSIGNATURE, LOG_SIGNATURE, Verifier

MOST_TRUSTEES = 64
MOST_TASKS = 1024
MOST_FUNCTIONS = 256
_DIGEST_DIGITS = 32


@dataclass(frozen=True)
class TrusteeRecord(Record):
    """A trustee's name, the key that signs its entries and messages, and the one that cosigns checkpoints."""

    name: str = coded(Name())
    key: bytes = coded(KEY)
    cosigner: bytes = coded(KEY)


@dataclass(frozen=True)
class Task(Record):
    """What may be computed.

    Attributes:
        functions: names of the aggregates that this task's reports are made for.
        smallest_batch: an aggregate of fewer reports is refused.
    """

    name: str = coded(Name())
    functions: tuple[str, ...] = coded(Many(Name(), MOST_FUNCTIONS))
    smallest_batch: int = coded(U32)

    def check(self) -> str:
        if not self.functions or list(self.functions) != sorted(set(self.functions)):
            return f"expected different functions of task {self.name} in order, found {', '.join(self.functions)}"
        if self.smallest_batch < 1:
            return f"expected a smallest batch of at least 1 in task {self.name}, found 0"
        return ""


@dataclass(frozen=True)
class Founding(Record):
    """The public parameters of a log.

    Attributes:
        name: of the log.
        log_key: signs checkpoints as the log. The first trustee, which is the sequencer, holds it.
        faulty: t, how many trustees may be faulty. There are n >= 3 t + 1, so that n - t suffice for a certificate.
    """

    name: str = coded(Name())
    log_key: bytes = coded(KEY)
    faulty: int = coded(U8)
    trustees: tuple[TrusteeRecord, ...] = coded(Many(Nested(TrusteeRecord), MOST_TRUSTEES))
    tasks: tuple[Task, ...] = coded(Many(Nested(Task), MOST_TASKS))

    def check(self) -> str:
        longest = MOST_NAME - 1 - _DIGEST_DIGITS
        if len(self.name) > longest:
            return f"expected a log's name of at most {longest} letters, found {len(self.name)}"
        if len(self.trustees) < 3 * self.faulty + 1:
            least = 3 * self.faulty + 1
            return f"expected at least {least} trustees where {self.faulty} may be faulty, found {len(self.trustees)}"
        names = [one.name for one in self.trustees]
        if len(set(names)) != len(names):
            return f"expected trustees of different names, found {', '.join(names)}"
        keys = [self.log_key, *(key for one in self.trustees for key in (one.key, one.cosigner))]
        if len(set(keys)) != len(keys):
            return f"expected {len(keys)} different keys of the trustees and the log, found {len(set(keys))}"
        tasks = [one.name for one in self.tasks]
        if len(set(tasks)) != len(tasks):
            return f"expected tasks of different names, found {', '.join(tasks)}"
        return ""

    @cached_property
    def origin(self) -> str:
        """The log's identity, which every signature covers."""
        digest = hashlib.sha256(b"commons founding v1\n" + encode(self)).hexdigest()
        return f"{self.name}/{digest[:_DIGEST_DIGITS]}"

    @property
    def quorum(self) -> int:
        """How many cosignatures certify a checkpoint: q = ceil((n + t + 1) / 2).

        Two sets of q trustees share 2 q - n >= t + 1, so at least one honest one.
        """
        return (len(self.trustees) + self.faulty + 2) // 2

    @cached_property
    def log_verifier(self) -> Verifier:
        """The key by which the sequencer signs checkpoints. Its name is the origin."""
        return Verifier(self.origin, LOG_SIGNATURE, self.log_key)

    @cached_property
    def cosigners(self) -> tuple[Verifier, ...]:
        """The keys by which the trustees cosign, in order."""
        return tuple(Verifier(f"{self.origin}/{one.name}", COSIGNATURE, one.cosigner) for one in self.trustees)

    def trustee_of(self, key: bytes) -> int | None:
        """Return the place of the trustee that signs entries by this key, or None."""
        return next((place for place, one in enumerate(self.trustees) if one.key == key), None)

    def task(self, name: str) -> Task | None:
        """Return the task of this name, or None."""
        return next((one for one in self.tasks if one.name == name), None)
