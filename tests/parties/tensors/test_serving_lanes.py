"""What the parties of a lane see, and what would be open if a session used something of an earlier one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.channels.memory import MemoryChannel, memory_pair
from mpc.errors import ProtocolError, TransportError
from mpc.randomness import RoleRandomness
from mpc.tensors.backends import DealerBackend
from mpc.tensors.delivery import Piece, Question, pieces_of, read_piece
from mpc.tensors.network import Network
from parties.tensors.serving import lane as lanes
from parties.tensors.serving.lane import Answers, Lane
from parties.tensors.serving.model import Model
from parties.tensors.serving.settings import ServingSettings
from parties.tensors.serving.share import ModelShare
from tests.parties.tensors.services import FORMAT, MODEL, RECORDS, SIZE, WEIGHTS, near

EVERYBODY = ("host-a", "host-b", "dora")
HOSTS = EVERYBODY[:2]
OFFSET = np.array([0.25, 1.0])


@pytest.fixture
def model(tmp_path: Path) -> Model:
    (tmp_path / "tiny.py").write_text(MODEL)
    return Model(tmp_path / "tiny.py")


@pytest.fixture
def share(model: Model) -> list[dict[str, np.ndarray]]:
    """Each host's share of the model, which it keeps from one session to the next."""
    values = {"weights": WEIGHTS, "offset": OFFSET}
    parts = {
        name: pieces_of(name, values[name], shape, bound, FORMAT, 2)
        for name, (shape, bound) in model.parameters.items()
    }
    return [
        {name: read_piece(memoryview(parts[name][host]), shape, 64) for name, (shape, _) in model.parameters.items()}
        for host in range(2)
    ]


def settings(me: str) -> ServingSettings:
    return ServingSettings.model_construct(
        name=me, backend="dealer", computing=HOSTS, provider="dora", owner="olga", ring_bits=64, fraction_bits=16,
        rounding="nearest", seed=0,
    )  # fmt: skip


def question(records: np.ndarray) -> tuple[Question, list[Piece]]:
    asked = Question.of(records, records.shape, 8, (len(records), 2), FORMAT, 2)
    shape, answer = records.shape, (len(records), 2)
    return asked, [Piece.read(memoryview(message), shape, answer, 64) for message in asked.messages]


def session(
    model: Model,
    share: list[dict[str, np.ndarray]],
    batches: Sequence[Sequence[list[Piece]]],
    orders: Callable[[list[str], str], list[str]] = lambda names, _: names,
) -> tuple[dict[str, list[Answers]], dict[str, list[tuple[str, str, bytes]]]]:
    """One session of a lane: for each host the answers to all batches, and for each party all that it received."""
    channels: dict[str, dict[str, MemoryChannel]] = {name: {} for name in EVERYBODY}
    for place, one in enumerate(EVERYBODY):
        for two in EVERYBODY[place + 1 :]:
            channels[one][two], channels[two][one] = memory_pair(one, two, 30.0)
    found: dict[str, list[Answers]] = {name: [] for name in HOSTS}
    errors: list[BaseException] = []

    def side(me: str) -> None:
        try:
            computes = me in HOSTS
            own = ModelShare("f" * 32, share[HOSTS.index(me)]) if computes else None
            each = Lane(settings(me), model, SIZE, Network(me, channels[me]), own)
            for batch in batches:
                if computes:
                    names = [f"request {number}" for number in range(len(batch))]
                    found[me].append(each.answers([pair[HOSTS.index(me)] for pair in batch], orders(names, me)))
                else:
                    each.prepare()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)
            for channel in channels[me].values():
                channel.close()

    threads = [threading.Thread(target=side, args=(name,)) for name in EVERYBODY]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
    received = {
        name: [
            (channel.peer, label, body) for channel in channels[name].values()
            for direction, label, body in channel.transcript if direction == "received"
        ]
        for name in EVERYBODY
    }  # fmt: skip
    return found, received


def test_each_request_of_a_batch_gets_its_own_answer(model: Model, share: list[dict[str, np.ndarray]]) -> None:
    asked = [question(RECORDS[:1]), question(RECORDS[1:])]
    found, _ = session(model, share, [[pieces for _, pieces in asked], [pieces for _, pieces in asked[:1]]])
    for place, (each, records) in enumerate(zip(asked, (RECORDS[:1], RECORDS[1:]), strict=True)):
        first = found["host-a"][0]
        bodies = [(name, found[name][0].bodies[place]) for name in HOSTS]
        assert near(each[0].answer(bodies, first.fraction_bits), records)
        wrong = [(name, found[name][0].bodies[1 - place]) for name in HOSTS]
        if len(wrong[0][1]) == len(bodies[0][1]):
            assert not near(each[0].answer(wrong, first.fraction_bits), records)


def test_hosts_that_were_told_other_orders_of_a_batch_give_no_answer(
    model: Model, share: list[dict[str, np.ndarray]]
) -> None:
    """Their pieces would be put together with those of another request."""
    batch = [question(RECORDS[:1])[1], question(RECORDS[1:2])[1]]
    with pytest.raises((ProtocolError, TransportError), match=r"found others|closed the connection"):
        session(model, share, [batch], lambda names, me: names[::-1] if me == HOSTS[1] else names)


def test_the_provider_receives_nothing_but_what_was_agreed_on(model: Model, share: list[dict[str, np.ndarray]]) -> None:
    _, received = session(model, share, [[question(RECORDS)[1]]])
    assert {label for _, label, _ in received["dora"]} == {"join/agreement"}


def test_what_a_host_receives_is_uniform_whatever_records_and_model_are(model: Model) -> None:
    zeros = [{name: np.zeros(shape, np.uint64) for name, (shape, _) in model.parameters.items()} for _ in range(2)]
    nothing = np.zeros((SIZE, 3))
    _, received = session(model, zeros, [[question(nothing)[1]] for _ in range(60)])
    for host in HOSTS:
        seen = b"".join(
            body for _, label, body in received[host]
            if label.startswith(("open/", "output/")) and len(body) % 8 == 0
        )  # fmt: skip
        words = np.frombuffer(seen, dtype="<u8")
        assert len(words) > 2000
        counts = np.bincount((words >> np.uint64(60)).astype(int), minlength=16)
        assert ((counts - len(words) / 16) ** 2 / (len(words) / 16)).sum() < 50  # beyond it once in 10^5


def same(label: str) -> bool:
    """Whether a message is public, or the same for other reasons than something that was used twice."""
    return label in ("join/agreement", "public")


def test_a_session_uses_nothing_of_an_earlier_one(model: Model, share: list[dict[str, np.ndarray]]) -> None:
    """The hosts come back with the shares that they kept, and are even asked the same."""
    asked = question(RECORDS)[1]
    seen = [session(model, share, [[asked]])[1] for _ in range(2)]
    for name in EVERYBODY:
        for (_, label, first), (_, again, second) in zip(seen[0][name], seen[1][name], strict=True):
            assert label == again
            if not same(label) and not label.startswith("output/"):
                assert first != second, (name, label)


def test_seeds_of_an_earlier_session_would_show_the_difference_of_two_records(
    model: Model, share: list[dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the seeds kept beside the share, a host would see one mask over two records."""

    def kept(told: ServingSettings, network: Network) -> Any:
        return DealerBackend.join(
            network, computing=told.computing, provider=told.provider,
            randomness=RoleRandomness(b"kept " + network.me.encode()),
        )  # fmt: skip

    def masked(records: np.ndarray) -> np.ndarray:
        """What host-a sees of host-b's piece of the records, when its own piece is zero."""
        raw = np.rint(records * 2**16).astype(np.int64).astype(np.uint64)
        empty, none = np.zeros((len(records), 2), np.uint64), np.zeros((len(records), 0), np.uint64)
        pieces = [Piece(np.zeros_like(raw), empty, none), Piece(raw, empty, none)]
        _, received = session(model, share, [[pieces]])
        (body,) = [body for peer, label, body in received["host-a"] if peer == "host-b" and label.startswith("open/0/")]
        return np.frombuffer(body, dtype="<u8")

    def shows_it() -> bool:
        one, two = masked(RECORDS), masked(RECORDS * 0.5)
        wanted = np.rint(RECORDS * 2**15).astype(np.int64).astype(np.uint64)
        difference = one - two
        return any(
            (difference[start : start + 9].reshape(3, 3) == wanted).all() for start in range(len(difference) - 8)
        )

    assert not shows_it()
    monkeypatch.setattr(lanes, "join_backend", kept)
    assert shows_it()
