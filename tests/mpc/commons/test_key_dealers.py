"""Making a key although dealers lie or stop: who is left out, and whose secret counts all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mpc.commons.group import GENERATOR, encodings, scalars
from mpc.commons.key_messages import Answers, Complaints, Deal, Handover, Objections, Opening, Phase, Recovery, Reveal
from mpc.commons.key_session import KeySession
from mpc.commons.sharing import Polynomial
from tests.mpc.commons.keys import SIZES, Meeting, changed, check_key, dealt, silence

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
