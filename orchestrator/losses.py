"""Parties that a run has lost, and the groups that may lose some of their parties."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from parties.frame.plan import Plan, Tolerance

LISTED = 6  # names of a group; of a larger one the first, the last and their number are given


class Loss(msgspec.Struct, frozen=True):
    """A party that failed and that the run goes on without. `log` is the file to read on."""

    party: str
    reason: str
    step: str | None = None
    log: str | None = None

    def __str__(self) -> str:
        where = f" in step {self.step}" if self.step else ""
        return f"{self.party} was lost{where}: {self.reason.rstrip('. ')}"

    @property
    def warning(self) -> str:
        """The loss as a sentence for readers of the result."""
        return f"{self}. The run went on without it" + (f" (see {self.log})." if self.log else ".")


def beyond_tolerance(plan: Plan, lost: Iterable[str], failed: Iterable[str]) -> set[str]:
    """Return those of the `failed` parties without which the run cannot go on, after others were `lost` before."""
    failed = set(failed)
    gone = failed | set(lost)
    fatal = set()
    for name in failed:
        tolerance = plan.tolerance_of(name)
        if tolerance is None or len(gone & set(tolerance.group)) > tolerance.losses:
            fatal.add(name)
    return fatal


def exceeded(tolerance: Tolerance, party: str, gone: Iterable[str]) -> str:
    """Say that `party` is one loss more than its group may have, after all that are `gone`."""
    group, gone = tolerance.group, set(gone)
    others = [name for name in group if name in gone and name != party]
    words = f"at most {tolerance.losses} of {in_words(group)} may be lost"
    if others:
        words += f", and {in_words(others)} {'was' if len(others) == 1 else 'were'} lost as well"
    return words


def in_words(names: Sequence[str]) -> str:
    """Return names as a list in a sentence, such as `a, b and c`. Many names are `the 40 from a to z`."""
    if len(names) > LISTED:
        return f"the {len(names)} from {names[0]} to {names[-1]}"
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
