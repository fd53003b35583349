"""Making a key: honest sessions, every fault that the protocol covers, and what t trustees see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mpc._core import CurveBase
from mpc.commons import group, sharing
from mpc.commons.committee import CommitteeKey, check_for
from mpc.commons.encoding import decode, encode
from mpc.commons.founding import Founding, TrusteeRecord
from mpc.commons.group import GENERATOR, ORDER, CurvePoints, SecretScalar, encodings, same, scalars
from mpc.commons.key_messages import (
    Announce,
    Answers,
    Close,
    Complaints,
    Deal,
    Handover,
    KeyMessage,
    Objections,
    Opening,
    Phase,
    Recovery,
    Reveal,
)  # fmt: skip
from mpc.commons.key_session import KeySession, run_in_memory
from mpc.commons.sharing import Polynomial, interpolate
from mpc.errors import OrderError, ParameterError, ProtocolError
from mpc.randomness import SeededRandomness
from tests.mpc.commons.keys import Meeting, changed, made_key, silence, trustees

SIZES = [(4, 1), (7, 2)]


def number(secret: SecretScalar) -> int:
    return int.from_bytes(secret.reveal(), "little")


def check_key(meeting: Meeting, dealers: list[int]) -> int:
    """Check that all have one key, of these dealers, which any t + 1 shares open. Return the secret key."""
    keys = [session.key for session in meeting.sessions]
    assert all(key == keys[0] for key in keys)
    assert list(keys[0].dealers) == dealers
    needed = keys[0].needed
    shares = [session.share for session in meeting.sessions]
    secrets = set()
    for first in range(len(shares) - needed + 1):
        used = shares[first : first + needed]
        factors = sharing.lagrange([one.trustee + 1 for one in used])
        secrets.add(sum(f * number(one.secret) for f, one in zip(factors, used, strict=True)) % ORDER)
    (secret,) = secrets
    assert GENERATOR.multiply(scalars((secret,))).encode() == keys[0].key
    return secret


def dealt(meeting: Meeting, dealers: list[int]) -> int:
    """The sum of what these dealers have shared."""
    return sum(number(meeting.sessions[dealer]._polynomial.at(0)) for dealer in dealers) % ORDER


@pytest.mark.parametrize(("n", "t"), SIZES)
def test_honest_trustees_make_one_key(n: int, t: int) -> None:
    meeting = Meeting(n, t).run()
    assert check_key(meeting, list(range(n))) == dealt(meeting, list(range(n)))
    assert all(session.faults == {} and session.evidence == [] for session in meeting.sessions)
    assert decode(CommitteeKey, encode(meeting.sessions[0].key)) == meeting.sessions[0].key


def test_nothing_that_is_published_in_an_honest_session_is_a_share() -> None:
    meeting = Meeting(4, 1).run()
    public = b"".join(meeting.published)
    for session in meeting.sessions:
        for share, blinding in session._shares.values():
            assert share.reveal() not in public
            assert blinding.reveal() not in public
        assert session.share.secret.reveal() not in public


def test_the_same_randomness_makes_the_same_key_and_no_other_does() -> None:
    one, again, other = (Meeting(4, 1, seed=seed).run().sessions[0].key for seed in (b"a", b"a", b"b"))
    assert one == again
    assert one.key != other.key


# -- dealers that are left out -------------------------------------------------------------------------------------


def other_share(handover: Handover) -> list[Handover]:
    value = int.from_bytes(handover.share, "little")
    return [replace(handover, share=scalars((value + 1,)))]


@pytest.mark.parametrize(("n", "t"), SIZES)
def test_a_false_share_is_noticed_answered_and_mended(n: int, t: int) -> None:
    """The dealer opens the right share when it is asked to, stays in, and the trustee that complained has it."""
    meeting = Meeting(n, t, handovers={(1, 3): other_share}).run()
    assert check_key(meeting, list(range(n))) == dealt(meeting, list(range(n)))
    assert meeting.sessions[0]._accused == {1: [3]}


@pytest.mark.parametrize(
    "alter",
    [silence, changed(share=b"\xff" * 32), lambda one: [replace(one, blinding=bytes(32))], lambda one: [one, one]],
    ids=["to another key", "no scalar", "false blinding", "too long"],
)
def test_a_handover_that_does_not_open_is_complained_about(alter: Any) -> None:
    meeting = Meeting(4, 1, handovers={(2, 0): alter}).run()
    check_key(meeting, [0, 1, 2, 3])
    assert all(session._accused == {2: [0]} for session in meeting.sessions)


def test_a_dealer_of_more_than_t_false_shares_is_out() -> None:
    meeting = Meeting(4, 1, handovers={(1, 0): other_share, (1, 3): other_share}).run()
    assert check_key(meeting, [0, 2, 3]) == dealt(meeting, [0, 2, 3])
    for session in meeting.sessions:
        assert session.faults == {1: "ANSWER: expected at most 1 complaints and answers to them, found others"}


@pytest.mark.parametrize(
    "answer",
    [
        silence,
        lambda answers: [Answers(())],
        lambda answers: [replace(answers, openings=(replace(answers.openings[0], share=scalars((5,))),))],
        lambda answers: [replace(answers, openings=(replace(answers.openings[0], share=b"\xff" * 32),))],
        lambda answers: [replace(answers, openings=(replace(answers.openings[0], place=0),))],
    ],
    ids=["silence", "no opening", "false opening", "no scalar", "for another"],
)
def test_a_dealer_that_does_not_answer_rightly_is_out(answer: Any) -> None:
    meeting = Meeting(4, 1, lies={(1, Answers): answer}, handovers={(1, 3): other_share}).run()
    assert check_key(meeting, [0, 2, 3]) == dealt(meeting, [0, 2, 3])
    assert all(list(session.faults) == [1] for session in meeting.sessions)


@pytest.mark.parametrize(
    "deal",
    [
        silence,
        changed(commitments=()),
        changed(commitments=(bytes(32), bytes(32))),
        lambda deal: [replace(deal, handovers=deal.handovers[1:])],
        lambda deal: [replace(deal, handovers=deal.handovers[::-1])],
    ],
    ids=["silence", "too few", "no elements", "a handover missing", "handovers in disorder"],
)
def test_a_dealer_without_a_whole_deal_is_out(deal: Any) -> None:
    meeting = Meeting(4, 1, lies={(0, Deal): deal}).run()
    assert check_key(meeting, [1, 2, 3]) == dealt(meeting, [1, 2, 3])
    assert all(list(session.faults) == [0] for session in meeting.sessions)


def test_a_degree_that_is_too_high_is_refused() -> None:
    """Such a dealer would make a key that t + 1 trustees cannot use."""
    meeting = Meeting(
        4, 1, lies={(0, Deal): lambda deal: [replace(deal, commitments=(*deal.commitments, GENERATOR.encode()))]}
    ).run()
    check_key(meeting, [1, 2, 3])
    assert meeting.sessions[1].faults == {0: "DEAL: expected 2 commitments, found 3"}


def test_false_complaints_throw_nobody_out_and_open_only_the_liars_own_share() -> None:
    meeting = Meeting(7, 2, lies={(5, Complaints): changed(dealers=(0, 1)), (6, Complaints): changed(dealers=(0,))})
    meeting.run()
    assert check_key(meeting, list(range(7))) == dealt(meeting, list(range(7)))
    opened = {place for answers in meeting.sessions[0]._answers.values() for place in answers}
    assert opened == {5, 6}


@pytest.mark.parametrize("dealers", [(3,), (9,)], ids=["about oneself", "about nobody"])
def test_senseless_complaints_are_the_senders_fault(dealers: tuple[int, ...]) -> None:
    meeting = Meeting(4, 1, lies={(3, Complaints): changed(dealers=dealers)}).run()
    check_key(meeting, [0, 1, 2, 3])
    assert all("complaints about other dealers" in session.faults[3] for session in meeting.sessions)


def test_a_dealer_of_too_many_complaints_is_out_whatever_it_answers() -> None:
    """Dealer 6 has cheated three of seven. It answers them rightly, while dealer 2 is still asked to answer."""
    wrong = {(6, receiver): other_share for receiver in (0, 3, 4)} | {(2, 0): other_share}
    meeting = Meeting(7, 2, handovers=wrong)

    def answer(complaints: Complaints) -> list[Any]:
        dealer = meeting.sessions[6]
        openings = [
            Opening(holder, dealer._polynomial.at(holder + 1).reveal(), dealer._blinding.at(holder + 1).reveal())
            for holder in (0, 3, 4)
        ]
        return [complaints, Answers(tuple(openings))]

    meeting.lies[(6, Complaints)] = answer
    meeting.run()
    assert check_key(meeting, [0, 1, 2, 3, 4, 5]) == dealt(meeting, [0, 1, 2, 3, 4, 5])
    assert all(session.faults.keys() == {6} for session in meeting.sessions)


def test_more_than_t_dealers_that_are_out_end_the_session_with_a_sentence() -> None:
    wrong = {(dealer, receiver): other_share for dealer in (1, 2) for receiver in (0, 3)}
    meeting = Meeting(4, 1, handovers=wrong).run()
    for session in meeting.sessions:
        assert session.phase is Phase.FAILED
        assert session.failure == "expected 3 dealers at least to be left, found 2"


# -- dealers that lie or stop when the key shows -----------------------------------------------------------------------


WRONG_REVEALS = {
    "silence": silence,
    "another polynomial": lambda reveal: [changed(commitments=encodings(Polynomial.fresh(1).commitments()))(reveal)[0]],
    "another secret": lambda reveal: [Reveal((GENERATOR.encode(), reveal.commitments[1]))],
    "no elements": changed(commitments=(bytes(32), bytes(32))),
}


@pytest.mark.parametrize("how", WRONG_REVEALS)
def test_a_dealer_cannot_leave_or_change_the_key_once_others_have_revealed(how: str) -> None:
    """The others open its polynomial. Its secret stays in the sum, so it has no choice."""
    meeting = Meeting(4, 1, lies={(3, Reveal): WRONG_REVEALS[how]}).run()
    assert check_key(meeting, [0, 1, 2, 3]) == dealt(meeting, [0, 1, 2, 3])
    assert all(list(session.faults) == [3] for session in meeting.sessions)


class LeavesOutTheSilent(KeySession):
    """Without the defence: a dealer that reveals nothing is dropped from the sum, as in Pedersen's own protocol."""

    def _after_reveals(self) -> list[bytes]:
        self._left = sorted(self._revealed)
        return super()._after_reveals()


def test_without_recovery_a_dealer_chooses_between_two_keys() -> None:
    """The attack on Feldman's sharing alone (Gennaro et al., section 3): it looks at the key, and stays or goes."""

    def keys(session: type[KeySession]) -> set[bytes]:
        found = set()
        for lies in ({}, {(3, Reveal): silence}):
            found.add(Meeting(4, 1, lies=lies, session=session).run().sessions[0].key.key)
        return found

    assert len(keys(LeavesOutTheSilent)) == 2
    assert len(keys(KeySession)) == 1


def test_a_false_objection_changes_nothing_but_names_its_sender() -> None:
    def object_to(place: int, share: bytes) -> Any:
        return lambda objections: [Objections((Opening(place, share, share),))]

    right = Meeting(4, 1).run()
    share, blinding = right.sessions[3]._shares[0]
    honest = [Objections((Opening(0, share.reveal(), blinding.reveal()),))]
    for lie in (object_to(0, scalars((5,))), object_to(9, scalars((5,))), lambda _: honest):
        meeting = Meeting(4, 1, lies={(3, Objections): lie}).run()
        assert meeting.sessions[0].key == right.sessions[0].key
        assert all(session.faults.keys() == {3} for session in meeting.sessions)


def test_false_shares_in_the_recovery_are_refused() -> None:
    lies: dict[Any, Any] = {
        (5, Reveal): silence,
        (0, Recovery): lambda recovery: [Recovery((replace(recovery.openings[0], share=scalars((1,))),))],
    }
    meeting = Meeting(7, 2, lies=lies).run()
    assert check_key(meeting, list(range(7))) == dealt(meeting, list(range(7)))
    assert all(session.faults.keys() == {0, 5} for session in meeting.sessions)


def test_a_dealer_that_too_few_can_recover_ends_the_session_with_a_sentence() -> None:
    lies: dict[Any, Any] = {(3, Reveal): silence} | {(place, Recovery): silence for place in (1, 2, 3)}
    meeting = Meeting(4, 1, lies=lies).run()
    for session in meeting.sessions:
        assert session.phase is Phase.FAILED
        assert session.failure == "expected 2 shares of dealer 3 at least, found fewer"


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


def opened(data: bytes) -> KeyMessage:
    return decode(KeyMessage, data)


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


# -- what t trustees see -----------------------------------------------------------------------------------------------


class Chosen(KeySession):
    """A dealer whose polynomials are given."""

    polynomials: tuple[Polynomial, Polynomial]

    def start(self) -> Any:
        self._polynomial, self._blinding = self.polynomials
        return super().start()


def test_what_one_trustee_sees_before_the_key_fits_every_secret_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trustee 1 of 4 spies on dealer 0, whose secret is 11 or 12. Its view is byte for byte the same.

    The test knows log H, which nobody does. For every secret there is exactly one pair of polynomials that gives the
    view, so the view is independent of the secret. The key itself shows only in the phase REVEAL.
    """
    logarithm = 987654321
    table = CurveBase(GENERATOR.multiply(scalars((logarithm,))))
    monkeypatch.setattr(sharing, "second_base", lambda: table)

    def polynomial(*values: int) -> Polynomial:
        return Polynomial([SecretScalar.of(value) for value in values])

    slope = (11 + 2 * 22 - 12) * pow(2, -1, ORDER) % ORDER
    back = pow(logarithm, -1, ORDER)
    worlds = (
        (polynomial(11, 22), polynomial(33, 44)),
        (polynomial(12, slope), polynomial(33 + (11 - 12) * back, 44 + (22 - slope) * back)),
    )
    views, keys = [], []
    for world in worlds:
        meeting = Meeting(4, 1)
        setup, identities = trustees(4, 1)
        dealer = Chosen(setup, 0, identities[0], SeededRandomness(b"dealer"))
        dealer.polynomials = world
        meeting.sessions[0] = dealer
        meeting.run()
        early = [m.contents() for m in map(opened, meeting.published) if m.sender == 0 and m.kind <= 3]
        handed = meeting.sessions[1]._shares[0]
        # All that depends on the secret, but for what is sealed to others.
        bare = [replace(one, handovers=()) if isinstance(one, Deal) else one for one in early]
        views.append(([encode(one) for one in bare], [one.reveal() for one in handed]))
        keys.append(meeting.sessions[0].key.key)
    assert views[0] == views[1]
    assert keys[0] != keys[1]


def test_t_shares_fit_every_key() -> None:
    """For any key there is a polynomial of degree t through t given shares, so t shares say nothing of it."""
    key, shares = made_key(7, 2)
    spies = shares[3:5]
    for other in (GENERATOR, key.point):
        known = [other, *(one.secret.times_generator() for one in spies)]
        indices = [0, *(one.trustee + 1 for one in spies)]
        every = CurvePoints.join([interpolate(indices, known, at=index) for index in range(8)])
        assert sharing.are_on_a_polynomial(2, every[:1], every[1:])
        assert same(every[4:6], CurvePoints.join(known[1:]))
    assert group.same(key.part(3), spies[0].secret.times_generator())


def test_sessions_in_memory_end() -> None:
    setup, identities = trustees(4, 1)
    sessions = [KeySession(setup, place, one) for place, one in enumerate(identities)]
    run_in_memory(sessions)
    assert {session.phase for session in sessions} == {Phase.DONE}
