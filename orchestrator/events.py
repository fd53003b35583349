"""What the parties say while they run, in their events and in their status at the end.

A party appends one JSON object a line to `events.jsonl`, and on its way out writes `status.json`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from parties.frame.charts import Figure

NOTES_KEPT = 20


class Event(msgspec.Struct, frozen=True):
    """One line of an event file.

    `event` is listening, step_started, step_finished, in_line, out_of_line, advanced, note, began_again, finished or
    failed. Between in_line and out_of_line a party waits for other sessions, and its own time begins after that. A
    party that began again has left the steps that were open. A party in a step needs its `peer`, or those that it
    `awaits`. What has advanced is `done` of `of` in `unit`, and `figures` go with it. A party that failed is `late` if
    it failed because its peer said nothing in time.
    """

    event: str
    t: float = 0.0
    step: str | None = None
    title: str | None = None
    peer: str | None = None
    seconds: float | None = None
    sent: int | None = None
    received: int | None = None
    detail: str | None = None
    awaits: tuple[str, ...] = ()
    done: int | None = None
    of: int | None = None
    unit: str | None = None
    figures: tuple[Figure, ...] = ()
    late: bool = False


class Status(msgspec.Struct, frozen=True):
    """How a party says that it ended.

    It is `late` where its peer said nothing in time, or where none of those that it `awaits` came in time.
    """

    ok: bool
    error: str | None = None
    step: str | None = None
    peer: str | None = None
    late: bool = False
    awaits: tuple[str, ...] = ()


@dataclass
class EventFile:
    """Reads the whole lines that were appended since the last time. A line that is being written waits for its end.

    The file may have been moved, whole, to `moved_to` in the meantime.
    """

    path: Path
    moved_to: Path | None = None
    _offset: int = 0
    _decoder: msgspec.json.Decoder[Event] = field(default_factory=lambda: msgspec.json.Decoder(Event))

    def read_new(self) -> list[Event]:
        content = self._read(self.path)
        if content is None and self.moved_to is not None:
            content = self._read(self.moved_to)
        if content is None:
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

    def _read(self, path: Path) -> bytes | None:
        try:
            with path.open("rb") as file:
                file.seek(self._offset)
                return file.read()
        except FileNotFoundError:
            return None


def read_status(path: Path) -> Status | None:
    """Return how the party says that it ended, or None when it left nothing that can be read."""
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
    outcome: str = "starting"  # then running, and at last finished, failed or lost
    listening: bool = False
    failure: Event | None = None
    began: Event | None = None  # when it first said how much it has done,
    gained: Event | None = None  # when it first had done more,
    advanced: Event | None = None  # and when it said so last
    notes: deque[Event] = field(default_factory=lambda: deque(maxlen=NOTES_KEPT))
    last_sign: float = 0.0

    def apply(self, event: Event) -> None:
        self.last_sign = max(self.last_sign, event.t)
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
        elif event.event == "advanced":
            self.began = self.began or event
            if self.gained is None and (event.done or 0) > (self.began.done or 0):
                self.gained = event
            self.advanced = event
        elif event.event in ("note", "began_again"):
            self.notes.append(event)
            if event.event == "began_again":
                self.open_steps.clear()
        elif event.event == "listening":
            self.listening = True
        elif event.event in ("finished", "failed"):
            self.outcome = event.event if self.outcome != "lost" else "lost"
            self.failure = event if event.event == "failed" else self.failure

    @property
    def current_step(self) -> Event | None:
        """The step that it is in, which is the one that it began last and has not finished."""
        if self.open_steps:
            return list(self.open_steps.values())[-1]
        return None

    @property
    def needed(self) -> set[str]:
        """The parties without which its open steps cannot end."""
        steps = self.open_steps.values()
        return {step.peer for step in steps if step.peer} | {name for step in steps for name in step.awaits}

    @property
    def step_name(self) -> str | None:
        """The step that a failure now belongs to."""
        step = self.current_step or self.last_step
        return step.step if step else None
