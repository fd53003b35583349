"""What each party sees is uniform, its length says nothing, and every message is one of those that are listed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mpc.ring import Words
from mpc.tensors.backends.authenticated.backend import DealerMacBackend
from mpc.tensors.backends.authenticated.memory import in_memory
from tests.mpc.tensors.backends.session import OUTSIDE, PROVIDER, names, run, transcript, words
from tests.mpc.tensors.backends.test_views import LARGEST, SHAPE, everything, p_value

Frames = list[tuple[str, str, bytes]]
PAGE = Path(__file__).resolve().parents[5] / "docs" / "messages.md"


def views(n: int, value: int) -> dict[str, dict[str, Frames]]:
    """What every party sent and received, by party and peer."""
    backends = in_memory(names(n), PROVIDER, (OUTSIDE,), kept=True)

    def program(backend: DealerMacBackend) -> list[Words] | None:
        shared = words(np.full(SHAPE, value))
        found = everything(backend, shared)  # type: ignore[arg-type]  # a back-end of the same methods
        x = backend.input("p1", shared if backend.me == "p1" else None, SHAPE)
        (product,) = backend.multiply([(x, x)])
        backend.open([backend.linear(lambda a: a.sum(axis=0), SHAPE[1:], product)], ["p0"])
        return found

    run(backends, program)
    return {
        name: {peer: transcript(backend, peer) for peer in backend._network.peers}  # type: ignore[arg-type]
        for name, backend in backends.items()
    }


def kind_of(label: str) -> str:
    parts = label.split("/")
    return parts[2] if parts[0] in ("open", "dealt", "check") else parts[0]


@pytest.mark.parametrize("value", [0, 1, -1, LARGEST, -LARGEST])
@pytest.mark.parametrize("n", [2, 3])
def test_what_each_party_receives_is_uniform_whatever_the_values_are(n: int, value: int) -> None:
    for name, seen in views(n, value).items():
        for peer, frames in seen.items():
            kinds: dict[str, bytes] = {}
            for direction, label, body in frames:
                if direction == "received" and not label.startswith("join/"):
                    size = 16 if kind_of(label) == "sums" else len(body)  # a polynomial's highest bits are zero
                    kinds[kind_of(label)] = kinds.get(kind_of(label), b"") + body[:size]
            for kind, body in kinds.items():
                assert p_value(body) > 1e-7, (name, peer, kind)


@pytest.mark.parametrize("value", [0, LARGEST])
@pytest.mark.parametrize("n", [2, 3])
def test_what_all_shares_of_an_opening_give_is_uniform_too(n: int, value: int) -> None:
    """Single shares are random anyway. It is their sum, with its upper words, or their XOR, that a mask must hide."""
    seen = views(n, value)
    totals: dict[str, int | Words] = {}
    for name in names(n):
        for direction, label, body in seen[name][names(n)[name == names(n)[0]]]:
            if direction == "sent" and label.startswith("open/"):
                shares = np.frombuffer(body, dtype=np.uint64)
                if kind_of(label).startswith("bits"):
                    totals[label] = totals.get(label, np.zeros_like(shares)) ^ shares
                else:
                    low, high = shares.reshape(2, -1).astype(object)
                    before = totals.get(label, np.zeros(low.size, dtype=object))
                    totals[label] = (before + low + high * 2**64) % 2**128
    kinds: dict[str, bytes] = {}
    for label, total in totals.items():
        size = 8 if kind_of(label).startswith("bits") else 16
        body = b"".join(int(word).to_bytes(size, "little") for word in np.asarray(total).reshape(-1))
        kinds[kind_of(label)] = kinds.get(kind_of(label), b"") + body
    assert set(kinds) == {"masked", "bits", "bits to ring", "output"}
    for kind, body in kinds.items():
        assert p_value(body) > 1e-7, kind


@pytest.mark.parametrize("n", [2, 3])
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


def test_every_message_is_listed_and_every_row_is_sent() -> None:
    section = PAGE.read_text().split("## Private tensors against parties that cheat")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", section, re.MULTILINE)
    listed = {(label, way.strip()) for label, ways in rows for way in ways.split(",")}
    roles = {PROVIDER: "P", OUTSIDE: "O"}
    sent = set()
    for name, seen in views(3, 5).items():
        for peer, frames in seen.items():
            for direction, label, _ in frames:
                if direction == "sent":
                    parts = label.split("/")
                    known = {
                        "join": label, "open": f"open/K/{kind_of(label)}/SHAPE", "dealt": "dealt/K/KIND/SHAPE",
                        "check": f"check/K/{kind_of(label)}",
                    }.get(parts[0], f"{parts[0]}/K/SHAPE")  # fmt: skip
                    receiver = "last" if parts[0] == "dealt" else roles.get(peer, "C")
                    assert receiver != "last" or peer == names(3)[-1]
                    way = f"{roles.get(name, 'C')} → {receiver}"
                    sent.add((known, "each → each" if label == "join/agreement" else way))
    assert sent == listed


def test_shares_keys_and_masks_are_not_printed() -> None:
    backends = in_memory(names(2), PROVIDER)

    def program(backend: DealerMacBackend) -> str:
        x = backend.input("p0", words([123456789]) if backend.me == "p0" else None, (1,))
        (product,) = backend.multiply([(x, x)])
        party = backend._party
        printed = [backend, party, party.dealing, party.pending, x, x.share, x.mask, product, x.any_mask().dealt]
        return " ".join(map(repr, printed))

    for printed in run(backends, program).values():
        assert not re.search(r"\d{6}", printed), printed
