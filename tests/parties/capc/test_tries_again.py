"""How long and how often the querying party tries again after it has lost another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mpc.errors import QuorumError, TransportError
from parties.capc import client
from parties.capc.client import Asked


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Asking:
    """Queries of which nothing was answered before."""

    images = (1, 2, 3)
    kept: tuple[str, ...] = ()
    finished = False

    def finish(self) -> None:
        self.finished = True


@pytest.fixture
def plays(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The client's program, with what becomes of each session in place of the session."""

    def plays(sessions: Any, rejoin_s: float = 5.0) -> tuple[Asking, Clock, list[str]]:
        asking, clock, said = Asking(), Clock(), []
        party = SimpleNamespace(
            settings=SimpleNamespace(pending=None, answers=None, rejoin_s=rejoin_s, credentials=None),
            progress=SimpleNamespace(begin_again=said.append),
        )
        monkeypatch.setattr(client, "questions", lambda _: asking)
        monkeypatch.setattr(client, "PendingBatch", lambda *_, **__: SimpleNamespace(settle=lambda _: None))
        monkeypatch.setattr(client, "time", clock)
        monkeypatch.setattr(client, "_ask", lambda _party, _asking, _pending, asked: sessions(asked, clock))
        try:
            client.client(party)  # type: ignore[arg-type]
        finally:
            plays.seen = (asking, clock, said)  # type: ignore[attr-defined]
        return asking, clock, said

    return plays


def lost(peer: str) -> TransportError:
    return TransportError("it said nothing", peer=peer, step="2")


def test_it_tries_again_once_a_second_for_as_long_as_was_said(plays: Any) -> None:
    def never(_: Asked, __: Clock) -> None:
        raise lost("server-0")

    with pytest.raises(TransportError):
        plays(never)
    asking, clock, said = plays.seen
    assert clock.now == 1005
    assert len(said) == 5
    assert "server-0 was lost, and what is left is asked again" in said[0]
    assert not asking.finished


def test_without_rejoin_the_first_loss_is_the_last(plays: Any) -> None:
    def never(_: Asked, __: Clock) -> None:
        raise lost("server-0")

    with pytest.raises(TransportError):
        plays(never, rejoin_s=0.0)
    assert plays.seen[2] == []


def test_every_answer_and_every_other_party_lost_gives_the_whole_time_again(plays: Any) -> None:
    def now_and_then(asked: Asked, clock: Clock) -> None:
        past = clock.now - 1000
        if past == 12:
            return
        asked.done += past == 4  # a batch is answered before the connection breaks
        raise lost("server-0" if past < 8 else "privacy-guardian")

    asking, clock, said = plays(now_and_then)
    assert asking.finished
    assert clock.now == 1012
    assert len(said) == 12


def test_too_few_voters_end_it_at_once(plays: Any) -> None:
    def too_few(_: Asked, __: Clock) -> None:
        raise QuorumError("expected at least 3 of 5 answering parties, found 2", there=(), step="0")

    with pytest.raises(QuorumError):
        plays(too_few)
    assert plays.seen[1].now == 1000
