"""The collective decryption: who learns what, how wide masks are, and that it happens once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mpc._core import CkksCiphertext
from mpc.channels.memory import memory_pair, run_both_sides
from mpc.encrypted.embedding import values
from mpc.encrypted.packing import Packing
from mpc.encrypted.shared_release import SharedRelease, holder_open, holder_shares, trainer_mask, trainer_open
from mpc.encrypted.threshold import public_key
from mpc.encrypted.threshold.decryption import (
    owner_mask,
    owner_shares,
    receiver_integers,
    receiver_open,
    receiver_residues,
    share_bytes,
    step_of,
)
from mpc.encrypted.threshold.masks import Mask, largest_coefficient, mask_of
from mpc.encrypted.threshold.owner import Memory, Owner
from mpc.errors import OrderError, ProtocolError, RangeError
from mpc.garbled.session import Evaluator, Garbler
from tests.mpc.encrypted.threshold.joint import owners_of, public_of


def test_masks_of_owners_and_what_the_receiver_opens_are_shares_of_the_value(tiny: str) -> None:
    owners = owners_of(tiny, 3)
    key = owners[0].key
    sent, scale = np.linspace(-2, 2, key.core.slots), float(key.core.scale)
    largest = largest_coefficient(4.0, scale)
    mask = mask_of(key.chain, largest, largest)
    assert mask.level == 2
    result = public_of(owners).encrypt(sent, mask.level)
    shares = [owner_shares(owner, [result], mask)[0] for owner in owners]
    assert {len(share) for share in shares} == {share_bytes(key, mask.level)}
    seen = receiver_integers(key, 0, result, shares, mask)
    left = [
        one - sum(masks)
        for one, masks in zip(seen, zip(*(owner_mask(o, result, mask) for o in owners), strict=True), strict=True)
    ]
    found = values(np.array(left, float)) / scale
    assert np.abs(found - sent).max() < 20 * key.chain.fresh_public / scale  # see `error_bound` of the keys' tests
    residues = receiver_residues(key, 0, result, shares)
    assert residues.shape == (3, key.core.degree)
    for prime, row in zip(key.core.primes, residues, strict=False):
        assert row.tolist() == [one % prime for one in seen]


def test_a_result_that_the_trainer_has_masked_is_released_with_noise_by_a_circuit(tiny: str) -> None:
    """The receiver gets uniform numbers alone. Its share and the trainer's meet in the garbled circuit."""
    owners = owners_of(tiny, 3)
    key, public = owners[0].key, public_of(owners)
    packing = Packing.fit(1, 8, key.core.slots)
    release = SharedRelease(tiny, packing, key.chain.scale)
    weights = np.linspace(-2, 2, 8)
    result = public.encrypt(packing.repeat(weights), release.level).to_bytes()
    message = public_key.combine(key, [public_key.owner_share(owner) for owner in owners])
    masked, trainers = trainer_mask(release, message, [result])
    texts = [CkksCiphertext.from_bytes(key.core, message) for message in masked]
    mask = Mask(24, 0.0, release.level, 126)
    shares = [owner_shares(owner, texts, mask)[0] for owner in owners]
    residues = receiver_residues(key, 0, texts[0], shares)
    quarters = np.bincount((residues[0] >> np.uint64(45)).astype(int), minlength=4)  # of the prime of 47 bits
    assert ((quarters - 256) ** 2 / 256).sum() < 40
    one, other = memory_pair("trainer", "receiver", 60)
    _, (found,) = run_both_sides(
        lambda: trainer_open(release, Garbler.open(one), trainers),
        lambda: holder_open(release, Evaluator.open(other), holder_shares(release, [residues])),
    )
    masks = mask.error(key.chain) / float(key.core.scale) / math.sqrt(packing.rows)
    assert masks < 1e-3
    assert np.abs(found - weights).max() < 8 * math.hypot(0.01 * math.sqrt(2), masks)


def test_a_mask_fills_its_interval_and_nothing_beyond(tiny: str) -> None:
    owner = owners_of(tiny, 2)[0]
    result = public_of(owners_of(tiny, 2)).encrypt(np.zeros(owner.key.core.slots), 2)
    for bits in (1, 2, 61, 62, 63, 64, 65, 100):
        drawn = owner_mask(owner, result, Mask(bits, 0.0, 2, 126))
        half = 1 << (bits - 1)
        assert min(drawn) >= -half
        assert max(drawn) < half
        assert {one < 0 for one in drawn} == {True, False}
        if bits > 8:
            assert min(drawn) < -0.98 * half
            assert max(drawn) > 0.98 * half
            assert len({one % 64 for one in drawn}) == 64
            assert np.mean([one / half for one in drawn]) == pytest.approx(0, abs=0.1)


def test_the_width_follows_from_what_is_hidden_and_the_level_from_the_width(tiny: str) -> None:
    chain = owners_of(tiny, 3)[0].key.chain
    largest = 2.0**38
    mask = mask_of(chain, largest, largest)
    assert mask.bits == 40 + 10 + 38  # N = 1024
    assert chain.degree * largest / 2.0**mask.bits <= 2.0**-40
    assert mask.hidden_bits == 40
    room = chain.modulus(mask.level) / 2
    assert largest + 3 * 2.0 ** (mask.bits - 1) < room
    assert chain.modulus(mask.level - 1) / 2 < largest + 3 * 2.0 ** (mask.bits - 1)
    with pytest.raises(
        RangeError, match=r"expected a ciphertext of at least level 2.* masks of 88 bits of 3 owners, found level 1"
    ):
        mask_of(chain, largest, largest, level=1)
    with pytest.raises(RangeError, match="at most 127 bits has room"):
        mask_of(chain, 2.0**70, 2.0**70)
    with pytest.raises(RangeError, match="1 to 120 bits, found that 150 are needed"):
        mask_of(chain, 2.0**100, 2.0**100)
    with pytest.raises(RangeError, match="finite"):
        mask_of(chain, math.nan, 1.0)


def test_masks_that_stay_change_a_value_as_stated(tiny: str) -> None:
    owners = owners_of(tiny, 3)
    key = owners[0].key
    result = public_of(owners).encrypt(np.zeros(key.core.slots), 1)
    mask = Mask(30, 0.0, 1, 126)
    shares = [owner_shares(owner, [result], mask)[0] for owner in owners]
    found = receiver_open(key, 0, result, shares) * float(key.core.scale)
    assert np.std(found) == pytest.approx(mask.error(key.chain), rel=0.1)


def test_a_job_decrypts_once(tiny: str) -> None:
    """The same result may be asked for again, for instance after a crash, and gets the very same share."""
    owners = owners_of(tiny, 2)
    owner, public = owners[0], public_of(owners)
    zeros = np.zeros(owner.key.core.slots)
    results = [public.encrypt(zeros, 1) for _ in range(2)]
    mask = Mask(20, 0.0, 1, 126)
    shares = owner_shares(owner, results, mask)
    assert owner_shares(owner, results, mask) == shares
    for others in ([results[0]], results[::-1], [public.encrypt(zeros, 1), results[1]]):
        with pytest.raises(OrderError, match="expected one question for the step 'decryption'"):
            owner_shares(owner, others, mask)


def test_the_record_is_made_before_the_share(tiny: str) -> None:
    class Full(Memory):
        def note(self, step: str, question: bytes) -> None:
            raise OSError("no space")

    key, one = owners_of(tiny, 2)[0].key, owners_of(tiny, 2)[0]
    owner = Owner(key, 0, bytes(32), one._signing, Full())
    with pytest.raises(OSError, match="no space"):
        owner_shares(owner, [public_of(owners_of(tiny, 2)).encrypt(np.zeros(4), 1)], Mask(20, 0.0, 1, 126))


def test_shares_of_another_result_target_or_key_are_refused(tiny: str) -> None:
    owners, others = owners_of(tiny, 2), owners_of(tiny, 2, job="another job")
    key, public = owners[0].key, public_of(owners)
    results = [public.encrypt(np.zeros(4), 1) for _ in range(2)]
    mask = Mask(20, 0.0, 1, 126)
    shares = [owner_shares(owner, results, mask) for owner in owners]
    with pytest.raises(ProtocolError, match="expected a share of this step"):
        receiver_open(key, 0, results[0], [shares[0][0], shares[1][1]])
    swapped = [owner.sign(step_of(0), owner.secret.decryption(results[1], 20)) for owner in owners]
    with pytest.raises(ProtocolError, match="for the same step, found one for another"):
        receiver_open(key, 0, results[0], swapped)
    with pytest.raises(ProtocolError, match="under the joint key, found one under another"):
        owner_shares(others[0], results, mask)
    with pytest.raises(ProtocolError, match="expected a result at level 2, found one at level 1"):
        owner_shares(owners[0], results, Mask(20, 0.0, 2, 126))
    assert repr(owners[0]) == "Owner(1 of 2)"
