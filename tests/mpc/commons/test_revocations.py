"""What trustees release under a certificate, and which revocations they keep that were handed to them."""

from __future__ import annotations

import dataclasses

import pytest

from mpc.commons.encoding import decode, encode
from mpc.commons.entries import NONE, Entry, Revoke
from mpc.commons.replica import Handed
from mpc.errors import ProtocolError
from tests.mpc.commons.setting import Log, newcomer


def test_nothing_is_released_without_a_certificate() -> None:
    log = Log()
    log.ready()
    log.submit(log.consumer, log.request())
    votes = [log.trustees[place].vote(log.sequencer.propose()) for place in (1, 2)]
    (grant,) = log.trustees[1].copy.state.grants
    with pytest.raises(ProtocolError, match="expected a grant under a certified checkpoint"):
        log.trustees[1].check_release(grant)
    certificate = log.sequencer.collect(votes)
    log.trustees[1].certify(certificate)
    assert len(log.trustees[1].check_release(grant).reports) == 3
    with pytest.raises(ProtocolError, match="expected a grant under a certified checkpoint"):
        log.trustees[1].check_release(NONE)


@pytest.mark.parametrize("target", ["policy", "report"])
def test_a_sequencer_that_leaves_a_revocation_out_gets_nothing_released(target: str) -> None:
    log = Log()
    policy = log.ready()
    leaf = policy if target == "policy" else log.copy.tree.leaf(log.copy.state.of_task["heights"][1])
    revocation = log.sign(log.owner if target == "policy" else log.other_provider, Revoke(leaf))
    for trustee in log.trustees[1:]:
        trustee.hand_in(revocation)
    log.submit(log.consumer, log.request())
    log.step()
    (grant,) = log.trustees[1].copy.state.grants
    for place in (1, 2, 3):
        for trustee in (log.trustees[place], log.start(place)):
            with pytest.raises(ProtocolError, match="found one revoked for report"):
                trustee.check_release(grant)
    log.trustees[0].check_release(grant)  # the faulty one, which is fewer than t + 1


@pytest.mark.parametrize("author", ["provider", "owner", "consumer"])
def test_a_trustee_that_lags_keeps_a_revocation_of_a_report_that_it_has_not_seen(author: str) -> None:
    log = Log()
    log.register_all()
    policy = log.policy()
    log.step()
    for number in range(2):
        log.report(policy, number)
    log.step(voters=[1, 2])
    revocation = log.sign(getattr(log, author), Revoke(log.copy.tree.leaf(log.copy.state.of_task["heights"][0])))
    late = log.trustees[3]
    for _ in range(2):
        late.hand_in(revocation)
    assert [type(one) for one in log.stores[3].records].count(Handed) == 1
    log.submit(log.consumer, log.request())
    proposal = log.sequencer.propose()
    votes = [log.trustees[place].vote(proposal) for place in (1, 2)]
    late.vote(log.sequencer.proposal_from(late.copy.size))
    certificate = log.sequencer.collect(votes)
    late.certify(certificate)
    (grant,) = log.copy.state.grants
    for trustee in (late, log.start(3)):
        if author == "consumer":  # who has nothing to revoke
            assert trustee.check_release(grant)
        else:
            with pytest.raises(ProtocolError, match="found one revoked for report"):
                trustee.check_release(grant)


def test_early_revocations_are_signed_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    log.ready()
    right = log.sign(log.provider, Revoke(b"a" * 32))
    with pytest.raises(ProtocolError, match=r"expected a revocation that .* has signed, found another"):
        log.trustees[1].hand_in(encode(dataclasses.replace(decode(Entry, right), signature=bytes(64))))
    monkeypatch.setattr("mpc.commons.replica.MOST_EARLY", 1)
    log.trustees[1].hand_in(right)
    with pytest.raises(ProtocolError, match="at most 1 revocations of what is not here yet, found one more"):
        log.trustees[1].hand_in(log.sign(log.provider, Revoke(b"b" * 32)))


def test_a_revocation_behind_a_grant_bars_nothing() -> None:
    log = Log()
    policy = log.ready()
    log.submit(log.consumer, log.request())
    log.step()
    (grant,) = log.copy.state.grants
    log.trustees[1].hand_in(log.sign(log.owner, Revoke(policy)))
    assert log.trustees[1].check_release(grant)


def test_only_revocations_by_those_who_may_are_taken_from_hand() -> None:
    log = Log()
    policy = log.ready()
    with pytest.raises(ProtocolError, match="by the owner"):
        log.trustees[1].hand_in(log.sign(log.provider, Revoke(policy)))
    with pytest.raises(ProtocolError, match="expected a revocation, found an entry of kind register"):
        log.trustees[1].hand_in(newcomer(log, 201))
    assert log.trustees[1].copy.handed == {}
