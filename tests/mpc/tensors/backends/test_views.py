"""What each party sees is uniform, and its length says nothing. So it is for n - 1 parties that put all together."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy.stats import chi2

from mpc.randomness import RoleRandomness
from mpc.ring import Words
from mpc.tensors.backends import DealerBackend, dealer, in_memory
from mpc.tensors.backends.interface import Shared
from mpc.tensors.backends.kernels import SEED_BYTES, KeyStream
from tests.mpc.tensors.backends.session import (
    OUTSIDE,
    PROVIDER,
    REPLICATED,
    REPLICATED_MAC,
    Backend,
    names,
    run,
    sessions_of,
    signed,
    transcript,
    words,
)

SHAPE = (40, 30)
CASES = [2, 3, REPLICATED, REPLICATED_MAC]
LARGEST = 2**15 - 1  # so that what is opened in the small ring fills whole bytes


def everything(backend: Backend, value: Words) -> list[Words] | None:
    """A program that uses every operation, on an array of one owner that is outside and one that computes."""
    x: Shared = backend.input(OUTSIDE, value if backend.me == OUTSIDE else None, SHAPE)
    y = backend.input("p0", value if backend.me == "p0" else None, SHAPE)
    (product,) = backend.multiply([(x, y)])
    (square,) = backend.matmul([(x, backend.linear(np.transpose, SHAPE[::-1], y))])
    (narrow,) = backend.negative([backend.subtract(product, backend.constant(words(np.zeros(SHAPE))))], LARGEST)
    (kept,), (positive,) = backend.relu([y], LARGEST)
    (cut,) = backend.truncate([product], 16, 2**40, "stochastic")
    (exact,) = backend.truncate([square], 16, 2**40, "nearest")
    (again,) = backend.keep_if([positive], [cut])
    (rounded,) = backend.truncate([product], 8, 2**40, "stochastic")
    (squared,) = backend.multiply([(rounded, rounded)])  # deals what is taken off the mask of its rounding
    return backend.open([narrow, kept, exact, again, squared], ["p1", OUTSIDE])


def kind_of(label: str) -> str:
    """What a label says of a message beside its number and its shapes."""
    first, *rest = label.split("/")
    if first in ("open", "dealt"):
        return rest[1]
    if first == "check":
        return f"check/{rest[1]}"
    return f"{first}/{rest[0]}" if first in ("around", "paired", "third", "share", "tell") else first


def views(n: int, value: int, seed: bytes | None = None) -> dict[str, dict[str, list[tuple[str, str, bytes]]]]:
    """What every party sent and received, by party and peer."""
    backends = sessions_of(n, (OUTSIDE,), kept=True, seed=seed)
    run(backends, lambda backend: everything(backend, words(np.full(SHAPE, value))))
    return {
        name: {peer: transcript(backend, peer) for peer in backend._network.peers} for name, backend in backends.items()
    }


def p_value(data: bytes) -> float:
    """How often uniform bytes deviate more from an even spread than these."""
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    expected = len(data) / 256
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), 255))


@pytest.mark.parametrize("value", [0, 1, -1, LARGEST, -LARGEST])
@pytest.mark.parametrize("n", CASES)
def test_what_each_party_receives_is_uniform_whatever_the_values_are(n: int, value: int) -> None:
    for name, seen in views(n, value).items():
        for peer, frames in seen.items():
            kinds: dict[str, bytes] = {}
            for direction, label, body in frames:
                if direction == "received" and not label.startswith("join/"):
                    kind = kind_of(label)
                    kinds[kind] = kinds.get(kind, b"") + body
            for kind, body in kinds.items():
                assert p_value(body) > 1e-7, (name, peer, kind)


@pytest.mark.parametrize("value", [0, LARGEST])
@pytest.mark.parametrize("n", [2, 3])
def test_what_all_shares_of_an_opening_give_is_uniform_too(n: int, value: int) -> None:
    """Single shares are random anyway. It is their sum, or XOR, that a mask must hide."""
    seen = views(n, value)
    opened: dict[str, Words] = {}
    for name in names(n):
        peer = names(n)[name == names(n)[0]]
        for direction, label, body in seen[name][peer]:
            if direction == "sent" and label.startswith("open/"):
                kind = label.split("/")[2]
                shares = np.frombuffer(body, dtype="<u2" if kind == "narrow" else "<u8")
                before = opened.get(label, shares[:0])
                # What the owner of an input alone sends comes last.
                size = max(len(before), len(shares))
                one, other = (np.pad(each, (0, size - len(each))) for each in (before, shares))
                opened[label] = one ^ other if kind.startswith("bits") else one + other
    kinds: dict[str, bytes] = {}
    for label, total in opened.items():
        kind = label.split("/")[2]
        kinds[kind] = kinds.get(kind, b"") + total.tobytes()
    assert set(kinds) == {"masked", "narrow", "bits", "bits to ring"}
    for kind, body in kinds.items():
        assert p_value(body) > 1e-7, kind


def test_the_measure_notices_what_is_not_masked() -> None:
    assert p_value(words(np.full(SHAPE, 1)).tobytes()) < 1e-100
    assert p_value((np.random.default_rng(1).bytes(30_000)) + bytes(500)) < 1e-7


@pytest.mark.parametrize("n", CASES)
def test_labels_and_sizes_do_not_depend_on_values(n: int) -> None:
    def lengths(value: int) -> list[tuple[str, str, str, str, int]]:
        return [
            (name, peer, direction, label, len(body))
            for name, seen in views(n, value).items()
            for peer, frames in seen.items()
            for direction, label, body in frames
        ]

    assert lengths(0) == lengths(-LARGEST)


def test_the_provider_receives_nothing_but_what_was_agreed_on() -> None:
    for frames in views(3, 5)[PROVIDER].values():
        assert [label for direction, label, _ in frames if direction == "received"] == ["join/agreement"]


@pytest.mark.parametrize("n", CASES)
def test_everything_is_new_in_every_session(n: int) -> None:
    first, second = (
        {body for seen in views(n, 3).values() for frames in seen.values() for _, label, body in frames if len(body) > 7
         and label != "join/agreement"}
        for _ in range(2)
    )  # fmt: skip
    assert first
    assert first.isdisjoint(second)


# The begin of SHA-256 of all that each party sends with this seed. It changes with the protocol or the key stream.
WIRE: dict[str, dict[str, str]] = {
    "2": {"p0": "eaf61cebbb5906dc", "p1": "ce7033baa1813623", "carol": "1b4bfa6823308bec", "olga": "6974666059932fa4"},
    "3": {
        "p0": "8bec7506e1ad6778",
        "p1": "2c818093a3851308",
        "p2": "9a45ca6874c31807",
        "carol": "f3373c16d7af8b5c",
        "olga": "6e1cfa0a2f621da9",
    },
    "replicated-3": {
        "p0": "5eb8caabb6b713fd",
        "p1": "9840a09a77be9f2a",
        "p2": "de29d19e006e531e",
        "olga": "20956ef80e192d65",
    },
    "replicated_mac-3": {
        "p0": "0b814865a8f27aa1",
        "p1": "ba5c573662ef4cea",
        "p2": "db049f3c5486fdc2",
        "olga": "c05d9e258c725a11",
    },
}


@pytest.mark.parametrize("n", CASES)
def test_the_bytes_on_the_wire_are_known(n: int) -> None:
    found = {}
    for name, seen in views(n, 7, b"known answer").items():
        digest = hashlib.sha256()
        for peer, frames in seen.items():
            for direction, label, body in frames:
                if direction == "sent":
                    digest.update(f"{peer} {label} {len(body)} ".encode() + body)
        found[name] = digest.hexdigest()[:16]
    assert found == WIRE[repr(n)]


# -- n - 1 parties that put their views together ---------------------------------------------------------------------


class _Zeros(KeyStream):
    """A stream that masks nothing."""

    def words(self, count: int) -> Words:
        return np.zeros(count, dtype=np.uint64)


SEED = b"collusion"
SHOWN = ("open/", "output/", "around/", "paired/", "share/", "tell/", "check/0/proofs")


def seed_of(name: str) -> bytes:
    """The seed that the provider shares with a party."""
    return RoleRandomness(SEED + PROVIDER.encode()).source(f"seed/{name}").bytes(SEED_BYTES)


def guess(n: int, honest: str, value: Words) -> tuple[Words, Words]:
    """What all others together make of the masked opening of the honest party's input, and of its first product.

    The honest party alone opens it, and no other one has a share of its mask.
    """
    backends = in_memory(names(n), PROVIDER, kept=True, seed=SEED)

    def program(backend: DealerBackend) -> None:
        x = backend.input(honest, value if backend.me == honest else None, value.shape)
        backend.multiply([(x, x)])

    run(backends, program)
    others = [name for name in names(n) if name != honest]
    sent = {
        name: [body for peer in names(n) if peer != name for direction, label, body in transcript(backends[name], peer)
               if direction == "sent" and "masked" in label]
        for name in names(n)
    }  # fmt: skip
    assert all(not sent[name] for name in others)
    total = np.frombuffer(sent[honest][0], dtype=np.uint64).reshape(value.shape)
    return total, value


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("place", [0, -1])
def test_all_others_together_see_a_value_under_the_honest_partys_mask_alone(
    n: int, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They get a uniform array. Without the honest party's mask the same sum is its input: the attack works."""
    honest = names(n)[place]
    value = words(np.arange(600).reshape(20, 30))
    seen, _ = guess(n, honest, value)
    assert not (seen == value).any()
    assert p_value(seen.tobytes()) > 1e-7
    plain = dealer.stream_of
    target = seed_of(honest)

    def leaky(seed: bytes, purpose: str) -> KeyStream:
        return _Zeros(seed) if (seed, purpose) == (target, "dealt") else plain(seed, purpose)

    monkeypatch.setattr(dealer, "stream_of", leaky)
    seen, _ = guess(n, honest, value)
    assert (seen == value).all()


@pytest.mark.parametrize("n", CASES)
def test_views_of_one_partys_messages_are_alike_for_two_inputs(n: int) -> None:
    """A classifier by every bit of what p0, who is honest, sends: no bit tells zeros from the largest values."""
    bits = {}
    for value in (0, LARGEST):
        seen = views(n, value)["p0"]
        body = b"".join(
            body for peer in names(n)[1:] for direction, label, body in seen[peer]
            if direction == "sent" and label.startswith(SHOWN) and "narrow" not in label
        )  # fmt: skip
        rows = np.frombuffer(body[: len(body) // 8 * 8], dtype=np.uint8).reshape(-1, 8)
        bits[value] = np.unpackbits(rows, axis=1).mean(axis=0), len(rows)
    (zeros, count), (largest, same) = bits[0], bits[LARGEST]
    assert count == same
    assert np.abs(zeros - largest).max() < 6 * (0.5 / count) ** 0.5


@pytest.mark.parametrize("randomised", [True, False])
def test_a_receiver_sees_fresh_shares_of_every_opened_value(randomised: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the sharing of zero a receiver could tell that two opened values are one and the same sharing."""
    if not randomised:
        monkeypatch.setattr(DealerBackend, "_randomised", lambda _, party, handle: party.share_of(handle))
    backends = in_memory(names(3), PROVIDER, (OUTSIDE,), kept=True)
    value = words(np.arange(400))

    def program(backend: DealerBackend) -> list[Words] | None:
        x = backend.input("p1", value if backend.me == "p1" else None, value.shape)
        first, second = backend.open([x], [OUTSIDE]), backend.open([x], [OUTSIDE])
        return None if first is None or second is None else [*first, *second]

    opened = run(backends, program)[OUTSIDE]
    assert opened is not None
    assert (signed(opened[0]) == signed(value)).all()
    assert (opened[1] == opened[0]).all()
    for name in names(3):
        first, second = [body for direction, _, body in transcript(backends[OUTSIDE], name) if direction == "received"][
            1:
        ]
        assert (first != second) == randomised
