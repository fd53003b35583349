"""Ridge regression on records of several owners, all sides in one file.

    key's holder           owners                            whoever adds, and trains
      public key   ------>
      public key, keys for products and rotations   ------>
                             G and b, encrypted     ------>
                                                               adds what all have sent, and solves
      decrypts             <-------------------------------    weights, encrypted, at the lowest level

The holder may be one of the owners. Owners encrypt with the public key, so a key that several hold together serves as
one key does. Nobody can run the pooled training in the clear. So everything that is refused is refused by what each
owner knows alone: L bounds the eigenvalues of its own moments, and with them those of any sum.

The trainer sees n', d', how many targets and owners there are, the choices, and the time. The holder learns the
weights, and must not see what owners have sent. The noise of what it decrypts depends on the pooled moments, at about
the deviation of :func:`deviation`. It is not flooded, so the holder learns about as much beyond the weights as fits
into that noise. See :mod:`mpc.encrypted.release` for what may leave the holder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpc._core import CkksCiphertext, CkksEvaluator, CkksParameters, CkksPublicKey, CkksSecretKey
from mpc.encrypted.ciphertexts import Ciphertexts, Encrypted, chain_of
from mpc.encrypted.noise import DEVIATIONS, TAIL, Chain
from mpc.encrypted.packing import Floats
from mpc.encrypted.parameters import parameters_of, smallest_set
from mpc.encrypted.programs.ridge import Moments, Ridge, solve, solve_exactly, solve_in_the_clear
from mpc.encrypted.tiling import Tiling
from mpc.errors import CheatingError, ParameterError, ProtocolError, RangeError

PUBLIC, PRODUCTS = "public key", "products"
MOST_FEATURES, MOST_OWNERS, MOST_RECORDS = 256, 1000, 1 << 40
LARGEST_BOUND = 0.05
"""The largest bound on the error, relative to the largest weight. With a larger one a comparison would say little."""
_ROOM = 4.0  # how many times as large as the largest weights a ciphertext can hold


@dataclass(frozen=True)
class RidgeJob:
    """What all sides know alike of one training.

    Attributes:
        parameters: the name of the set.
        records: n', which all owners together have at most. Means are over n'.
        features: d, with the constant 1.
        owners: how many owners' moments have been added up.
        holders: how many owners hold the key together, see :mod:`mpc.encrypted.threshold`.
    """

    parameters: str
    records: int
    features: int
    targets: int
    choices: Ridge
    owners: int = 1
    holders: int = 1

    def __post_init__(self) -> None:
        core = parameters_of(self.parameters)
        if not 1 <= self.features <= MOST_FEATURES:
            raise ParameterError(
                f"expected at most {MOST_FEATURES} features, the constant 1 among them, found {self.features}"
            )
        if self.records < 1 or not 1 <= self.owners <= MOST_OWNERS:
            raise ParameterError(
                f"expected records and up to {MOST_OWNERS} owners, found {self.records} and {self.owners}"
            )
        if self.records > MOST_RECORDS:
            raise ParameterError(f"expected at most 2^40 records, found a number of {self.records.bit_length()} bits")
        if not 1 <= self.targets <= self.tiling.most_targets:
            raise ParameterError(
                f"expected 1 to {self.tiling.most_targets} targets for {self.features} features, found {self.targets}"
            )
        if self.choices.levels > core.depth:
            raise ParameterError(f"expected a degree of at most {core.depth - 1}, found {self.choices.degree}")

    @classmethod
    def of(
        cls, records: int, features: int, choices: Ridge, targets: int = 1, owners: int = 1, holders: int = 1
    ) -> RidgeJob:
        """Return the job with the smallest parameters that serve."""
        return cls(smallest_set(choices.levels), records, features, targets, choices, owners, holders)

    @property
    def core(self) -> CkksParameters:
        """The parameters."""
        return parameters_of(self.parameters)

    @property
    def chain(self) -> Chain:
        """What the noise depends on, how many hold the key among it."""
        return chain_of(self.core, self.holders)

    @property
    def tiling(self) -> Tiling:
        """How moments lie in slots."""
        return Tiling.fit(self.features, parameters_of(self.parameters).slots)

    @property
    def unit(self) -> float:
        """What weights are multiplied by, a power of two, so that every number has room in its ciphertext.

        Raises:
            RangeError: there is none, as the weights of some moments would be too large for the precision.
        """
        chain = chain_of(self.core)
        room = min(
            chain.modulus(level) / 2 / float(chain.scale) / _ROOM / norm
            for level, norm in enumerate(self.choices.partial_norms.tolist())
        )
        return 2.0 ** min(0, math.floor(math.log2(room)))

    @property
    def rotations(self) -> tuple[int, ...]:
        """The steps of rotation that training needs keys for. All are used up to the level of the degree."""
        return tuple(sorted({*self.tiling.along_row, *self.tiling.across_rows}))

    def keys_needed(self) -> tuple[int, dict[int, int]]:
        """Return the highest level of a product, and by step of rotation the highest level, which is the same."""
        return self.choices.degree, dict.fromkeys(self.rotations, self.choices.degree)

    def key_sizes(self) -> dict[str, int]:
        """Return the name and the length of everything that the trainer gets of the keys, in order."""
        key = self.core.switching_key_bytes(self.choices.degree)
        sizes = {PUBLIC: self.core.public_key_bytes(), PRODUCTS: key}
        return sizes | {f"rotation {step}": key for step in self.rotations}

    def moment_names(self) -> list[str]:
        """Return the names of what an owner sends, in order."""
        tiles = [f"tile {row} {column}" for row in range(self.tiling.rows) for column in range(self.tiling.columns)]
        return [*tiles, "columns", "rows"]

    def moment_sizes(self, seeded: bool) -> dict[str, int]:
        """Return the name and the length of what an owner sends. The holder of the secret key needs half of it."""
        size = self.core.seeded_bytes if seeded else self.core.ciphertext_bytes
        return dict.fromkeys(self.moment_names(), size(self.choices.levels))

    def weight_sizes(self) -> dict[str, int]:
        """Return the name and the length of everything that the trainer gives back, in order."""
        size = self.core.ciphertext_bytes(0)
        places = range(self.tiling.columns)
        return {f"weights {target} {place}": size for target in range(self.targets) for place in places}


# -- the holder of the key ---------------------------------------------------------------------------------------------


def holder_make_keys(job: RidgeJob, secret: CkksSecretKey) -> dict[str, bytes]:
    """Return what owners and the trainer get of the keys, by name."""
    level = job.choices.degree
    keys = {PUBLIC: secret.public_key(), PRODUCTS: secret.relinearisation_key(level)}
    return keys | {f"rotation {step}": secret.rotation_key(step, level) for step in job.rotations}


def holder_decrypt(job: RidgeJob, secret: CkksSecretKey, parts: Mapping[str, bytes]) -> Floats:
    """Return the weights ``(targets, d)``.

    Raises:
        ProtocolError: the parts are no encryption of weights under this key.
        CheatingError: weights are larger than those of any moments, so that something else was computed.
    """
    found = np.zeros((job.targets, job.tiling.size))
    for target in range(job.targets):
        slots = [_decrypted(job, secret, parts, f"weights {target} {place}") for place in range(job.tiling.columns)]
        found[target] = job.tiling.vector(np.stack(slots)) * job.choices.second_kind[-1] / job.unit
    allowed = largest_norm(job) + bound(job) * math.sqrt(job.tiling.size)
    if not (np.linalg.norm(found, axis=1) <= allowed).all():  # also where one is no number
        raise CheatingError(
            f"expected weights of a norm of at most {allowed:.3g}, as those of any records within the range have, "
            "found larger ones: the trainer ran something else, or on moments out of range"
        )
    return found[:, : job.features]


def _decrypted(job: RidgeJob, secret: CkksSecretKey, parts: Mapping[str, bytes], name: str) -> Floats:
    ciphertext = CkksCiphertext.from_bytes(job.core, _part(parts, name))
    if ciphertext.key_id != secret.key_id:
        raise ProtocolError("expected weights under this private key, found another key's")
    if ciphertext.level != 0 or ciphertext.scale != job.core.scale:
        raise ProtocolError(f"expected weights at level 0 and the job's scale, found level {ciphertext.level}")
    return secret.decrypt(ciphertext)


def _part(parts: Mapping[str, bytes], name: str) -> bytes:
    if name not in parts:
        raise ProtocolError(f"expected a part {name!r}, found {len(parts)} parts without it")
    return parts[name]


# -- an owner ----------------------------------------------------------------------------------------------------------


def owner_moments(job: RidgeJob, records: Floats, signs: Floats) -> tuple[Floats, Floats]:
    """Return G ``(d, d)`` and the b of all targets ``(targets, d)`` of records ``(n, d)`` with t ``(targets, n)``.

    Raises:
        RangeError: there are more than n' records, a t is neither 1 nor -1, or an eigenvalue is larger than stated.
    """
    n, d = records.shape
    if (d, signs.shape) != (job.features, (job.targets, n)):
        raise ParameterError(
            f"expected records of {job.features} numbers and {job.targets} target(s), found {d} and {signs.shape}"
        )
    if not 1 <= n <= job.records:
        raise RangeError(f"expected 1 to {job.records} records, which all owners have together, found {n}")
    if not (np.abs(signs) == 1).all():
        raise RangeError("expected targets of 1 and -1, found others")
    moments = records.T @ records
    largest = largest_eigenvalue(records)
    if not largest <= job.choices.largest:
        raise RangeError(
            f"expected records whose second moments have eigenvalues of at most {job.choices.largest:g}, found "
            f"{largest:.4g}: all owners need a larger largest_eigenvalue, or records of a smaller norm"
        )
    return moments / (job.records * job.choices.largest), signs @ records / job.records


def largest_eigenvalue(records: Floats) -> float:
    """Return the largest eigenvalue of the mean of x x^T over records ``(n, d)``."""
    return float(np.linalg.eigvalsh(records.T @ records / len(records))[-1])


def owner_public_key(job: RidgeJob, keys: Mapping[str, bytes]) -> CkksPublicKey:
    """Return the key that owners encrypt with. Raises `ProtocolError` for what is none."""
    return CkksPublicKey(job.core, _part(keys, PUBLIC))


def owner_encrypt_moments(
    job: RidgeJob, key: CkksSecretKey | CkksPublicKey, matrix: Floats, vectors: Floats
) -> dict[str, bytes]:
    """Encrypt G ``(d, d)`` and the b of all targets ``(targets, d)``, by name. Names and lengths depend on the job."""
    slots = [*job.tiling.pack_matrix(matrix).reshape(-1, job.tiling.slots), *job.tiling.pack_targets(vectors)]
    level = job.choices.levels
    if isinstance(key, CkksSecretKey):
        parts = [key.encrypt(one, level) for one in slots]
    else:
        parts = [key.encrypt(one, level).to_bytes() for one in slots]
    return dict(zip(job.moment_names(), parts, strict=True))


def foresee_ridge(job: RidgeJob, matrix: Floats, vectors: Floats) -> Floats:
    """Return the weights ``(targets, d)`` that training will find, for who has all moments, by plain numpy.

    Raises:
        RangeError: they are not within the polynomial's error of the exact ones.
    """
    found = []
    for vector in vectors:
        weights, exact = (work(matrix, vector, job.choices) for work in (solve_in_the_clear, solve_exactly))
        allowed = (job.choices.error + 1e-9) * float(np.linalg.norm(exact))
        if not (difference := float(np.linalg.norm(weights - exact))) <= allowed:
            raise RangeError(
                f"expected weights within {allowed:.2g} of those of ridge regression, found a difference of "
                f"{difference:.2g}: some eigenvalue of the moments is out of its range"
            )
        found.append(weights)
    return np.stack(found)


def check_bound(job: RidgeJob, weights: Floats) -> None:
    """Refuse a comparison with weights ``(targets, d)`` that are so small that it would say little.

    Raises:
        RangeError: the bound is not small against the largest weight of some target.
    """
    largest = float(np.abs(weights).max(axis=1).min())
    if not bound(job) <= LARGEST_BOUND * largest:
        raise RangeError(
            f"expected a bound on the error of at most {LARGEST_BOUND:g} times the largest weight, which is "
            f"{largest:.2g} of some target, found {bound(job):.2g}: lower the degree or raise regularisation"
        )


# -- whoever adds, and trains ------------------------------------------------------------------------------------------


def add_moments(job: RidgeJob, all_parts: Sequence[Mapping[str, bytes]]) -> dict[str, bytes]:
    """Add up what several owners have sent, all under one key.

    Raises:
        ProtocolError: a part is missing or no encrypted moment of this job, or one is under another key than the first
            owner's. It names the owner.
    """
    evaluator, added, key_id = CkksEvaluator(job.core, None, []), {}, None
    for name in job.moment_names():
        read = []
        for owner, parts in enumerate(all_parts):
            read.append(_moment(job, parts, name, key_id, f"owner {owner + 1}"))
            key_id = read[0].key_id
        first, *others = read
        for other in others:
            first = evaluator.add(first, other)
        added[name] = first.to_bytes()
    return added


def _moment(
    job: RidgeJob, parts: Mapping[str, bytes], name: str, key_id: bytes | None, peer: str = ""
) -> CkksCiphertext:
    ciphertext = CkksCiphertext.from_bytes(job.core, _part(parts, name))
    if key_id is not None and ciphertext.key_id != key_id:
        raise ProtocolError(
            f"expected moments under the key {key_id.hex()}, found some under {ciphertext.key_id.hex()}", peer=peer
        )
    if ciphertext.level != job.choices.levels or ciphertext.scale != job.core.scale:
        raise ProtocolError(
            f"expected moments at level {job.choices.levels} and the parameters' scale, found level {ciphertext.level}",
            peer=peer,
        )
    return ciphertext


def trainer_solve(
    job: RidgeJob, keys: Mapping[str, bytes], parts: Mapping[str, bytes], tell: Callable[[int, int], None] | None = None
) -> dict[str, bytes]:
    """Return every target's encrypted weights from encrypted moments, by name.

    Args:
        tell: is told how many steps are done, of how many.

    Raises:
        ProtocolError: keys or moments are not those of this job.
    """
    key_id = owner_public_key(job, keys).key_id
    rotations: list[Any] = [_part(keys, f"rotation {step}") for step in job.rotations]
    arithmetic = Ciphertexts(job.core, CkksEvaluator(job.core, _part(keys, PRODUCTS), rotations))
    read = {name: arithmetic.read(_moment(job, parts, name, key_id).to_bytes()) for name in job.moment_names()}
    tiles = [[read[f"tile {row} {column}"] for column in range(job.tiling.columns)] for row in range(job.tiling.rows)]
    moments = Moments(tiles, read["columns"], read["rows"])
    found: list[list[Encrypted]] = []
    for done, step in enumerate(solve(arithmetic, job.tiling, moments, job.choices, job.targets, job.unit), 1):
        found = step
        if tell is not None:
            tell(done, job.choices.degree + 1)
    return {
        f"weights {target} {place}": one.ciphertext.to_bytes()
        for target, vector in enumerate(found)
        for place, one in enumerate(vector)
    }


# -- errors ------------------------------------------------------------------------------------------------------------


def largest_norm(job: RidgeJob) -> float:
    """Return the largest norm of one target's weights over all records in the range."""
    return float(job.choices.partial_norms[0] * abs(job.choices.second_kind[-1]))


def deviation(job: RidgeJob) -> float:
    """Return a bound on the standard deviation of a weight's error, over all records in the range.

    To first order an error of g_k comes into the weights as c_K U_k(M) times it, whose norm is at most c_K (k + 1). The
    noise of the encrypted matrix is the same in every step, so what comes of it is added up. That of b comes in by the
    polynomials of :attr:`mpc.encrypted.programs.ridge.Ridge.largest_ratio`. That of products, sums and constants is new
    in each step, so squares are added up. A sum over a form's slots adds up their noise.
    """
    choices, tiling, chain, unit = job.choices, job.tiling, job.chain, job.unit
    scale, norms = float(chain.scale), unit * choices.partial_norms
    summed = max(2 * tiling.width, tiling.height)
    encrypted = chain.fresh_public * math.sqrt(job.owners) / scale
    rounded, coded = chain.rounding / scale, chain.encoding / scale
    turned = chain.switching(choices.degree) / scale
    vector = math.hypot(unit * encrypted, math.sqrt(summed) * math.hypot(rounded, turned, coded))
    from_vector = vector * choices.largest_ratio
    from_matrix, new = 0.0, 0.0
    for k in range(choices.degree):
        level, prime = k + 1, chain.primes[k + 1]
        of_matrix = math.hypot(4 * encrypted, 4 * coded, (chain.rounding + chain.encoding) / prime)
        from_matrix += (k + 1) * of_matrix * float(norms[k + 1])
        product = chain.product(level) / scale
        new += (k + 1) ** 2 * (summed * (product**2 + (chain.switching(level - 1) / scale) ** 2) + rounded**2)
    last = abs(float(choices.second_kind[-1]))
    return last / unit * math.hypot(from_vector + from_matrix, math.sqrt(new))


def bound(job: RidgeJob) -> float:
    """Return what every weight of the encrypted run differs by at most, over all records in the range."""
    return DEVIATIONS * math.sqrt(1 + math.sqrt(2 * TAIL) + TAIL) * deviation(job)
