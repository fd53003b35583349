"""What one of two parties learns, or gets wrong, once a defence is gone."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest

from mpc.ring import Words
from mpc.tensors.backends import TwoPartyBackend
from mpc.tensors.backends.interface import Shared
from mpc.tensors.backends.two_party import comparison, packed, truncation
from mpc.tensors.backends.two_party.encrypted import DEGREE, Keys
from mpc.tensors.backends.two_party.matrices import Matrices
from tests.mpc.tensors.backends.session import TWO_PARTY, names, together
from tests.mpc.tensors.backends.two_party.arrays import RNG, anywhere


def other_partys_words(monkeypatch: pytest.MonkeyPatch, x: Words, y: Words) -> list[Any]:
    """Where the first party, who owns x, is right about the second one's y for a sum that is positive, or negative.

    It takes the places where its own share of x is odd. It opens S = x_0 y_1 + y_0 x_1, and knows x_0, x_1 = x - x_0
    and y_0. So y_1 = (S - y_0 x_1) / x_0.
    """
    opened: dict[str, Words] = {}
    shares: dict[str, list[Words]] = {}
    open_replies = packed.Packed._opened

    def watched(self: packed.Packed, *given: Any) -> Words:
        found = open_replies(self, *given)
        opened["first" if self._first else "second"] = found
        return found

    def program(backend: TwoPartyBackend, shared: list[Shared]) -> list[Shared]:
        shares[backend.me] = [backend._party.share_of(backend._check(value)) for value in shared]
        return list(backend.multiply([(shared[0], shared[1])]))

    monkeypatch.setattr(packed.Packed, "_opened", watched)
    together(TWO_PARTY, [x, y], program)
    assert opened.keys() == {"first"}
    own_x, own_y = shares["p0"]
    odd = (own_x & np.uint64(1)) == 1
    inverses = np.array([pow(int(word), -1, 2**64) for word in own_x[odd]], dtype=np.uint64)
    rest = opened["first"] - own_y * (x - own_x)
    modulus = np.uint64(prod(packed.RlweSlots(DEGREE, 4, 47).primes) % 2**64)  # which a negative S goes over
    return [own_y[odd] + (rest[odd] - over) * inverses == y[odd] for over in (np.uint64(0), modulus)]


def test_without_masks_a_reply_shows_the_other_partys_words(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = anywhere(2048), anywhere(2048)
    assert not np.logical_or(*other_partys_words(monkeypatch, x, y)).any()
    monkeypatch.setattr(Keys, "uniform", lambda self, count: np.zeros(count, dtype=np.uint64))
    assert np.logical_or(*other_partys_words(monkeypatch, x, y)).all()


def test_without_masks_a_product_of_matrices_shows_the_other_partys_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first party draws no masks of its own, and so it ends with x_0 y_1 where the other one draws none either."""
    uniform, crossed = Keys.uniform, Matrices.crossed
    opened: dict[str, Words] = {}
    shares: dict[str, list[Words]] = {}
    unmasked = {"p0"}

    def watched(self: Matrices, a: Words, b: Words) -> Words:
        opened[self._keys._network.me] = found = crossed(self, a, b)
        return found

    def chosen(self: Keys, count: int) -> Words:
        return np.zeros(count, dtype=np.uint64) if self._network.me in unmasked else uniform(self, count)

    def program(backend: TwoPartyBackend, shared: list[Shared]) -> list[Shared]:
        shares[backend.me] = [backend._party.share_of(backend._check(value)) for value in shared]
        return list(backend.matmul([(shared[0], shared[1])]))

    def right(x: Words, y: Words) -> np.ndarray:
        (found,) = together(TWO_PARTY, [x, y], program)
        assert (found == x @ y).all()
        own_x, own_y = shares["p0"]
        odd = int((own_x[:, 0] & np.uint64(1)).argmax())
        inverse = np.uint64(pow(int(own_x[odd, 0]), -1, 2**64))
        with np.errstate(over="ignore"):
            return np.asarray(own_y[0] + opened["p0"][odd] * inverse == y[0])

    monkeypatch.setattr(Matrices, "crossed", watched)
    monkeypatch.setattr(Keys, "uniform", chosen)
    x, y = anywhere(40, 1), anywhere(1, 40)
    assert not right(x, y).any()
    unmasked.add("p1")
    assert right(x, y).all()


def test_without_fresh_shares_a_constant_is_rounded_the_same_way_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares of a constant are the constant and zero, so that nothing about its rounding is random."""
    value = np.full(20_000, 3 << 12, dtype=np.uint64)  # 3/16 of a unit

    def ups() -> int:
        def program(backend: TwoPartyBackend, shared: list[Shared]) -> list[Shared]:
            return backend.truncate([backend.constant(value)], 16, 2**20, "stochastic")

        return int(together(TWO_PARTY, [], program)[0].sum())

    expected, deviation = 20_000 * 3 / 16, (20_000 * 3 / 16 * 13 / 16) ** 0.5
    assert abs(ups() - expected) < 5 * deviation
    monkeypatch.setattr(
        TwoPartyBackend, "_fresh", lambda self, handles: [self._party.share_of(handle).copy() for handle in handles]
    )
    assert abs(ups() - expected) > 5 * deviation


def test_shares_that_are_shifted_on_their_own_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    value = RNG.integers(-(2**61), 2**61, 1000)

    def wrong() -> int:
        (found,) = together(
            TWO_PARTY, [value.view(np.uint64)],
            lambda backend, shared: backend.truncate([shared[0]], 16, 2**61, "stochastic"),
        )  # fmt: skip
        return int((np.abs(found.view(np.int64) - (value >> 16)) > 1).sum())

    assert wrong() == 0
    nothing = np.uint64(0)
    monkeypatch.setattr(truncation, "product_of_known", lambda *given: given[4] * nothing)
    monkeypatch.setattr(truncation, "sends", lambda party, count: np.zeros(count, dtype=np.uint64))
    assert wrong() > 500


def test_an_output_that_is_not_split_shows_the_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """The evaluator's colours are the signs themselves where the garbler's permute bits are known."""
    value = RNG.integers(-99, 100, 3000)
    own: dict[str, Words] = {}
    carry = comparison.carry

    def watched(party: Any, carries: Any, shares: Words, bits: int) -> Words:
        found = carry(party, carries, shares, bits)
        own[party.network.me] = found ^ (shares >> np.uint64(bits) & np.uint64(1))
        return found

    monkeypatch.setattr(comparison, "carry", watched)
    together(TWO_PARTY, [value.view(np.uint64)], lambda backend, shared: backend.negative(shared, 99))
    signs = (value < 0).astype(np.uint64)
    for name in names(2):
        assert abs(int((own[name] == signs).sum()) - 1500) < 5 * 3000**0.5 / 2  # no better than a guess
    assert (own["p0"] ^ own["p1"] == signs).all()
