"""Which reports an asking covers: the same for all its questions, and none that would have a request refused.

The log answers to a request as a whole. So one report whose policy bars it refuses the aggregate of all. A consumer in
a federation therefore leaves such reports out, and says whose and why. What becomes barred between a request and its
answer is left out with all that its provider has reported, so that nobody can have one request after the other refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mpc.commons.access import State, bars
from mpc.commons.entries import NONE, Range, Reason, Refuse

_WHY = {
    Reason.REPORT_REVOKED: "they are revoked",
    Reason.POLICY_REVOKED: "their policy is revoked",
    Reason.POLICY_EXPIRED: "their policy has ended",
    Reason.FUNCTION_NOT_ALLOWED: "their policy does not allow all that is asked",
    Reason.TOO_FEW_CONSUMERS: "their policy expects other consumers to sign",
    Reason.USED_UP: "their policy does not allow so many more results of them",
}


@dataclass(frozen=True)
class Batch:
    """The reports that an asking covers, by index and in order, and why others are not among them."""

    reports: tuple[int, ...]
    barred: Mapping[int, Refuse]


def counting(state: State, task: str, authors: Collection[bytes] | None) -> list[int]:
    """Return the reports of these authors, or all where there are none given."""
    every = state.of_task[task]
    return [one for one in every if authors is None or state.reports[one].author in authors]


def chosen(
    state: State, index: int, functions: Sequence[str], consumer: bytes, reports: Sequence[int], smallest: int
) -> Batch:
    """Return those reports that no policy bars from any of the functions.

    Where the uses that are left are too few for all functions, they are for as many as there can be, from the first on.
    Where fewer reports than the smallest batch are left, it is all of them, and the log's refusal says what stands in
    the way.

    Args:
        index: of the next entry of the log.
        consumer: the key that signs the requests.
    """
    for results in range(len(functions), 0, -1):
        barred = dict[int, Refuse]()
        for function in functions:
            barred |= bars(state, index, NONE, function, (consumer,), reports, results)
        left = tuple(one for one in reports if one not in barred)
        if len(left) >= smallest:
            return Batch(left, barred)
    return Batch(tuple(reports), {})


def without(
    state: State, index: int, function: str, consumer: bytes, batch: Batch, culprit: bytes, smallest: int
) -> Batch | None:
    """Return a batch without what this key has reported or allowed, or None where too few reports are left.

    Args:
        culprit: the key that has signed the report or policy by which a request was refused.
    """
    now_barred = dict(bars(state, index, NONE, function, (consumer,), batch.reports))
    left = tuple(one for one in batch.reports if one not in now_barred and culprit not in _signers(state, one))
    return Batch(left, {**batch.barred, **now_barred}) if len(left) >= smallest else None


def ranges_of(state: State, task: str, reports: Collection[int]) -> list[Range]:
    """Return ranges that hold these reports of a task, and no other. Without any they hold the whole log so far."""
    wanted, ranges, goes_on = set(reports), list[Range](), False
    for one in state.of_task[task]:
        if one not in wanted:
            goes_on = False
        elif goes_on:
            ranges[-1] = Range(ranges[-1].first, one + 1)
        else:
            ranges.append(Range(one, one + 1))
            goes_on = True
    return ranges or [Range(0, 1)]


def left_out(state: State, barred: Mapping[int, Refuse], names: Mapping[bytes, str]) -> list[dict[str, str | int]]:
    """Return how many reports of whom are left out, each with the reason, to be written down."""
    found = Counter((names[state.reports[one].author], _WHY[Reason(refusal.reason)]) for one, refusal in barred.items())
    return [{"name": name, "reports": count, "why": why} for (name, why), count in sorted(found.items())]


def _signers(state: State, report: int) -> tuple[bytes, bytes]:
    """Return who has signed a report and its policy."""
    one = state.reports[report]
    return one.author, state.policies[one.policy].policy.owner
