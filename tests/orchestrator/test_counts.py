"""The lines about many parties at once."""

from __future__ import annotations

from orchestrator.counts import LINE_EVERY_S, StepCounts
from orchestrator.events import Event


def said(counts: StepCounts, kind: str, party: int, when: float, title: str = "build") -> str | None:
    return counts.line(f"player-{party}", Event(kind, when, step="0", title=title))


def test_a_line_now_and_then_says_how_many_parties_have_finished_a_step() -> None:
    counts = StepCounts(100.0)
    assert {said(counts, "step_started", party, 100.0) for party in range(40)} == {None}
    lines = [said(counts, "step_finished", party, 101.0 + party) for party in range(40)]
    assert lines[:4] == [None] * 4
    assert lines[4] == "step 0 (build): 5 of 40 parties have finished it"
    assert lines[5:9] == [None] * 4
    assert lines[9] == "step 0 (build): 10 of 40 parties have finished it"
    assert sum(line is not None for line in lines) == 8
    assert lines[-1] == "step 0 (build): 40 of 40 parties have finished it"


def test_the_end_of_a_step_that_was_counted_is_said_and_a_quick_step_is_not() -> None:
    counts = StepCounts(0.0)
    for title in ("quick", "long"):
        for party in range(3):
            said(counts, "step_started", party, 0.0, title)
    assert [said(counts, "step_finished", party, 1.0, "quick") for party in range(3)] == [None] * 3
    later = [LINE_EVERY_S + 1, LINE_EVERY_S + 1.1, LINE_EVERY_S + 1.2]
    lines = [said(counts, "step_finished", party, when, "long") for party, when in enumerate(later)]
    assert [line and line.split(": ")[1] for line in lines] == [
        "1 of 3 parties have finished it", None, "3 of 3 parties have finished it",
    ]  # fmt: skip
