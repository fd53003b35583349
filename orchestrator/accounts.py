"""What the steps of a run cost in seconds and bytes, by step and link, as both ends of every link report it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.events import Event
from parties.frame.plan import Pane

NOBODY = "-"


@dataclass(frozen=True)
class StepRecord:
    """One party's account of one step, with its peer, its seconds, and the bytes sent and received."""

    step: str
    title: str
    party: str
    peer: str | None
    seconds: float
    sent: int
    received: int


@dataclass
class Line:
    """One step on one link (or of one party alone), seen from both ends."""

    step: str
    title: str
    link: tuple[str, str]
    seconds: float = 0.0
    forth: int = 0
    back: int = 0


class Accounts:
    """Collects the steps that parties report as finished. A link is named from the party that comes first."""

    def __init__(self, panes: Sequence[Pane]) -> None:
        self._panes = panes
        names = [name for pane in panes for name in pane.processes]
        self._rank = {name: rank for rank, name in enumerate(names)}
        self.records: list[StepRecord] = []

    def tell(self, party: str, event: Event) -> None:
        if event.event != "step_finished" or event.step is None:
            return
        self.records.append(
            StepRecord(
                event.step,
                event.title or "",
                party,
                event.peer,
                event.seconds or 0.0,
                event.sent or 0,
                event.received or 0,
            )
        )

    def lines(self) -> list[Line]:
        """Return a line for each step and link, by step, and for each thing that a party does alone.

        Both ends of a link report it. The longer time and the larger count hold. Repetitions at one end add up.
        """
        ends: dict[tuple[str, str, str, str], Line] = {}
        for record in self.records:
            there = record.peer or NOBODY
            turned = self._order(record.party) > self._order(there)
            link = (there, record.party) if turned else (record.party, there)
            alone = "" if record.peer else record.title  # the two ends of a link may name a step differently
            end = ends.setdefault((record.step, record.party, there, alone), Line(record.step, record.title, link))
            end.seconds += record.seconds
            end.forth += record.received if turned else record.sent
            end.back += record.sent if turned else record.received
        merged: dict[tuple[str, tuple[str, str], str], Line] = {}
        for (*_, alone), end in ends.items():
            line = merged.setdefault((end.step, end.link, alone), Line(end.step, end.title, end.link))
            line.seconds = max(line.seconds, end.seconds)
            line.forth = max(line.forth, end.forth)
            line.back = max(line.back, end.back)
        return sorted(merged.values(), key=lambda line: (line.step, *map(self._order, line.link)))

    def lines_between_roles(self) -> list[Line]:
        """Return `lines` with all links between two roles as one, which has the longest time and the bytes of all."""
        role = {}
        for pane in self._panes:
            names = pane.processes
            for name in names:
                role[name] = name if len(names) == 1 else f"{names[0]} … {names[-1]}"
        grouped: dict[tuple[str, tuple[str, str], str], Line] = {}
        for line in self.lines():
            link = (role.get(line.link[0], line.link[0]), role.get(line.link[1], line.link[1]))
            alone = line.title if line.link[1] == NOBODY else ""
            group = grouped.setdefault((line.step, link, alone), Line(line.step, line.title, link))
            group.seconds = max(group.seconds, line.seconds)
            group.forth += line.forth
            group.back += line.back
        return list(grouped.values())

    def links(self) -> list[Line]:
        """Return the bytes of all steps on each link, most first."""
        total: dict[tuple[str, str], Line] = {}
        for line in self.lines():
            if line.link[1] != NOBODY:
                link = total.setdefault(line.link, Line("", "", line.link))
                link.seconds += line.seconds
                link.forth += line.forth
                link.back += line.back
        return sorted(total.values(), key=lambda link: -(link.forth + link.back))

    def _order(self, name: str) -> int:
        return self._rank.get(name, len(self._rank))


def in_bytes(count: float) -> str:
    """Return a number of bytes with about three digits."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < (1000 if unit == "B" else 999.5):  # three digits of what is above are those of the next unit
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def in_time(seconds: float) -> str:
    """Return a duration as a person says it, such as 0.25 s, 12.3 s, 3:05 or 1:02:07."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
