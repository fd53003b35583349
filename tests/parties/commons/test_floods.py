"""What one party can send, log or ask for so that others end or wait for ever. None of it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpc.commons import following
from mpc.commons.following import Follower, update_from
from mpc.errors import ProtocolError
from parties.commons.answering import Question
from parties.commons.asking import MOST_BODY
from parties.commons.auditor import records_of
from parties.commons.settings import EVERYBODY
from tests.mpc.commons.setting import Log
from tests.parties.commons.networks import network


def test_an_answer_that_is_too_large_is_refused_and_ends_nobody(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        desk = made.desks["trustee-1"]
        desk._questions = {"follow": Question(EVERYBODY, lambda *_: bytes(MOST_BODY + 1))}
        line = made.reader().lines[1]
        with pytest.raises(ProtocolError, match=f"refused 'follow': expected at most {MOST_BODY} bytes of body"):
            line.ask("follow").result(10)
        desk.check()  # the party goes on
        with pytest.raises(ProtocolError, match="expected what a data consumer may ask, found 'vote'"):
            line.ask("vote").result(10)


def test_a_long_log_comes_in_updates_that_each_end_at_a_certified_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    log.ready()
    for number in range(3, 6):
        log.policy(uses=number)
        log.step()
    copy = log.trustees[1].copy
    sizes = list(copy.certificates)
    assert len(sizes) == 4
    longest = sum(map(len, copy.entries[sizes[0] : sizes[2]]))
    for limit, expected in ((1, sizes), (longest, [sizes[0], sizes[2], sizes[3]]), (1 << 24, sizes[-1:])):
        monkeypatch.setattr(following, "UPDATE_BYTES", limit)
        follower, seen = Follower(log.founding), list[int]()
        while (update := update_from(copy, follower.size)) is not None:
            follower.take(update)
            seen.append(follower.size)
            assert follower.copy.certified_size == follower.size
        assert seen == expected
        assert follower.copy.entries == copy.entries
        again = Follower(log.founding).copy
        for record in records_of(follower.copy):  # as the auditor keeps them
            again.take(record)
        assert (again.entries, list(again.certificates)) == (copy.entries, expected)
