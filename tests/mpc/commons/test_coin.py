"""The coin: the same from any t + 1 trustees, another for every label, and false parts are named."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from mpc.commons.coin import COIN_BYTES, CoinLabel, Toss
from mpc.commons.group import GENERATOR
from mpc.errors import CheatingError, ProtocolError
from tests.mpc.commons.keys import made_key

LABEL = CoinLabel("a-log/0123", "task-1", b"g" * 32, b"r" * 32)


@pytest.mark.parametrize(("n", "t"), [(4, 1), (7, 2)])
def test_any_t_plus_one_parts_give_one_coin(n: int, t: int) -> None:
    committee, shares = made_key(n, t)
    toss = Toss(committee, LABEL)
    parts = [toss.share(share) for share in shares]
    (value,) = {toss.value(some) for some in list(combinations(parts, t + 1))[::3]}
    assert len(value) == COIN_BYTES


def test_every_part_of_the_label_makes_another_coin() -> None:
    committee, shares = made_key(4, 1)
    labels = [
        LABEL,
        replace(LABEL, origin="a-log/4567"),
        replace(LABEL, task="task-2"),
        replace(LABEL, about=b"h" * 32),
        replace(LABEL, root=b"s" * 32),
    ]
    tosses = [Toss(committee, label) for label in labels]
    assert len({toss.value(tuple(toss.share(share) for share in shares[:2])) for toss in tosses}) == len(labels)


def test_the_log_takes_exactly_t_plus_one_parts_in_order() -> None:
    committee, shares = made_key(4, 1)
    toss = Toss(committee, LABEL)
    one, two, three, _ = (toss.share(share) for share in shares)
    for wrong in ((), (three,), (three, three), (two, one), (one, two, three)):
        with pytest.raises(ProtocolError, match="expected parts of 2 trustees in order, found some of"):
            toss.value(wrong)


def test_a_false_part_is_named_and_others_are_chosen() -> None:
    committee, shares = made_key(4, 1)
    toss, other = Toss(committee, LABEL), Toss(committee, replace(LABEL, root=b"s" * 32))
    parts = [toss.share(share) for share in shares]
    for wrong in (
        replace(parts[1], point=GENERATOR.encode()),
        replace(parts[1], point=bytes(32)),
        replace(parts[1], point=parts[0].point, proof=parts[0].proof),
        replace(parts[1], proof=bytes(64)),
        other.share(shares[1]),
    ):
        with pytest.raises(CheatingError, match="by trustee 1"):
            toss.value((parts[0], wrong))
        assert toss.choose({0: parts[0], 1: wrong, 2: parts[2], 3: parts[3]}) == ((parts[0], parts[2]), (1,))
        with pytest.raises(ProtocolError, match="expected parts of a coin by 2 trustees, found 1"):
            toss.choose({0: parts[0], 1: wrong})
    assert toss.choose({0: parts[1], 2: parts[2], 3: parts[3]})[1] == (0,)  # in another's name
    with pytest.raises(CheatingError, match="by trustee 9: expected a trustee from 0 to 3"):
        toss.check(replace(parts[0], trustee=9))
