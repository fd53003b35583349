"""How much of a run is done and when it will end, computed from what its parties report of their own work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.events import Event, PartyState


@dataclass(frozen=True)
class Advance:
    """The work of all parties that report how much they have done.

    `seconds_each` is for one piece of it once a party is under way, without its first piece, for which others may have
    to appear. `seconds_left` is for the rest, roughly. They are None as long as too little is known.
    """

    done: int
    of: int
    unit: str
    seconds_each: float | None
    seconds_left: float | None


def advance(states: Iterable[PartyState], now: float) -> Advance | None:
    """Return the advance of a run, or None when no party reports any. A party that has ended will do no more."""
    done = left = 0
    unit, last = "", 0.0
    paced, rough = _Pace(), _Pace()  # the rough one holds the first piece, too, for which others may have to appear
    for state in states:
        if state.began is None or state.advanced is None:
            continue
        unit, last = state.advanced.unit or unit, max(last, state.advanced.t)
        done += state.advanced.done or 0
        if state.outcome not in ("finished", "failed", "lost"):
            left += max(0, (state.advanced.of or 0) - (state.advanced.done or 0))
        if state.gained is not None and state.gained.t < state.advanced.t:
            paced.add(state.gained, state.advanced)
        else:
            rough.add(state.began, state.advanced)
    if not last:
        return None
    each = paced.each or rough.each
    to_go = None if each is None else max(0.0, each * left - max(0.0, now - last))
    return Advance(done, done + left, unit, paced.each, to_go if left else None)


@dataclass
class _Pace:
    pieces: int = 0
    seconds: float = 0.0

    def add(self, since: Event, until: Event) -> None:
        self.pieces += (until.done or 0) - (since.done or 0)
        self.seconds += until.t - since.t

    @property
    def each(self) -> float | None:
        return self.seconds / self.pieces if self.pieces > 0 else None
