"""Trustees begin to make the key when all are there, and one that is killed while it is made starts again."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpc.commons.encoding import decode
from mpc.commons.roles.run import make_cast
from mpc.errors import ProtocolError
from parties.commons import key_making
from parties.commons.key_making import BEGIN, KeyBoard, KeyTurn, kept_key
from parties.commons.trustee import BEGAN, new_key
from parties.frame.errors import PartyError

CAST = {"task": ["sum/100"]}


class Killed(BaseException):
    """The end of a process in the midst of a call."""


def test_who_was_killed_while_the_key_was_made_says_nothing_more_in_that_session(tmp_path: Path) -> None:
    said: list[bytes] = []

    def exchange(turn: bytes) -> bytes:
        said.extend(decode(KeyTurn, turn).said)
        raise Killed

    with pytest.raises(Killed):
        new_key(tmp_path, make_cast(CAST, providers=1).trustees[3], exchange, 5.0)
    assert len(said) == 1
    with pytest.raises(PartyError, match=r"expected the trustees' key of an earlier start of trustee-3 in .* any more"):
        new_key(tmp_path, make_cast(CAST, providers=1).trustees[3], exchange, 5.0)
    assert len(said) == 1
    assert kept_key(tmp_path) is None


def test_a_start_is_written_down_before_anything_is_said(tmp_path: Path) -> None:
    def exchange(_: bytes) -> bytes:
        assert (tmp_path / BEGAN).exists()
        raise Killed

    with pytest.raises(Killed):
        new_key(tmp_path, make_cast(CAST, providers=1).trustees[0], exchange, 5.0)


class Coming:
    """Trustees who say that they are ready, each time that the sequencer looks. Who is there changes with each round.

    Args:
        rounds: who is there in each of them. The last one lasts.
    """

    def __init__(self, board: KeyBoard, rounds: list[set[int]]) -> None:
        self.notes: list[str] = []
        self.answers: set[bytes] = set()
        self._board, self._rounds = board, rounds

    def check(self) -> None:
        there = self._rounds.pop(0) if len(self._rounds) > 1 else self._rounds[0]
        self.answers |= {self._board.questions["ready"].answer(f"trustee-{place}", b"") for place in there}


def test_a_key_is_begun_only_while_all_trustees_are_there_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_making, "_WAIT_MS", 1)
    founding = make_cast(CAST, providers=1).founding
    board = KeyBoard(founding)
    everybody, rounds = {1, 2, 3}, list[set[int]]()
    coming = Coming(board, rounds)
    # Each was there before the last one comes. One is away then, and again after a whole round.
    rounds += [{1, 2}, {1}, {2, 3}, everybody, {1, 2}, everybody, everybody]
    board.await_all(coming.check, coming.notes.append, within_s=-1.0)
    missing = ("trustee-3", "trustee-2, trustee-3", "trustee-1", "trustee-3")
    assert coming.notes == [f"the trustees' key is not begun, as these are not there: {names}" for names in missing]
    assert rounds == [everybody]
    assert coming.answers == {b""}
    ready = board.questions["ready"].answer
    with pytest.raises(ProtocolError):
        board.answer(b"what begins it is the first question of the sequencer itself")
    assert ready("trustee-1", b"") == BEGIN


def test_a_trustee_that_comes_without_its_part_of_a_key_that_was_made_is_refused() -> None:
    board = KeyBoard(make_cast(CAST, providers=1).founding, made=True)
    with pytest.raises(ProtocolError, match="expected trustee-2 with its part of the trustees' key, which was made"):
        board.questions["ready"].answer("trustee-2", b"")
