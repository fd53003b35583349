"""What one party can send, log or ask for so that others end or wait for ever. None of it does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mpc.commons import following
from mpc.commons.attachments import MemoryAttachments
from mpc.commons.committee import KeySetup
from mpc.commons.encoding import decode, encode
from mpc.commons.entries import Register, Role
from mpc.commons.following import Follower, update_from
from mpc.commons.group import SecretScalar
from mpc.commons.identities import Identity
from mpc.commons.key_messages import Announce, Close, open_message, sign_message
from mpc.commons.key_session import KeySession
from mpc.commons.replica import Accepted
from mpc.commons.roles.aggregator import Aggregator
from mpc.commons.roles.run import CommonsRun
from mpc.commons.roles.trustee import TrusteeRole
from mpc.errors import PeerError, ProtocolError
from parties.commons import key_making
from parties.commons.aggregator import Counter, Work
from parties.commons.agreeing import TrusteeDesk
from parties.commons.answering import Question
from parties.commons.asking import MOST_BODY, Ask
from parties.commons.auditor import records_of
from parties.commons.faults import Fault
from parties.commons.key_making import KeyBoard, KeyNews, KeyTurn, make_key
from parties.commons.reading import Follow
from parties.commons.settings import CONSUMER, EVERYBODY, TRUSTEE, AggregatorSettings
from parties.commons.voting import Vote
from parties.frame.errors import PartyError
from tests.mpc.commons.prepared import aggregate, prepared
from tests.mpc.commons.setting import TASK, Log, MemoryStore
from tests.orchestrator.conftest import wait_for
from tests.parties.commons.networks import OUTSIDER, network


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


@lru_cache
def key_messages() -> tuple[Log, KeySetup, tuple[bytes, ...]]:
    """A log, its key session, and how each trustee begins it."""
    log = Log()
    setup = KeySetup.of(log.founding)
    sessions = [KeySession(setup, place, keys.identity) for place, keys in enumerate(log.keys)]
    return log, setup, tuple(session.start()[0] for session in sessions)


def say(board: KeyBoard, name: str, *said: bytes, count: int = 0) -> tuple[bytes, ...]:
    return decode(KeyNews, board.questions["key"].answer(name, encode(KeyTurn(count, said)))).messages


def test_what_a_trustee_has_not_signed_takes_no_place_in_the_key_session() -> None:
    log, _, first = key_messages()
    board = KeyBoard(log.founding)
    with pytest.raises(ProtocolError):
        say(board, "trustee-1", b"junk")
    with pytest.raises(ProtocolError, match="expected the signature of trustee 1 on"):
        say(board, "trustee-1", first[1][:-1] + bytes([first[1][-1] ^ 1]))
    with pytest.raises(ProtocolError, match="expected messages of trustee 1, found one of trustee 2"):
        say(board, "trustee-1", first[2])
    assert say(board, "trustee-2", first[2]) == (first[2],)
    assert say(board, "trustee-2", first[2]) == (first[2],)  # a question that was asked twice


def test_a_trustee_that_floods_the_key_session_is_refused_and_the_others_are_heard() -> None:
    log, setup, first = key_messages()
    board, identity = KeyBoard(log.founding), log.keys[1].identity
    points = [SecretScalar.of(number + 1).times_generator().encode() for number in range(3)]
    announced = [sign_message(setup, 1, identity, Announce(point)) for point in points]
    closes = [sign_message(setup, 1, identity, Close(phase)) for phase in range(1, 8)]
    say(board, "trustee-1", *announced[:2], *closes)
    with pytest.raises(ProtocolError, match="expected at most 2 messages like KeyMessage"):
        say(board, "trustee-1", announced[2])
    wrong = [encode(replace(open_message(setup, closes[0]), body=bytes(size))) for size in (2, 3, 4)]
    with pytest.raises(ProtocolError, match="signature of trustee 1"):
        say(board, "trustee-1", *wrong)
    assert say(board, "trustee-0", first[0], count=9) == (first[0],)


def test_the_messages_of_a_key_session_come_in_several_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    log, _, first = key_messages()
    board, seen = KeyBoard(log.founding), list[bytes]()
    monkeypatch.setattr(key_making, "NEWS_BYTES", 1)
    for place, message in enumerate(first):
        say(board, f"trustee-{place}", message)
    while news := say(board, "trustee-3", count=len(seen)):
        assert len(news) == 1
        seen += news
    assert seen == list(first)


def test_a_key_session_ends_at_a_deadline_whatever_the_sequencer_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    monkeypatch.setattr(key_making, "_PATIENCES", 1)
    role = TrusteeRole(task_log().founding, log.keys[1], MemoryStore(), MemoryAttachments())
    with pytest.raises(PartyError, match=r"expected the trustees' key within 0\.2 s, found phase ANNOUNCE going on"):
        make_key(role, lambda _: encode(KeyNews((b"junk",))), patience_s=0.2)

    def silent(_: bytes) -> bytes:
        raise TimeoutError

    role = TrusteeRole(task_log().founding, log.keys[1], MemoryStore(), MemoryAttachments())
    with pytest.raises(PartyError, match="expected the sequencer to answer what makes the trustees' key"):
        make_key(role, silent, patience_s=0.2)


def task_log() -> Log:
    return Log(tasks=(replace(TASK, functions=("sum/100",)),))


class SlowLine:
    """A line to a trustee's desk in memory, which answers each question after a while, one after the other."""

    def __init__(self, answer: Callable[[str, bytes], bytes], delay_s: float = 0.0) -> None:
        self.asked: list[str] = []
        self.waiting: list[Future[bytes]] = []
        self._answer, self._delay_s, self._turn = answer, delay_s, threading.Lock()

    def ask(self, what: str, body: bytes = b"") -> Future[bytes]:
        future: Future[bytes] = Future()
        self.asked.append(what)
        self.waiting.append(future)

        def work() -> None:
            with self._turn:
                time.sleep(self._delay_s)
                try:
                    future.set_result(self._answer(what, body))
                except ProtocolError as error:
                    future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return future


def four(liar: Callable[[bytes], Vote], delay_s: float) -> tuple[list[TrusteeDesk], dict[str, Any], Log]:
    """Four trustees in memory. The second one lies about votes, and the last one is slow."""
    log = task_log()
    roles = [TrusteeRole(log.founding, keys, MemoryStore(), MemoryAttachments()) for keys in log.keys]
    desks = [TrusteeDesk(log.founding, role, {}) for role in roles]

    def honest(place: int) -> Callable[[str, bytes], bytes]:
        return lambda what, body: desks[place].questions[what].answer("trustee-0", body)

    def lie(what: str, body: bytes) -> bytes:
        return encode(liar(body)) if what == "vote" else honest(1)(what, body)

    lines = {"trustee-1": SlowLine(lie), "trustee-2": SlowLine(honest(2)), "trustee-3": SlowLine(honest(3), delay_s)}
    return desks, lines, log


def submit(desk: TrusteeDesk, log: Log, number: int) -> None:
    desk.submit(log.sign(Identity(bytes([number + 101]) * 32), Register(f"clinic-{number}", Role.PROVIDER, b"")))


@pytest.mark.parametrize(
    "liar",
    [
        lambda body: Vote((decode(Accepted, body).note,), 0, ()),  # with the log's own signature alone
        lambda body: Vote((), 0, (bytes(32),)),  # lacks something, each time
        lambda body: Vote((), 0, ()),
        lambda body: Vote((b"junk",), 0, ()),
    ],
)
def test_a_false_vote_takes_no_slow_trustees_place(liar: Callable[[bytes], Vote]) -> None:
    desks, lines, log = four(liar, delay_s=0.6)
    submit(desks[0], log, 0)
    assert desks[0].extend(lines, 20.0, lambda _: None)
    assert desks[0].role.trustee.copy.certified_size == 1


def test_a_trustee_that_is_heard_later_counts_for_the_same_proposal() -> None:
    desks, lines, log = four(lambda _: Vote((), 0, ()), delay_s=0.6)
    submit(desks[0], log, 0)
    notes = list[str]()
    assert not desks[0].extend(lines, 0.1, notes.append)
    assert any(one.startswith("trustee-3 gave no vote: no answer within 0.1 s") for one in notes)
    assert desks[0].extend(lines, 20.0, notes.append)
    assert lines["trustee-3"].asked.count("vote") == 1


def test_a_silent_trustee_has_one_question_waiting_and_catches_up_when_it_is_back() -> None:
    desks, lines, log = four(lambda _: Vote((), 0, ()), delay_s=0.0)
    back = threading.Event()

    def answer(what: str, body: bytes) -> bytes:
        back.wait(30)
        return desks[1].questions[what].answer("trustee-0", body)

    away = lines["trustee-1"] = SlowLine(answer)
    for number in range(4):
        submit(desks[0], log, number)
        assert desks[0].extend(lines, 20.0, lambda _: None)
    assert away.asked == ["vote"]
    back.set()
    wait_for(
        lambda: desks[0].extend(lines, 1.0, lambda _: None) or desks[1].role.trustee.copy.certified_size == 4, "all"
    )
    assert list(desks[1].role.trustee.copy.certificates) == [1, 4]


def test_a_question_that_is_cancelled_waits_without_its_body(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        line = made.reader().lines[1]
        first = line.ask("follow", encode(Follow(0, 1000)))
        wait_for(first.running, "the first question")
        second = line.ask("follow", bytes(1 << 20))
        assert [len(held) for _, held, _ in line._questions.queue] == [1]
        assert second.cancel()
        assert [len(held) for _, held, _ in line._questions.queue] == [0]
        assert first.result(10) == b""


def test_each_question_has_a_limit_of_its_own(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        line = made.reader().lines[1]
        with pytest.raises(ProtocolError, match="expected at most 1024 bytes with 'follow', found 2000 bytes"):
            line.ask("follow", bytes(2000)).result(10)
        with pytest.raises(PeerError):
            line.ask("follow", bytes(1 << 20)).result(10)
        wait_for(lambda: any("dropped institute: " in note for note in made.notes), "the end of the connection")


def test_who_does_not_read_an_answer_is_left(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        desk = made.desks["trustee-1"]
        desk._answer_s = 0.5
        desk._questions = {"follow": Question(EVERYBODY, lambda *_: bytes(1 << 26))}
        channel = made.connections(OUTSIDER, CONSUMER).dial(made.peers["trustee-1"], TRUSTEE)
        channel.send("ask", encode(Ask("follow", b"")))
        wait_for(lambda: desk._threads, "the question")
        wait_for(lambda: not desk._threads, "the end of the answer")
        desk.check()


class Reader:
    """What an aggregator reads and writes with, which fails as often as it is told."""

    def __init__(self, run: CommonsRun, failures: int) -> None:
        self._run, self.failures = run, failures

    def fetch(self, wants: Callable[[], list[bytes]], attachments: MemoryAttachments) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise ProtocolError("expected an attachment, found none yet")
        for digest in wants():
            data = self._run.cast.trustees[0].attachment(digest)
            assert data is not None
            attachments.put(data)


@pytest.mark.parametrize(("failures", "is_there"), [(0, True), (3, True), (9, False)])
def test_an_aggregator_without_words_has_its_sum_and_what_fails_for_a_while_is_tried_again(
    failures: int, is_there: bool
) -> None:
    run = prepared()
    aggregate(run)
    grant = next(reversed(run.cast.consumer.log.state.verdicts))
    before = run.cast.aggregators[0]
    role = Aggregator(run.cast.founding, before.identity, before._secret, MemoryAttachments())
    while (update := run.cast.trustees[0].update(role.log.size)) is not None:
        role.log.take(update)
    settings = AggregatorSettings.model_construct(consumers={"institute": run.cast.consumer.identity.key.hex()})
    counter, notes = Counter(settings, role), list[str]()
    progress = SimpleNamespace(step=lambda *_, **__: nullcontext(), note=notes.append)
    way: Any = SimpleNamespace(reader=lambda _: Reader(run, failures), progress=progress)
    work = Work(role, way, counter, Fault())
    work._done.update(one for one in role.log.state.grants if one != grant)
    for _ in range(12):
        work.go_on()
    assert len(notes) == min(failures, 5)
    assert (grant in counter._sums) is is_there
    if is_there:
        assert counter._sums[grant][1] == before.sum(grant)


def test_a_desk_that_closes_leaves_the_connection_of_an_answer_that_is_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operating system gives the number of a closed socket to the next file, such as a journal."""
    monkeypatch.setattr("parties.commons.answering._GRACE_S", 0.1)
    asked, made_up = threading.Event(), threading.Event()

    def answer(_: str, __: bytes) -> bytes:
        asked.set()
        made_up.wait(300)
        return b""

    with network(tmp_path) as made:
        desk, connections = made.desks["trustee-1"], made._connections["trustee-1"]
        monkeypatch.setattr(desk, "_questions", {"slow": Question({CONSUMER}, answer)})
        made.line(OUTSIDER, 1, CONSUMER).ask("slow")
        assert asked.wait(60)
        ((thread, channel),) = desk._threads.items()
        desk.close()
        connections.__exit__(None, None, None)
        assert channel._connection.fileno() >= 0
        made_up.set()
        thread.join(60)
        desk._door.join(60)
        connections.__exit__(None, None, None)
        assert channel._connection.fileno() < 0
