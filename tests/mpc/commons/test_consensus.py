"""How trustees agree: faulty sequencers, faulty trustees, and crashes at the worst moments."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from mpc.commons.access import decide
from mpc.commons.certificates import check_certificate
from mpc.commons.consensus import BehindError, Sequencer, Trustee
from mpc.commons.encoding import decode, encode
from mpc.commons.entries import Grant, Revoke
from mpc.commons.merkle import leaf_hash
from mpc.commons.notes import Checkpoint, Note, sign_as_log
from mpc.commons.replica import Accepted, Certified, Evidence
from mpc.errors import OrderError, ParameterError, ProtocolError
from tests.mpc.commons.setting import Log, MemoryStore, newcomer, proposal_of


def test_three_of_four_certify_and_two_do_not() -> None:
    log = Log()
    log.register_all()
    assert log.step(voters=[1]) is None
    certificate = log.step(voters=[1, 3])
    assert check_certificate(log.founding, Note.read(certificate)).size == log.copy.size == 9
    assert log.trustees[1].copy.certified_size == 9
    assert log.trustees[2].copy.size == 0


def test_a_silent_trustee_comes_back_and_catches_up() -> None:
    log = Log()
    log.register_all()
    log.step(voters=[1, 2])
    log.policy()
    log.step(voters=[1, 2])
    log.sequencer.submit(newcomer(log, 200))
    proposal = log.sequencer.propose()
    with pytest.raises(BehindError, match="expected entries from 0 on, found some from 10 on") as behind:
        log.trustees[3].vote(proposal)
    vote = log.trustees[3].vote(log.sequencer.proposal_from(behind.value.size))
    assert log.sequencer.collect([vote, log.trustees[1].vote(proposal)])
    assert log.trustees[3].copy.tree.root() == log.copy.tree.root()


def test_a_fork_gets_no_two_certificates_and_leaves_evidence() -> None:
    """The sequencer shows two groups of trustees different entries for the same size."""
    log = Log()
    log.ready()
    size = log.copy.size
    one, two = (proposal_of(log, size, [newcomer(log, number)]) for number in (201, 202))
    votes = [log.trustees[place].vote(proposal) for place, proposal in ((1, one), (2, one), (3, two))]
    for places in ([1, 2], [3]):
        assert len(places) + 1 <= log.founding.quorum  # with the sequencer's own vote on either side
    with pytest.raises(ProtocolError, match=r"one checkpoint of .* entries, found a second one"):
        log.trustees[1].vote(two)
    found = log.trustees[1].copy.evidence
    assert [type(one) for one in found] == [Evidence]
    assert found == [record for record in log.stores[1].records if isinstance(record, Evidence)]
    notes = [Note.read(found[0].note), Note.read(found[0].against)]
    assert len({note.text for note in notes}) == 2
    for note in notes:
        assert log.founding.log_verifier.has_signed(note.text, note.signatures[0])
    # Another trustee's answer shows it, too, and it is kept once.
    assert log.trustees[2].see(votes[2]) is not None
    assert log.trustees[2].see(votes[2]) is not None
    assert len(log.trustees[2].copy.evidence) == 1
    assert log.trustees[2].see(votes[0]) is None


def test_two_certificates_of_one_size_need_more_than_t_faulty() -> None:
    """Whoever the faulty trustee is, and however the honest ones are split, at most one side is certified."""
    for faulty, *honest in itertools.permutations(range(4)):
        if honest != sorted(honest):
            continue
        for split in range(4):
            sides = [{faulty, *honest[:split]}, {faulty, *honest[split:]}]
            assert sum(len(side) >= Log().founding.quorum for side in sides) <= 1


def test_what_was_signed_cannot_be_rewritten() -> None:
    log = Log()
    log.ready()
    entries = list(log.copy.entries)
    entries[2] = newcomer(log, 201)
    with pytest.raises(ProtocolError, match="entries that were signed before, found others"):
        log.trustees[1].vote(proposal_of(log, 0, [*entries, newcomer(log, 202)], before=[]))
    with pytest.raises(ProtocolError, match="expected more than 13 entries, found 12"):
        log.trustees[1].vote(proposal_of(log, 0, log.copy.entries[:12], before=[]))
    shorter = proposal_of(log, 0, entries[:12], before=[])
    with pytest.raises(ProtocolError, match="one checkpoint of 12 entries, found a second one"):
        log.trustees[1].vote(shorter)
    assert log.trustees[1].copy.size == 13


def test_a_stale_proposal_gets_the_answer_that_it_got_before() -> None:
    log = Log()
    log.register_all()
    first = log.sequencer.propose()
    vote = log.trustees[1].vote(first)
    assert log.trustees[1].vote(first) == vote
    log.sequencer.collect([vote, log.trustees[2].vote(first)])
    log.policy()
    log.trustees[1].vote(log.sequencer.propose())
    assert log.trustees[1].vote(first) == vote
    assert len([record for record in log.stores[1].records if isinstance(record, Accepted)]) == 2


def test_an_invalid_entry_in_a_proposal_is_signed_by_nobody() -> None:
    log = Log()
    policy = log.ready(2)
    size = log.copy.size
    leaf_of = {}
    request = log.sign(log.consumer, log.request())
    log.copy.extend([request])
    right = decide(log.copy.state, size + 1, leaf_hash(request))
    log.copy.take_back()
    trustee = log.keys[0].identity
    wrong = {
        "a grant of another batch": [request, log.sign(trustee, dataclasses.replace(right, count=1))],
        "a grant behind a revocation": [request, log.sign(log.owner, Revoke(policy)), log.sign(trustee, right)],
        "a grant without a request": [log.sign(trustee, right)],
        "a grant by somebody else": [request, log.sign(log.consumer, right)],
        "an entry that nobody has signed": [request[:-1] + bytes([request[-1] ^ 1])],
        "no entry": [b"nothing"],
        "two answers": [request, log.sign(trustee, right), log.sign(log.keys[1].identity, right)],
    }
    for name, entries in wrong.items():
        for place in (1, 2, 3):
            with pytest.raises(ProtocolError):
                leaf_of[name] = log.trustees[place].vote(proposal_of(log, size, entries))
    assert leaf_of == {}
    assert log.trustees[1].copy.size == size
    assert isinstance(right, Grant)
    log.trustees[1].vote(proposal_of(log, size, [*wrong["a grant by somebody else"][:1], log.sign(trustee, right)]))


def test_a_proposal_without_the_logs_signature_or_with_a_wrong_root_is_not_signed() -> None:
    log = Log()
    log.ready()
    size = log.copy.size
    proposal = decode(Accepted, proposal_of(log, size, [newcomer(log, 201)]))
    text = Checkpoint(log.origin, size + 1, bytes(32)).text
    wrong_root = bytes(Note(text, (sign_as_log(log.keys[0].log, log.origin, text),)))
    by_other = bytes(Note(text, (sign_as_log(log.keys[1].log, log.origin, text),)))
    for note, words in ((wrong_root, "expected the root"), (by_other, "one valid signature a signer")):
        with pytest.raises(ProtocolError, match=words):
            log.trustees[1].vote(encode(dataclasses.replace(proposal, note=note)))
    with pytest.raises(ProtocolError, match="with 2 new entries"):
        log.trustees[1].vote(encode(dataclasses.replace(proposal, entries=(*proposal.entries, newcomer(log, 203)))))
    assert log.trustees[1].copy.size == log.trustees[1].copy.tree.__len__() == size
    assert log.trustees[1].vote(encode(proposal))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_trustee_whose_disk_fails_signs_nothing_more_until_it_starts_again(when: str) -> None:
    log = Log()
    log.ready()
    size = log.copy.size
    one, two = (proposal_of(log, size, [newcomer(log, number)]) for number in (201, 202))
    log.stores[1].failing = when
    with pytest.raises(OSError, match=r"disk is full|power is gone"):
        log.trustees[1].vote(one)
    with pytest.raises(OrderError, match="must be started again"):
        log.trustees[1].vote(one)
    log.stores[1].failing = ""
    again = log.start(1)
    if when == "before":  # nobody has seen an answer, and it is free
        again.vote(two)
    else:  # nobody has seen the answer, and it is bound to it all the same
        with pytest.raises(ProtocolError, match="found a second one"):
            again.vote(two)
        again.vote(one)


def test_the_vote_is_on_the_disk_before_anybody_sees_it() -> None:
    log = Log()
    log.register_all()
    vote = log.trustees[1].vote(log.sequencer.propose())
    last = log.stores[1].records[-1]
    assert isinstance(last, Accepted)
    assert last.note == vote


def test_a_sequencer_that_crashes_proposes_the_same_again() -> None:
    log = Log()
    log.register_all()
    log.stores[0].failing = "after"
    with pytest.raises(OSError, match="power is gone"):
        log.sequencer.propose()
    log.stores[0].failing = ""
    log.trustees[0] = log.start(0)
    log.sequencer = Sequencer(log.trustees[0], log.founding, log.keys[0])
    log.sequencer.submit(newcomer(log, 201))
    assert decode(Accepted, log.sequencer.propose()).entries == tuple(log.copy.entries)
    assert log.step()
    assert log.copy.size == 9
    assert log.step()
    assert log.copy.size == 10


def test_every_trustee_starts_again_as_it_was() -> None:
    log = Log()
    policy = log.ready()
    log.submit(log.consumer, log.request())
    log.step()
    log.trustees[2].hand_in(log.sign(log.owner, Revoke(policy)))
    for place, trustee in enumerate(log.trustees):
        again = log.start(place)
        assert again.copy.entries == trustee.copy.entries
        assert again.copy.certified == trustee.copy.certified
        assert again.copy.handed == trustee.copy.handed
        assert again.copy.state.grants == trustee.copy.state.grants


def test_what_is_wrong_on_a_disk_is_not_taken() -> None:
    log = Log()
    log.ready()
    log.policy(uses=7)
    log.step()
    records = log.stores[1].records
    assert [type(one) for one in records] == [Accepted, Certified, Accepted, Certified]
    for wrong in (records[1:], records[::2][::-1], [records[0], records[2], records[2]], [records[0], records[3]]):
        with pytest.raises(ProtocolError):
            Trustee(log.founding, log.keys[1], MemoryStore(wrong))


def test_a_faulty_trustees_answers_are_left_out() -> None:
    log = Log()
    log.register_all()
    proposal = log.sequencer.propose()
    right = log.trustees[1].vote(proposal)
    broken = right.replace(b"example.org", b"example.com")
    assert log.sequencer.collect([right, right, broken, b"nothing"]) is None
    other = Note(Checkpoint(log.origin, 9, bytes(32)).text, Note.read(right).signatures)
    assert log.sequencer.collect([right, bytes(other)]) is None
    assert log.sequencer.collect([right, log.trustees[3].vote(proposal)])


def test_a_certificate_of_other_entries_is_not_taken_and_is_evidence() -> None:
    """More than t are faulty here, which the log does not survive. It is noticed all the same."""
    log, other = Log(), Log()
    log.register_all()
    log.step()
    for number in range(9):
        other.sequencer.submit(newcomer(other, 200 + number))
    certificate = other.step()
    with pytest.raises(ProtocolError, match="certificate of this copy's 9 entries, found one of others"):
        log.trustees[1].certify(certificate)
    uncertified = [record for record in log.stores[2].records if not isinstance(record, Certified)]
    with pytest.raises(ProtocolError, match="certificate of this copy's 9 entries, found one of others"):
        Trustee(log.founding, log.keys[2], MemoryStore([*uncertified, Certified(certificate)]))
    assert len(log.trustees[1].copy.evidence) == 1
    assert log.start(1).copy.evidence == log.trustees[1].copy.evidence


def test_a_certificate_of_more_than_this_copy_has_waits() -> None:
    log = Log()
    log.register_all()
    certificate = log.step(voters=[1, 2])
    with pytest.raises(BehindError):
        log.trustees[3].certify(certificate)


def test_strangers_and_wrong_places_are_refused() -> None:
    log = Log()
    with pytest.raises(ParameterError, match="keys of one of the log's trustees"):
        Trustee(log.founding, Log(7, 2).keys[5], MemoryStore())
    with pytest.raises(ParameterError, match="the first trustee with the log's key"):
        Sequencer(log.trustees[1], log.founding, log.keys[1])
    assert log.sequencer.propose() is None
