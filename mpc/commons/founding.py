"""What is fixed before a log's first entry: its trustees, how many of them may be faulty, and its tasks.

A task names its aggregators.

The log's origin holds a digest of all this. Every signature of an entry or a checkpoint covers the origin, so nobody
can put other trustees or tasks under the same signatures.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from mpc.commons.encoding import KEY, MOST_NAME, U8, U32, Fixed, Many, Name, Nested, Record, coded, encode
from mpc.commons.group import POINT_BYTES, read_points
from mpc.commons.notes import COSIGNATURE, LOG_SIGNATURE, Verifier
from mpc.errors import ProtocolError

MOST_TRUSTEES = 64
MOST_TASKS = 1024
MOST_FUNCTIONS = 256
MOST_AGGREGATORS = 64
_DIGEST_DIGITS = 32


@dataclass(frozen=True)
class TrusteeRecord(Record):
    """A trustee's name, the key that signs its entries and messages, and the one that cosigns checkpoints."""

    name: str = coded(Name())
    key: bytes = coded(KEY)
    cosigner: bytes = coded(KEY)


@dataclass(frozen=True)
class AggregatorRecord(Record):
    """An aggregator's name, the key that signs its entries, and the element of the group to which its boxes are sealed.

    Both keys are fixed here, so nobody can take an aggregator's place, and one that is not there delays nobody.
    """

    name: str = coded(Name())
    key: bytes = coded(KEY)
    point: bytes = coded(Fixed(POINT_BYTES))


@dataclass(frozen=True)
class Task(Record):
    """What may be computed, and by whom.

    Attributes:
        functions: names of the aggregates that this task's reports are made for, see :mod:`mpc.commons.functions`.
        smallest_batch: an aggregate of fewer reports is refused.
        aggregators: in the order of their places, from 0 on.
        faulty: how many of these may be faulty, at least 1. There are at least 2 faulty + 1 aggregators.
    """

    name: str = coded(Name())
    functions: tuple[str, ...] = coded(Many(Name(), MOST_FUNCTIONS))
    smallest_batch: int = coded(U32)
    aggregators: tuple[AggregatorRecord, ...] = coded(Many(Nested(AggregatorRecord), MOST_AGGREGATORS))
    faulty: int = coded(U8)

    def check(self) -> str:
        if not self.functions or list(self.functions) != sorted(set(self.functions)):
            return f"expected different functions of task {self.name} in order, found {', '.join(self.functions)}"
        if self.smallest_batch < 1:
            return f"expected a smallest batch of at least 1 in task {self.name}, found 0"
        if self.faulty < 1 or len(self.aggregators) < 2 * self.faulty + 1:
            return (
                f"expected at least one faulty aggregator and at least {2 * self.faulty + 1} aggregators in task "
                f"{self.name}, found {self.faulty} and {len(self.aggregators)}"
            )
        for what in ("name", "key", "point"):
            found = len({getattr(one, what) for one in self.aggregators})
            if found != len(self.aggregators):
                return f"expected a {what} of its own for each aggregator of task {self.name}, found {found} in all"
        try:
            read_points([one.point for one in self.aggregators], f"points of aggregators of task {self.name}")
        except ProtocolError as error:
            return str(error)
        return ""

    def place_of(self, key: bytes) -> int | None:
        """Return the place of the aggregator that signs entries by this key, or None."""
        return next((place for place, one in enumerate(self.aggregators) if one.key == key), None)


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
        return self._tasks_check({*keys, *names})

    def _tasks_check(self, taken: set[object]) -> str:
        """Return what is wrong with the tasks beside the trustees' names and keys."""
        tasks = [one.name for one in self.tasks]
        if len(set(tasks)) != len(tasks):
            return f"expected tasks of different names, found {', '.join(tasks)}"
        for one in self.aggregators.values():
            if one.key in taken or one.name in taken:
                return f"expected aggregators beside the trustees, found {one.name} with a trustee's name or key"
        records = {one for task in self.tasks for one in task.aggregators}
        if len(records) != len({one.name for one in records}) or len(records) != len(self.aggregators):
            return "expected aggregators with one name, key and point in all tasks, found one with several"
        return ""

    @cached_property
    def aggregators(self) -> dict[bytes, AggregatorRecord]:
        """The aggregators of all tasks, by the key that signs their entries."""
        return {one.key: one for task in self.tasks for one in task.aggregators}

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
