"""What follows a grant in a log: who may say it, when a verdict stands, and which coin a report has."""

from __future__ import annotations

import dataclasses

import pytest

from mpc.commons.entries import NONE, Kind
from mpc.commons.proceedings import coins_of, toss_of
from mpc.commons.steps import Close, Coin, Complaint, Delivered, HandOn, Step, Verdict
from mpc.errors import ProtocolError
from tests.mpc.commons.setting import Log, asked, grant_of, refused


def test_what_follows_a_grant_is_by_the_right_party_and_once() -> None:
    log = Log()
    log.ready(2)
    asked(log)
    grant, trustee = grant_of(log), log.keys[2].identity
    report = log.copy.state.of_task["heights"][0]
    toss = toss_of(log.copy.state, grant)
    shares = tuple(toss.share(log.shares[place]) for place in (1, 3))
    bad_coins = [
        Coin(grant, found)
        for found in (
            (),
            shares[:1],
            shares[::-1],
            (shares[0], shares[0]),
            (shares[0], dataclasses.replace(shares[1], point=shares[0].point)),
            (shares[0], dataclasses.replace(shares[1], trustee=2)),
            (*shares, dataclasses.replace(shares[1], trustee=9)),
        )
    ]
    right = [
        (trustee, Coin(grant, shares)),
        (log.consumer, HandOn(grant, NONE)),
        (log.aggregators[0], Complaint(grant, report, NONE, bytes(64))),
        (trustee, Close(grant, Step.WORDS)),
        (log.keys[1].identity, Close(grant, Step.WORDS)),
        (trustee, Verdict(grant, (report,), (0,), NONE)),
        (log.consumer, Delivered(grant, NONE)),
    ]
    for _, contents in right:
        log.submit(log.provider, contents)
        assert "found" in refused(log)
    for wrong in (Verdict(grant, (3,), (), NONE), Verdict(grant, (), (4,), NONE), Coin(NONE, shares), *bad_coins):
        log.submit(trustee, wrong)
        assert "expected" in refused(log)
    assert len(log.sequencer.refused) == len(right) + 3 + len(bad_coins)
    for identity, contents in right:
        log.submit(identity, contents)
    log.step()
    assert log.kinds()[-7:] == [
        Kind.COIN, Kind.HAND_ON, Kind.COMPLAINT, Kind.CLOSE, Kind.CLOSE, Kind.VERDICT, Kind.DELIVERED
    ]  # fmt: skip
    log.submit(trustee, Coin(grant, tuple(toss.share(log.shares[place]) for place in (0, 2))))
    assert "expected one such entry for each grant" in refused(log)
    assert log.copy.state.verdicts == {}
    log.submit(trustee, Verdict(grant, (), (), NONE))
    assert "expected one verdict of trustee 2 for each grant, found a second one" in refused(log)


def test_a_verdict_stands_once_more_than_t_trustees_have_said_the_same() -> None:
    log = Log()
    log.ready(2)
    asked(log)
    grant, reports = grant_of(log), tuple(log.copy.state.of_task["heights"])
    log.close_words(grant)
    false, right = Verdict(grant, reports, (0,), NONE), Verdict(grant, (), (), b"w" * 32)
    log.submit(log.keys[3].identity, false)
    log.submit(log.keys[1].identity, right)
    log.step()
    assert log.copy.state.verdicts == {}
    log.submit(log.keys[2].identity, right)
    log.step()
    assert log.copy.state.verdicts[grant].verdict == right
    assert log.copy.state.verdicts[grant].index == log.copy.size - 1
    log.submit(log.keys[0].identity, false)
    assert "expected one verdict for each grant, found the one that stands since entry" in refused(log)


def test_a_report_has_the_coin_of_its_first_grant_for_ever() -> None:
    log = Log()
    log.ready(3)  # uses: 2
    one, two, three = log.copy.state.of_task["heights"]
    asked(log, ranges=[(one, two + 1)])
    first = grant_of(log)
    asked(log, ranges=[(two, three + 1)])
    second = grant_of(log)

    def toss(grant: bytes) -> bytes:
        shares = tuple(toss_of(log.copy.state, grant).share(log.shares[place]) for place in (1, 3))
        log.submit(log.keys[2].identity, Coin(grant, shares))
        log.step()
        return toss_of(log.copy.state, grant).value(shares)

    later = toss(second)
    with pytest.raises(ProtocolError, match=f"the coin of the grant of entry 14 for report {two}, found none yet"):
        coins_of(log.copy.state, second)
    early = toss(first)
    assert early != later
    assert coins_of(log.copy.state, first) == (early, early)
    assert coins_of(log.copy.state, second) == (early, later)  # report `two` is in both
    with pytest.raises(ProtocolError, match="expected the hash of a grant"):
        coins_of(log.copy.state, NONE)
