"""A service of which computing parties may cheat: a changed piece of a question, a mask or a model is noticed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from mpc.channels.memory import MemoryChannel, memory_pair
from mpc.errors import CheatingError, DeadlineError, MpcError, ProtocolError, TransportError
from mpc.tensors import delivery, fingerprints
from mpc.tensors.backends.subsets import SUMS
from mpc.tensors.delivery import Piece, Question, split, words_of
from mpc.tensors.fingerprints import Ticket, tickets_of
from mpc.tensors.network import Network
from parties.tensors.serving import tickets as ticket_files
from parties.tensors.serving.lane import Answers, Lane
from parties.tensors.serving.model import Model
from parties.tensors.serving.settings import ServingSettings
from parties.tensors.serving.share import ModelShare, keep_share, reload_share
from parties.tensors.serving.tickets import Tickets
from tests.parties.tensors.services import FORMAT, MODEL, PATIENCE_S, RECORDS, SIZE, WEIGHTS, near, running

HOSTS = {"dealer_mac": ("host-a", "host-b"), "replicated_mac": ("host-a", "host-b", "host-c")}
BACKENDS = list(HOSTS)
FEW = 3  # tickets


@pytest.fixture(autouse=True)
def few_tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticket_files, "TICKETS", FEW)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    (tmp_path / "tiny.py").write_text(MODEL)
    return Model(tmp_path / "tiny.py")


@dataclass
class Service:
    """What the hosts of a service have on their disks."""

    backend: str
    model: Model
    folder: Path
    shares: list[ModelShare] = field(default_factory=list)

    def __post_init__(self) -> None:
        values = {"weights": WEIGHTS, "offset": np.array([0.25, 1.0])}
        count = len(self.hosts)
        words = {
            name: words_of(name, values[name], shape, bound, FORMAT)
            for name, (shape, bound) in self.model.parameters.items()
        }
        pieces = {name: split(each, count, 64) for name, each in words.items()}
        tickets = tickets_of(np.concatenate([each.reshape(-1) for each in words.values()]), count, FEW)
        self.shares = [
            ModelShare("f" * 32, {name: each[place] for name, each in pieces.items()}, tickets[place])
            for place in range(count)
        ]

    @property
    def hosts(self) -> tuple[str, ...]:
        return HOSTS[self.backend]

    def settings(self, me: str) -> ServingSettings:
        return ServingSettings.model_construct(
            name=me, backend=self.backend, computing=self.hosts, owner="olga", ring_bits=64, fraction_bits=16,
            provider="dora" if self.backend == "dealer_mac" else None, rounding="nearest", seed=0,
        )  # fmt: skip

    def question(self, records: np.ndarray) -> tuple[Question, list[Piece]]:
        answer = (len(records), 2)
        asked = Question.of(records, records.shape, 8, answer, FORMAT, len(self.hosts), pads=SUMS)
        return asked, [Piece.read(memoryview(each), records.shape, answer, 64, SUMS) for each in asked.messages]

    def session(
        self, batches: Sequence[Sequence[list[Piece]]], cheat: Callable[[str, Lane], None] = lambda me, lane: None
    ) -> tuple[dict[str, list[Answers]], dict[str, BaseException], dict[str, list[tuple[str, str, bytes]]]]:
        """One session of a lane: each host's answers, everybody's errors, and what everybody received."""
        everybody = self.hosts if self.backend == "replicated_mac" else (*self.hosts, "dora")
        channels: dict[str, dict[str, MemoryChannel]] = {name: {} for name in everybody}
        for place, one in enumerate(everybody):
            for two in everybody[place + 1 :]:
                channels[one][two], channels[two][one] = memory_pair(one, two, 30.0)
        found: dict[str, list[Answers]] = {name: [] for name in self.hosts}
        errors: dict[str, BaseException] = {}

        def side(me: str) -> None:
            network = Network(me, channels[me])
            try:
                own, tickets = None, None
                if me in self.hosts:
                    own = self.shares[self.hosts.index(me)]
                    tickets = Tickets(self.folder / f"{me}.jsonl", own.name, own.tickets)
                lane = Lane(self.settings(me), self.model, SIZE, network, own, tickets)
                cheat(me, lane)
                for batch in batches:
                    if own is None:
                        lane.prepare()
                        continue
                    names = [f"request {number}" for number in range(len(batch))]
                    found[me].append(lane.answers([each[self.hosts.index(me)] for each in batch], names))
            except BaseException as error:  # noqa: BLE001
                errors[me] = error
                network.close()

        threads = [threading.Thread(target=side, args=(name,)) for name in everybody]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        received = {
            name: [(channel.peer, label, body) for channel in channels[name].values()
                   for direction, label, body in channel.transcript if direction == "received"]
            for name in everybody
        }  # fmt: skip
        return found, errors, received

    def answer(self, asked: Question, found: dict[str, list[Answers]], place: int = 0) -> np.ndarray:
        """What the client makes of a request's answers."""
        answers = found[self.hosts[0]][0]
        assert len({found[name][0].coins for name in self.hosts}) == 1
        bodies = [(name, found[name][0].bodies[place]) for name in self.hosts]
        return asked.answer(bodies, answers.fraction_bits, answers.coins)


@pytest.fixture(params=BACKENDS)
def service(request: pytest.FixtureRequest, model: Model, tmp_path: Path) -> Service:
    return Service(request.param, model, tmp_path)


def changed(piece: Piece, part: str, word: int, error: int) -> Piece:
    """A piece of which one word is off."""
    arrays = {name: getattr(piece, name).copy() for name in ("records", "mask", "pad")}
    arrays[part].reshape(-1)[word : word + 1] += np.uint64(error)
    return Piece(**arrays)


def test_answers_are_right_and_each_request_has_its_own(service: Service) -> None:
    asked = [service.question(RECORDS[:1]), service.question(RECORDS[1:])]
    found, errors, _ = service.session([[pieces for _, pieces in asked], [asked[0][1]]])
    assert errors == {}
    assert near(service.answer(asked[0][0], found), RECORDS[:1])
    assert near(service.answer(asked[1][0], found, 1), RECORDS[1:])


@pytest.mark.parametrize("part", ["records", "mask", "pad"])
def test_a_host_that_changes_its_piece_of_a_question_is_noticed_by_the_client(service: Service, part: str) -> None:
    """Errors of all kinds, also of the highest bit alone, which twice an element would lose."""
    for place, error in ((0, 1), (len(service.hosts) - 1, 2**63)):
        (asked, pieces), (other, theirs) = service.question(RECORDS[:1]), service.question(RECORDS[1:2])
        pieces[place] = changed(pieces[place], part, 1, error)
        found, errors, _ = service.session([[pieces, theirs]])
        assert errors == {}
        with pytest.raises(CheatingError, match="expected an answer to the records that were sent, found one to"):
            service.answer(asked, found)
        assert near(service.answer(other, found, 1), RECORDS[1:2])  # which is another client's


@pytest.mark.parametrize("part", ["records", "mask"])
def test_without_the_fingerprint_a_client_would_take_a_wrong_answer(
    service: Service, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, pieces = service.question(RECORDS[1:2])
    pieces[0] = changed(pieces[0], part, 0, 2**16)
    found, _, _ = service.session([[pieces]])
    monkeypatch.setattr(delivery.np, "array_equal", lambda *_: True)
    assert not near(service.answer(asked, found), RECORDS[1:2])


@pytest.mark.parametrize("error", [1, 2**63])
def test_a_host_that_brings_in_another_share_of_the_model_ends_the_session(service: Service, error: int) -> None:
    service.shares[1].pieces["weights"].reshape(-1)[4:5] += np.uint64(error)
    found, errors, _ = service.session([[service.question(RECORDS)[1]]])
    assert not any(found.values())
    for name in service.hosts:
        assert isinstance(errors[name], CheatingError | TransportError)
    assert any("expected the model that its owner gave, found another" in str(each) for each in errors.values())


def test_without_the_tickets_another_model_would_answer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.shares[1].pieces["weights"].reshape(-1)[4:5] += np.uint64(2**16)
    monkeypatch.setattr(fingerprints.np, "array_equal", lambda *_: True)
    asked, pieces = service.question(RECORDS)
    found, errors, _ = service.session([[pieces]])
    assert errors == {}
    assert not near(service.answer(asked, found), RECORDS)


def test_a_host_that_shows_other_coins_of_the_owner_ends_the_session(service: Service) -> None:
    body = bytearray(service.shares[0].tickets)
    body[8 * SUMS] ^= 1  # the first byte of the first ticket's coins
    service.shares[0] = ModelShare("f" * 32, service.shares[0].pieces, bytes(body))
    found, errors, _ = service.session([])
    assert not any(found.values())
    assert any("expected the coins of the model's owner, found others" in str(each) for each in errors.values())


def test_a_ticket_serves_one_session_and_the_last_one_says_so(service: Service) -> None:
    """Whoever was killed after it had noted a ticket takes the next one, and the others follow."""
    used = []
    for session in range(FEW):
        if session == 1:
            service.folder.joinpath(f"{service.hosts[0]}.jsonl").unlink()  # a host that has lost count
        _, errors, received = service.session([])
        assert errors == {}
        used.append([body for _, label, body in received[service.hosts[0]] if label == "model/coins"])
    assert len({body for bodies in used for body in bodies}) == FEW * (len(service.hosts) - 1)
    _, errors, _ = service.session([])
    assert all("expected one of 3 tickets of the model's owner for sessions of lane 0" in str(errors[name])
               for name in service.hosts)  # fmt: skip


@pytest.mark.parametrize(
    ("above", "taken", "named"), [(4, True, ""), (5, False, ""), (64, False, ""), (65, False, "b")]
)
def test_one_message_cannot_use_up_the_tickets_of_a_lane(
    above: int, taken: bool, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is noted then, and the next session takes what was due. Whoever states more than there are is named."""
    monkeypatch.setattr(ticket_files, "TICKETS", 64)
    bodies = tickets_of(np.arange(5, dtype=np.uint64), 2, 64)
    honest = {name: Tickets(tmp_path / f"{name}.jsonl", "m", body) for name, body in zip("ab", bodies, strict=True)}
    used = tmp_path / "a.jsonl"

    def session(*, cheats: bool) -> object:
        """What `a` takes together with `b`, who may state a number of its own choice."""
        one, two = memory_pair("a", "b", 20.0)
        networks = {"a": Network("a", {"b": one}), "b": Network("b", {"a": two})}

        def other() -> None:
            if cheats:
                networks["b"].swap("model/ticket", {"a": (above.to_bytes(8, "big"),)}, {"a": 8})
            else:
                honest["b"].take(networks["b"], ("a", "b"), 0)

        thread = threading.Thread(target=other)
        thread.start()
        try:
            return honest["a"].take(networks["a"], ("a", "b"), 0)
        except ProtocolError as error:
            return error
        finally:
            thread.join(30)

    found = session(cheats=True)
    if taken:
        assert isinstance(found, Ticket)
        return
    assert isinstance(found, ProtocolError)
    assert found.peer == named
    if not named:
        assert f"expected one of the tickets up to 4 for a session of lane 0, found {above} of b" in str(found)
    assert not used.exists() or used.read_bytes() == b""
    assert isinstance(session(cheats=False), Ticket)
    assert used.read_text().count("m/0") == 1


def test_a_host_that_has_lost_count_blames_no_other_one(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own disk went back to an earlier state, and all others are honest."""
    monkeypatch.setattr(ticket_files, "AHEAD", 1)
    for _ in range(2):
        assert service.session([])[1] == {}
    late = service.hosts[1]
    service.folder.joinpath(f"{late}.jsonl").unlink()
    error = service.session([])[1][late]
    assert isinstance(error, ProtocolError)
    assert not isinstance(error, CheatingError)
    assert error.peer == ""
    assert all(f"2 of {name}" in str(error) for name in service.hosts if name != late)
    assert "this party cannot tell whether that is too many or its own file lacks some that were used" in str(error)


def test_a_cheat_in_the_computation_is_found_before_anything_of_the_answer_leaves(service: Service) -> None:
    """The answer is opened only after the back-end's own check."""
    cheater = service.hosts[1]

    def cheat(me: str, lane: Lane) -> None:
        if me != cheater:
            return
        plain = lane.backend.input

        def bad(owner: str, words: np.ndarray | None, shape: tuple[int, ...]) -> object:
            value = plain(owner, words, shape)
            if shape == (SIZE, 3) and owner == "host-a":  # changes what another one has shared
                share = getattr(value, "share", None)
                if share is not None:
                    share.low.setflags(write=True)
                    share.low.reshape(-1)[0] += np.uint64(1)
                else:
                    first, _ = lane.backend._trio.pair_of(value)  # type: ignore[attr-defined]
                    first.setflags(write=True)
                    first.reshape(-1)[0] += np.uint64(1)
            return value

        lane.backend.input = bad  # type: ignore[method-assign, assignment]

    found, errors, _ = service.session([[service.question(RECORDS)[1]]], cheat)
    assert not any(found[name] for name in service.hosts if name != cheater)
    assert any(isinstance(each, CheatingError) for each in errors.values())
    assert all(isinstance(each, MpcError) for each in errors.values())


def test_no_host_learns_more_than_uniform_words(service: Service) -> None:
    """Of a fingerprint and a masked answer of zeros: what is opened has all values alike."""
    nothing = np.zeros((SIZE, 3))
    found, errors, _ = service.session([[service.question(nothing)[1]] for _ in range(40)])
    assert errors == {}
    words = np.frombuffer(b"".join(body for each in found[service.hosts[0]] for body in each.bodies), dtype="<u8")
    assert len(words) == 40 * SIZE * (2 + SUMS)
    counts = np.bincount((words >> np.uint64(60)).astype(int), minlength=16)
    assert ((counts - len(words) / 16) ** 2 / (len(words) / 16)).sum() < 50  # beyond it once in 10^5


# -- as processes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_service_of_processes_answers_and_a_changed_piece_is_no_answer(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = "dora" if backend == "dealer_mac" else None
    with (
        running(
            tmp_path, ("ann",), changed={"backend": backend, "provider": provider}, computing=HOSTS[backend]
        ) as found,
        found.client("ann") as client,
    ):
        records = np.random.default_rng(1).uniform(-8, 8, (5, 3))
        assert near(client.ask(records), records)
        assert "64 of" in found.log("olga")
        plain = Question.of

        def bad(*arguments: object, **more: object) -> Question:
            asked = plain(*arguments, **more)  # type: ignore[arg-type]
            last = bytearray(asked.messages[-1])
            last[0] ^= 1
            return replace(asked, messages=(*asked.messages[:-1], bytes(last)))

        monkeypatch.setattr(Question, "of", bad)
        with pytest.raises(CheatingError, match="the answer is not taken"):
            client.ask(records)
        monkeypatch.undo()
        assert set(found.end().values()) == {0}
        report = found.result(HOSTS[backend][0])
        assert report["trust"].startswith(f"{backend}: ")


@pytest.mark.slow
def test_a_host_that_comes_back_with_another_share_ends_the_service_with_a_sentence(tmp_path: Path) -> None:
    changes = {"backend": "dealer_mac"}
    with running(tmp_path, ("ann",), changed=changes, return_s=20) as found, found.client("ann") as client:
        records = np.random.default_rng(1).uniform(-8, 8, (2, 3))
        assert near(client.ask(records), records)
        told = found.settings("host-b")
        assert told.share is not None
        share = reload_share(told.share, client.model, "host-b", told.agreed(), 64, told.ticket_bytes)
        assert share is not None
        pieces = {name: piece + np.uint64(name == "weights") for name, piece in share.pieces.items()}
        keep_share(told.share, ModelShare(share.name, pieces, share.tickets), "host-b", told.agreed(), 64)
        os.kill(found.worker("host-b"), signal.SIGKILL)
        assert [found.processes[name].wait(PATIENCE_S) for name in ("host-a", "host-b")] == [1, 1]
        said = found.log("host-a") + found.log("host-b")  # whoever notices first leaves, and the other one sees that
        assert "expected the model that its owner gave, found another" in said
        with pytest.raises((DeadlineError, TransportError)):
            client.settings = client.settings.model_copy(update={"answer_s": 1.0})
            client.ask(records)
