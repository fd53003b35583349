"""The collective refresh: the value stays, the level rises, and nobody sees the value."""

from __future__ import annotations

import numpy as np
import pytest

from mpc._core import CkksCiphertext, ckks_open_integers
from mpc.encrypted.embedding import values
from mpc.encrypted.threshold import decryption, refresh
from mpc.encrypted.threshold.masks import Mask, largest_coefficient, mask_of
from mpc.errors import OrderError, ProtocolError
from tests.mpc.encrypted.threshold.joint import opened, owners_of, public_of

STEP = refresh.step_of(0, 2)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_refreshed_ciphertext_has_the_value_and_the_noise_that_is_derived(tiny: str, count: int) -> None:
    owners = owners_of(tiny, count)
    key = owners[0].key
    largest = largest_coefficient(1.0, float(key.core.scale))
    mask = mask_of(key.chain, largest, largest)
    sent, scale = np.linspace(-1, 1, key.core.slots), float(key.core.scale)
    old = public_of(owners).encrypt(sent, mask.level)
    shares = [refresh.owner_share(owner, STEP, old, mask, 9) for owner in owners]
    assert {len(share) for share in shares} == {refresh.share_bytes(key, mask, 9)}
    new = CkksCiphertext.from_bytes(key.core, refresh.combine(key, STEP, old, mask, 9, shares))
    assert (new.level, new.scale, new.key_id) == (9, old.scale, key.key_id)
    before, after = opened(owners, old), opened(owners, new)
    # Noise under a public key is a product of two random numbers in each slot: beyond k deviations with exp(-1.4 k).
    assert np.abs(after - sent).max() < 20 * np.hypot(key.chain.fresh_public, key.chain.refreshed) / scale
    assert np.std(before - sent) * scale == pytest.approx(key.chain.fresh_public, rel=0.35)
    assert np.std((after - before) * scale) == pytest.approx(np.hypot(key.chain.refreshed, 30), rel=0.35)


def test_what_everybody_sees_does_not_tell_the_value(tiny: str) -> None:
    """The opened integers are those of the masks, whatever is inside. Without masks they would be the value."""
    owners = owners_of(tiny, 2)
    key, scale = owners[0].key, float(owners[0].key.core.scale)
    largest = largest_coefficient(1.0, scale)
    mask = mask_of(key.chain, largest, largest)
    result = public_of(owners).encrypt(np.ones(key.core.slots), mask.level)

    def seen(bits: int) -> np.ndarray:  # type: ignore[type-arg]
        low, high = ckks_open_integers(result, [owner.secret.decryption(result, bits) for owner in owners], 126)
        return np.array([(int(a) << 64) + int(b) for a, b in zip(high, low, strict=True)], float)

    assert np.abs(values(seen(1)) / scale - 1).max() < 1e-3  # the attack without masks
    slots = values(seen(mask.bits)) / scale
    assert np.abs(slots.mean()) < 8 * np.std(slots) / np.sqrt(len(slots))
    assert np.std(slots) > 2.0**40


def test_masks_of_two_owners_are_independent_and_new_for_each_ciphertext(tiny: str) -> None:
    owners = owners_of(tiny, 2)
    public, slots = public_of(owners), owners[0].key.core.slots
    results = [public.encrypt(np.zeros(slots), 2) for _ in range(2)]
    drawn = [tuple(owner.secret.mask(result, 64)[0].tolist()) for owner in owners for result in results]
    assert len({*drawn}) == 4


def test_a_refresh_answers_one_ciphertext(tiny: str) -> None:
    owners = owners_of(tiny, 2)
    key, public = owners[0].key, public_of(owners)
    mask = Mask(60, 0.0, 2, 126)
    one, other = (public.encrypt(np.zeros(4), 2) for _ in range(2))
    share = refresh.owner_share(owners[0], STEP, one, mask, 5)
    assert refresh.owner_share(owners[0], STEP, one, mask, 5) == share
    with pytest.raises(OrderError, match="expected one question for the step"):
        refresh.owner_share(owners[0], STEP, other, mask, 5)
    later = refresh.step_of(0, 4)
    refresh.owner_share(owners[0], later, other, mask, 5)
    with pytest.raises(ProtocolError, match="expected a ciphertext of level 2, found 3"):
        refresh.owner_share(owners[1], STEP, public.encrypt(np.zeros(4), 3), mask, 5)
    wrong = refresh.owner_share(owners[1], later, one, mask, 5)
    with pytest.raises(ProtocolError, match="expected a share of this step"):
        refresh.combine(key, STEP, one, mask, 5, [share, wrong])
    short = owners[1].sign(STEP, owners[1].secret.decryption(one, 60))
    with pytest.raises(ProtocolError, match="owner 2: expected bytes of a share"):
        refresh.combine(key, STEP, one, mask, 5, [share, short])


def test_a_share_for_another_ciphertext_is_refused(tiny: str) -> None:
    owners = owners_of(tiny, 2)
    key, public = owners[0].key, public_of(owners)
    mask = Mask(60, 0.0, 2, 126)
    one, other = (public.encrypt(np.zeros(4), 2) for _ in range(2))
    shares = [refresh.owner_share(owner, STEP, text, mask, 5) for owner, text in zip(owners, (one, other), strict=True)]
    with pytest.raises(ProtocolError, match="found one for another"):
        refresh.combine(key, STEP, one, mask, 5, shares)


def test_what_a_refresh_shows_does_not_open_a_decryption_of_the_same_ciphertext(tiny: str) -> None:
    """A trainer that presents what was refreshed as the result has ``value + sum of masks`` from the refresh, and what
    owners' masks of the decryption read as. With the same masks it would have the value."""
    owners = owners_of(tiny, 2)
    mask = Mask(60, 0.0, 2, 126)
    text = public_of(owners).encrypt(np.ones(owners[0].key.core.slots), 2)

    def integers(shares: list[bytes]) -> list[int]:
        low, high = ckks_open_integers(text, shares, 126)
        return [(int(above) << 64) + int(below) for above, below in zip(high, low, strict=True)]

    def left(shares: list[bytes]) -> float:
        """How far what is left without the decryption's masks is from the value, in the slots."""
        masks = zip(*(decryption.owner_mask(owner, text, mask) for owner in owners), strict=True)
        rest = [one - sum(two) for one, two in zip(integers(shares), masks, strict=True)]
        return float(np.abs(values(np.array(rest, float)) / float(owners[0].key.core.scale) - 1).max())

    assert left([owner.secret.decryption(text, mask.bits) for owner in owners]) < 1e-3
    assert left([owner.secret.refresh_opening(text, mask.bits) for owner in owners]) > 1e3


def test_a_ciphertext_is_answered_in_one_step_with_one_mask_and_for_one_level(tiny: str) -> None:
    owner = owners_of(tiny, 2)[0]
    public, mask = public_of(owners_of(tiny, 2)), Mask(60, 0.0, 2, 126)
    texts = [public.encrypt(np.zeros(4), 2) for _ in range(3)]
    refresh.owner_share(owner, STEP, texts[0], mask, 5)
    with pytest.raises(OrderError, match="expected one question for the step"):
        refresh.owner_share(owner, STEP, texts[0], mask, 6)
    with pytest.raises(OrderError, match="expected one question for the step"):
        refresh.owner_share(owner, STEP, texts[0], Mask(50, 0.0, 2, 126), 5)
    with pytest.raises(OrderError, match="expected one question for the step 'what ciphertext"):
        refresh.owner_share(owner, refresh.step_of(0, 4), texts[0], mask, 5)
    decryption.owner_shares(owner, [texts[2]], mask)
    with pytest.raises(OrderError, match="expected one question for the step 'decryption'"):
        decryption.owner_shares(owner, [texts[2]], Mask(50, 0.0, 2, 126))
    with pytest.raises(OrderError, match="expected one question for the step 'what ciphertext"):
        refresh.owner_share(owner, refresh.step_of(0, 6), texts[2], mask, 5)
    other = owners_of(tiny, 2)[1]
    refresh.owner_share(other, STEP, texts[0], mask, 5)
    with pytest.raises(OrderError, match="expected one question for the step 'what ciphertext"):
        decryption.owner_shares(other, [texts[1], texts[0]], mask)
