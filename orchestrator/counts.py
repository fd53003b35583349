"""How many of many parties have finished a step, as one line for all of them."""

from __future__ import annotations

from collections import defaultdict

from orchestrator.events import Event

LINE_EVERY_S = 5.0


class StepCounts:
    """Counts the parties in each step of their own, such as 37 of 99 that have made what they bring along.

    A line comes when the last one is a while ago, so that a run of many parties is never silent for long.
    """

    def __init__(self, now: float) -> None:
        self._begun: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._finished: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._last_line = now
        self._counted: set[tuple[str, str]] = set()  # the steps that a line was about

    def line(self, party: str, event: Event) -> str | None:
        """Take in an event of one of many parties. Return a line if one is due."""
        mark = (event.step or "", event.title or "")
        if event.event == "step_started":
            self._begun[mark].add(party)
        if event.event != "step_finished":
            return None
        finished, begun = self._finished[mark], self._begun[mark]
        finished.add(party)
        is_last = len(finished) == len(begun) and mark in self._counted
        if event.t - self._last_line < LINE_EVERY_S and not is_last:
            return None
        self._last_line = event.t
        self._counted.add(mark)
        return f"step {mark[0]} ({mark[1]}): {len(finished)} of {len(begun)} parties have finished it"
