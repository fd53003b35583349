"""The page of messages lists what is sent with private tensors, and by whom."""

from __future__ import annotations

import re
from pathlib import Path

from tests.mpc.tensors.backends.session import OUTSIDE, PROVIDER, names
from tests.mpc.tensors.backends.test_views import views

PAGE = Path(__file__).resolve().parents[4] / "docs" / "messages.md"


def listed() -> set[tuple[str, str]]:
    """Labels of the page with each of their senders and receivers."""
    section = PAGE.read_text().split("## Private tensors with a dealer")[1].split("\n## ")[0]
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


def test_every_message_is_listed_and_every_row_is_sent() -> None:
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
    assert sent == listed()
