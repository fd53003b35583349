"""A run as a person sees it while it lasts.

The picture shows how much is done, every party and its step, links, notes, failures and losses. It is the same in the
terminal that started the run and in a dashboard. It fits the width and height it is given. When there is too little
room, links and notes are left out first, then parties of one role share a row. All that a colour says is also said in
words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.accounts import Accounts, in_bytes, in_time
from orchestrator.advance import advance
from orchestrator.events import Event, PartyState
from orchestrator.losses import Loss
from parties.frame.charts import Figure
from parties.frame.plan import Pane

NARROW = 70  # columns; below, bytes are not shown
FEWEST_ROWS = 4  # that links and notes may take; fewer are not worth a heading
MOST_NOTES = 6
MOST_LOSSES = 3  # named with their reasons; all have their rows
_STYLES = {"finished": "green", "failed": "bold red", "lost": "yellow", "running": "", "starting": "dim"}
_OVER = ("finished", "failed", "lost")


@dataclass
class Scene:
    """What is known of a run. `tell` it the parties' events in their order."""

    title: str
    panes: Sequence[Pane]
    started: float
    states: dict[str, PartyState] = field(default_factory=dict)
    outcome: str = "running"
    verdict: str = ""  # why it failed
    lost: Sequence[Loss] = ()

    def __post_init__(self) -> None:
        names = [name for pane in self.panes for name in pane.processes]
        self.states = self.states or {name: PartyState(name) for name in names}
        self.accounts = Accounts(self.panes)
        self._notes: list[tuple[str, Event]] = []

    def tell(self, party: str, event: Event) -> None:
        """Take in an event that the states know already."""
        self.accounts.tell(party, event)
        if event.event in ("note", "began_again"):
            self._notes = [*self._notes[-MOST_NOTES:], (party, event)]

    def draw(self, width: int, height: int, now: float) -> RenderableType:
        """Return the picture, at most `height` lines high."""
        top = [self._heading(width, now), *self._advance(width, now), *self._failures(), *self._losses()]
        left = height - _lines(top, width) - 2
        parties = self._parties(width, left, now)
        picture: list[RenderableType] = [*top, Text(""), parties]
        left -= parties.row_count + 1
        notes = self._notes[-min(MOST_NOTES, max(0, left // 2)) :] if left >= FEWEST_ROWS else []
        links = left - (len(notes) + 2 if notes else 0) - 2
        if links >= FEWEST_ROWS - 2 and width >= NARROW and self.accounts.links():
            picture += [Text(""), self._links(links)]
        if notes:
            picture += [Text(""), *(self._note(party, event) for party, event in notes)]
        return Group(*picture)

    def _heading(self, width: int, now: float) -> RenderableType:
        line = Table.grid(expand=True)
        line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        line.add_column(justify="right", no_wrap=True)
        style = _STYLES.get(self.outcome, "bold yellow")
        said = Text.assemble((self.outcome, style), f"  {in_time(now - self.started)}")
        line.add_row(Text(self.title, style="bold"), said)
        return line

    def _advance(self, width: int, now: float) -> list[RenderableType]:
        whole = advance(self.states.values(), now)
        if whole is None:
            return []
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(no_wrap=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True, justify="right")
        eta = "" if whole.seconds_left is None else f"about {_roughly(whole.seconds_left)} left"
        bar = ProgressBar(total=max(1, whole.of), completed=whole.done, complete_style="cyan", finished_style="green")
        line.add_row(f"{whole.done} of {whole.of} {whole.unit}", bar, eta)
        shown: list[RenderableType] = [line]
        telling = [(state.name, state.advanced) for state in self.states.values() if state.advanced is not None]
        for name, said in telling:
            words = [] if len(telling) == 1 else [f"{said.done} of {said.of}"]
            words += [figure_words(figure) for figure in said.figures]
            shown.append(Text(f"  {name}: {', '.join(words)}", no_wrap=True, overflow="ellipsis"))
        return shown

    def _failures(self) -> list[RenderableType]:
        if self.verdict:
            return [Text(self.verdict, style="bold red")]
        failed = [(state.name, state.failure) for state in self.states.values() if state.outcome == "failed"]
        return [
            Text(f"{name} failed" + (f": {event.detail}" if event and event.detail else ""), style="bold red")
            for name, event in failed[:3]
        ]

    def _losses(self) -> list[RenderableType]:
        return [Text(str(loss), style=_STYLES["lost"]) for loss in self.lost[:MOST_LOSSES]]

    def _parties(self, width: int, rows: int, now: float) -> Table:
        table = Table(box=None, pad_edge=False, expand=True, padding=(0, 2, 0, 0))
        table.add_column("party", no_wrap=True, overflow="ellipsis", max_width=max(12, width // 3))
        table.add_column("", no_wrap=True)
        table.add_column("step", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("for", justify="right", no_wrap=True)
        if width >= NARROW:
            table.add_column("sent", justify="right", no_wrap=True)
            table.add_column("received", justify="right", no_wrap=True)
        shared = len(self.states) + 1 > rows
        for pane in self.panes:
            states = [self.states[name] for name in pane.processes]
            alone = [state for state in states if not shared or len(states) == 1 or state.outcome in ("failed", "lost")]
            for state in alone:
                table.add_row(*_row(state, now)[: len(table.columns)], style=_STYLES[state.outcome])
            together = [state for state in states if state not in alone]
            if together:
                table.add_row(*_shared_row(pane.title, together, now)[: len(table.columns)])
        return table

    def _links(self, rows: int) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("link")
        for heading in ("→ bytes", "← bytes"):
            table.add_column(heading, justify="right")
        for line in self.accounts.links()[:rows]:
            table.add_row(f"{line.link[0]} ↔ {line.link[1]}", in_bytes(line.forth), in_bytes(line.back))
        return table

    def _note(self, party: str, event: Event) -> Text:
        seconds = in_time(max(0.0, event.t - self.started))
        return Text(f"{seconds:>8}  {party}: {event.detail}", style="dim", no_wrap=True, overflow="ellipsis")


def figure_words(figure: Figure) -> str:
    """Return a figure as a few words, such as `spent 4.2 of 10`."""
    return f"{figure.name} {figure_value(figure)}"


def figure_value(figure: Figure) -> str:
    """Return a figure's value and the most that it may come to, with enough digits to tell one from the other."""
    if isinstance(figure.value, str):
        value = figure.value
    else:
        value = f"{figure.value:.3g}"
        if figure.of is not None and figure.value != figure.of and value == f"{figure.of:.3g}":
            value = f"{figure.value:.8g}"
    return value + ("" if figure.of is None else f" of {figure.of:g}")


def _row(state: PartyState, now: float) -> tuple[str, ...]:
    step = state.current_step
    over = state.outcome in _OVER
    idle = "between steps" if state.outcome == "running" else ""
    where = f"{step.step} {step.title or ''}" + (f" with {step.peer}" if step.peer else "") if step else idle
    seconds = in_time(max(0.0, now - step.t)) if step and not over else ""
    return state.name, state.outcome, where, seconds, in_bytes(state.sent), in_bytes(state.received)


def _shared_row(title: str, states: Sequence[PartyState], now: float) -> tuple[str, ...]:
    """Return one row for parties of one role, with how many are in which step and for how long at most."""
    places: dict[str, int] = {}
    for state in states:
        place = state.outcome if state.outcome == "finished" or not state.current_step else state.current_step.step
        places[place or ""] = places.get(place or "", 0) + 1
    where = ", ".join(f"{count} {_in(place)}" for place, count in sorted(places.items()))
    open_steps = [state.current_step.t for state in states if state.current_step and state.outcome == "running"]
    seconds = in_time(max(0.0, now - min(open_steps))) if open_steps else ""
    sent, received = sum(state.sent for state in states), sum(state.received for state in states)
    return f"{len(states)} × {title}", "", where, seconds, in_bytes(sent), in_bytes(received)


def _roughly(seconds: float) -> str:
    """Return a time that is only a guess, without fractions of a second."""
    return f"{seconds:.0f} s" if seconds < 60 else in_time(seconds)


def _in(place: str) -> str:
    return {"running": "between steps"}.get(place, place if place in _STYLES else f"in step {place}")


def _lines(parts: Sequence[RenderableType], width: int) -> int:
    """Return how many lines the parts take, which is one each, but for sentences that wrap."""
    return sum(-(-len(part.plain) // width) if isinstance(part, Text) and not part.no_wrap else 1 for part in parts)
