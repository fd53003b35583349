"""What two parties who trust nobody else see of each other, what works once a defence is gone, and what is refused."""

from __future__ import annotations

import hashlib
import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.channels.frames import Channel
from mpc.errors import ParameterError, ProtocolError, TransportError
from mpc.ring import Words
from mpc.tensors.backends import DealerBackend, TwoPartyBackend, two_party
from mpc.tensors.backends.interface import Shared
from mpc.tensors.backends.two_party import comparison, packed, truncation
from mpc.tensors.backends.two_party.encrypted import DEGREE, Keys
from mpc.tensors.backends.two_party.matrices import Blocks, Matrices, blocks_for
from mpc.tensors.backends.two_party.oblivious import Transfers
from mpc.tensors.network import Network
from tests.authority import issue
from tests.mpc.channels.meeting import meet
from tests.mpc.tensors.backends import session
from tests.mpc.tensors.backends.session import OUTSIDE, TWO_PARTY, names, outcomes, run, together, transcript, words
from tests.mpc.tensors.backends.test_views import p_value

RNG = np.random.default_rng(17)
PAGE = Path(__file__).resolve().parents[4] / "docs" / "messages.md"
EXTREMES = [2**63, 2**63 - 1, 2**64 - 1, 0, 1]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transforms of long polynomials take their time on a busy machine."""
    monkeypatch.setattr(session, "PATIENCE_S", 300.0)


def anywhere(*shape: int, bits: int = 64) -> Words:
    values = RNG.integers(0, 2**64, shape, dtype=np.uint64) >> np.uint64(64 - bits)
    flat = values.reshape(-1)
    flat[: len(EXTREMES)] = np.array(EXTREMES, dtype=np.uint64)[: flat.size] >> np.uint64(64 - bits)
    return values


# -- exact under encryption --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "bits"), [((3, 200, 1), 64), ((1, 9000, 1), 64), ((17, 33, 29), 64), ((30, 45, 2), 40)]
)
def test_products_of_matrices_are_exact_anywhere_in_the_ring(shape: tuple[int, int, int], bits: int) -> None:
    (m, k, n), mask = shape, np.uint64(2**bits - 1)
    x, y = anywhere(m, k, bits=bits), anywhere(k, n, bits=bits)
    (found,) = together(TWO_PARTY, [x, y], lambda backend, shared: backend.matmul([(shared[0], shared[1])]), bits)
    assert (found == x @ y & mask).all()


def test_stacks_of_matrices_broadcast() -> None:
    x, y = anywhere(2, 1, 9, 10), anywhere(3, 10, 8)
    (found,) = together(TWO_PARTY, [x, y], lambda backend, shared: backend.matmul([(shared[0], shared[1])]))
    assert (found == x @ y).all()


@pytest.mark.parametrize(("count", "bits"), [(2048, 64), (DEGREE + 5, 64), (2 * DEGREE + 3000, 40)])
def test_many_products_of_words_are_exact_anywhere_in_the_ring(count: int, bits: int) -> None:
    """They go in polynomials, all but a few that go by OT."""
    x, y, mask = anywhere(count, bits=bits), anywhere(count, bits=bits), np.uint64(2**bits - 1)

    def program(backend: TwoPartyBackend, shared: list[Shared]) -> list[Shared]:
        a, b = shared
        return list(backend.multiply([(a, b), (a, a)]))

    product, square = together(TWO_PARTY, [x, y], program, bits)
    assert (product == x * y & mask).all()
    assert (square == x * x & mask).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_blocks_put_every_sum_of_products_at_its_place(m: int, k: int, n: int) -> None:
    """Of the polynomials in the clear, of small numbers, whose products are a convolution."""
    blocks = blocks_for(m, k, n)
    a, b = RNG.integers(0, 9, (m, k)).astype(np.uint64), RNG.integers(0, 9, (k, n)).astype(np.uint64)
    rows, sums, columns = blocks.counts
    left = blocks.uploads(a).reshape(rows, sums, DEGREE).astype(float)
    right = blocks.weights(b, slice(0, columns)).astype(float)
    found = np.zeros((rows * blocks.mw, columns * blocks.nw))
    for row in range(rows):
        for column in range(columns):
            long = sum(
                np.fft.irfft(np.fft.rfft(left[row, j], 2 * DEGREE) * np.fft.rfft(right[column, j], 2 * DEGREE))
                for j in range(sums)
            )
            wrapped = np.rint(long[:DEGREE] - long[DEGREE:])[blocks.places()].reshape(blocks.mw, blocks.nw)
            found[row * blocks.mw :, column * blocks.nw :][: blocks.mw, : blocks.nw] = wrapped
    assert (found[:m, :n] == a.astype(float) @ b.astype(float)).all()


def test_blocks_stay_within_what_the_noise_allows() -> None:
    for m, k, n in [(1, 1, 1), (256, 256, 256), (1, 16384, 1), (1000, 1000, 1000), (455, 30, 1), (9, 8192, 7)]:
        blocks = blocks_for(m, k, n)
        assert blocks.mw * blocks.kw * blocks.nw <= DEGREE
        assert k * blocks.nw <= 1 << 14
        assert blocks.counts[1] <= 999
    assert Blocks(10, 10, 10, 2, 4, 3).counts == (5, 3, 4)


# -- what each party sees ----------------------------------------------------------------------------------------------

SHAPE = (48, 45)  # 2,160 words, which fill a polynomial well enough
LARGEST = 2**15 - 1


def everything(backend: TwoPartyBackend, value: Words) -> list[Words] | None:
    """A program that uses every operation, on an array of one owner that is outside and one that computes."""
    x: Shared = backend.input(OUTSIDE, value if backend.me == OUTSIDE else None, SHAPE)
    y = backend.input("p0", value if backend.me == "p0" else None, SHAPE)
    (product,) = backend.multiply([(x, y)])
    small = backend.linear(lambda a: a[:4, :4], (4, 4), x)
    (few,) = backend.multiply([(small, small)])
    (square,) = backend.matmul([(x, backend.linear(np.transpose, SHAPE[::-1], y))])
    (narrow,) = backend.negative([y], LARGEST)
    (kept,), (positive,) = backend.relu([y], LARGEST)
    (cut,) = backend.truncate([product], 16, 2**40, "stochastic")
    (exact,) = backend.truncate([square], 16, 2**40, "nearest")
    (again,) = backend.keep_if([positive], [cut])
    return backend.open([narrow, kept, exact, again, few], ["p1", OUTSIDE])


def views(value: int, seed: bytes | None = None) -> dict[str, dict[str, list[tuple[str, str, bytes]]]]:
    """What every party sent and received, by party and peer."""
    backends = two_party.in_memory(names(2), None, (OUTSIDE,), kept=True, seed=seed)
    run(backends, lambda backend: everything(backend, words(np.full(SHAPE, value))))
    return {
        name: {peer: transcript(backend, peer) for peer in backend._network.peers} for name, backend in backends.items()
    }


def kind_of(label: str) -> str:
    """What a message is, of all its kind: `ot/K/keep/64 bits/words` is `ot/keep/words`."""
    return "/".join(part for part in label.split("/") if not part[:1].isdigit())


def test_what_each_party_receives_is_uniform_and_its_size_does_not_depend_on_values() -> None:
    sizes = []
    for value in (0, LARGEST, -1):
        lengths = []
        for name, seen in views(value).items():
            for peer, frames in seen.items():
                kinds: dict[str, bytes] = {}
                for direction, label, body in frames:
                    lengths.append((name, peer, direction, label, len(body)))
                    if direction == "received" and not label.startswith(("join/", "ot/base", "garbled/base")):
                        kinds[kind_of(label)] = kinds.get(kind_of(label), b"") + body
                assert OUTSIDE in (name, peer) or len(kinds) > 8, kinds.keys()
                for kind, body in kinds.items():
                    assert p_value(body) > 1e-7, (value, name, peer, kind)
        sizes.append(lengths)
    assert sizes[0] == sizes[1] == sizes[2]


def as_on_the_page(label: str) -> str:
    """A label as the page of messages writes it."""
    kind, *rest = label.split("/")
    if kind == "garbled" or label.startswith(("join/", "ot/base")):
        return "garbled/…" if kind == "garbled" else label
    if kind == "ot":
        return f"ot/K/KIND/B bits/{rest[3]}"
    if kind == "rlwe":
        return "rlwe/KIND/key" if rest[1] == "key" else f"rlwe/KIND/K/{rest[2]}"
    return f"{kind}/K/SHAPE"


def test_the_page_of_messages_lists_what_is_sent() -> None:
    section, dealt = (
        PAGE.read_text().split("## Private tensors of two parties")[1].split("## Private tensors with a dealer")
    )
    listed = {
        label for row in re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE) for label in re.findall("`([^`]+)`", row)
    }
    with_a_dealer = set(re.findall(r"^\| `((?:join|input|output)[^`]*)`", dealt, re.MULTILINE))
    sent = {as_on_the_page(label) for seen in views(5).values() for frames in seen.values() for _, label, _ in frames}
    assert sent == listed | with_a_dealer


def test_known_bytes() -> None:
    """A change of any message shows itself here."""
    digest = hashlib.sha256()
    for name, seen in sorted(views(-77, seed=b"known").items()):
        for peer, frames in sorted(seen.items()):
            for direction, label, body in frames:
                digest.update(repr((name, peer, direction, label, hashlib.sha256(body).hexdigest())).encode())
    assert digest.hexdigest()[:32] == KNOWN


KNOWN = "292f5dfc6be42b530373f9314813bd84"


# -- attacks, which work once a defence is gone ------------------------------------------------------------------------


def other_partys_words(monkeypatch: pytest.MonkeyPatch, x: Words, y: Words) -> list[Any]:
    """Where the first party, who owns x, is right about the second one's y for a sum that is positive, or negative.

    It takes the places where its own share of x is odd. It opens S = x_0 y_1 + y_0 x_1, and knows x_0, x_1 = x - x_0
    and y_0. So y_1 = (S - y_0 x_1) / x_0.
    """
    opened: dict[str, Words] = {}
    shares: dict[str, list[Words]] = {}
    open_replies = packed.Packed._opened

    def watched(self: packed.Packed, *given: Any) -> Words:
        found = open_replies(self, *given)
        opened["first" if self._first else "second"] = found
        return found

    def program(backend: TwoPartyBackend, shared: list[Shared]) -> list[Shared]:
        shares[backend.me] = [backend._party.share_of(backend._check(value)) for value in shared]
        return list(backend.multiply([(shared[0], shared[1])]))

    monkeypatch.setattr(packed.Packed, "_opened", watched)
    together(TWO_PARTY, [x, y], program)
    assert opened.keys() == {"first"}
    own_x, own_y = shares["p0"]
    odd = (own_x & np.uint64(1)) == 1
    inverses = np.array([pow(int(word), -1, 2**64) for word in own_x[odd]], dtype=np.uint64)
    rest = opened["first"] - own_y * (x - own_x)
    modulus = np.uint64(prod(packed.RlweSlots(DEGREE, 4, 47).primes) % 2**64)  # which a negative S goes over
    return [own_y[odd] + (rest[odd] - over) * inverses == y[odd] for over in (np.uint64(0), modulus)]


def test_without_masks_a_reply_shows_the_other_partys_words(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = anywhere(2048), anywhere(2048)
    assert not np.logical_or(*other_partys_words(monkeypatch, x, y)).any()
    monkeypatch.setattr(Keys, "uniform", lambda self, count: np.zeros(count, dtype=np.uint64))
    assert np.logical_or(*other_partys_words(monkeypatch, x, y)).all()


def test_without_masks_a_product_of_matrices_shows_the_other_partys_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first party draws no masks of its own, and so it ends with x_0 y_1 where the other one draws none either."""
    uniform, crossed = Keys.uniform, Matrices.crossed
    opened: dict[str, Words] = {}
    shares: dict[str, list[Words]] = {}
    unmasked = {"p0"}

    def watched(self: Matrices, a: Words, b: Words) -> Words:
        opened[self._keys._network.me] = found = crossed(self, a, b)
        return found

    def chosen(self: Keys, count: int) -> Words:
        return np.zeros(count, dtype=np.uint64) if self._network.me in unmasked else uniform(self, count)

    def program(backend: TwoPartyBackend, shared: list[Shared]) -> list[Shared]:
        shares[backend.me] = [backend._party.share_of(backend._check(value)) for value in shared]
        return list(backend.matmul([(shared[0], shared[1])]))

    def right(x: Words, y: Words) -> np.ndarray:
        (found,) = together(TWO_PARTY, [x, y], program)
        assert (found == x @ y).all()
        own_x, own_y = shares["p0"]
        odd = int((own_x[:, 0] & np.uint64(1)).argmax())
        inverse = np.uint64(pow(int(own_x[odd, 0]), -1, 2**64))
        with np.errstate(over="ignore"):
            return np.asarray(own_y[0] + opened["p0"][odd] * inverse == y[0])

    monkeypatch.setattr(Matrices, "crossed", watched)
    monkeypatch.setattr(Keys, "uniform", chosen)
    x, y = anywhere(40, 1), anywhere(1, 40)
    assert not right(x, y).any()
    unmasked.add("p1")
    assert right(x, y).all()


def test_without_fresh_shares_a_constant_is_rounded_the_same_way_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares of a constant are the constant and zero, so that nothing about its rounding is random."""
    value = np.full(20_000, 3 << 12, dtype=np.uint64)  # 3/16 of a unit

    def ups() -> int:
        def program(backend: TwoPartyBackend, shared: list[Shared]) -> list[Shared]:
            return backend.truncate([backend.constant(value)], 16, 2**20, "stochastic")

        return int(together(TWO_PARTY, [], program)[0].sum())

    expected, deviation = 20_000 * 3 / 16, (20_000 * 3 / 16 * 13 / 16) ** 0.5
    assert abs(ups() - expected) < 5 * deviation
    monkeypatch.setattr(
        TwoPartyBackend, "_fresh", lambda self, handles: [self._party.share_of(handle).copy() for handle in handles]
    )
    assert abs(ups() - expected) > 5 * deviation


def test_shares_that_are_shifted_on_their_own_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    value = RNG.integers(-(2**61), 2**61, 1000)

    def wrong() -> int:
        (found,) = together(
            TWO_PARTY, [value.view(np.uint64)],
            lambda backend, shared: backend.truncate([shared[0]], 16, 2**61, "stochastic"),
        )  # fmt: skip
        return int((np.abs(found.view(np.int64) - (value >> 16)) > 1).sum())

    assert wrong() == 0
    nothing = np.uint64(0)
    monkeypatch.setattr(truncation, "product_of_known", lambda *given: given[4] * nothing)
    monkeypatch.setattr(truncation, "sends", lambda party, count: np.zeros(count, dtype=np.uint64))
    assert wrong() > 500


def test_an_output_that_is_not_split_shows_the_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """The evaluator's colours are the signs themselves where the garbler's permute bits are known."""
    value = RNG.integers(-99, 100, 3000)
    own: dict[str, Words] = {}
    carry = comparison.carry

    def watched(party: Any, carries: Any, shares: Words, bits: int) -> Words:
        found = carry(party, carries, shares, bits)
        own[party.network.me] = found ^ (shares >> np.uint64(bits) & np.uint64(1))
        return found

    monkeypatch.setattr(comparison, "carry", watched)
    together(TWO_PARTY, [value.view(np.uint64)], lambda backend, shared: backend.negative(shared, 99))
    signs = (value < 0).astype(np.uint64)
    for name in names(2):
        assert abs(int((own[name] == signs).sum()) - 1500) < 5 * 3000**0.5 / 2  # no better than a guess
    assert (own["p0"] ^ own["p1"] == signs).all()


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parties", "choices", "sentence"),
    [
        (("a",), {}, "exactly 2 computing parties for the back-end two_party, found 1"),
        (("a", "b", "c"), {}, "exactly 2 computing parties for the back-end two_party, found 3"),
        (("a", "b"), {"provider": "p"}, "no provider of correlations for the back-end two_party, found p"),
        (("a", "b"), {"outside": ("a",)}, "every party once"),
        (("a", "b"), {"ring_bits": 72}, "a ring of 16 to 64 bits in whole bytes, found 72"),
        (("a", "b"), {"ring_bits": 20}, "found 20"),
    ],
)
def test_sessions_that_cannot_be(parties: tuple[str, ...], choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        two_party.in_memory(parties, **choices)


def test_values_of_others_and_wrong_arrays_are_refused() -> None:
    mine, other = two_party.in_memory(names(2))["p0"], two_party.in_memory(names(2))["p0"]
    value = other.constant(words([1]))
    with pytest.raises(ParameterError, match="in this session, found one of p0"):
        mine.multiply([(value, value)])
    with pytest.raises(ParameterError, match="expected a shared array of this back-end, found a list"):
        mine.add([1], value)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="an owner that computes or is outside, found eve"):
        mine.input("eve", None, (1,))
    own = mine.constant(words([1, 2]))
    with pytest.raises(ParameterError, match="shapes that broadcast"):
        mine.add(own, mine.constant(words([1, 2, 3])))
    with pytest.raises(ParameterError, match="expected matrices"):
        mine.matmul([(own, own)])
    assert "exactly" not in repr(mine)
    assert repr(own) == "Handle(shape=(2,))"


def test_a_party_of_another_back_end_is_refused() -> None:
    backends: dict[str, Any] = dict(two_party.in_memory(names(2)))
    network = backends["p1"]._network
    backends["p1"] = TwoPartyBackend.join(network, computing=("p1", "p0"))
    found = outcomes(backends, lambda backend: backend.open([backend.constant(words([1]))], ["p0"]))
    assert any(isinstance(error, ProtocolError) for error in found.values())
    assert DealerBackend.name != TwoPartyBackend.name


@pytest.mark.parametrize("kind", ["choices", "words"])
def test_a_message_that_was_cut_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    swap = Transfers._swap

    def cut(self: Transfers, label: str, body: list[Any], size: int) -> memoryview:
        if self._network.me == "p1" and label.endswith(kind):
            body = [bytes(b"".join(map(bytes, body)))[:-1]]
        return swap(self, label, body, size)

    monkeypatch.setattr(Transfers, "_swap", cut)
    found = outcomes(
        two_party.in_memory(names(2)),
        lambda backend: backend.multiply([(backend.constant(words([3])), backend.constant(words([4])))]),
    )
    assert isinstance(found["p0"], ProtocolError)
    assert found["p0"].peer == "p1"
    assert "bytes in 'ot/0/products/64 bits" in str(found["p0"])


def test_an_extension_that_does_not_fit_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    swap = Transfers._swap

    def turned(self: Transfers, label: str, body: list[Any], size: int) -> memoryview:
        if self._network.me == "p1" and label.endswith("choices"):
            whole = bytearray(b"".join(map(bytes, body)))
            whole[0] ^= 1
            body = [bytes(whole)]
        return swap(self, label, body, size)

    monkeypatch.setattr(Transfers, "_swap", turned)
    found = outcomes(
        two_party.in_memory(names(2)),
        lambda backend: backend.multiply([(backend.constant(words([3])), backend.constant(words([4])))]),
    )
    assert isinstance(found["p0"], ProtocolError)
    assert found["p0"].peer == "p1"
    assert "consistency check failed" in str(found["p0"])


@pytest.mark.parametrize(
    "step",
    [
        lambda backend, x: backend.multiply([(x, x)]),
        lambda backend, x: backend.matmul([(x, backend.linear(np.transpose, (50, 45), x))]),
        lambda backend, x: backend.relu([x], 2**20),
        lambda backend, x: backend.truncate([x], 8, 2**20, "nearest"),
    ],
    ids=["products in polynomials", "matrices", "garbled comparison", "rounding"],
)
def test_a_party_that_is_gone_in_mid_step_is_named(step: Any) -> None:
    """It has joined, and left when the other one waits for it within a step."""
    value = RNG.integers(-(2**20), 2**20, (45, 50))

    def program(backend: TwoPartyBackend) -> None:
        x = backend.input("p0", value.view(np.uint64) if backend.me == "p0" else None, value.shape)
        step(backend, x)
        if backend.me == "p0":
            raise KeyboardInterrupt
        step(backend, x)

    found = outcomes(two_party.in_memory(names(2)), program)
    assert isinstance(found["p0"], KeyboardInterrupt)
    assert isinstance(found["p1"], TransportError)
    assert found["p1"].peer == "p0"


def test_the_same_over_tls(tmp_path: Path) -> None:
    credentials = issue(tmp_path, "server-0", "client")
    near, far = meet(credentials["server-0"], credentials["client"], 120.0)
    near.peer, far.peer = "p1", "p0"
    channels: dict[str, dict[str, Channel]] = {"p0": {"p1": near}, "p1": {"p0": far}}
    backends = {name: TwoPartyBackend.join(Network(name, channels[name]), computing=names(2)) for name in names(2)}
    value = RNG.integers(-(2**20), 2**20, (45, 50))

    def program(backend: TwoPartyBackend) -> list[Words] | None:
        x = backend.input("p0", value.view(np.uint64) if backend.me == "p0" else None, value.shape)
        (square,) = backend.multiply([(x, x)])
        (kept,), _ = backend.relu([x], 2**20)
        (product,) = backend.matmul([(x, backend.linear(np.transpose, (50, 45), kept))])
        return backend.open([square, kept, *backend.truncate([product], 8, 2**50, "floor")], ["p1"])

    found = run(backends, program)["p1"]
    for backend in backends.values():
        assert "nobody is trusted" in backend.trust
        assert backend.cost.rounds > 5
        backend.close()
    assert found is not None
    kept = np.maximum(value, 0)
    for result, wanted in zip(found, [value * value, kept, (value @ kept.T) >> 8], strict=True):
        assert (result.view(np.int64) == wanted).all()
