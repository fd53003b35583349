"""A trustee that is killed while the key is made, and starts again."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpc.commons.encoding import decode
from mpc.commons.roles.run import make_cast
from parties.commons.key_making import KeyTurn, kept_key
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
