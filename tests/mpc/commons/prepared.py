"""A run in memory whose reports are logged, so that many tests can each ask for another aggregate of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from mpc.commons.encoding import Record, decode
from mpc.commons.entries import Entry, Range, sign_entry
from mpc.commons.identities import Identity
from mpc.commons.roles.run import CommonsRun, make_cast
from mpc.commons.summing import Result

FUNCTIONS = ("histogram/3", "sum/100", "sum/100/noise-20")
ROWS = [{"histogram/3": i % 3, "sum/100": 11 * i} for i in range(4)]
TOTAL = sum(row["sum/100"] for row in ROWS)
SETTINGS = [(4, 1), (7, 2)]

Alter = Callable[[Any], Any]


def silent(_: Any) -> None:
    return None


class Faults:
    """What others hear of some roles in place of what they say, by role, place and step."""

    def __init__(self, faults: dict[tuple[str, int, str], Alter] | None = None) -> None:
        self.faults = faults or {}
        self.met: set[tuple[str, int, str]] = set()

    def __call__(self, role: str, place: int, step: str, message: Any) -> Any:
        alter = self.faults.get((role, place, step))
        if alter is None:
            return message
        self.met.add((role, place, step))
        return alter(message)


def fresh(n: int = 4, t: int = 1, hearing: Faults | None = None, **setting: Any) -> CommonsRun:
    """Return a run of n trustees and n aggregators whose log is open."""
    cast = make_cast(
        {"task": FUNCTIONS},
        providers=len(ROWS),
        trustees=n,
        faulty_trustees=t,
        aggregators=n,
        faulty_aggregators=t,
        **setting,
    )
    run = CommonsRun(cast, hearing or Faults())
    run.make_key()
    run.open_log()
    return run


@lru_cache
def prepared(n: int = 4, t: int = 1) -> CommonsRun:
    """Return a run whose reports may enter many aggregates. Other tests have left their grants in it."""
    return reported(n, t)


def reported(n: int = 4, t: int = 1) -> CommonsRun:
    """Return a run of one's own, without a grant, whose reports may enter many aggregates."""
    run = fresh(n, t)
    run.report("task", ROWS, uses=1000)
    return run


def aggregate(
    run: CommonsRun,
    faults: dict[tuple[str, int, str], Alter] | None = None,
    function: str = "sum/100",
    ranges: list[Range] | None = None,
) -> Result:
    """Ask for one more aggregate, in which some roles have these faults. All faults must have been met."""
    run.unsaid.clear()
    run.lied.clear()
    hearing = Faults(faults)
    run.hearing = hearing
    try:
        found = run.aggregate(run.ask("task", function, ranges or ()))
    finally:
        run.hearing = Faults()
        assert hearing.met or not hearing.faults, "no fault was met"
    assert hearing.met == hearing.faults.keys()
    return found


def signed_anew(identity: Identity, origin: str, said: Any, change: Callable[[Record], Record]) -> Any:
    """Return an entry, alone or with its attachment, with other contents under the author's own signature."""
    entry, attachment = said if isinstance(said, tuple) else (said, None)
    anew = sign_entry(identity, origin, change(decode(Entry, entry).contents()))
    return anew if attachment is None else (anew, attachment)


def ranges_of(indices: list[int]) -> list[Range]:
    """Return the ranges that hold exactly these entries."""
    ranges: list[Range] = []
    for index in sorted(indices):
        if ranges and ranges[-1].end == index:
            ranges[-1] = Range(ranges[-1].first, index + 1)
        else:
            ranges.append(Range(index, index + 1))
    return ranges


def refusal(run: CommonsRun, entry: bytes, attachment: bytes | None = None) -> str:
    """Return why the log does not take an entry."""
    run.hearing = Faults()
    run.unsaid.clear()
    sequencer = run.cast.trustees[0].sequencer
    assert sequencer is not None
    sequencer.refused.clear()
    run.submit(entry, attachment)
    run.certify()
    (found,) = [*run.unsaid.values(), *(why for _, why in sequencer.refused)]
    return found
