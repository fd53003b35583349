"""Training on encrypted records, both sides in one file.

    owner                                                     trainer
      public key, keys for products and rotations  ------>
      Z in chunks, the first weights in spare rows ------>
                                                              runs the program on ciphertexts
      at each refresh: compares with the twin      <------    weights, encrypted, at the lowest level
      the twin's weights, encrypted anew           ------>
      decrypts the weights, and compares           <------    weights, encrypted, at the lowest level
      only now: stops if any comparison failed

Without a refresh the parameters' levels bound the iterations. At a refresh the owner decrypts, compares with the twin
within the derived bound, and encrypts the twin's weights, whatever the comparison says. So errors do not add up, no
noise that depends on the key comes into what is released, and what a trainer gets does not depend on what it has sent.
One that computes something else is noticed at the end, and does not see at which refresh.

The trainer holds no secret and sees n', d', the iterations, how many targets there are, and the time. Z is the records
times the labels' signs, so that a data set of the same shape with other labels has the same lengths.

What the owner decrypts depends on its secret key through the noise (Li and Micciancio, EUROCRYPT 2021). Whoever gets
these numbers and knows the ciphertext learns of the key. See :mod:`mpc.encrypted.release` for what may leave the owner.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mpc._core import CkksCiphertext, CkksEvaluator, CkksParameters, CkksSecretKey
from mpc.encrypted.ciphertexts import Ciphertexts, Encrypted, chain_of, core_scale
from mpc.encrypted.packing import Floats, Packing
from mpc.encrypted.parameters import parameters_of, smallest_set
from mpc.encrypted.programs.logistic import Logistic, train
from mpc.encrypted.ranges import Foreseen, foresee, packed
from mpc.encrypted.reading import Reading
from mpc.encrypted.release import Comparison
from mpc.encrypted.twin import Clear, Twin
from mpc.errors import ParameterError, ProtocolError

PUBLIC, PRODUCTS = "public key", "products"
MOST_CHUNKS = 4096
"""The most ciphertexts of records in one job, over all targets. More are refused before anything is made of them."""


@dataclass(frozen=True)
class Job:
    """What owner and trainer know alike of one training.

    Attributes:
        parameters: the name of the set.
        targets: how many models are trained, each on the same records with signs of its own.
    """

    parameters: str
    packing: Packing
    choices: Logistic
    targets: int = 1

    def __post_init__(self) -> None:
        if self.targets < 1:
            raise ParameterError(f"expected at least 1 target, found {self.targets}")
        core = parameters_of(self.parameters)
        if self.packing.slots != core.slots:
            raise ParameterError(f"expected a packing in {core.slots} slots, found {self.packing.slots}")
        if self.targets * self.packing.chunks > MOST_CHUNKS:
            raise ParameterError(
                f"expected records that fill at most {MOST_CHUNKS} ciphertexts, found {self.packing.records} records "
                f"for {self.targets} target(s), which fill {self.targets * self.packing.chunks}"
            )
        if self.choices.levels > core.depth:
            raise ParameterError(f"expected at most {core.depth} levels, found {self.choices.levels}")

    @classmethod
    def of(cls, records: int, features: int, choices: Logistic, targets: int = 1) -> Job:
        """Return the job for so many records and features, with the smallest parameters that serve."""
        name = smallest_set(choices.levels)
        return cls(name, Packing.fit(records, features, parameters_of(name).slots), choices, targets)

    @property
    def core(self) -> CkksParameters:
        """The parameters."""
        return parameters_of(self.parameters)

    def twin(self) -> Twin:
        """Return an empty twin."""
        return Twin(chain_of(self.core))

    def keys_needed(self) -> tuple[int, dict[int, int]]:
        """Return the highest level of a product, and by step of rotation the highest level, found by a run on zeros."""
        level, steps = _keys_needed(self)
        return level, dict(steps)

    @property
    def refreshes(self) -> list[tuple[int, int]]:
        """The refreshes in order, each by its target and the iteration that it follows."""
        return [(target, iteration) for target in range(self.targets) for iteration in self.choices.refreshes]

    def key_sizes(self) -> dict[str, int]:
        """Return the name and the length of everything that the trainer gets of the keys, in order."""
        core = self.core
        products, rotations = self.keys_needed()
        sizes = {PUBLIC: core.public_key_bytes()}
        if products:
            sizes[PRODUCTS] = core.switching_key_bytes(products)
        return sizes | {f"rotation {step}": core.switching_key_bytes(level) for step, level in rotations.items()}

    def record_sizes(self) -> dict[str, int]:
        """Return the name and the length of everything that the owner encrypts, in order."""
        chunks = range(self.packing.chunks)
        names = [f"records {target} {place}" for target in range(self.targets) for place in chunks]
        return dict.fromkeys(names, self.core.seeded_bytes(self.choices.levels))

    @property
    def weight_scale(self) -> Fraction:
        """The scale of the weights, which is that of the records."""
        return chain_of(self.core).scale

    @property
    def refreshed_bytes(self) -> int:
        """The length of weights that are encrypted anew."""
        return self.core.seeded_bytes(self.choices.refreshed_levels)

    @property
    def weight_bytes(self) -> int:
        """The length of weights that the trainer gives back, at a refresh and at the end."""
        return self.core.ciphertext_bytes(0)

    def weight_sizes(self) -> dict[str, int]:
        """Return the name and the length of everything that the trainer gives back, in order."""
        return {f"weights {target}": self.weight_bytes for target in range(self.targets)}


@functools.lru_cache(maxsize=4)
def _keys_needed(job: Job) -> tuple[int, tuple[tuple[int, int], ...]]:
    twin, zeros = job.twin(), np.zeros(job.packing.slots)

    def fresh(level: int) -> Clear:
        return twin.fresh(zeros, twin.chain.scale, level=level)

    chunks = [fresh(job.choices.levels) for _ in range(job.packing.chunks)]
    for _ in train(twin, job.packing, chunks, job.choices, lambda *_: fresh(job.choices.refreshed_levels)):
        pass
    return twin.products_level, tuple(sorted(twin.rotations.items()))


def owner_make_secret(parameters: str, seed: bytes) -> CkksSecretKey:
    """Return the secret key that follows from a seed of 32 bytes."""
    return CkksSecretKey(parameters_of(parameters), seed)


def owner_make_keys(job: Job, secret: CkksSecretKey) -> dict[str, bytes]:
    """Return what the trainer gets of the keys, by name, each cut to the level where it is used."""
    products, rotations = job.keys_needed()
    keys = {PUBLIC: secret.public_key()}
    if products:
        keys[PRODUCTS] = secret.relinearisation_key(products)
    return keys | {f"rotation {step}": secret.rotation_key(step, level) for step, level in rotations.items()}


def owner_encrypt(job: Job, secret: CkksSecretKey, records: Sequence[Floats]) -> dict[str, bytes]:
    """Encrypt each target's Z ``(n, d)`` with its weights after the first iteration, by name.

    The names and lengths depend on the job alone.
    """
    if len(records) != job.targets:
        raise ParameterError(f"expected records for {job.targets} targets, found {len(records)}")
    parts = {}
    for target, one in enumerate(records):
        for place, chunk in enumerate(packed(job.packing, one, job.choices)):
            parts[f"records {target} {place}"] = secret.encrypt(chunk, job.choices.levels)
    return parts


@dataclass(frozen=True)
class Progress:
    """How far training is: the target, the iteration and, at each target's end, the encrypted weights."""

    target: int
    iteration: int
    weights: bytes | None = None


Refreshing = Callable[[int, int, bytes], bytes]
"""Takes target, iteration and encrypted weights to the owner, and returns what :func:`owner_refresh` gave there."""


def trainer_train(
    job: Job, keys: Mapping[str, bytes], parts: Mapping[str, bytes], refreshing: Refreshing | None = None
) -> Iterator[Progress]:
    """Train every target's model, and yield after each iteration.

    Args:
        refreshing: where the job's choices have refreshes.

    Raises:
        ProtocolError: keys or records are not those of this job.
    """
    products, steps = job.keys_needed()
    rotations: list[Any] = [_part(keys, f"rotation {step}") for step in steps]
    evaluator = CkksEvaluator(job.core, _part(keys, PRODUCTS) if products else None, rotations)
    arithmetic = Ciphertexts(job.core, evaluator)
    for target in range(job.targets):
        chunks = (_records(job, arithmetic, parts, target, place) for place in range(job.packing.chunks))
        refresh = None if refreshing is None else _refresh(job, arithmetic, target, refreshing)
        for step in train(arithmetic, job.packing, chunks, job.choices, refresh):
            found = step.weights if step.iteration == job.choices.iterations else None
            weights = None if found is None else arithmetic.lower(found, 0).ciphertext.to_bytes()
            yield Progress(target, step.iteration, weights)


def _records(job: Job, arithmetic: Ciphertexts, parts: Mapping[str, bytes], target: int, place: int) -> Encrypted:
    chunk = arithmetic.read(_part(parts, f"records {target} {place}"))
    _check_level("records", chunk, job.choices.levels)
    return chunk


def _refresh(
    job: Job, arithmetic: Ciphertexts, target: int, refreshing: Refreshing
) -> Callable[[int, Encrypted], Encrypted]:
    def refresh(iteration: int, weights: Encrypted) -> Encrypted:
        message = refreshing(target, iteration, arithmetic.lower(weights, 0).ciphertext.to_bytes())
        found = arithmetic.read(message, job.weight_scale)
        _check_level("refreshed weights", found, job.choices.refreshed_levels)
        return found

    return refresh


def owner_refresh(job: Job, secret: CkksSecretKey, message: bytes, expected: Foreseen, comparison: Comparison) -> bytes:
    """Compare encrypted weights with the twin's at this refresh, and return the twin's, encrypted anew.

    What is returned does not depend on the message. What the comparison found is said at the end, by
    :meth:`mpc.encrypted.release.Comparison.check`.

    Raises:
        ProtocolError: the message is no encryption of weights under this key, which its sender can see, too.
    """
    comparison.note(owner_decrypt(job, secret, message), expected)
    scale = core_scale(job.core, job.weight_scale)
    return secret.encrypt(job.packing.repeat(expected.weights), job.choices.refreshed_levels, scale)


def _part(parts: Mapping[str, bytes], name: str) -> bytes:
    if name not in parts:
        raise ProtocolError(f"expected a part {name!r}, found {len(parts)} parts without it")
    return parts[name]


def _check_level(what: str, value: Encrypted, level: int) -> None:
    if value.level != level:
        raise ProtocolError(f"expected {what} at level {level}, found level {value.level}")


def owner_decrypt(job: Job, secret: CkksSecretKey, message: bytes) -> Floats:
    """Return the ``(d',)`` weights of one target.

    Raises:
        ProtocolError: the message is no encryption of weights under this key, at the scale of this job.
    """
    ciphertext = CkksCiphertext.from_bytes(job.core, message)
    if ciphertext.key_id != secret.key_id:
        raise ProtocolError("expected weights under this private key, found another key's")
    if ciphertext.level != 0 or ciphertext.scale != core_scale(job.core, job.weight_scale):
        raise ProtocolError(f"expected weights at level 0 and the job's scale, found level {ciphertext.level}")
    return job.packing.weights(secret.decrypt(ciphertext))


def owner_foresee(job: Job, records: Sequence[Floats], reading: Reading | None = None) -> list[Foreseen]:
    """Run the twin for each target. Raises `RangeError` as :func:`mpc.encrypted.ranges.foresee` does."""
    return [foresee(job.twin(), job.packing, one, job.choices, reading) for one in records]
