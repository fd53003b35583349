"""What is dealt, put together by Python's integers, and what all parties but one know of it."""

from __future__ import annotations

import numpy as np
import pytest

from mpc.ring import Words
from mpc.tensors.backends.authenticated.backend import DealerMacBackend
from mpc.tensors.backends.authenticated.dealing import BIT_WORD, MacDealing, MacTaken
from mpc.tensors.backends.authenticated.memory import in_memory
from mpc.tensors.backends.authenticated.values import Dealt, Value
from tests.mpc.tensors.backends.session import PROVIDER, names, run, transcript, words
from tests.mpc.tensors.backends.test_views import p_value

COUNTS = [2, 3, 5]
MADE = words([0, 1, -1, 2**63, -(2**62), 5])


def dealt_to(n: int) -> tuple[dict[str, list[Dealt | Words]], dict[str, MacDealing]]:
    """What everybody has of a mask, a number that the provider makes, and the same of bits."""
    backends = in_memory(names(n), PROVIDER)
    bits = np.uint64(0) - (MADE & np.uint64(1))

    def program(backend: DealerMacBackend) -> list[Dealt | Words]:
        backend.constant(MADE)  # joins
        dealing = backend._party.dealing
        with dealing.correlation("test", [MADE.shape]):
            return [
                dealing.authentic_mask(MADE.shape), dealing.authentic(MADE.shape, lambda: MADE),
                dealing.mask_planes(MADE.shape), dealing.deal_planes(MADE.shape, lambda: bits),
            ]  # fmt: skip

    found = run(backends, program)
    return found, {name: backend._party.dealing for name, backend in backends.items()}


def whole(low_and_high: tuple[Words, Words]) -> np.ndarray:
    low, high = low_and_high
    return low.astype(object) + high.astype(object) * 2**64


@pytest.mark.parametrize("n", COUNTS)
def test_shares_add_up_to_the_number_and_those_of_macs_to_the_key_times_it(n: int) -> None:
    found, dealing = dealt_to(n)
    keys = []
    for name in names(n):
        taken = dealing[name]
        assert isinstance(taken, MacTaken)
        keys.append(int(taken.key))
    for place, made in ((0, None), (1, MADE)):
        shares = [found[name][place] for name in names(n)]
        numbers = sum(whole(share.share.value) for share in shares) % 2**128  # type: ignore[union-attr]
        macs = sum(whole(share.share.mac) for share in shares) % 2**128  # type: ignore[union-attr]
        value = found[PROVIDER][place].value  # type: ignore[union-attr]
        assert (numbers % 2**64 == value.astype(object)).all()  # type: ignore[union-attr]
        assert made is None or (value == made).all()
        assert (macs == sum(keys) * numbers % 2**128).all()
        assert len({int(number) >> 64 for number in numbers}) == MADE.size  # the upper words are random


@pytest.mark.parametrize("n", COUNTS)
def test_words_of_bits_are_the_bit_times_a_key_whose_lowest_bit_is_one(n: int) -> None:
    found, dealing = dealt_to(n)
    key = 0
    for name in names(n):
        taken = dealing[name]
        assert isinstance(taken, MacTaken)
        key ^= int(taken.bit_key)
    assert key & 1 == 1
    assert key >> BIT_WORD == 0
    for place in (2, 3):
        total = np.bitwise_xor.reduce([found[name][place] for name in names(n)])  # type: ignore[type-var]
        planes = found[PROVIDER][place]
        assert isinstance(planes, np.ndarray)
        assert set(planes.tolist()) <= {0, 2**64 - 1}
        assert total.tolist() == [key if plane else 0 for plane in planes.tolist()]


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("place", [0, -1])
def test_all_others_together_see_a_value_under_the_honest_partys_mask_alone(n: int, place: int) -> None:
    """They get a uniform array. With the honest party's share of the mask the same sum is the value."""
    value = np.arange(600).reshape(20, 30)
    backends = in_memory(names(n), PROVIDER)

    def program(backend: DealerMacBackend) -> Value:
        x = backend.input("p0", words(value) if backend.me == "p0" else None, value.shape)
        (product,) = backend.multiply([(x, x)])
        backend.multiply([(product, product)])  # opens it
        return product

    found = run(backends, program)
    honest = names(n)[place]
    seen = found[names(n)[0]].any_mask().opened
    assert seen is not None
    for name in names(n):
        share = found[name].any_mask().dealt.share
        assert share is not None
        seen = seen + (0 if name == honest else share.value[0])
    assert p_value(seen.tobytes()) > 1e-7
    honest_share = found[honest].any_mask().dealt.share
    assert honest_share is not None
    assert (seen + honest_share.value[0] == words(value) ** 2).all()


@pytest.mark.parametrize("n", [2, 3])
def test_no_mask_serves_two_values_in_a_whole_program(n: int) -> None:
    """All that is opened is different, although the same value comes again and again in new sharings."""
    backends = in_memory(names(n), PROVIDER, kept=True)
    value = words(np.arange(24).reshape(4, 6))

    def program(backend: DealerMacBackend) -> None:
        for _ in range(3):
            x = backend.input("p0", value if backend.me == "p0" else None, value.shape)
            (y,) = backend.multiply([(x, x)])
            same = backend.subtract(backend.add(y, x), x)
            backend.multiply([(y, x), (same, same)])
            backend.truncate([y, same], 4, 10**4, "floor")
            backend.linear(lambda a: a.sum(axis=0), (6,), same)
            backend.relu([same], 10**4)
            backend.open([same, y], ["p0", "p1"])

    run(backends, program)
    opened = [body for _, label, body in transcript(backends["p0"], "p1")  # type: ignore[arg-type]
              if label.startswith("open/") and "bits" not in label]  # fmt: skip
    seen = np.concatenate([np.frombuffer(body, dtype=np.uint64) for body in opened])
    assert seen.size > 1000
    assert np.unique(seen).size == seen.size
