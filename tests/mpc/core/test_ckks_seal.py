"""CKKS beside SEAL at the same primes: both compute the same, and noise stays within its stated bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import seal
from numpy.typing import NDArray

from mpc import _core

Values = NDArray[np.float64]
TAIL = 2.0**-42  # relative, of encoding and decoding in double precision


@dataclass(frozen=True)
class Both:
    """Ours and SEAL's of the same parameters, on the same random values."""

    parameters: _core.CkksParameters
    key: _core.CkksSecretKey
    evaluator: _core.CkksEvaluator
    encoder: Any
    encryptor: Any
    decryptor: Any
    peer: Any
    keys: tuple[Any, Any]
    x: Values
    y: Values

    def ours(self, values: Values, level: int) -> _core.CkksCiphertext:
        return _core.CkksCiphertext.from_bytes(self.parameters, self.key.encrypt(values, level))

    def theirs(self, values: Values) -> Any:
        return self.encryptor.encrypt(self.encoder.encode(values, float(self.parameters.scale)))

    def opened(self, ciphertext: Any) -> Values:
        if isinstance(ciphertext, _core.CkksCiphertext):
            return self.key.decrypt(ciphertext)
        return np.asarray(self.encoder.decode(self.decryptor.decrypt(ciphertext)))


@pytest.fixture(scope="module")
def both() -> Both:
    parameters = _core.CkksParameters(8192, [47, 40, 40, 40], [47], 40)
    key = _core.CkksSecretKey(parameters, bytes(32))
    top = parameters.depth
    evaluator = _core.CkksEvaluator(parameters, key.relinearisation_key(top), [key.rotation_key(3, top)])
    settings = seal.EncryptionParameters(seal.scheme_type.ckks)
    settings.set_poly_modulus_degree(8192)
    settings.set_coeff_modulus([seal.Modulus(p) for p in [*parameters.primes, *parameters.special_primes]])
    context = seal.SEALContext(settings, True, seal.sec_level_type.none)
    generator = seal.KeyGenerator(context)
    turning = seal.GaloisKeys()
    generator.create_galois_keys([3], turning)
    rng = np.random.default_rng(1)
    return Both(
        parameters,
        key,
        evaluator,
        seal.CKKSEncoder(context),
        seal.Encryptor(context, generator.create_public_key()),
        seal.Decryptor(context, generator.secret_key()),
        seal.Evaluator(context),
        (generator.create_relin_keys(), turning),
        rng.uniform(-1, 1, parameters.slots),
        rng.uniform(-1, 1, parameters.slots),
    )


def multiplied(both: Both, a: Any, b: Any) -> Any:
    return both.peer.rescale_to_next(both.peer.relinearize(both.peer.multiply(a, b), both.keys[0]))


def polynomial(both: Both, x: Any, y: Any, times: Callable[[Any, Any], Any], turn: Callable[[Any], Any]) -> Any:
    """Return ((x y)^2 rotated by 3), of depth 2."""
    product = times(x, y)
    return turn(times(product, product))


def test_a_program_gives_what_seal_gives(both: Both) -> None:
    top = both.parameters.depth
    expected = np.roll((both.x * both.y) ** 2, -3)
    mine = polynomial(
        both,
        both.ours(both.x, top),
        both.ours(both.y, top),
        lambda a, b: both.evaluator.multiply(a, b, rescale=True),
        lambda a: both.evaluator.rotate(a, 3),
    )
    peer = polynomial(
        both,
        both.theirs(both.x),
        both.theirs(both.y),
        lambda a, b: multiplied(both, a, b),
        lambda a: both.peer.rotate_vector(a, 3, both.keys[1]),
    )
    found, theirs = both.opened(mine), both.opened(peer)
    assert abs(float(mine.scale) / peer.scale() - 1) < 1e-12
    error, peer_error = np.abs(found - expected).max(), np.abs(theirs - expected).max()
    assert error < 2e-7
    assert np.abs(found - theirs).max() < error + peer_error + 1e-12
    assert error < 4 * peer_error  # no less exact


def bounds(both: Both) -> dict[str, tuple[Values, Values, float]]:
    """Return for each operation what it found, what it should, and the stated bound, on values of at most 1."""
    p, ev, top = both.parameters, both.evaluator, both.parameters.depth
    scale = float(p.scale)
    a, b = both.ours(both.x, top), both.ours(both.y, top)
    public = _core.CkksPublicKey(p, both.key.public_key()).encrypt(both.x, top)
    fresh = (p.fresh_noise(symmetric=True) + p.encoding_noise) / scale + TAIL
    product, plain = ev.multiply(a, b), ev.encode(both.y, top, p.scale)
    double = 2 * fresh + fresh**2 + p.switch_noise(top) / float(product.scale) + TAIL
    lower = ev.rescale(product)
    by_plain = ev.multiply_plain(a, plain)
    return {
        "encrypt": (both.opened(a), both.x, fresh),
        "encrypt with the public key": (
            both.opened(public),
            both.x,
            (p.fresh_noise(symmetric=False) + p.encoding_noise) / scale + TAIL,
        ),
        "add": (both.opened(ev.add(a, b)), both.x + both.y, 2 * fresh),
        "multiply": (both.opened(product), both.x * both.y, double),
        "rescale": (both.opened(lower), both.x * both.y, double + p.rescale_noise / float(lower.scale)),
        "multiply and rescale": (
            both.opened(ev.multiply(a, b, rescale=True)),
            both.x * both.y,
            double + p.rescale_noise / float(lower.scale),
        ),
        "multiply by a plaintext": (
            both.opened(by_plain),
            both.x * both.y,
            fresh + (1 + fresh) * (p.encoding_noise / scale + TAIL) + TAIL,
        ),
        "rotate": (both.opened(ev.rotate(a, 3)), np.roll(both.x, -3), fresh + p.switch_noise(top) / scale),
        "sum of rotations": (
            both.opened(ev.rotate_sum([a, b], [3, 3])),
            np.roll(both.x + both.y, -3),
            2 * (fresh + p.switch_noise(top) / scale),
        ),
    }


def test_noise_is_within_its_bounds_and_these_are_not_idle(both: Both) -> None:
    """Each bound holds for all slots together except with probability 2^-40. None is more than 100 times too wide."""
    for name, (found, expected, bound) in bounds(both).items():
        error = np.abs(found - expected).max()
        assert bound / 100 < error < bound, f"{name}: {error} against a bound of {bound}"
