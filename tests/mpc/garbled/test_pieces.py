"""Batches in pieces and frames: what crosses when, and that no link can jam."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from numpy.typing import NDArray

import mpc
import mpc.garbled.pieces
from mpc._core import Circuit, EvaluatedPiece
from mpc.channels.memory import MemoryChannel, run_both_sides
from mpc.channels.sockets import SocketChannel
from mpc.garbled.batch import EvaluatedBatch, Projection
from mpc.garbled.pieces import BLOCK_BYTES, CHECK_BYTES, OTS_A_BLOCK
from mpc.garbled.session import Evaluator, Garbler
from tests.mpc.garbled.pair import frames, opened, prepared, words

Words = NDArray[np.uint64]


def test_tables_travel_in_frames_and_batches_can_wait() -> None:
    """Two batches prepared, the second used first; one is larger than a frame."""
    garbler, evaluator = opened()
    small, large = Circuit.add(8), Circuit.relu(32, 8)
    own_values, other_values = words((400, 1), 32, 3), words((400, 1), 32, 4)
    waiting = run_both_sides(
        lambda: garbler.prepare(small, 1), lambda: evaluator.prepare(small, 1, np.array([[200]], dtype=np.uint64))
    )
    garbled, evaluated = prepared(garbler, evaluator, large, own_values, other_values)
    outputs, _ = run_both_sides(garbled.receive_outputs, evaluated.return_outputs)
    np.testing.assert_array_equal(outputs, large.run(own_values, other_values))
    run_both_sides(lambda: waiting[0].send_inputs(np.array([[100]], dtype=np.uint64)), waiting[1].receive_inputs)
    _, outputs = run_both_sides(waiting[0].reveal_to_evaluator, waiting[1].learn_outputs)
    assert outputs.tolist() == [[44]]
    sizes = [len(body) for label, body in frames(garbler, "sent") if label == "garbled/1/relu(32, 8)/400/tables"]
    assert sum(sizes) == large.table_bytes(400)
    assert len(sizes) > 1
    assert max(sizes) == mpc.garbled.pieces.FRAME_BYTES


@pytest.mark.parametrize("n", [1, 31, 32, 33, 96, 100])
def test_a_batch_of_many_pieces_is_one_batch(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    monkeypatch.setattr(mpc.garbled.pieces, "OTS_A_PIECE", 64 * 9)  # 64 instances of three 3-bit words
    circuit = Circuit.argmax(3, 3)
    own_values, other_values = words((n, 3), 3, 11), words((n, 3), 3, 12)
    expected = circuit.run(own_values, other_values)
    garbler, evaluator = opened()
    shared = Projection(5)
    streamed = run_both_sides(
        lambda: garbler.garble(circuit, own_values, projection=shared),
        lambda: evaluator.evaluate(circuit, other_values, projection=shared),
    )
    batches = [
        prepared(garbler, evaluator, circuit, own_values, other_values, shared),
        run_both_sides(lambda: garbler.garble(circuit, own_values), lambda: evaluator.evaluate(circuit, other_values)),
    ]
    for garbled, evaluated in (streamed, batches[0]):
        np.testing.assert_array_equal((garbled.shares() + evaluated.shares()) & np.uint64(31), expected)
    for garbled, evaluated in batches:
        _, outputs = run_both_sides(garbled.reveal_to_evaluator, evaluated.learn_outputs)
        np.testing.assert_array_equal(outputs, expected)
        outputs, _ = run_both_sides(garbled.receive_outputs, evaluated.return_outputs)
        np.testing.assert_array_equal(outputs, expected)


def test_the_next_choices_cross_before_a_pieces_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that both sides compute at once, with one piece in work and one ahead."""
    monkeypatch.setattr(mpc.garbled.pieces, "OTS_A_PIECE", 32 * 8)
    circuit = Circuit.add(8)
    garbler, evaluator = opened()
    run_both_sides(
        lambda: garbler.garble(circuit, np.zeros((100, 1), dtype=np.uint64)),
        lambda: evaluator.evaluate(circuit, np.zeros((100, 1), dtype=np.uint64)),
    )
    assert isinstance(garbler.channel, MemoryChannel)
    order = [label.rsplit("/", 1)[1] for _, label, _ in garbler.channel.transcript if label.startswith("garbled/0/")]
    assert order == ["choices", *["choices", "tables"] * 3, "tables"]


def test_choices_leave_before_the_piece_that_was_read_is_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpc.garbled.pieces, "OTS_A_PIECE", 32 * 8)
    circuit, zeros, shared = Circuit.add(8), np.zeros((130, 1), dtype=np.uint64), Projection(8)
    garbler, evaluator = opened()
    finish, sent = EvaluatedBatch.open_shares, []

    def observed(batch: EvaluatedBatch, piece: EvaluatedPiece, message: bytes) -> None:
        sent.append(sum(label.endswith("choices") for label, _ in frames(evaluator, "sent")))
        finish(batch, piece, message)

    monkeypatch.setattr(EvaluatedBatch, "open_shares", observed)
    run_both_sides(
        lambda: garbler.garble(circuit, zeros, projection=shared),
        lambda: evaluator.evaluate(circuit, zeros, projection=shared),
    )
    assert sent == [3, 4, 5, 5, 5]


def test_a_batch_cannot_jam_a_link_that_buffers_almost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choices of 64 KB and tables of 230 KB a piece, over sockets that hold a few KB."""
    monkeypatch.setattr(mpc.garbled.pieces, "OTS_A_PIECE", 1 << 14)
    circuit = Circuit.argmax(2, 8)
    own_values, other_values = words((3000, 2), 8, 13), words((3000, 2), 8, 14)
    with socket.create_server(("127.0.0.1", 0)) as server:
        ends = [socket.socket(), socket.socket()]
        for end in (server, ends[0]):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        ends[0].connect(server.getsockname())
        ends[1] = server.accept()[0]
    channels = [SocketChannel(peer, 20, end) for peer, end in zip(("evaluator", "garbler"), ends, strict=True)]
    garbler, evaluator = run_both_sides(lambda: Garbler.open(channels[0]), lambda: Evaluator.open(channels[1]))
    garbled, evaluated = run_both_sides(
        lambda: garbler.garble(circuit, own_values), lambda: evaluator.evaluate(circuit, other_values)
    )
    _, outputs = run_both_sides(garbled.reveal_to_evaluator, evaluated.learn_outputs)
    np.testing.assert_array_equal(outputs, circuit.run(own_values, other_values))
    for channel in channels:
        channel.close()


@pytest.mark.parametrize("beyond", [0, 1])
def test_oblivious_transfers_are_extended_only_when_they_are_short(beyond: int) -> None:
    """The second batch takes exactly what the first one has left, or one instance more."""
    garbler, evaluator = opened()
    circuit = Circuit.threshold(1, 8)
    assert OTS_A_BLOCK % (2 * circuit.evaluator_bits) == 0
    half = OTS_A_BLOCK // 2 // circuit.evaluator_bits
    for count in (half, half + beyond):
        prepared(garbler, evaluator, circuit, words((count, 1), 8, 1), words((count, 1), 8, 2))
    first, second = (len(body) for label, body in frames(evaluator, "sent") if label.endswith("/choices"))
    extension = BLOCK_BYTES + CHECK_BYTES
    assert first == extension + half * circuit.evaluator_bits // 8
    assert second == beyond * extension + (half + beyond) * circuit.evaluator_bits // 8
