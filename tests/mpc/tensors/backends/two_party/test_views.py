"""What two parties who trust nobody else see of each other."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends import TwoPartyBackend, two_party
from mpc.tensors.backends.interface import Shared
from tests.mpc.tensors.backends.session import OUTSIDE, names, run, transcript, words
from tests.mpc.tensors.backends.test_views import p_value

PAGE = Path(__file__).resolve().parents[5] / "docs" / "messages.md"
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
