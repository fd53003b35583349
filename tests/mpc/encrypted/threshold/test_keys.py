"""Keys of several owners: what shares add up to, at which levels, and with how much noise."""

from __future__ import annotations

import numpy as np
import pytest

from mpc._core import CkksCiphertext, CkksEvaluator, CkksParameters
from mpc.encrypted import parameters
from mpc.encrypted.embedding import values
from mpc.encrypted.packing import Floats
from mpc.encrypted.threshold import public_key, relinearisation, rotation
from mpc.encrypted.threshold.owner import Owner
from mpc.errors import ProtocolError
from tests.mpc.encrypted.threshold.joint import evaluator_of, opened, owners_of, products_of, public_of, rotation_of

OWNERS = [2, 3, 5]
LEVEL = 5


def some_values(slots: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).uniform(-1, 1, slots)


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> str:
    """A set whose digits have three primes, the last one fewer."""

    def make() -> CkksParameters:
        return CkksParameters(256, [47] + [40] * 6, [46] * 3, 40, insecure=True)

    monkeypatch.setattr(parameters, "SETS", {"digits": make})
    monkeypatch.setattr(parameters, "_made", {})
    return "digits"


def error_bound(owners: list[Owner], deviation: float) -> float:
    """Twenty deviations of a slot, in values.

    Noise that is multiplied by a secret is a product of two random numbers in each slot. It is beyond k deviations with
    probability exp(-sqrt(2) k), which is less than 2^-40.
    """
    return 20 * deviation / float(owners[0].key.core.scale)


@pytest.mark.parametrize("count", OWNERS)
def test_what_is_encrypted_with_the_joint_key_all_owners_decrypt(tiny: str, count: int) -> None:
    owners = owners_of(tiny, count)
    core, public = owners[0].key.core, public_of(owners)
    assert public.key_id == owners[0].key.key_id
    for level in (0, 4, core.depth):
        sent = some_values(core.slots, level)
        found = opened(owners, public.encrypt(sent, level))
        assert np.abs(found - sent).max() < error_bound(owners, owners[0].key.chain.fresh_public)


@pytest.mark.parametrize("count", OWNERS)
@pytest.mark.parametrize("name", ["tiny", "digits"])
def test_keys_work_at_every_level_that_they_are_for(name: str, count: int, request: pytest.FixtureRequest) -> None:
    owners = owners_of(request.getfixturevalue(name), count)
    key = owners[0].key
    public, evaluator = public_of(owners), evaluator_of(owners, LEVEL, {3: LEVEL})
    sent = some_values(key.core.slots)
    for level in range(1, LEVEL + 1):
        encrypted = public.encrypt(sent, level)
        squared = opened(owners, evaluator.multiply(encrypted, encrypted, rescale=True))
        scale = float(key.core.scale) / key.core.primes[level]
        product = np.hypot(key.chain.product(level), 2 * scale * key.chain.fresh_public)
        assert np.abs(squared - sent**2).max() < 1.1 * error_bound(owners, product) / scale
        rotated = opened(owners, evaluator.rotate(encrypted, 3))
        rotation_noise = np.hypot(key.chain.switching(level), key.chain.fresh_public)
        assert np.abs(rotated - np.roll(sent, -3)).max() < error_bound(owners, rotation_noise)


@pytest.mark.parametrize("count", OWNERS)
def test_noise_is_what_is_derived_for_so_many_owners(tiny: str, count: int) -> None:
    """Not only below the bound: the deviation is the one that the owners' number gives."""
    owners = owners_of(tiny, count)
    key, scale = owners[0].key, float(owners[0].key.core.scale)
    public, evaluator = public_of(owners), evaluator_of(owners, 1, {1: 9})
    zeros = np.zeros(key.core.slots)
    fresh = [opened(owners, public.encrypt(zeros, 9)) * scale for _ in range(8)]
    assert np.std(fresh) == pytest.approx(key.chain.fresh_public, rel=0.15)
    rotated = [opened(owners, evaluator.rotate(public.encrypt(zeros, 9), 1)) * scale for _ in range(8)]
    assert np.std(rotated) == pytest.approx(np.hypot(key.chain.switching(9), key.chain.fresh_public), rel=0.15)


def test_the_key_for_products_errs_as_derived(tiny: str) -> None:
    """Its error is divided by a prime, so that it is looked at before: a product by 0 without rescaling."""
    owners = owners_of(tiny, 3)
    key = owners[0].key
    public, evaluator = public_of(owners), evaluator_of(owners, 1, {})
    sent, zeros = some_values(key.core.slots), np.zeros(key.core.slots)
    found = []
    for _ in range(4):
        product = evaluator.multiply(public.encrypt(sent, 1), public.encrypt(zeros, 1))
        found.append(opened(owners, product) * float(product.scale))
    mean_square = 2 * 3 * (1 + 3 * 2 * key.core.degree / 3)  # of the error of a key, in variances of fresh noise
    switched = key.chain._switching(1, mean_square)
    from_noise = key.chain.fresh_public * float(key.core.scale) * np.sqrt(np.mean(sent**2))
    assert np.std(found) == pytest.approx(np.hypot(switched, from_noise), rel=0.2)
    assert switched < key.chain._switching(1, 2 * 3 * (1 + 35 * 3 * 2 * key.core.degree / 3))


def test_all_owners_but_one_decrypt_nothing(tiny: str) -> None:
    """What they compute is uniform modulo Q: its residues fill 16 equal parts alike."""
    owners = owners_of(tiny, 5)
    key = owners[0].key
    result = public_of(owners).encrypt(some_values(key.core.slots), 0)
    from mpc._core import ckks_open_residues

    shares = [owner.secret.decryption(result, 1) for owner in owners]
    prime = key.core.primes[0]
    for left_out in range(5):
        others = [share for place, share in enumerate(shares) if place != left_out]
        seen = ckks_open_residues(result, others)
        counts = np.bincount((seen.astype(object) * 16 // prime).astype(int), minlength=16)
        assert ((counts - key.core.degree / 16) ** 2).sum() / (key.core.degree / 16) < 60  # chi-squared, 15 degrees
    whole = ckks_open_residues(result, shares)
    centred = np.where(whole > prime // 2, prime - whole, whole)
    assert centred.max() < 2 * float(key.core.scale)


def test_a_share_of_a_key_is_the_same_whenever_it_is_asked_for(tiny: str) -> None:
    """Otherwise the mean of many would have no noise, and tell the secret."""
    first, again = owners_of(tiny, 2)[0], owners_of(tiny, 2)[0]
    assert public_key.owner_share(first) == public_key.owner_share(again)
    assert rotation.owner_share(first, 4, 2) == rotation.owner_share(again, 4, 2)
    other = owners_of(tiny, 2, job="another job")[0]
    assert public_key.owner_share(first)[-1000:] != public_key.owner_share(other)[-1000:]


def test_lengths_are_those_that_are_stated(tiny: str) -> None:
    owners = owners_of(tiny, 2)
    key = owners[0].key
    assert len(public_key.owner_share(owners[0])) == public_key.share_bytes(key)
    assert len(rotation.owner_share(owners[0], 4, 2)) == rotation.share_bytes(key, 2)
    assert len(relinearisation.owner_first_share(owners[0], 3)) == relinearisation.share_bytes(key, 3)
    assert len(products_of(owners, 3)) == relinearisation.key_bytes(key, 3)


def test_shares_of_another_rotation_level_or_round_are_refused(tiny: str) -> None:
    """Also where an owner signs, as its share of one step, what the core made for another."""
    owners = owners_of(tiny, 2)
    key = owners[0].key
    step, common = rotation.step_of(4, 2), key.common_seed(rotation.step_of(4, 2))
    good = rotation.owner_share(owners[0], 4, 2)
    for steps, level, seed in ((5, 2, common), (4, 3, common), (4, 2, bytes(16))):
        wrong = owners[1].sign(step, owners[1].secret.rotation_key(seed, steps, level))
        with pytest.raises(ProtocolError):
            rotation.combine(key, 4, 2, [good, wrong])
    with pytest.raises(ProtocolError, match="expected a share of this step"):
        rotation.combine(key, 4, 2, [good, rotation.owner_share(owners[1], 5, 2)])
    first = [relinearisation.owner_first_share(owner, 2) for owner in owners]
    total = relinearisation.add_first(key, 2, first)
    second = [relinearisation.owner_second_share(owner, 2, total) for owner in owners]
    with pytest.raises(ProtocolError, match="for the same step, found one for another"):
        relinearisation.combine(key, 2, relinearisation.add_first(key, 2, first)[:-1] + b"\0", second)
    with pytest.raises(ProtocolError):
        relinearisation.add_first(key, 2, second)


def test_keys_of_two_sessions_do_not_mix(tiny: str) -> None:
    one, other = owners_of(tiny, 2), owners_of(tiny, 2, job="another job")
    assert one[0].key.key_id != other[0].key.key_id
    with pytest.raises(ProtocolError, match="this session"):
        public_key.combine(one[0].key, [public_key.owner_share(one[0]), public_key.owner_share(other[1])])
    with pytest.raises(ValueError, match="keys of one secret"):
        CkksEvaluator(one[0].key.core, products_of(one, 1), [rotation_of(other, 1, 1)])


def test_the_secrets_of_owners_are_ternary_and_their_sum_decrypts(tiny: str) -> None:
    """Known algebra: a result under zeros, whose second part is 1, shows the sum of the secrets when it is opened."""
    owners = owners_of(tiny, 3)
    core = owners[0].key.core
    # c_1 = 1 has the transform 1 everywhere. It is written over the residues of a ciphertext's message.
    message = bytearray(public_of(owners).encrypt(np.zeros(core.slots), 0).to_bytes())
    half = (len(message) - (2 * core.seeded_bytes(0) - core.ciphertext_bytes(0))) // 2
    ones = sum(1 << (47 * n) for n in range(core.degree)).to_bytes(half, "little")
    message[-2 * half :] = bytes(half) + ones
    forged = CkksCiphertext.from_bytes(core, bytes(message))
    secrets = [_coefficients(owner, forged) for owner in owners]
    for secret in secrets:
        assert set(secret.tolist()) == {-1, 0, 1}
        assert abs(np.mean(secret**2) - 2 / 3) < 0.1
    together = opened(owners, forged, bits=1) * float(core.scale)
    assert np.abs(together - values(np.sum(secrets, axis=0).astype(float))).max() < 3 * np.sqrt(core.degree) * 8


def _coefficients(owner: Owner, forged: CkksCiphertext) -> Floats:
    """An owner's secret, from its share without the mask, which a test may see."""
    from mpc._core import ckks_open_residues

    low, high = owner.secret.mask(forged, 1)
    mask = np.where(high < 0, -1, 0) + np.where(high < 0, 0, low.astype(np.int64))
    prime = owner.key.core.primes[0]
    seen = ckks_open_residues(forged, [owner.secret.decryption(forged, 1)]).astype(np.int64)
    centred: Floats = np.where(seen > prime // 2, seen - prime, seen) - mask
    return centred
