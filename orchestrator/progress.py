"""What a person sees while a run goes on: a table that stays fresh on a terminal, plain lines elsewhere.

Every line also goes to the run's own log, which a pane may follow.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from orchestrator.events import Event, PartyState
from orchestrator.report import in_bytes
from parties.plan import Plan

ROWS = 12  # of more parties than this the table has a row a role, and the lines are the reporter's alone
_SHOWN = {"listening", "step_started", "step_finished", "note", "finished", "failed"}


class Progress:
    """Follows a run; a context manager, because a live table must give the terminal back."""

    def __init__(self, plan: Plan, console: Console, log: Path):
        self._plan = plan
        self._console = console
        self._started = time.time()
        self._log = log.open("a", encoding="utf-8", buffering=1)
        self._states: dict[str, PartyState] = {}
        self._live = Live(console=console, refresh_per_second=8, transient=True, get_renderable=self._table)
        self._shown = False

    def show(self, states: dict[str, PartyState]) -> None:
        """Draw the table from now on, if the console is a terminal."""
        self._states = states
        if self._console.is_terminal and not self._shown:
            self._live.start()
            self._shown = True

    def hide(self) -> None:
        """Leave the terminal to somebody else."""
        if self._shown:
            self._shown = False
            with contextlib.suppress(OSError):  # the terminal has hung up
                self._live.stop()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hide()
        self._log.close()

    def say(self, text: str, *, shown: bool = True, when: float | None = None) -> None:
        """A line to the run's log, and to the terminal where no table tells the same."""
        seconds = max(0.0, (when or time.time()) - self._started)
        line = f"{seconds:8.2f} s  {text}"
        self._log.write(f"{line}\n")
        if shown and not self._console.is_terminal:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def tell(self, party: str, event: Event) -> None:
        if event.event in _SHOWN:
            few = len(self._plan.processes) <= ROWS
            shown = few or party == self._plan.reporter or event.event == "failed"
            self.say(f"{party}: {in_words(event)}", shown=shown, when=event.t)

    def _table(self) -> Table:
        table = Table(title=f"{time.time() - self._started:.1f} s", title_justify="left", box=None)
        for heading in ("party", "", "step", "seconds", "sent", "received"):
            table.add_column(heading, justify="right" if heading in ("seconds", "sent", "received") else "left")
        if len(self._states) <= ROWS:
            for state in self._states.values():
                table.add_row(*_row(state))
        else:
            for pane in self._plan.panes:
                table.add_row(*_group_row(pane.title, [self._states[name] for name in pane.processes]))
        return table


def in_words(event: Event) -> str:
    """An event as one line, numbers last."""
    what = {"step_started": "begins", "step_finished": "has finished"}.get(event.event, event.event)
    words = [what]
    if event.step:
        words.append(f"step {event.step}" + (f" ({event.title})" if event.title else ""))
    if event.peer:
        words.append(f"with {event.peer}")
    if event.seconds is not None:
        words.append(f"in {event.seconds:.2f} s")
    if event.sent or event.received:
        words.append(f"{in_bytes(event.sent or 0)} out, {in_bytes(event.received or 0)} in")
    text = " ".join(words)
    return f"{text}: {event.detail}" if event.detail else text


def _row(state: PartyState) -> tuple[str, ...]:
    step = state.current_step
    shown = f"{step.step} {step.title or ''}" if step else ""
    seconds = f"{time.time() - step.t:.1f}" if step else ""
    return state.name, state.outcome, shown, seconds, in_bytes(state.sent), in_bytes(state.received)


def _group_row(title: str, states: list[PartyState]) -> tuple[str, ...]:
    steps: dict[str, int] = {}
    for state in states:
        place = state.current_step.step if state.current_step else state.outcome
        steps[place or ""] = steps.get(place or "", 0) + 1
    shown = ", ".join(f"{count} in {place}" for place, count in sorted(steps.items()))
    sent, received = sum(state.sent for state in states), sum(state.received for state in states)
    return f"{title} ({len(states)})", "", shown, "", in_bytes(sent), in_bytes(received)
