"""Making a key: honest sessions, silence, two stories, and what strangers send."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mpc.commons.committee import CommitteeKey, check_for
from mpc.commons.encoding import decode, encode
from mpc.commons.founding import Founding, TrusteeRecord
from mpc.commons.group import GENERATOR, encodings
from mpc.commons.key_messages import (
    Announce,
    Answers,
    Close,
    Complaints,
    Deal,
    Handover,
    Objections,
    Phase,
    Recovery,
    Reveal,
)  # fmt: skip
from mpc.commons.key_session import KeySession, run_in_memory
from mpc.commons.sharing import Polynomial
from mpc.errors import OrderError, ParameterError, ProtocolError
from tests.mpc.commons.keys import SIZES, Meeting, changed, check_key, dealt, made_key, opened, silence, trustees


@pytest.mark.parametrize(("n", "t"), SIZES)
def test_honest_trustees_make_one_key(n: int, t: int) -> None:
    meeting = Meeting(n, t).run()
    assert check_key(meeting, list(range(n))) == dealt(meeting, list(range(n)))
    assert all(session.faults == {} and session.evidence == [] for session in meeting.sessions)
    assert decode(CommitteeKey, encode(meeting.sessions[0].key)) == meeting.sessions[0].key


def test_the_same_randomness_makes_the_same_key_and_no_other_does() -> None:
    one, again, other = (Meeting(4, 1, seed=seed).run().sessions[0].key for seed in (b"a", b"a", b"b"))
    assert one == again
    assert one.key != other.key


# -- silence, two stories, strangers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Announce, Deal, Complaints, Reveal, Objections, Recovery, Close])
def test_t_trustees_that_fall_silent_anywhere_stop_nothing(kind: type) -> None:
    kinds = [Announce, Deal, Complaints, Answers, Reveal, Objections, Recovery, Close]
    lies = {(place, later): silence for place in (1, 4) for later in kinds[kinds.index(kind) :]}
    meeting = Meeting(7, 2, lies=lies).run()
    honest = [0, 2, 3, 5, 6]
    if kind is Announce:  # they were handed nothing
        for place in (1, 4):
            with pytest.raises(OrderError, match="without shares of dealers"):
                _ = meeting.sessions[place].share
        meeting.sessions = [meeting.sessions[place] for place in honest]
    check_key(meeting, honest if kind in (Announce, Deal) else list(range(7)))


def test_more_than_t_trustees_without_a_key_end_the_session_with_a_sentence() -> None:
    meeting = Meeting(4, 1, lies={(1, Announce): silence, (2, Announce): changed(point=bytes(32))}).run()
    for session in meeting.sessions:
        assert session.failure == "expected keys of 3 trustees at least, found 2"
        assert session.faults.keys() == {1, 2}


def test_who_was_handed_nothing_complains_about_nobody() -> None:
    lies: dict[Any, Any] = {(3, Announce): silence, (3, Complaints): changed(dealers=(0, 1))}
    meeting = Meeting(4, 1, lies=lies).run()
    meeting.sessions = meeting.sessions[:3]
    check_key(meeting, [0, 1, 2, 3])  # it may still deal
    assert all(session._accused == {} for session in meeting.sessions)


def test_more_than_t_silent_dealers_end_the_session_with_a_sentence() -> None:
    meeting = Meeting(4, 1, lies={(1, Deal): silence, (2, Deal): silence}).run()
    for session in meeting.sessions:
        assert session.failure == "expected deals of 3 trustees at least, found 2"
        assert session.faults.keys() == {1, 2}
        with pytest.raises(OrderError, match="expected a key session that is done, found one in phase FAILED"):
            _ = session.key


def test_two_stories_are_kept_as_evidence_and_the_first_counts() -> None:
    other = encodings(Polynomial.fresh(1).commitments())
    meeting = Meeting(4, 1, lies={(2, Deal): lambda deal: [deal, replace(deal, commitments=other)]}).run()
    check_key(meeting, [0, 1, 2, 3])
    for session in meeting.sessions:
        ((first, second),) = session.evidence
        assert first != second
        assert session.faults == {2: "DEAL: expected one deal, found two that differ"}


def test_a_message_again_and_one_out_of_turn_have_no_effect() -> None:
    meeting = Meeting(4, 1).run()
    other = Meeting(4, 1)
    first = [session.start()[0] for session in other.sessions]
    session = other.sessions[0]
    for data in (first[1], first[1], other.say(2, Complaints(())), other.say(2, Reveal(()))):
        assert session.receive(data) == []
    assert session.phase is Phase.ANNOUNCE
    assert session.faults == {}
    assert meeting.sessions[0].receive(meeting.published[-1]) == []


def test_messages_of_strangers_and_of_other_sessions_are_refused() -> None:
    meeting = Meeting(4, 1)
    session = meeting.sessions[0]
    (first,) = session.start()
    setup, identities = trustees(4, 1, attempt=1)
    (stranger,) = KeySession(setup, 0, identities[0]).start()
    forged = bytearray(first)
    forged[-1] ^= 1
    claimed = bytearray(first)
    claimed[32] = 1  # the sender
    outside = bytearray(first)
    outside[32] = 9
    for data, text in (
        (stranger, "found one of"),
        (bytes(forged), "expected the signature of trustee 0"),
        (bytes(claimed), "expected the signature of trustee 1"),
        (bytes(outside), "expected a sender from 0 to 3, found 9"),
        (first + b"\0", "found 1 more bytes"),
        (first[:-1], "expected 64 bytes of signature"),
    ):
        with pytest.raises(ProtocolError, match=text):
            session.receive(data)
    assert session.faults == {}


def test_every_bit_of_a_message_is_covered_by_its_signature() -> None:
    meeting = Meeting(4, 1)
    (first,) = meeting.sessions[1].start()
    session = meeting.sessions[0]
    for bit in range(0, 8 * len(first), 7):
        wrong = bytearray(first)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProtocolError, match="expected"):
            session.receive(bytes(wrong))


def test_a_handover_opens_for_its_receiver_in_its_session_alone() -> None:
    meeting = Meeting(4, 1).run()
    deal = next(m.contents() for m in map(opened, meeting.published) if (m.sender, m.kind) == (0, 2))
    assert isinstance(deal, Deal)
    sealed = deal.handovers[1].sealed
    assert meeting.sessions[1]._opened_handover(0, sealed) is not None
    assert meeting.sessions[1]._opened_handover(2, sealed) is None  # as if dealer 2 had copied it
    assert meeting.sessions[2]._opened_handover(0, sealed) is None
    again = Meeting(4, 1)
    again.sessions[1]._secret = meeting.sessions[1]._secret
    again.sessions[1].setup = trustees(4, 1, attempt=1)[0]
    assert again.sessions[1]._opened_handover(0, sealed) is None


def test_a_trustee_signs_as_itself_and_starts_once() -> None:
    setup, identities = trustees(4, 1)
    with pytest.raises(ParameterError, match="expected the identity of trustee 1"):
        KeySession(setup, 1, identities[0]).start()
    session = KeySession(setup, 0, identities[0])
    session.start()
    with pytest.raises(OrderError, match="one start"):
        session.start()
    with pytest.raises(OrderError, match="expected a key session that is done"):
        _ = session.share


def test_sessions_that_hold_secrets_print_none() -> None:
    setup, identities = trustees(4, 1)
    session = KeySession(setup, 2, identities[2])
    session.start()
    assert repr(session) == "KeySession(trustee 2, ANNOUNCE)"
    assert repr(Handover(bytes(32), bytes(32))) == "Handover(<hidden>)"
    _, shares = made_key(4, 1)
    assert "hidden" in repr(shares[0])


@pytest.mark.parametrize(("n", "t"), [(2, 1), (4, 2)])
def test_too_few_trustees_are_refused(n: int, t: int) -> None:
    setup, _ = trustees(n, t)
    with pytest.raises(ParameterError, match=f"expected at least {2 * t + 1} trustees where {t} may be faulty"):
        _ = setup.session


def test_a_key_whose_parts_do_not_fit_is_refused() -> None:
    key, _ = made_key(4, 1)
    for wrong in (
        replace(key, key=GENERATOR.encode()),
        replace(key, parts=(*key.parts[:3], GENERATOR.encode())),
        replace(key, parts=(*key.parts[:3], bytes(32))),
        replace(key, parts=key.parts[:1]),
        replace(key, dealers=(0,)),
        replace(key, dealers=(0, 9)),
        replace(key, faulty=0),
    ):
        with pytest.raises(ParameterError, match="expected"):
            encode(wrong)


def test_a_key_is_registered_by_a_log_of_as_many_trustees_alone() -> None:
    key, _ = made_key(4, 1)

    def founding(n: int, t: int) -> Founding:
        named = [TrusteeRecord(f"trustee-{i}", bytes([2 * i + 1]) * 32, bytes([2 * i + 2]) * 32) for i in range(n)]
        return Founding("example.org/clinics", b"\xff" * 32, t, tuple(named), ())

    assert check_for(founding(4, 1), encode(key)) == key
    for n, t in ((5, 1), (4, 0), (7, 2)):
        with pytest.raises(ProtocolError, match=f"expected a key of {n} trustees of whom {t} may be faulty"):
            check_for(founding(n, t), encode(key))
    with pytest.raises(ProtocolError, match="expected the parts of a key that 2 trustees share"):
        check_for(founding(4, 1), encode(key).replace(key.key, GENERATOR.encode()))


def test_sessions_in_memory_end() -> None:
    setup, identities = trustees(4, 1)
    sessions = [KeySession(setup, place, one) for place, one in enumerate(identities)]
    run_in_memory(sessions)
    assert {session.phase for session in sessions} == {Phase.DONE}
