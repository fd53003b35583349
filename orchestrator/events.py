"""What the parties say while they run: their event files, their last words, and what follows from both.

A party appends one JSON object a line to `events.jsonl`, and on its way out writes `status.json`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec


class Event(msgspec.Struct, frozen=True):
    """One line of an event file. `event` is listening, step_started, step_finished, note, finished or failed."""

    event: str
    t: float = 0.0
    step: str | None = None
    title: str | None = None
    peer: str | None = None
    seconds: float | None = None
    sent: int | None = None
    received: int | None = None
    detail: str | None = None


class Status(msgspec.Struct, frozen=True):
    """A party's last words."""

    ok: bool
    error: str | None = None
    step: str | None = None
    peer: str | None = None


@dataclass
class EventFile:
    """Reads the whole lines that were appended since the last time; a line being written waits for its end."""

    path: Path
    _offset: int = 0
    _decoder: msgspec.json.Decoder[Event] = field(default_factory=lambda: msgspec.json.Decoder(Event))

    def read_new(self) -> list[Event]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        complete = content.rfind(b"\n") + 1
        self._offset += complete
        events = []
        for line in content[:complete].splitlines():
            try:
                events.append(self._decoder.decode(line))
            except msgspec.DecodeError as error:
                events.append(Event(event="note", detail=f"a line of {self.path.name} is no event ({error})"))
        return events


def read_status(path: Path) -> Status | None:
    """The party's last words, None when it left none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Status)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


@dataclass
class PartyState:
    """What one party has said so far."""

    name: str
    open_steps: dict[tuple[str, str | None], Event] = field(default_factory=dict)
    last_step: Event | None = None
    sent: int = 0
    received: int = 0
    outcome: str = "starting"  # then running, and at last finished or failed
    failure: Event | None = None

    def apply(self, event: Event) -> None:
        if self.outcome == "starting":
            self.outcome = "running"
        if event.step is not None and event.event == "step_started":
            self.open_steps[event.step, event.peer] = event
            self.last_step = event
        elif event.step is not None and event.event == "step_finished":
            self.open_steps.pop((event.step, event.peer), None)
            self.last_step = event
            self.sent += event.sent or 0
            self.received += event.received or 0
        elif event.event == "finished":
            self.outcome = "finished"
        elif event.event == "failed":
            self.outcome = "failed"
            self.failure = event

    @property
    def current_step(self) -> Event | None:
        """The step that it is in: the one it began last and has not finished."""
        if self.open_steps:
            return list(self.open_steps.values())[-1]
        return None

    @property
    def step_name(self) -> str | None:
        """The step that a failure now belongs to."""
        step = self.current_step or self.last_step
        return step.step if step else None
