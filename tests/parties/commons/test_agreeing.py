"""Trustees that keep one log over real connections, some of which break, and a reader that believes none alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mpc.commons.encoding import encode
from mpc.commons.entries import Register, Role
from mpc.commons.identities import Identity
from mpc.commons.notes import Checkpoint
from mpc.errors import ProtocolError
from parties.commons import reading
from parties.commons.asking import Line, RefusedError, gather, rounds
from parties.commons.key_making import KeyBoard, keep_key, kept_key, make_key
from parties.commons.reading import Follow
from parties.frame.errors import PartyError
from tests.orchestrator.conftest import wait_for
from tests.parties.commons.networks import OUTSIDER, Network, network


@contextmanager
def proposing(made: Network) -> Iterator[dict[str, Line]]:
    """Let the sequencer propose all the while."""
    over, first = threading.Event(), made.names[0]
    others = {name: made.line(first, place) for place, name in enumerate(made.names) if place}

    def work() -> None:
        while not over.is_set():
            if not made.logs[first].extend(others, 2.0, made.notes.append):
                over.wait(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield others
    finally:
        over.set()
        thread.join()


def registration(made: Network, number: int) -> bytes:
    identity = Identity(bytes([number + 101]) * 32)
    return made.log.sign(identity, Register(f"clinic-{number}", Role.PROVIDER, b""))


def test_what_is_written_is_certified_and_read_by_all(tmp_path: Path) -> None:
    with network(tmp_path) as made, proposing(made):
        reader = made.reader()
        leaves = reader.write([(registration(made, number), None) for number in range(3)], "three registrations")
        assert len(leaves) == 3
        assert reader.log.copy.certified_size == reader.log.copy.size == 3
        assert {one.name for one in reader.state.members.values()} == {"clinic-0", "clinic-1", "clinic-2"}
        assert reader.write([(registration(made, 0), None)], "the same again") == leaves[:1]  # nothing is logged twice
        assert reader.log.copy.size == 3


def test_t_trustees_that_are_gone_stop_nothing_and_one_that_starts_again_catches_up_from_its_disk(
    tmp_path: Path,
) -> None:
    with network(tmp_path) as made, proposing(made):
        reader = made.reader()
        reader.write([(registration(made, 0), None)], "a registration")
        made.stop(2)
        for number in range(1, 4):
            reader.write([(registration(made, number), None)], "a registration")
        before = made.trustee(2).copy.size
        assert before < 4
        made.start(2)
        assert made.trustee(2).copy.size == before
        reader.write([(registration(made, 4), None)], "a registration")
        entry = registration(made, 5)
        while made.trustee(2).copy.certified_size < 5:
            reader.write([(entry, None)], "a registration")
            reader.advance(100)
        assert made.trustee(2).copy.entries[:5] == reader.log.copy.entries[:5]


def test_a_reader_takes_no_entry_without_a_certificate(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        desk = made.logs[made.names[0]]
        desk.submit(registration(made, 0))
        proposal = desk.role.propose()
        assert proposal is not None
        reader = made.reader()
        answer = reader.lines[0].ask("follow", encode(Follow(0, 0))).result(10)
        assert answer == b""  # one trustee has signed it, and no quorum
        copy = made.trustee(0).copy
        copy.certified, copy.certificates[1] = (_checkpoint(made), copy.notes[1]), copy.notes[1]
        assert desk.role.update(0)  # a faulty trustee says that it is certified
        assert not reader.advance(0)
        assert (reader.log.copy.size, reader.log.copy.certified_size) == (0, 0)


def _checkpoint(made: Network) -> Checkpoint:
    return Checkpoint.read(made.trustee(0).copy.notes[1].text)


def test_what_cannot_be_logged_comes_back_with_the_reason(tmp_path: Path) -> None:
    with network(tmp_path) as made, proposing(made):
        reader = made.reader()
        reader.write([(registration(made, 0), None)], "a registration")
        taken = made.log.sign(Identity(b"x" * 32), Register("clinic-0", Role.PROVIDER, b""))
        with pytest.raises(ProtocolError, match="my name: expected a new key and a new name, found clinic-0"):
            reader.write([(taken, None)], "my name")


def test_a_log_that_stands_still_is_given_up_with_a_sentence(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        with pytest.raises(PartyError, match="expected a registration in the log, which has stood still at 0 entries"):
            made.reader(deadline_s=2.0).write([(registration(made, 0), None)], "a registration")


def test_only_the_sequencer_proposes_and_roles_ask_only_what_they_may(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        with pytest.raises(ProtocolError, match="expected what trustee-0 asks, found something of trustee-1"):
            made.line("trustee-1", 2).ask("vote", b"").result(10)
        with pytest.raises(ProtocolError, match="expected what a trustee may ask, found 'attachments'"):
            made.line("trustee-1", 2).ask("attachments", b"").result(10)
        reader = made.reader()
        with pytest.raises(ProtocolError, match="expected what a data consumer may ask, found 'vote'"):
            reader.lines[0].ask("vote", b"").result(10)
        with pytest.raises(ProtocolError, match="expected what a data consumer may ask, found 'nothing'"):
            reader.lines[0].ask("nothing", b"").result(10)


def test_trustees_make_one_key_and_find_it_on_their_disks_again(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        board = KeyBoard(made.log.founding)
        found = {}

        def work(place: int) -> None:
            name, ask = made.names[place], board.questions["key"].answer
            found[place] = make_key(made.logs[name].role, partial(ask, name), patience_s=0.3)

        threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]  # the fourth is silent
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({encode(key) for key, _ in found.values()}) == 1
        key, share = found[1]
        assert key.dealers == (0, 1, 2)
        keep_key(made.folders.party("trustee-1"), key, share)
        again = kept_key(made.folders.party("trustee-1"))
        assert again is not None
        assert (encode(again[0]), again[1].secret.reveal()) == (encode(key), share.secret.reveal())
        assert kept_key(made.folders.party("trustee-2")) is None
        assert share.secret.reveal().hex() not in repr(again)


def test_gather_takes_enough_answers_and_says_why_others_are_missing(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        lines = {name: made.line(OUTSIDER, place, "data consumer") for place, name in enumerate(made.names)}
        made.stop(3)
        taken: dict[str, bytes] = {}
        answers = {name: line.ask("follow", encode(Follow(0, 0))) for name, line in lines.items()}
        failed = gather(answers, 5.0, take=taken.__setitem__, enough=lambda: len(taken) >= 3)
        assert sorted(taken) == made.names[:3]
        assert list(failed) == ["trustee-3"]


def test_a_party_holds_only_so_many_connections_and_its_newest_ones_answer(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        lines = [made.line(OUTSIDER, 1, "data consumer") for _ in range(7)]
        for line in lines:
            assert line.ask("follow", encode(Follow(0, 0))).result(10) == b""
        desk = made.desks["trustee-1"]
        wait_for(lambda: len(desk._threads) == 4, "the end of the oldest connections")
        assert lines[-1].ask("follow", encode(Follow(0, 0))).result(10) == b""


def test_a_sequencer_that_has_forgotten_what_was_waiting_gets_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_HAND_IN_AGAIN_S", 1.0)
    with network(tmp_path) as made:
        reader = made.reader()
        done = threading.Thread(target=lambda: reader.write([(registration(made, 0), None)], "a registration"))
        done.start()
        sequencer = made.logs["trustee-0"].role.sequencer
        assert sequencer is not None
        wait_for(lambda: sequencer._queue, "what waits")
        made.stop(0)
        made.start(0)
        with proposing(made):
            done.join(30)
        assert not done.is_alive()
        assert reader.log.size == 1


class Lagging:
    """Stands for the line to a party that refuses once and answers then."""

    def __init__(self, answer: bytes, refusals: int) -> None:
        self.answer, self.refusals = answer, refusals

    def ask(self, what: str, body: bytes) -> Future[bytes]:
        answer: Future[bytes] = Future()
        if self.refusals:
            self.refusals -= 1
            answer.set_exception(RefusedError(f"refused '{what}': expected a certified grant, found none"))
        else:
            answer.set_result(self.answer + body)
        return answer


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_whoever_lags_is_asked_again_also_where_the_others_suffice(lag: int) -> None:
    taken: dict[int, bytes] = {}
    lines: Any = {place: Lagging(bytes([place]), int(place < lag)) for place in range(4)}
    expires = time.monotonic() + 200
    failed = next(rounds(lines, lambda line: line.ask("release", b"!"), taken, least=3, expires=expires, grace_s=60.0))
    assert (failed, taken) == ({}, {place: bytes([place]) + b"!" for place in range(4)})


def test_whoever_refuses_for_good_is_waited_for_a_while_and_then_asked_again() -> None:
    taken: dict[int, bytes] = {}
    lines: Any = {0: Lagging(b"a", 0), 1: Lagging(b"b", 1 << 30)}
    found = rounds(
        lines, lambda line: line.ask("release", b""), taken, least=1, expires=time.monotonic() + 60, grace_s=0.5
    )
    assert list(next(found)) == [1]
    lines[1].refusals = 0
    assert next(found) == {}
    assert taken == {0: b"a", 1: b"b"}
