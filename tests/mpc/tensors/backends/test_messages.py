"""The page of messages lists what is sent with private tensors, and by whom, for each back-end."""

from __future__ import annotations

import re
from pathlib import Path

from tests.mpc.tensors.backends.session import OUTSIDE, PROVIDER, REPLICATED, names
from tests.mpc.tensors.backends.test_views import views

PAGE = Path(__file__).resolve().parents[4] / "docs" / "messages.md"


def listed(heading: str) -> set[tuple[str, str]]:
    """Labels of a part of the page with each of their senders and receivers."""
    section = PAGE.read_text().split(f"## Private tensors {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", section, re.MULTILINE)
    return {(label, way.strip()) for label, ways in rows for way in ways.split(",")}


def as_on_the_page(label: str) -> str:
    kind, *rest = label.split("/")
    if kind == "join":
        return label
    if kind == "open":
        return f"open/K/{rest[1]}/SHAPE"
    return "dealt/K/KIND/SHAPE" if kind == "dealt" else f"{kind}/K/SHAPE"


def role(name: str) -> str:
    return {PROVIDER: "P", OUTSIDE: "O"}.get(name, "C")


def test_every_message_is_listed_and_every_row_is_sent_with_a_dealer() -> None:
    sent = set()
    for name, seen in views(3, 5).items():
        for peer, frames in seen.items():
            for direction, label, body in frames:
                if direction == "sent":
                    known = as_on_the_page(label)
                    last = known.startswith(("input", "dealt"))
                    way = (
                        "each → each"
                        if known == "join/agreement"
                        else f"{role(name)} → {'last' if last else role(peer)}"
                    )
                    assert not last or peer == names(3)[-1]
                    assert known != "join/seed" or len(body) == 32
                    sent.add((known, way))
    assert sent == listed("with a dealer")


def of_three(label: str) -> str:
    kind, *rest = label.split("/")
    if kind == "join":
        return label
    if kind in ("input", "output"):
        return f"{kind}/K/SHAPE"
    return f"{kind}/{re.sub('[0-9]+', 'B', re.sub(', [a-z]+', ', ROUNDING', rest[0]))}/K/SHAPE"


def way_of_three(label: str, sender: str, receiver: str) -> str:
    if OUTSIDE not in (sender, receiver) and label.startswith(("join", "input", "output", "around")):
        return "C → next" if (int(receiver[1]) - int(sender[1])) % 3 == 1 else "C → before"
    return " → ".join("O" if name == OUTSIDE else name[1] for name in (sender, receiver))


def test_every_message_is_listed_and_every_row_is_sent_among_three() -> None:
    sent = set()
    for name, seen in views(REPLICATED, 5).items():
        for peer, frames in seen.items():
            for direction, label, body in frames:
                if direction == "sent":
                    known = of_three(label)
                    assert known != "join/seed" or len(body) == 32
                    sent.add((known, "each → each" if known == "join/agreement" else way_of_three(known, name, peer)))
    assert sent == listed("of three parties")
