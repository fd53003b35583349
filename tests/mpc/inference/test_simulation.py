"""Transcripts that could have been made up: what each party sees, written from its inputs and outputs alone.

A party learns nothing but its output if a simulator that has only that could write its view (Goldreich, "Foundations
of Cryptography II", section 7.2). The simulators here know the public architecture and how many queries there were, and
draw everything else; ciphertexts are encryptions of their own choice. Two batches with the very same queries make a
view, and a distinguisher compares it with the simulated one: labels and lengths, the bytes of every kind of message,
how the two batches differ, and whether the querying party's shares follow from its masks. Variants of the protocol that
forget a mask or use one twice must be told apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import get_args

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from mpc._core import Circuit, RlweEvaluator, RlweSecretKey
from mpc.channels.frames import Channel
from mpc.garbled.batch import EvaluatedBatch
from mpc.garbled.pieces import BLOCK_BYTES, CHECK_BYTES, FRAME_BYTES, OTS_A_BLOCK
from mpc.garbled.session import POINT_BYTES, REPLY_BYTES, SUMS_BYTES, Circuits
from mpc.inference import Architecture, Linear, Network, ReLU
from mpc.inference.linear import encrypted as linear
from mpc.inference.linear.encoding import plan
from mpc.inference.linear.encrypted import AnsweringLinear, QueryingEncrypted
from mpc.inference.linear.weights import LayerWeights
from mpc.inference.models.fixed import Nonlinearity
from mpc.inference.nonlinear import AnsweringNonlinear
from mpc.randomness import SYSTEM
from mpc.ring import Ring, Words, pack_words, packed_size, unpack_words
from tests.mpc.inference.examples import Session, run_both_sides, uniform

INPUTS, HIDDEN, CLASSES, BATCH = 16, 12, 8, 64
BITS = 40
LABEL_BYTES = 16
UNLIKELY = 1e-7
FOLLOW = "shares that follow from masks"

Message = tuple[str, bytes]
View = tuple[list[Message], list[list[Message]]]  # of the opening, and of each batch


@pytest.fixture(scope="module")
def network() -> Network:
    rng = np.random.default_rng(0)
    layers = [
        Linear(uniform(rng, HIDDEN, INPUTS), uniform(rng, HIDDEN)),
        ReLU(),
        Linear(uniform(rng, CLASSES, HIDDEN), uniform(rng, CLASSES)),
    ]
    return Network.from_layers(layers, (INPUTS,), ring_bits=BITS)


# --- real views -----------------------------------------------------------------------------------------------------


def real_views(network: Network, sending: Circuits) -> tuple[View, View]:
    """What QP and AP received, and what follows from it with what they drew, in two batches of the same queries."""
    decoded: list[Words] = []
    opened: list[Words] = []
    correlated: list[tuple[Words, Words]] = []
    run, correlate, open_shares = AnsweringNonlinear.run, QueryingEncrypted.correlate, EvaluatedBatch.shares

    def spy_run(step: AnsweringNonlinear, channel: Channel, shares: Words) -> Words:
        decoded.append(run(step, channel, shares))
        return decoded[-1]

    def spy_shares(batch: EvaluatedBatch) -> Words:
        opened.append(open_shares(batch))
        return opened[-1]

    def spy_correlate(side: QueryingEncrypted, inputs: Sequence[Words]) -> list[Words]:
        shares = correlate(side, inputs)
        correlated.append((inputs[0].copy(), shares[0]))  # the masks are wiped when they have been used
        return shares

    queries = network.encode_inputs(np.full((BATCH, INPUTS), 0.5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AnsweringNonlinear, "run", spy_run)
        patch.setattr(EvaluatedBatch, "shares", spy_shares)
        patch.setattr(QueryingEncrypted, "correlate", spy_correlate)
        session = Session.open(network, circuits=sending)
        ends = session.querying_channel, session.answering_channel
        marks = [[len(end.transcript)] for end in ends]
        outputs = []
        for _ in range(2):
            asked, served = run_both_sides(
                lambda: session.querying.prepare(BATCH), lambda: session.answering.prepare(BATCH)
            )
            outputs.append(
                run_both_sides(lambda: session.querying.infer(asked, queries), lambda: session.answering.infer(served))  # noqa: B023
            )
            for mark, end in zip(marks, ends, strict=True):
                mark.append(len(end.transcript))
    own: list[list[list[Message]]] = [
        [
            [("masks", words(masks)), ("shares", words(shares)), ("opened", words(after)), ("output", words(output))]
            for (masks, shares), after, (output, _) in zip(correlated, opened, outputs, strict=True)
        ],
        [
            [("decoded", words(values)), ("output", words(output))]
            for values, (_, output) in zip(decoded, outputs, strict=True)
        ],
    ]
    views = []
    for end, mark, mine in zip(ends, marks, own, strict=True):
        received = [
            [(unnumbered(label), body) for way, label, body in end.transcript[first:last] if way == "received"]
            for first, last in zip([0, *mark], mark, strict=False)
        ]
        views.append((received[0], [batch + more for batch, more in zip(received[1:], mine, strict=True)]))
    return views[0], views[1]


def words(values: Words) -> bytes:
    return pack_words(values.reshape(-1), BITS)


def unnumbered(label: str) -> str:
    return re.sub(r"^garbled/\d+/", "garbled/", label)


# --- simulators -----------------------------------------------------------------------------------------------------


def drawn(*shape: int) -> bytes:
    return words(Ring(BITS).random(shape))


def circuits(public: Architecture) -> list[tuple[str, Circuit, int]]:
    """The label, circuit and number of instances of every non-linearity, for a batch."""
    found = []
    for step in public.steps():
        if isinstance(step.layer, Nonlinearity):
            circuit = step.layer.circuit(public.ring_bits, step.dropped_bits, public.fraction_bits)
            count = BATCH * int(np.prod(step.after))
            found.append((f"garbled/{circuit.name}/{count}/shares of {BITS} bits", circuit, count))
    return found


def simulated_querying(public: Architecture, sending: Circuits) -> View:
    """QP's view: the AP's messages. Replies are encryptions, under QP's key, of shares that are nobody's; labels are a
    seed where circuits are streamed."""
    parameters = public.rlwe()
    key = RlweSecretKey(parameters)
    evaluator = RlweEvaluator(parameters, key.public_key())
    opening = [("garbled/base/2", SYSTEM.bytes(REPLY_BYTES)), ("network/architecture", msgspec.msgpack.encode(public))]

    def batch() -> list[Message]:
        messages = []
        for index, (name, _, shape) in enumerate(public.private_layers()):
            layout = plan(shape, BATCH, parameters.degree)
            nothing = LayerWeights(name, shape, np.zeros(shape.weight_shape, np.int64), parameters, index)
            polynomials = layout.instance_blocks * layout.channel_blocks
            upload = key.encrypt(np.zeros((polynomials, parameters.degree), np.uint64))
            (outputs,) = layout.output_groups
            positions, _ = layout.selection(range(layout.instance_blocks), outputs)
            shares = Ring(BITS).random((len(positions),))
            loaded = nothing.transformed(layout, outputs)
            messages.append(
                (f"{name}/reply", evaluator.apply(loaded, upload, shares, positions, layout.instance_blocks))
            )
        for name, circuit, count in circuits(public):
            left, beside = circuit.table_bytes(count), LABEL_BYTES if sending == "streamed" else 0
            while left:
                now = min(left, FRAME_BYTES)
                left -= now
                beside += 0 if left else circuit.projection_bytes(count, BITS)
                messages.append((f"{name}/tables", SYSTEM.bytes(now + beside)))
                beside = 0
        for name, circuit, count in circuits(public) if sending == "ahead" else ():
            messages.append((f"{name}/labels", SYSTEM.bytes(LABEL_BYTES * count * sum(circuit.garbler_widths))))
        return [
            *messages,
            ("masks", drawn(BATCH, INPUTS)),
            ("shares", drawn(BATCH, HIDDEN)),
            ("opened", drawn(BATCH, HIDDEN)),
            ("output", drawn(BATCH, CLASSES)),
        ]

    return opening, [batch(), batch()]


def simulated_answering(public: Architecture, sending: Circuits) -> View:
    """AP's view: QP's messages. Uploads are encryptions of zero under a key of the simulator's."""
    parameters = public.rlwe()
    key = RlweSecretKey(parameters)
    opening = [
        ("garbled/base/1", SYSTEM.bytes(POINT_BYTES)),
        ("garbled/base/3", SYSTEM.bytes(SUMS_BYTES)),
        ("network/key", key.public_key()),
    ]
    left = 0

    def batch() -> list[Message]:
        nonlocal left
        messages = []
        for name, _, shape in public.private_layers():
            layout = plan(shape, BATCH, parameters.degree)
            polynomials = layout.instance_blocks * layout.channel_blocks
            messages.append((f"{name}/upload", key.encrypt(np.zeros((polynomials, parameters.degree), np.uint64))))
        for name, circuit, count in circuits(public):
            needed = count * circuit.evaluator_bits
            blocks = -(-max(0, needed - left) // OTS_A_BLOCK)
            left += blocks * OTS_A_BLOCK - needed
            extension = blocks * BLOCK_BYTES + CHECK_BYTES if blocks else 0
            messages.append((f"{name}/choices", SYSTEM.bytes(extension + packed_size(needed, 1))))
        (choices,) = [place for place, (label, _) in enumerate(messages) if label.endswith("/choices")]
        messages.insert(choices if sending == "streamed" else choices + 1, ("inference/input", drawn(BATCH, INPUTS)))
        messages.append(("inference/masked", drawn(BATCH, HIDDEN)))
        return [*messages, ("decoded", drawn(BATCH, HIDDEN)), ("output", drawn(BATCH, CLASSES))]

    return opening, [batch(), batch()]


# --- the distinguisher ----------------------------------------------------------------------------------------------


def told_apart(real: View, simulated: View) -> list[str]:
    """All that tells a real view from a simulated one."""
    pairs = list(zip([real[0], *real[1]], [simulated[0], *simulated[1]], strict=True))
    if any(
        [(label, len(body)) for label, body in mine] != [(label, len(body)) for label, body in theirs]
        for mine, theirs in pairs
    ):
        return ["structure"]
    found = [label for label, body in real[0] if not alike(body, joined(simulated[0], label))]
    for label in sorted({label for label, _ in real[1][0]}):
        mine, theirs = ([joined(batch, label) for batch in view[1]] for view in (real, simulated))
        if not alike(mine[0], theirs[0]):
            found.append(label)
        elif not alike(difference(*mine), difference(*theirs)):
            found.append(f"{label}, batch against batch")
    if joined(real[1][0], "masks") and follows(real[1]) != follows(simulated[1]):
        found.append(FOLLOW)
    return found


def joined(messages: list[Message], label: str) -> bytes:
    return b"".join(body for name, body in messages if name == label)


def difference(first: bytes, second: bytes) -> bytes:
    size = min(len(first), len(second))
    return (np.frombuffer(first[:size], np.uint8) ^ np.frombuffer(second[:size], np.uint8)).tobytes()


def alike(first: bytes, second: bytes) -> bool:
    """Whether two strings of equal length have the same distribution of bytes, or of bits where they are short."""
    if first == second:
        return True  # public
    columns = [np.frombuffer(body, np.uint8) for body in (first, second)]
    values = 256
    if len(first) < 4096:
        columns, values = [np.unpackbits(column) for column in columns], 2
    table = np.stack([np.bincount(column, minlength=values) for column in columns])
    table = table[:, table.sum(axis=0) > 0]
    return table.shape[1] > 1 and float(stats.chi2_contingency(table).pvalue) > UNLIKELY


def follows(batches: list[list[Message]]) -> bool:
    """Whether QP's shares of the first layer are a linear function of its masks, but for what is the same in both
    batches: the rows (mask, share) of the batches' difference, by their lowest bits, span no more than masks do."""
    masks, shares = (
        np.bitwise_xor.reduce([lowest_bits(joined(batch, label), width) for batch in batches])
        for label, width in (("masks", INPUTS), ("shares", HIDDEN))
    )
    return rank(np.concatenate([masks, shares], axis=1)) < INPUTS + HIDDEN


def lowest_bits(body: bytes, width: int) -> NDArray[np.uint8]:
    return (unpack_words(body, (BATCH, width), BITS) & np.uint64(1)).astype(np.uint8)


def rank(matrix: NDArray[np.uint8]) -> int:
    """Over GF(2)."""
    rows, found = [int("".join(map(str, row)), 2) for row in matrix], 0
    while rows:
        pivot = max(rows)
        if pivot == 0:
            return found
        found += 1
        rows.remove(pivot)
        rows = [min(row, row ^ pivot) for row in rows]
    return found


# --- the test -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sending", get_args(Circuits))
def test_both_views_could_have_been_made_up(network: Network, sending: Circuits) -> None:
    querying, answering = real_views(network, sending)
    assert told_apart(querying, simulated_querying(network.architecture, sending)) == []
    assert told_apart(answering, simulated_answering(network.architecture, sending)) == []


Masks = tuple[list[Words], list[Words]]


def masks_forgotten(draw: Callable[..., Masks]) -> Callable[..., Masks]:
    return lambda *arguments: tuple([values * np.uint64(0) for values in part] for part in draw(*arguments))  # type: ignore[return-value]


def masks_used_again(draw: Callable[..., Masks]) -> Callable[..., Masks]:
    first: list[Masks] = []

    def again(*arguments: object) -> Masks:
        if not first:
            first.append(draw(*arguments))
        return [values.copy() for values in first[0][0]], [values.copy() for values in first[0][1]]

    return again


def shares_forgotten(draw: Callable[..., Words]) -> Callable[..., Words]:
    return lambda *arguments: draw(*arguments) * np.uint64(0)


def shares_used_again(draw: Callable[..., Words]) -> Callable[..., Words]:
    first: dict[str, Words] = {}
    return lambda layer, batch: first.setdefault(layer.name, draw(layer, batch)).copy()


@pytest.mark.parametrize(
    ("place", "name", "broken", "querying_tells", "answering_tells"),
    [
        (linear, "draw_masks", masks_forgotten, ["masks", FOLLOW], ["decoded", "inference/input"]),
        (
            linear,
            "draw_masks",
            masks_used_again,
            ["masks, batch against batch", FOLLOW],
            ["decoded, batch against batch", "inference/input, batch against batch"],
        ),
        (AnsweringLinear, "draw", shares_forgotten, [FOLLOW], []),
        (AnsweringLinear, "draw", shares_used_again, [FOLLOW], []),
    ],
)
def test_a_variant_that_hides_too_little_is_told_apart(
    network: Network,
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    name: str,
    broken: Callable[..., object],
    querying_tells: list[str],
    answering_tells: list[str],
) -> None:
    monkeypatch.setattr(place, name, broken(getattr(place, name)))
    querying, answering = real_views(network, "ahead")
    assert told_apart(querying, simulated_querying(network.architecture, "ahead")) == querying_tells
    assert told_apart(answering, simulated_answering(network.architecture, "ahead")) == answering_tells
