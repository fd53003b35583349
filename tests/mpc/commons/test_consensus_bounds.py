"""How much a sequencer and trustees take from others: proposals, entries that wait, and records on a disk."""

from __future__ import annotations

import dataclasses

import pytest

from mpc.commons.consensus import MOST_EVIDENCE, MOST_REFUSED
from mpc.commons.encoding import decode, encode
from mpc.commons.entries import NONE, Entry, Kind, Revoke
from mpc.commons.merkle import leaf_hash
from mpc.commons.replica import Accepted, Evidence, Handed
from mpc.errors import ProtocolError
from tests.mpc.commons.setting import Log, newcomer, proposal_of


def test_a_trustees_disk_takes_only_so_much_of_others_words() -> None:
    """Of a sequencer that signs one story after another, and of an owner that hands in a revocation again and again."""
    log = Log()
    policy = log.ready()
    size = log.copy.size
    log.trustees[1].vote(proposal_of(log, size, [newcomer(log, 200)]))
    for number in range(201, 225):
        note = decode(Accepted, proposal_of(log, size, [newcomer(log, number)])).note
        assert log.trustees[1].see(note) is not None
    assert len([record for record in log.stores[1].records if isinstance(record, Evidence)]) == MOST_EVIDENCE
    for _ in range(3):
        log.trustees[1].hand_in(log.sign(log.owner, Revoke(policy)))
    assert len([record for record in log.stores[1].records if isinstance(record, Handed)]) == 1


def test_a_proposal_is_bounded_in_bytes_and_the_rest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    entries = [newcomer(log, number) for number in range(201, 206)]
    monkeypatch.setattr("mpc.commons.consensus.MOST_PROPOSAL_BYTES", 2 * len(entries[0]) + 1)
    for entry in entries:
        log.sequencer.submit(entry)
    for size in (2, 4, 5):
        assert log.step()
        assert log.copy.size == size
    assert log.copy.entries == entries


def test_a_stranger_cannot_take_an_entrys_place_by_the_same_statement_with_another_signature() -> None:
    log = Log()
    policy = log.ready()
    right = log.sign(log.owner, Revoke(policy))
    unsigned = encode(dataclasses.replace(decode(Entry, right), signature=bytes(64)))
    with pytest.raises(ProtocolError, match=f"expected an entry that {log.owner.key.hex()[:16]} has signed"):
        log.sequencer.submit(unsigned)
    log.sequencer.submit(right)
    log.step()
    assert log.kinds()[-1] == Kind.REVOKE
    assert policy in log.copy.state.revoked


def test_what_waits_and_what_was_refused_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    entries = [newcomer(log, number) for number in range(201, 204)]
    monkeypatch.setattr("mpc.commons.consensus.MOST_PENDING_BYTES", 2 * len(entries[0]))
    for entry in (*entries[:2], entries[1]):
        log.sequencer.submit(entry)
    with pytest.raises(ProtocolError, match="bytes that wait, found"):
        log.sequencer.submit(entries[2])
    log.step()
    log.sequencer.submit(entries[2])  # there is room again
    log.step()
    assert log.copy.entries == entries
    log.submit(log.owner, Revoke(NONE))
    log.sequencer.propose()
    ((leaf, _),) = log.sequencer.refused
    assert leaf == leaf_hash(log.sign(log.owner, Revoke(NONE)))
    assert log.sequencer.refused.maxlen == MOST_REFUSED


def test_a_proposal_that_is_too_large_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    log.register_all()
    proposal = log.sequencer.propose()
    assert proposal is not None
    monkeypatch.setattr("mpc.commons.consensus.MOST_MESSAGE_BYTES", len(proposal) - 1)
    with pytest.raises(ProtocolError, match=f"at most {len(proposal) - 1} bytes, found {len(proposal)}"):
        log.trustees[1].vote(proposal)


def test_a_trustee_that_is_behind_gets_what_it_lacks_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    entries = [newcomer(log, number) for number in range(201, 207)]
    for entry in entries:
        log.sequencer.submit(entry)
        log.step(voters=[1, 2])
    monkeypatch.setattr("mpc.commons.consensus.MOST_PROPOSAL_BYTES", 2 * len(entries[0]) + 1)
    for size in (2, 4, 6):
        log.trustees[3].vote(log.sequencer.proposal_from(log.trustees[3].copy.size))
        assert log.trustees[3].copy.size == size
