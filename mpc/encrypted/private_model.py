"""Training a model that stays encrypted, on records that stay where they are, both sides in one file.

    model's owner                                             records' owner
      public key, keys for rotations               ------>
      weights and the number 1, encrypted          ------>
                                                              computes the map of all steps from its records,
                                                              multiplies, floods
      decrypts                                     <------    weights, encrypted

The records' owner sees no weight. The model's owner gets ``A' w + c'`` and nothing of the records beyond it. A' and c'
are A and c with their numbers rounded as they are encoded, at about 2^-36. So two data sets of one ``A w + c`` but of
different A may be told apart by that rounding, which :class:`Flood` bounds. What is decrypted is within a statistical
distance of ``A' w + c'`` in noise alone, which :class:`Flood` states. That the second part of the ciphertext says no
more is computational, under RLWE.

A decrypted ciphertext holds more than its message, which is noise that depends on A. So the records' owner adds an
encryption of zero with the public key, and noise in every coefficient. The d'
numbers of the message lie in 2 d' coefficients, because they repeat through all slots. There the noise is a discrete
Gaussian, far above the noise of the computation and far below the message, for which the scale has room. All other
coefficients get uniform noise, which the model's owner removes exactly by taking the mean of what repeats.

The model's owner follows the protocol. One that encrypts with noise of its choice could make the flood too narrow.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mpc._core import CkksCiphertext, CkksEvaluator, CkksParameters, CkksPublicKey, CkksScale, CkksSecretKey
from mpc.dp.discrete_gaussian import discrete_gaussian
from mpc.encrypted.embedding import coefficients
from mpc.encrypted.packing import Floats, power_of_two
from mpc.encrypted.parameters import parameters_of
from mpc.encrypted.programs.squared import baby_steps, diagonals, rotations
from mpc.errors import ParameterError, ProtocolError, RangeError
from mpc.randomness import SYSTEM, Randomness, uniform_words

PARAMETERS = "small"
LEVEL = 3
SCALE_BITS = 80
MOST_FEATURES = 256
_FLOOD_BITS = 58  # log2 of the deviation of the flood; 12 deviations are below 2^62
_LOW_BITS = 40  # a wide integer is its low bits, and the others times 2^40
_MASK_BITS = 100  # of uniform noise
_LARGEST_WEIGHT = 2.0**16
_LEAST_BITS = 30  # a flood that hides less is refused


@dataclass(frozen=True)
class Flood:
    """What the model's owner may learn of the records beyond the result.

    Attributes:
        bits: what is decrypted is within a statistical distance of 2^-bits of ``A' w + c'`` in the flood alone, with A'
            and c' as they are encoded.
        deviation: of each weight by the flood.
        rounding: each number of ``A' w + c'`` is within this times the largest of the weights and 1 of ``A w + c``.
    """

    bits: float
    deviation: float
    rounding: float


@dataclass(frozen=True)
class PrivateModelJob:
    """What both sides know alike: the parameters, d' and how many targets there are."""

    features: int
    targets: int = 1
    parameters: str = PARAMETERS

    def __post_init__(self) -> None:
        if not 1 <= self.features <= MOST_FEATURES or self.features & (self.features - 1):
            raise ParameterError(
                f"expected a power of two of at most {MOST_FEATURES} numbers in a record, found {self.features}"
            )
        if self.targets < 1:
            raise ParameterError(f"expected at least 1 target, found {self.targets}")

    @classmethod
    def of(cls, outputs: int, targets: int) -> PrivateModelJob:
        """Return the job for so many weights, the one of the constant among them. The number 1 takes one more place."""
        return cls(power_of_two(outputs + 1), targets)

    @property
    def core(self) -> CkksParameters:
        """The parameters."""
        return parameters_of(self.parameters)

    @property
    def scale(self) -> CkksScale:
        """The scale of the weights, before and after."""
        return CkksScale.power_of_two(self.core, SCALE_BITS)

    def key_sizes(self) -> dict[str, int]:
        """Return the name and the length of everything that the records' owner gets of the keys, in order."""
        sizes = {"public key": self.core.public_key_bytes()}
        return sizes | {f"rotation {k}": self.core.switching_key_bytes(LEVEL) for k in rotations(self.features)}

    def model_sizes(self) -> dict[str, int]:
        """Return the name and the length of each target's encrypted weights, in order."""
        return {f"weights {target}": self.core.ciphertext_bytes(LEVEL) for target in range(self.targets)}

    def result_sizes(self) -> dict[str, int]:
        """Return the name and the length of what comes back, in order."""
        return {f"weights {target}": self.core.ciphertext_bytes(LEVEL - 1) for target in range(self.targets)}


def model_owner_make_keys(job: PrivateModelJob, secret: CkksSecretKey) -> dict[str, bytes]:
    """Return what the records' owner gets of the keys, by name."""
    keys = {"public key": secret.public_key()}
    return keys | {f"rotation {k}": secret.rotation_key(k, LEVEL) for k in rotations(job.features)}


def model_owner_encrypt(job: PrivateModelJob, secret: CkksSecretKey, weights: Floats) -> dict[str, bytes]:
    """Encrypt ``(targets, outputs)`` weights, each target's with the number 1 behind and repeated through all slots.

    The polynomial is given by its integers, so that no slot differs from those that repeat it. The result would tell of
    such differences what the matrix made of them.
    """
    targets, outputs = weights.shape
    if targets != job.targets or outputs >= job.features:
        raise ParameterError(
            f"expected {job.targets} targets of less than {job.features} weights, found {weights.shape}"
        )
    if not np.abs(weights).max() < _LARGEST_WEIGHT:
        raise RangeError(f"expected weights below {_LARGEST_WEIGHT:g}, found {np.abs(weights).max():.3g}")
    public, evaluator = CkksPublicKey(job.core, secret.public_key()), CkksEvaluator(job.core, None, [])
    parts = {}
    for target, one in enumerate(weights):
        whole = np.zeros(job.features)
        whole[:outputs], whole[-1] = one, 1.0
        wide = [0] * job.core.degree
        wide[:: job.core.degree // (2 * job.features)] = [
            round(Fraction(c) * (1 << SCALE_BITS)) for c in coefficients(whole).tolist()
        ]
        parts[f"weights {target}"] = _encrypt_wide(job, evaluator, public, wide, LEVEL).to_bytes()
    return parts


def _encrypt_wide(
    job: PrivateModelJob, evaluator: CkksEvaluator, public: CkksPublicKey, wide: Sequence[int], level: int
) -> CkksCiphertext:
    """Encrypt a polynomial by its coefficients, integers below 2^102 in magnitude, at the job's scale."""
    low = np.array([c & ((1 << _LOW_BITS) - 1) for c in wide], np.int64)
    high = np.array([c >> _LOW_BITS for c in wide], np.int64)
    return evaluator.add(
        public.encrypt_integers(low, level, job.scale), public.encrypt_integers(high, level, job.scale, _LOW_BITS)
    )


def records_owner_train(
    job: PrivateModelJob,
    keys: Mapping[str, bytes],
    parts: Mapping[str, bytes],
    maps: Sequence[tuple[Floats, Floats]],
    randomness: Randomness = SYSTEM,
) -> tuple[dict[str, bytes], Flood]:
    """Apply each target's map ``w -> A w + c`` to its encrypted weights, and flood the result.

    Raises:
        ProtocolError: keys or weights are not those of this job.
        RangeError: a map enlarges weights so much that the flood would not hide it, found before anything is computed.
    """
    if len(maps) != job.targets:
        raise ParameterError(f"expected maps for {job.targets} targets, found {len(maps)}")
    steps = rotations(job.features)
    switching: list[Any] = [_part(keys, f"rotation {k}") for k in steps]
    evaluator = CkksEvaluator(job.core, None, switching)
    public = CkksPublicKey(job.core, _part(keys, "public key"))
    matrices = [_whole(job, a, c) for a, c in maps]
    flood = _flood(job, matrices)
    found = {}
    for target, matrix in enumerate(matrices):
        ciphertext = CkksCiphertext.from_bytes(job.core, _part(parts, f"weights {target}"))
        if ciphertext.level != LEVEL or ciphertext.scale != job.scale:
            raise ProtocolError(
                f"expected weights at level {LEVEL} and the job's scale, found level {ciphertext.level}"
            )
        result = _product(job, evaluator, ciphertext, matrix)
        noise = _encrypt_wide(job, evaluator, public, _noise(job, randomness), result.level)
        found[f"weights {target}"] = evaluator.add(result, noise).to_bytes()
    return found, flood


def _flood(job: PrivateModelJob, matrices: Sequence[Floats]) -> Flood:
    """Return what the flood of results of these maps is worth. Raises `RangeError` where it hides too little.

    A diagonal repeats through all slots, so its polynomial has 2 d' coefficients. Each is rounded by at most a half, so
    a number of A' is off by at most ``d' / prime``, and there are d' in a row.
    """
    bits = -math.log2(sum(_distance(job, matrix) for matrix in matrices))
    if not bits >= _LEAST_BITS:
        largest = max(float(np.abs(matrix).sum(axis=1).max()) for matrix in matrices)
        raise RangeError(
            f"expected results within a statistical distance of 2^-{_LEAST_BITS} of what the flood hides, found "
            f"2^-{bits:.1f}: {len(matrices)} map(s) enlarge weights by up to {largest:.3g}, so take fewer "
            "iterations, a smaller rate or fewer targets"
        )
    rounding = 1.01 * job.features**2 / job.core.primes[LEVEL]  # 1.01 for the encoder's own double precision
    return Flood(bits, math.sqrt(job.features) * 2.0**_FLOOD_BITS / float(job.scale), rounding)


def _part(parts: Mapping[str, bytes], name: str) -> bytes:
    if name not in parts:
        raise ProtocolError(f"expected a part {name!r}, found {len(parts)} parts without it")
    return parts[name]


def _whole(job: PrivateModelJob, a: Floats, c: Floats) -> Floats:
    """Return the matrix ``(d', d')`` that maps w with the number 1 behind to A w + c."""
    d = len(c)
    if a.shape != (d, d) or d >= job.features:
        raise ParameterError(f"expected a map of less than {job.features} weights, found {a.shape} and {c.shape}")
    matrix = np.zeros((job.features, job.features))
    matrix[:d, :d], matrix[:d, -1] = a, c
    room = job.core.largest_value(LEVEL - 1, job.scale) / _LARGEST_WEIGHT
    if not (largest := float(np.abs(matrix).sum(axis=1).max())) < room:
        raise RangeError(f"expected a map that enlarges weights by less than {room:.3g}, found {largest:.3g}")
    return matrix


def _product(job: PrivateModelJob, evaluator: CkksEvaluator, vector: CkksCiphertext, matrix: Floats) -> CkksCiphertext:
    """Multiply a public matrix with an encrypted vector that repeats, by baby steps and giant steps."""
    baby, slots, prime = baby_steps(job.features), job.core.slots, job.core.prime_scale(LEVEL)
    turned = evaluator.rotate_each(vector, list(range(min(baby, job.features))))
    diagonal = diagonals(matrix, slots)
    terms, steps = [], []
    for giant in range(0, job.features, baby):
        products = []
        for k, term in enumerate(turned):
            plain = evaluator.encode(np.roll(diagonal[giant + k], giant), LEVEL, prime)
            products.append(evaluator.multiply_plain(term, plain))
        terms.append(functools.reduce(evaluator.add, products))
        steps.append(giant)
    return evaluator.rescale(evaluator.rotate_sum(terms, steps))


def _noise(job: PrivateModelJob, randomness: Randomness) -> list[int]:
    """Return the N coefficients of the flood: Gaussian where the message lies, uniform elsewhere."""
    degree, stride = job.core.degree, job.core.degree // (2 * job.features)
    low = uniform_words(degree, _MASK_BITS // 2, randomness).tolist()
    high = uniform_words(degree, _MASK_BITS // 2, randomness).tolist()
    found = [(a << (_MASK_BITS // 2)) + b - (1 << (_MASK_BITS - 1)) for a, b in zip(high, low, strict=True)]
    gaussian = discrete_gaussian(Fraction(1 << _FLOOD_BITS), (2 * job.features,), randomness)
    found[::stride] = gaussian.tolist()
    return found


def _distance(job: PrivateModelJob, matrix: Floats) -> float:
    """Return a bound on how far one decrypted result is, as a distribution, from ``A' w + c'`` in the flood alone.

    The noise before the flood is, in each slot, that of fresh weights and of rotations times the matrix, and that of
    giant steps and of rescaling. Its coefficients have a norm of at most its largest value. A Gaussian of deviation
    sigma that is shifted by v is at a distance below ``0.4 |v| / sigma``. Uniform noise of width W is so below the sum
    of ``|v_i| / W``, which is at most ``sqrt(N) |v| / W``. Each bound of the core on a largest value holds except with
    probability 2^-40, and so many are used: two of fresh noise, one a rotation and one of rescaling.
    """
    core = job.core
    fresh, switch = 2 * core.fresh_noise(False), core.switch_noise(LEVEL)  # of low and of high bits
    inner = float(np.abs(matrix).sum(axis=1).max()) * (fresh + switch)
    baby = baby_steps(job.features)
    giants = job.features // baby
    real = inner + giants * switch / core.primes[LEVEL] + core.rescale_noise
    largest = math.sqrt(2) * real  # real and imaginary part
    bounds = 2 + baby + giants + 1
    return 0.4 * largest / 2.0**_FLOOD_BITS + math.sqrt(core.degree) * largest / 2.0**_MASK_BITS + bounds * 2.0**-40


def model_owner_decrypt(job: PrivateModelJob, secret: CkksSecretKey, message: bytes) -> Floats:
    """Return the ``(d',)`` numbers of one target's result, as the mean of what repeats.

    Raises:
        ProtocolError: the message is no result under this key.
    """
    ciphertext = CkksCiphertext.from_bytes(job.core, message)
    if ciphertext.key_id != secret.key_id:
        raise ProtocolError("expected weights under this private key, found another key's")
    if ciphertext.level != LEVEL - 1 or ciphertext.scale != job.scale:
        raise ProtocolError(
            f"expected weights at level {LEVEL - 1} and the job's scale, found level {ciphertext.level}"
        )
    mean: Floats = secret.decrypt(ciphertext).reshape(-1, job.features).mean(axis=0)
    return mean
