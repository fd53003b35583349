"""Training under a joint key: records of several owners pooled, or one owner's records and another one's model.

    each owner                                             trainer
      shares of all keys                          ------>    adds them up
      its parts, under the joint public key       ------>    adds parts of one name: each owner has filled its own rows
                                                             and zeros elsewhere, so that addition pools
                                                             runs the program on ciphertexts
      a share of the refresh                      <----->    at each refresh: weights at a level with room for masks
      a share of the decryption, to the receiver  <------    weights at that level

The trainer holds no secret, and all see n', d', how many rows each owner may fill, and what a trainer of one owner
sees. Where one owner brings the model, training begins with its weights, which are encrypted, too, and not with 0.

A refresh is collective (:mod:`mpc.encrypted.threshold.refresh`). So nobody compares with a twin on the way, and errors
carry over from one stretch to the next. No owner can run the twin of pooled records, which :func:`foresee` does for
whoever has them all, as tests have.

An owner checks two things. Computation on ciphertexts has no randomness. So an owner that does not trust the trainer
runs :func:`trainer_train` itself, at the cost of training, and gives shares for the ciphertexts of its own run alone.
And when weights are released, :func:`largest_z_of` says whether they keep its own records in the sigmoid's range.

Masks are made for weights up to :attr:`JointJob.largest`, which holds while z stays in the sigmoid's range. With larger
ones masks would hide less, and still larger ones are refused when they are opened.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mpc._core import CkksEvaluator, CkksParameters, CkksPublicKey
from mpc.encrypted import parameters as sets
from mpc.encrypted.arithmetic import Arithmetic, V, total
from mpc.encrypted.ciphertexts import Ciphertexts, Encrypted, chain_of
from mpc.encrypted.noise import Chain
from mpc.encrypted.packing import Floats, Packing
from mpc.encrypted.parameters import parameters_of
from mpc.encrypted.programs.logistic import Logistic, Refresh, Step, train
from mpc.encrypted.ranges import Foreseen, first_weights, read_bounds
from mpc.encrypted.reading import Reading
from mpc.encrypted.threshold.masks import HIDDEN_BITS, Mask, largest_coefficient, mask_of
from mpc.encrypted.threshold.session import digest_of
from mpc.encrypted.training import Progress
from mpc.encrypted.twin import Clear, Twin
from mpc.errors import ParameterError, ProtocolError


@dataclass(frozen=True)
class JointJob:
    """What owners and trainer know alike of one training under a joint key.

    Attributes:
        parameters: the name of the set.
        rows: how many records each owner may fill, in the owners' order. One that brings the model alone has 0.
        norm: the largest norm of a prepared record, its constant 1 with it.
        model: the number of the owner who brings the weights that training begins with. None begins with 0.
        targets: how many models are trained, each on the same records with signs of its own.
        hidden_bits: a mask changes what is seen by a statistical distance of 2^-hidden_bits.
    """

    parameters: str
    packing: Packing
    choices: Logistic
    rows: tuple[int, ...]
    norm: float
    model: int | None = None
    targets: int = 1
    hidden_bits: int = HIDDEN_BITS

    def __post_init__(self) -> None:
        if len(self.rows) < 2 or min(self.rows) < 0 or not 1 <= sum(self.rows) <= self.packing.capacity:
            raise ParameterError(
                f"expected rows of two owners or more, at most {self.packing.capacity} together, found {self.rows}"
            )
        if self.model is not None and not 0 <= self.model < len(self.rows):
            raise ParameterError(f"expected the owner of the model among {len(self.rows)}, found {self.model}")
        if not self.norm >= 1 or self.targets < 1:
            raise ParameterError(
                f"expected a norm of at least 1 and at least 1 target, found {self.norm:g} and {self.targets}"
            )
        if self.packing.slots != self.core.slots:
            raise ParameterError(f"expected a packing in {self.core.slots} slots, found {self.packing.slots}")
        if self.records_level > self.core.depth:
            raise ParameterError(
                f"expected a training of at most {self.core.depth} levels, found {self.records_level}, of which "
                f"{self.mask.level} leave room for masks: take a shorter stretch or larger parameters"
            )

    @classmethod
    def of(
        cls,
        rows: Sequence[int],
        features: int,
        choices: Logistic,
        norm: float,
        model: int | None = None,
        targets: int = 1,
    ) -> JointJob:
        """Return the job of owners with so many records each, with the smallest parameters that serve."""
        refused: ParameterError | None = None
        for name in sets.SETS:
            packing = Packing.fit(max(1, sum(rows)), features, parameters_of(name).slots)
            try:
                return cls(name, packing, choices, tuple(rows), norm, model, targets)
            except ParameterError as error:
                refused = error
        raise refused or ParameterError("expected a set of parameters, found none")

    @property
    def core(self) -> CkksParameters:
        """The parameters."""
        return parameters_of(self.parameters)

    @property
    def chain(self) -> Chain:
        """What the noise depends on."""
        return chain_of(self.core, len(self.rows))

    @property
    def digest(self) -> bytes:
        """32 bytes that name the job in the joint key."""
        return digest_of("job", repr(self).encode(), self.core.digest)

    @property
    def largest(self) -> float:
        """A bound on the weights, as every step moves them by at most the rate times norm and polynomial."""
        steps = self.choices.sigmoid.largest_slope * self.choices.iterations
        begun = 0.0 if self.model is None else self.norm
        return max(1.0, begun + self.choices.rate * self.norm * (0.5 + steps))

    @property
    def weight_scale(self) -> Fraction:
        """The scale of the weights, which is that of the records."""
        return self.chain.scale

    @property
    def mask(self) -> Mask:
        """The masks of weights, and the level at which these are refreshed and given back."""
        largest = largest_coefficient(self.largest, float(self.weight_scale))
        return mask_of(self.chain, largest, largest, bits=self.hidden_bits)

    @property
    def refreshes(self) -> tuple[int, ...]:
        """The iterations after which weights are refreshed. The first one from weights of 0 takes no product."""
        choices = self.choices
        if self.model is None or choices.stretch is None:
            return choices.refreshes
        return tuple(range(choices.stretch, choices.iterations, choices.stretch))

    @property
    def records_level(self) -> int:
        """The level of all that is encrypted, and of weights where a stretch begins."""
        if self.model is None:
            return self.mask.level + self.choices.levels
        longest = min(self.choices.stretch or self.choices.iterations, self.choices.iterations)
        return self.mask.level + self.choices.levels_of(longest)

    def part_names(self, owner: int) -> list[str]:
        """Return the names of all that an owner encrypts, in order."""
        names = []
        for target in range(self.targets):
            if self.rows[owner]:
                names += [f"records {target} {place}" for place in range(self.packing.chunks)]
            if owner == self.model:
                names.append(f"initial {target}")
        return names

    def part_sizes(self, owner: int) -> dict[str, int]:
        """Return the name and the length of all that an owner encrypts, in order."""
        return dict.fromkeys(self.part_names(owner), self.core.ciphertext_bytes(self.records_level))

    def keys_needed(self) -> tuple[int, dict[int, int]]:
        """Return the highest level of a product, and by step of rotation the highest level, found by a run on zeros."""
        level, steps = _keys_needed(self)
        return level, dict(steps)

    @property
    def weight_bytes(self) -> int:
        """The length of encrypted weights where they are refreshed and given back."""
        return self.core.ciphertext_bytes(self.mask.level)

    def _refreshing(self, twin: Twin) -> Refresh[Clear]:
        return lambda _, weights: twin.refreshed(twin.lower(weights, self.mask.level), self.records_level)


@functools.lru_cache(maxsize=4)
def _keys_needed(job: JointJob) -> tuple[int, tuple[tuple[int, int], ...]]:
    twin, zeros = Twin(job.chain), np.zeros(job.packing.slots)
    values = {
        name: twin.fresh(zeros, job.chain.scale, level=job.records_level)
        for owner in range(len(job.rows))
        for name in job.part_names(owner)
    }
    for _ in _run(twin, job, 0, values, job._refreshing(twin)):
        pass
    return twin.products_level, tuple(sorted(twin.rotations.items()))


def _run(
    arithmetic: Arithmetic[V],
    job: JointJob,
    target: int,
    values: Mapping[str, V],
    refresh: Refresh[V],
    keep_z: bool = False,
) -> Iterator[Step[V]]:
    """Yield the steps of one target's training, of pooled parts."""
    records = [values[f"records {target} {place}"] for place in range(job.packing.chunks)]
    initial = None if job.model is None else values[f"initial {target}"]
    yield from train(
        arithmetic,
        job.packing,
        records,
        job.choices,
        refresh,
        initial=initial,
        refreshes=job.refreshes,
        keep_z=keep_z,
    )


# -- owners ------------------------------------------------------------------------------------------------------------


def _own_slots(
    job: JointJob, owner: int, records: Sequence[Floats], initial: Sequence[Floats] | None
) -> Iterator[tuple[str, Floats]]:
    """Yield each part of an owner by name, in the clear, ``(slots,)``: its own rows, and zeros elsewhere."""
    first = sum(job.rows[:owner])
    for target in range(job.targets):
        if job.rows[owner]:
            own = records[target]
            if own.ndim != 2 or len(own) > job.rows[owner] or own.shape[1] > job.packing.features:
                raise ParameterError(
                    f"expected at most {job.rows[owner]} records of {job.packing.features} numbers of owner "
                    f"{owner + 1}, found shape {own.shape}"
                )
            if (norm := float(np.sqrt((own**2).sum(axis=1)).max(initial=0.0))) > job.norm * (1 + 1e-9):
                raise ParameterError(f"expected records of a norm of at most {job.norm:g}, found {norm:.6g}")
            whole = np.zeros((first + len(own), job.packing.features))
            whole[first:, : own.shape[1]] = own
            for place, chunk in enumerate(job.packing.pack(whole, first_weights(job.packing, own, job.choices))):
                yield f"records {target} {place}", chunk
        if owner == job.model:
            if initial is None or len(initial) != job.targets:
                raise ParameterError("expected the weights that training begins with, found none for some target")
            if not (largest := float(np.abs(initial[target]).max())) <= job.norm:
                raise ParameterError(f"expected weights of at most {job.norm:g} to begin with, found {largest:.6g}")
            yield f"initial {target}", job.packing.repeat(initial[target])


def owner_encrypt(
    job: JointJob,
    owner: int,
    public: CkksPublicKey,
    records: Sequence[Floats] = (),
    initial: Sequence[Floats] | None = None,
) -> dict[str, bytes]:
    """Encrypt an owner's parts under the joint key, by name. Names and lengths depend on the job alone.

    Args:
        records: each target's Z ``(n, d)``, at most ``job.rows[owner]`` of them. Without rows it is not looked at.
        initial: each target's weights ``(d,)`` to begin with, of the owner of the model.

    Raises:
        ParameterError: there are more records than the owner's rows, a norm is too large, or weights are missing.
    """
    if job.rows[owner] and len(records) != job.targets:
        raise ParameterError(f"expected records for {job.targets} targets, found {len(records)}")
    parts = {}
    for name, slots in _own_slots(job, owner, records, initial):
        parts[name] = public.encrypt(slots, job.records_level, job.core.scale).to_bytes()
    return parts


# -- the trainer -------------------------------------------------------------------------------------------------------

Refreshing = Callable[[int, int, bytes], bytes]
"""Takes target, iteration and encrypted weights to the owners, and returns what they refreshed."""


def trainer_train(
    job: JointJob,
    products: bytes,
    rotations: Sequence[bytes],
    parts: Sequence[Mapping[str, bytes]],
    refreshing: Refreshing,
) -> Iterator[Progress]:
    """Pool all owners' parts, train every target's model, and yield after each iteration.

    Args:
        products, rotations: the joint keys of ``job.keys_needed()``, in its order.
        parts: of each owner, in order.

    Raises:
        ProtocolError: keys or parts are not those of this job, or what comes from a refresh is not of its level.
    """
    keys: list[Any] = list(rotations)
    arithmetic = Ciphertexts(job.core, CkksEvaluator(job.core, products, keys))
    values = _pooled(job, arithmetic, parts)
    for target in range(job.targets):

        def refresh(iteration: int, weights: Encrypted, target: int = target) -> Encrypted:
            message = arithmetic.lower(weights, job.mask.level).ciphertext.to_bytes()
            return _read(arithmetic, "refreshed weights", refreshing(target, iteration, message), job)

        for step in _run(arithmetic, job, target, values, refresh):
            given = step.weights if step.iteration == job.choices.iterations else None
            weights = None if given is None else arithmetic.lower(given, job.mask.level).ciphertext.to_bytes()
            yield Progress(target, step.iteration, weights)


def _pooled(job: JointJob, arithmetic: Ciphertexts, parts: Sequence[Mapping[str, bytes]]) -> dict[str, Encrypted]:
    """Return the sum of all owners' parts by name."""
    if len(parts) != len(job.rows):
        raise ProtocolError.mismatch("the parts of owners,", len(job.rows), len(parts))
    found: dict[str, list[Encrypted]] = {}
    for owner, own in enumerate(parts):
        if list(own) != job.part_names(owner):
            raise ProtocolError(
                f"expected {len(job.part_names(owner))} parts of the job's names, found {len(own)}",
                peer=f"owner {owner + 1}",
            )
        for name, message in own.items():
            value = arithmetic.read(message)
            if value.level != job.records_level:
                raise ProtocolError.mismatch(
                    f"{name} at level", job.records_level, value.level, peer=f"owner {owner + 1}"
                )
            found.setdefault(name, []).append(value)
    return {name: total(arithmetic, values) for name, values in found.items()}


def _read(arithmetic: Ciphertexts, what: str, message: bytes, job: JointJob) -> Encrypted:
    value = arithmetic.read(message, job.weight_scale)
    if value.level != job.records_level:
        raise ProtocolError.mismatch(f"{what} at level", job.records_level, value.level)
    return value


# -- what can be checked -----------------------------------------------------------------------------------------------


def foresee(
    job: JointJob,
    records: Sequence[Sequence[Floats]],
    initial: Sequence[Floats] | None = None,
    reading: Reading | None = None,
) -> list[Foreseen]:
    """Run the twin of each target's training on the records of all owners together.

    Args:
        records: of each owner, in order, each target's Z ``(n, d)``.
        initial: each target's weights to begin with.
        reading: of the shared release by which the weights are to be opened, if there is one.

    Raises:
        RangeError: a number leaves its ciphertext, or errors of second order count.
    """
    found = []
    for target in range(job.targets):
        twin = Twin(job.chain)
        values: dict[str, list[Clear]] = {}
        for owner in range(len(job.rows)):
            for name, slots in _own_slots(job, owner, records[owner], initial):
                fresh = twin.fresh(slots, job.chain.scale, public=True, level=job.records_level)
                values.setdefault(name, []).append(fresh)
        pooled = {name: total(twin, parts) for name, parts in values.items()}
        reach, weights = [], None
        for step in _run(twin, job, target, pooled, job._refreshing(twin), keep_z=True):
            weights = step.weights or weights
            reach += [max(float(np.abs(z.slots).max()) for z in step.z)] if step.z else []
        if weights is None:
            raise ParameterError("expected at least 1 iteration, found none")
        means = np.kron(np.eye(job.packing.features), np.full(job.packing.rows, 1 / job.packing.rows))
        lowest = twin.lower(weights, job.mask.level)
        read = None if reading is None else read_bounds(twin, reading, lowest)
        found.append(Foreseen(job.packing.weights(lowest.slots), *twin.errors(lowest, means), tuple(reach), read=read))
    return found


def largest_z_of(records: Floats, weights: Floats) -> float:
    """Return the largest ``|z|`` that released weights ``(d',)`` give on an owner's own Z ``(n, d)``.

    Above the sigmoid's range training has left the range in which the polynomial means something.
    """
    return float(np.abs(records @ weights[: records.shape[1]]).max(initial=0.0))
