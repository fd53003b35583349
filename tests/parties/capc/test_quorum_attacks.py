"""One name, one release: what a querying party that deviates gets from other voters on a batch that was opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.capc import aggregation
from mpc.capc.batches import State, draw_name, querying_say_ready
from mpc.capc.budget import querying_request_batch
from mpc.capc.parameters import PublicParameters
from mpc.capc.quorum import with_voters
from mpc.channels.memory import memory_pair, run_both_sides
from mpc.errors import TransportError
from mpc.garbled.session import Evaluator, Garbler
from mpc.ring import Ring, Words
from parties.capc.config import CapcConfig
from parties.capc.openings import PartyOpenings
from parties.capc.privacy_guardian import _serve
from parties.capc.settings import GuardianSettings
from parties.frame.plan import Run, RunFolders
from parties.frame.process import Party
from parties.frame.progress import Progress
from parties.ledger import Ledger
from parties.protocols import PROTOCOLS

ALL = ("server-0", "server-1", "server-2")
WITHOUT_ONE = ("server-0", "server-1")
VOTES = {name: np.eye(10, dtype=np.int64)[[vote]] for name, vote in zip(ALL, (1, 3, 3), strict=True)}


def settings(top: Path, **choices: Any) -> GuardianSettings:
    """Those of the guardian of three parties, of whom two must vote."""
    usual = {"n_parties": 3, "min_parties": 2, "aggregation": "direct", "dp_noise_scale": 0} | choices
    plan = PROTOCOLS["capc"].plan(CapcConfig(**usual), Run(RunFolders(top / "files", top / "logs", "t"), "s-1", 40000))
    (found,) = [one.settings for one in plan.processes if isinstance(one.settings, GuardianSettings)]
    return found


class Session:
    """One session with the guardian, in which a test plays the querying party and those who vote."""

    def __init__(self, guardian: GuardianSettings, voters: Sequence[str], votes: Mapping[str, Any] = VOTES) -> None:
        self.settings, self.voters = guardian, voters
        self.parameters = with_voters(guardian.parameters, len(voters))
        self.turn = guardian.turns[0].model_copy(update={"servers": tuple(voters)})
        self.pairs = {name: memory_pair(name, "privacy-guardian") for name in (self.turn.client, *voters)}
        self.client, self.guardian = self.pairs[self.turn.client]
        ring, rng = Ring(self.parameters.width), np.random.default_rng(len(voters))
        self.masks = {name: ring.reduce(rng.integers(0, 1 << 30, votes[name].shape)) for name in voters}
        self.share = ring.reduce(sum(votes[name] - self.masks[name].astype(np.int64) for name in voters))
        self.evaluator, self.garbler = run_both_sides(
            lambda: Evaluator.open(self.client), lambda: Garbler.open(self.guardian)
        )

    def play(self, ask: Callable[[], Any], folder: Path) -> Any:
        """Return what `ask` gets from the guardian, before everybody leaves without a word."""
        with Progress("privacy-guardian", folder / "log", folder, echo=False) as progress:
            party, channels = Party(self.settings, folder, progress), {name: two[1] for name, two in self.pairs.items()}

            def serve() -> None:
                with pytest.raises(TransportError, match="closed the connection"):
                    _serve(party, self.turn, channels, self.garbler, None)  # type: ignore[arg-type]

            def leave() -> Any:
                try:
                    return ask()
                finally:
                    for near, _ in self.pairs.values():
                        near.close()

            return run_both_sides(leave, serve)[0]

    def request(self, batch: bytes) -> State:
        return querying_request_batch(self.client, 1, batch).state

    def send_masks(self) -> None:
        for name in self.voters:
            aggregation.answering_send(self.pairs[name][0], self.masks[name], self.parameters.width)

    def label(self, share: Words, parameters: PublicParameters) -> Any:
        querying_say_ready(self.client)
        return parameters.release.querying(self.evaluator, share)[0]


def charged(guardian: GuardianSettings) -> int:
    entries = Ledger(guardian.ledger, lambda _: 0.0, None).charges()
    return sum(entry.costs[0].count for entry in entries if entry.costs)


def asked_of_all_and_then_of_fewer(top: Path) -> tuple[int, int, State]:
    """Ask one query of all and then of all but one by the same name.

    Return both labels, and how the second request was taken. The second label is what the guardian lets the querying
    party compute, as if the two who were asked again had voted.
    """
    guardian, batch = settings(top), draw_name()

    def honestly(session: Session) -> int:
        assert session.request(batch) == "open"
        session.send_masks()
        return int(session.label(session.share, session.parameters))

    first = Session(guardian, ALL)
    label = first.play(lambda: honestly(first), top)
    second = Session(guardian, WITHOUT_ONE)

    def again() -> tuple[int, State]:
        state = second.request(batch)
        second.send_masks()
        if state == "open":
            return int(second.label(second.share, second.parameters)), state
        return int(second.label(first.share, first.parameters)), state

    other, state = second.play(again, top)
    assert charged(guardian) == 1
    return label, other, state


def test_a_batch_that_was_opened_is_not_voted_on_again_by_others_at_no_charge(tmp_path: Path) -> None:
    """The difference of two counts of one query would tell how the party voted that is missing from one of them."""
    assert asked_of_all_and_then_of_fewer(tmp_path) == (3, 3, "repeat")


def test_without_the_note_of_openings_the_difference_is_one_partys_vote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack, on a guardian that forgets: the label is 3 with server-2 and 1 without, so server-2 voted 3."""
    monkeypatch.setattr(PartyOpenings, "state", lambda *_: "open")
    monkeypatch.setattr(PartyOpenings, "open", lambda *_: None)
    assert asked_of_all_and_then_of_fewer(tmp_path) == (3, 1, "open")


def test_what_is_kept_for_a_repetition_says_how_many_voted_and_prints_no_share(tmp_path: Path) -> None:
    guardian, batch = settings(tmp_path), draw_name()
    session = Session(guardian, WITHOUT_ONE)

    def honestly() -> None:
        session.request(batch)
        session.send_masks()
        session.label(session.share, session.parameters)

    session.play(honestly, tmp_path)
    kept = PartyOpenings(guardian.openings, "s-1").open_again(guardian.turns[0].account, batch)
    assert kept.voters == 2
    assert (kept.share == Ring(session.parameters.width).add(*session.masks.values())).all()
    assert repr(kept) == "Kept(share (1, 10), voters=2)"


@pytest.mark.parametrize(("voters", "others", "labels"), [(5, 3, [0, 1, 0]), (3, 5, [1, 0, 0])])
def test_a_repetition_counts_the_half_of_those_who_voted_then(
    tmp_path: Path, voters: int, others: int, labels: list[int]
) -> None:
    """Two votes are no majority of five, and one of three. The repetition's session has other voters than the batch."""
    guardian = settings(tmp_path, n_parties=5, min_parties=3, dataset="digit-traits", num_classes=3)
    batch = draw_name()
    bits = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0], [0, 1, 0]])
    votes = {f"server-{number}": bits[number : number + 1] for number in range(5)}
    first, second = Session(guardian, list(votes)[:voters], votes), Session(guardian, list(votes)[:others], votes)

    def ask() -> list[int]:
        first.request(batch)
        first.send_masks()
        return [int(bit) for bit in first.label(first.share, first.parameters)]

    def again() -> list[int]:
        assert second.request(batch) == "repeat"
        return [int(bit) for bit in second.label(first.share, first.parameters)]

    assert first.play(ask, tmp_path) == labels
    assert second.play(again, tmp_path) == labels


def test_a_batch_that_was_not_opened_is_voted_on_by_others_at_no_further_charge(tmp_path: Path) -> None:
    """Nothing that depends on a vote has left the guardian before. So a loss after the charge costs nothing."""
    guardian, batch = settings(tmp_path), draw_name()
    first = Session(guardian, ALL)
    assert first.play(lambda: first.request(batch), tmp_path) == "open"  # and then a party is lost
    second = Session(guardian, WITHOUT_ONE)

    def honestly() -> int:
        assert second.request(batch) == "open"
        second.send_masks()
        return int(second.label(second.share, second.parameters))

    assert second.play(honestly, tmp_path) == 1
    assert charged(guardian) == 1


def test_noise_in_parts_costs_the_same_whoever_votes_so_that_what_was_charged_is_paid(tmp_path: Path) -> None:
    guardian, batch = settings(tmp_path, dp_noise_scale=4, noise_by="parties"), draw_name()
    costs = [with_voters(guardian.parameters, voters).costs for voters in (2, 3)]
    assert costs[0] != costs[1]
    for voters in (ALL, WITHOUT_ONE):
        session = Session(guardian, voters)
        assert session.play(partial(session.request, batch), tmp_path) == "open"
    (entry,) = Ledger(guardian.ledger, lambda _: 0.0, None).charges()
    assert entry.costs == guardian.price == max(costs, key=lambda one: one[0].rho)
