"""A trustee's log and its part of the key belong together. One without the other is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mpc.commons.committee import KeyShare
from mpc.commons.entries import Revoke, sign_entry
from mpc.commons.replica import Handed
from mpc.commons.roles.run import make_cast
from parties.commons import trustee
from parties.commons.key_making import KEPT, KeyBoard, keep_key
from parties.commons.own_log import open_own_log
from parties.commons.storage import FOUNDING, JOURNAL
from parties.commons.trustee import await_all, new_key
from parties.frame.errors import PartyError
from tests.mpc.commons.prepared import prepared

PLACE = 3


def test_a_trustee_with_its_key_and_without_its_log_tells_no_second_story(tmp_path: Path) -> None:
    cast = prepared().cast
    role = cast.trustees[PLACE]
    log, kept = open_own_log(tmp_path, cast.founding, PLACE)
    assert kept is None
    assert list(log.load()) == []
    keep_key(tmp_path, role.key_session.key, role.share)
    log, kept = open_own_log(tmp_path, cast.founding, PLACE)
    assert kept is not None
    assert kept[0] == role.key_session.key
    assert list(log.load()) == []
    record = Handed(sign_entry(cast.providers[0].identity, cast.founding.origin, Revoke(bytes(32))))
    log.append(record)
    for name in (JOURNAL, FOUNDING):
        content = (tmp_path / "log" / name).read_bytes()
        (tmp_path / "log" / name).unlink()
        with pytest.raises(PartyError, match=rf"expected the log beside .*{KEPT}, found no .*log/{name}"):
            open_own_log(tmp_path, cast.founding, PLACE)
        (tmp_path / "log" / name).write_bytes(content)
    assert list(open_own_log(tmp_path, cast.founding, PLACE)[0].load()) == [record]


def test_a_key_of_another_log_or_of_another_trustee_is_refused(tmp_path: Path) -> None:
    cast = prepared().cast
    key, share = cast.trustees[PLACE].key_session.key, cast.trustees[PLACE].share
    other = make_cast({"task": ["sum/100"]}, providers=1).founding
    for founding, place, kept, found in (
        (other, PLACE, share, "the key of the log .*, found another's"),
        (cast.founding, 2, share, "the part of trustee 2, found another one"),
        (cast.founding, 2, KeyShare(2, share.secret), "the part of trustee 2, found another one"),
    ):
        folder = tmp_path / f"{place}-{kept.trustee}-{founding is other}"
        folder.mkdir()
        open_own_log(folder, founding, place)[0].load()
        list(open_own_log(folder, founding, place)[0].load())
        keep_key(folder, key, kept)
        with pytest.raises(PartyError, match=found):
            open_own_log(folder, founding, place)


def test_a_trustee_whose_log_has_a_key_and_who_has_no_part_of_it_makes_no_other_one(tmp_path: Path) -> None:
    with pytest.raises(PartyError, match=rf"expected the part of trustee-3 in .*{KEPT} of the key that its log has"):
        new_key(tmp_path, prepared().cast.trustees[PLACE], lambda _: b"", 5.0)
    assert not (tmp_path / trustee.BEGAN).exists()


@pytest.mark.parametrize("of_sequencer", [True, False])
def test_a_trustee_that_has_lost_log_and_key_begins_no_other_story(of_sequencer: bool) -> None:
    run = prepared()
    update = run.cast.trustees[0].update(0)

    def show_log(follower: Any) -> Any:
        return SimpleNamespace(catch_up=lambda **_: follower.take(update))

    settings = SimpleNamespace(founding=run.cast.founding, name="trustee-0")
    way: Any = SimpleNamespace(
        settings=settings, trustees=(), reader=show_log, until_all_are_there=lambda lines, check, *more: None
    )
    board = KeyBoard(run.cast.founding) if of_sequencer else None
    with pytest.raises(PartyError, match=r"log and the key of trustee-0 on its disk, found none, and \d+ certified"):
        await_all(way, board, lambda: None)
