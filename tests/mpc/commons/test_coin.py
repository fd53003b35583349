"""The coin: the same from any t + 1 trustees, another for every label, and false parts are named."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from mpc.commons.coin import COIN_BYTES, CoinLabel, check_coin_share, coin, coin_share
from mpc.commons.group import GENERATOR
from mpc.errors import CheatingError, ProtocolError
from tests.mpc.commons.keys import made_key

LABEL = CoinLabel("a-log/0123", "task-1", b"g" * 32, b"r" * 32)


@pytest.mark.parametrize(("n", "t"), [(4, 1), (7, 2)])
def test_any_t_plus_one_parts_give_one_coin(n: int, t: int) -> None:
    committee, shares = made_key(n, t)
    parts = [coin_share(share, LABEL) for share in shares]
    found = {coin(committee, LABEL, some) for some in list(combinations(parts, t + 1))[::3]} | {
        coin(committee, LABEL, parts[::-1])
    }
    (value,) = found
    assert len(value) == COIN_BYTES


def test_every_part_of_the_label_makes_another_coin() -> None:
    committee, shares = made_key(4, 1)
    labels = [
        LABEL,
        replace(LABEL, origin="a-log/4567"),
        replace(LABEL, task="task-2"),
        replace(LABEL, grant=b"h" * 32),
        replace(LABEL, root=b"s" * 32),
    ]
    coins = {coin(committee, label, [coin_share(share, label) for share in shares[:2]]) for label in labels}
    assert len(coins) == len(labels)


def test_t_parts_are_not_enough_and_one_trustee_counts_once() -> None:
    committee, shares = made_key(4, 1)
    part = coin_share(shares[2], LABEL)
    with pytest.raises(ProtocolError, match="expected parts of a coin by 2 trustees, found 1"):
        coin(committee, LABEL, [part, part])


def test_a_false_part_is_named() -> None:
    committee, shares = made_key(4, 1)
    good, other = coin_share(shares[0], LABEL), coin_share(shares[1], LABEL)
    for wrong in (
        replace(other, point=GENERATOR.encode()),
        replace(other, point=bytes(32)),
        replace(other, point=good.point, proof=good.proof),
        replace(other, proof=bytes(64)),
        coin_share(shares[1], replace(LABEL, root=b"s" * 32)),
    ):
        with pytest.raises(CheatingError, match="by trustee 1"):
            coin(committee, LABEL, [good, wrong])
    with pytest.raises(CheatingError, match="by trustee 9: expected a trustee from 0 to 3"):
        check_coin_share(committee, LABEL, replace(good, trustee=9))
