"""The events of a service's sessions, of those that have ended and of those that go on, as they came.

Each process of a session appends its events to a file in its private folder. The supervisor moves that file beside the
session's log when the process has ended, and then adds a line about the session to its journal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.events import Event, EventFile
from orchestrator.federation.records import ServiceFolder, SessionEnded

Line = dict[str, Any] | SessionEnded


class SessionEvents:
    """What a service's sessions have said, read piece by piece.

    Args:
        folder: of the service.
        count: the sessions that have ended before, of which the last so many are read.
        with_events: whether events are read, besides how each session ended.
    """

    def __init__(self, folder: ServiceFolder, count: int, *, with_events: bool) -> None:
        self._folder = folder
        self._with_events = with_events
        ended = folder.ended()
        self._told = {one.log for one in ended[: len(ended) - count]}
        self._files: dict[str, EventFile] = {}

    def read_new(self) -> Iterator[Line]:
        """Yield what came since the last time. A session's end comes after its events."""
        ended = [
            one for one in self._folder.ended() if one.log not in self._told
        ]  # first, so that its events are whole
        for one in ended:
            yield from self._events(one.log)
            self._files.pop(one.log, None)
            self._told.add(one.log)
            yield one
        for log in self._going_on() if self._with_events else ():
            yield from self._events(log)

    def _going_on(self) -> list[str]:
        found = sorted(path.name for path in (self._folder.member / "sessions").glob(f"{self._folder.role}-*"))
        return [log for log in found if log not in self._told]

    def _events(self, log: str) -> Iterator[Line]:
        if not self._with_events:
            return
        if log not in self._files:
            running = next(iter((self._folder.member / "sessions" / log).glob("*/events.jsonl")), None)
            kept = next(iter((self._folder.logs / "sessions" / log).glob("*.events.jsonl")), None)
            if kept is not None:
                self._files[log] = EventFile(kept)
            elif running is not None:
                name = f"{running.parent.name}.events.jsonl"
                self._files[log] = EventFile(running, self._folder.logs / "sessions" / log / name)
            else:  # it has just begun, or its logs were removed
                return
        for event in self._files[log].read_new():
            yield {"log": log, **_plain(event)}


def _plain(event: Event) -> dict[str, Any]:
    """Return an event as plain values, without what it leaves open."""
    empty = Event(event="")
    values: dict[str, Any] = msgspec.to_builtins(event)
    return {name: value for name, value in values.items() if getattr(event, name) != getattr(empty, name)}
