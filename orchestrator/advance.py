"""How much of a run is done and when it will end, computed from what its parties report of their own work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.events import PartyState


@dataclass(frozen=True)
class Advance:
    """The work of all parties that report how much they have done.

    `seconds_each` is for one piece of it, `seconds_left` for the rest. They are None as long as too little is known.
    """

    done: int
    of: int
    unit: str
    seconds_each: float | None
    seconds_left: float | None


def advance(states: Iterable[PartyState], now: float) -> Advance | None:
    """Return the advance of a run, or None when no party reports any. A party that has ended will do no more."""
    done = left = 0
    pieces, seconds, unit, last = 0, 0.0, "", 0.0
    for state in states:
        if state.began is None or state.advanced is None:
            continue
        unit, last = state.advanced.unit or unit, max(last, state.advanced.t)
        done += state.advanced.done or 0
        if state.outcome not in ("finished", "failed", "lost"):
            left += max(0, (state.advanced.of or 0) - (state.advanced.done or 0))
        since = state.gained if state.gained and state.gained.t < state.advanced.t else state.began
        pieces += (state.advanced.done or 0) - (since.done or 0)
        seconds += state.advanced.t - since.t
    if not last:
        return None
    each = seconds / pieces if pieces > 0 else None
    to_go = None if each is None else max(0.0, each * left - max(0.0, now - last))
    return Advance(done, done + left, unit, each, to_go if left else None)
