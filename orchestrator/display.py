"""What a person sees while a run goes on.

On a terminal it is a picture that stays fresh, elsewhere plain lines. Every line also goes to the run's own log, which
a pane may follow.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live

from orchestrator.accounts import in_bytes
from orchestrator.counts import StepCounts
from orchestrator.events import Event, PartyState
from orchestrator.losses import Loss
from orchestrator.scene import Scene, figure_words
from parties.frame.plan import Plan

MANY = 12  # of more parties than this the plain lines are the reporters' alone
LINE_EVERY_S = 1.0
_SHOWN = {"listening", "step_started", "step_finished", "advanced", "note", "began_again", "finished", "failed"}


class RunDisplay:
    """Follows a run. It is a context manager, because a live picture must give the terminal back."""

    def __init__(self, plan: Plan, console: Console, log: Path, title: str, progress: str | None = None):
        self._few = len(plan.processes) <= MANY
        self._reporters = plan.reporters
        self._console = console
        self.scene = Scene(title, plan.panes, time.time())
        self._log = log.open("a", encoding="utf-8", buffering=1)
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._picture)
        self._shown = False
        progress = progress or ("live" if console.is_terminal else "lines")
        self._is_live = progress == "live" and console.is_terminal
        self._prints_lines = progress == "lines" or (progress == "live" and not self._is_live)
        self._printed: set[tuple[str, ...]] = set()  # the steps that were printed once
        self._counts = StepCounts(time.time())
        self._advanced: dict[str, float] = {}  # when each party's advance was printed last

    def show(self) -> None:
        """Draw the picture from now on, if the console is a terminal."""
        if self._is_live and not self._shown:
            self._live.start()
            self._shown = True

    def hide(self) -> None:
        """Stop drawing and give the terminal back."""
        if self._shown:
            self._shown = False
            with contextlib.suppress(OSError):  # the terminal has hung up
                self._live.stop()

    def __enter__(self) -> RunDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hide()
        with contextlib.suppress(OSError):
            self._log.close()

    def say(self, text: str, *, shown: bool = True, when: float | None = None) -> None:
        """Write a line to the run's log, and to the terminal where no picture shows the same."""
        seconds = max(0.0, (when or time.time()) - self.scene.started)
        line = f"{seconds:8.2f} s  {text}"
        with contextlib.suppress(OSError):  # a full disk, and no log is worth a run
            self._log.write(f"{line}\n")
        if shown and self._prints_lines:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def tell(self, party: str, event: Event) -> None:
        """Take in an event that the scene's states know already."""
        self.scene.tell(party, event)
        if event.event in _SHOWN:
            shown = self._few or party in self._reporters or event.event == "failed"
            self.say(f"{party}: {in_words(event)}", shown=shown and self._is_news(party, event), when=event.t)
        if not self._few and party not in self._reporters and (line := self._counts.line(party, event)) is not None:
            self.say(line, when=event.t)

    def _is_news(self, party: str, event: Event) -> bool:
        """Tell whether to print an event. A step is printed once for each peer, what is done once a second at most.

        The run's log has all of them.
        """
        if event.event == "advanced":
            is_last = event.done is not None and event.done == event.of
            if not is_last and event.t - self._advanced.get(party, -LINE_EVERY_S) < LINE_EVERY_S:
                return False
            self._advanced[party] = event.t
        elif event.event in ("step_started", "step_finished"):
            mark = (party, event.event, event.step or "", event.title or "", event.peer or "")
            if mark in self._printed:
                return False
            self._printed.add(mark)
        return True

    def lose(self, loss: Loss) -> None:
        """Show that the run goes on without a party."""
        self.scene.lost = (*self.scene.lost, loss)
        self.say(f"{loss}. The run goes on.")

    @property
    def states(self) -> dict[str, PartyState]:
        return self.scene.states

    def _picture(self) -> RenderableType:
        width, height = self._console.size
        return self.scene.draw(width, height - 1, time.time())


def in_words(event: Event) -> str:
    """Return an event as one line, numbers last."""
    if event.event == "advanced":
        words = [f"{event.done} of {event.of} {event.unit or ''}".rstrip(), *map(figure_words, event.figures)]
        return ", ".join(words)
    what = {"step_started": "begins", "step_finished": "has finished", "began_again": "begins again"}.get(
        event.event, event.event
    )
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
