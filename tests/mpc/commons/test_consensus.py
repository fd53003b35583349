"""How trustees agree: faulty sequencers, faulty trustees, and crashes at the worst moments."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from mpc.commons.access import decide
from mpc.commons.certificates import check_certificate
from mpc.commons.consensus import MOST_EVIDENCE, MOST_REFUSED, BehindError, Sequencer, Trustee
from mpc.commons.encoding import decode, encode
from mpc.commons.entries import NONE, Entry, Grant, Kind, Register, Revoke, Role
from mpc.commons.identities import Identity
from mpc.commons.merkle import Tree, leaf_hash
from mpc.commons.notes import Checkpoint, Note, sign_as_log
from mpc.commons.replica import Accepted, Certified, Evidence, Handed
from mpc.errors import OrderError, ParameterError, ProtocolError
from tests.mpc.commons.setting import Log, MemoryStore


def proposal_of(log: Log, first: int, entries: list[bytes], before: list[bytes] | None = None) -> bytes:
    """What a faulty sequencer can sign: these entries behind others, with their right root."""
    tree = Tree()
    for entry in [*(log.copy.entries[:first] if before is None else before), *entries]:
        tree.append(leaf_hash(entry))
    text = Checkpoint(log.origin, len(tree), tree.root()).text
    note = bytes(Note(text, (sign_as_log(log.keys[0].log, log.origin, text),)))
    return encode(Accepted(first, tuple(entries), note))


def newcomer(log: Log, number: int) -> bytes:
    """An entry that is always valid."""
    return log.sign(Identity(bytes([number]) * 32), Register(f"newcomer-{number}", Role.CONSUMER, b""))


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


def test_strangers_and_wrong_places_are_refused() -> None:
    log = Log()
    with pytest.raises(ParameterError, match="keys of one of the log's trustees"):
        Trustee(log.founding, Log(7, 2).keys[5], MemoryStore())
    with pytest.raises(ParameterError, match="the first trustee with the log's key"):
        Sequencer(log.trustees[1], log.founding, log.keys[1])
    assert log.sequencer.propose() is None
