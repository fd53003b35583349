"""How a party reports its progress, in a log for people, events for the launcher and a status at the end.

It reports steps, peers, bytes and seconds, and never a value. The message of an unexpected exception may hold a value
(numpy prints arrays). The log therefore gets the exception's type and the lines that it passed, but not its message.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from loguru import logger

from mpc.channels.frames import Channel
from mpc.errors import CheatingError, DeadlineError, MpcError, PeerError
from parties.frame.charts import Figure
from parties.frame.errors import AbsentError, PartyError
from parties.frame.lifetime import Ended
from parties.frame.private_files import write_private

__all__ = ["EXPECTED", "Progress"]

# Their messages are sentences and hold no secret.
EXPECTED = (MpcError, PartyError, Ended)
_NAMES_ONLY = (ImportError, AttributeError, NameError, TypeError, OSError, MemoryError)  # nor do these

_FORMAT = "{time:HH:mm:ss.SSS} | {level: <7} | {extra[party]} | {message}"


class Progress:
    """One party's log, `events.jsonl` and `status.json`. Several threads may use it at once."""

    def __init__(self, party: str, log: Path, folder: Path, *, echo: bool) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = logger.bind(party=party)
        # Opened here, because loguru takes braces in a path for a template.
        self._log_file = log.open("a", encoding="utf-8", buffering=1)
        streams = [self._log_file, *([sys.stderr] if echo and sys.stderr is not None else [])]
        self._sinks = [self._add(_unfailing(stream), party) for stream in streams]
        self._events_path = folder / "events.jsonl"
        self._events: int | None = os.open(self._events_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._status = folder / "status.json"
        self._lock = threading.Lock()
        self._failed_at: tuple[str, str] | None = None

    def _add(self, sink: Callable[[str], None], party: str) -> int:
        return logger.add(
            sink,
            format=_FORMAT,
            level="INFO",
            filter=lambda record: record["extra"].get("party") == party,
            backtrace=False,
            diagnose=False,  # it would print the values of variables
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        with self._lock:
            if self._events is not None:
                os.close(self._events)
            self._events = None
        for sink in self._sinks:
            with contextlib.suppress(ValueError):  # all sinks were cleared before
                logger.remove(sink)
        with contextlib.suppress(OSError):
            self._log_file.close()

    def event(self, event: str, **fields: Any) -> None:
        """Write one line to `events.jsonl`. Fields that are None or empty are left out.

        Raises `PartyError` when the disk does not take it.
        """
        kept = {key: value for key, value in fields.items() if value not in (None, "")}
        line = json.dumps({"t": time.time(), "event": event, **kept}).encode() + b"\n"
        with self._lock:
            if self._events is None:
                return
            try:
                written = os.write(self._events, line)
            except OSError as error:
                raise PartyError(f"cannot write to {self._events_path}: {error.strerror}") from error
            if written != len(line):
                raise PartyError(f"cannot write to {self._events_path}: the disk took less than a line")

    def note(self, text: str) -> None:
        """Write a sentence to the log and the report."""
        self._log.info(text)
        self.event("note", detail=text)

    def advance(self, done: int, of: int, unit: str, figures: Sequence[Figure] = ()) -> None:
        """Report how much of the party's work is done, such as 7 of 30, and the figures that go with it."""
        words = [f"{done} of {of} {unit}"]
        for figure in figures:
            value = figure.value if isinstance(figure.value, str) else f"{figure.value:.3g}"
            words.append(f"{figure.name} {value}" + ("" if figure.of is None else f" of {figure.of:g}"))
        self._log.info(", ".join(words))
        self.event("advanced", done=done, of=of, unit=unit, figures=[asdict(figure) for figure in figures])

    def listening(self, port: int) -> None:
        """Report that the party's port is bound, so that peers can connect."""
        self._log.info(f"listening at port {port}")
        self.event("listening", detail=str(port))

    def admitted(self, peer: str, session: str) -> None:
        """Report that a service's process has taken part in a session since now, which this peer has brought."""
        self._log.info(f"session {session}")
        self.event("admitted", peer=peer, detail=session)

    def begin_again(self, why: str) -> None:
        """Report that a session broke, why, and that the steps that were open in it are open no more."""
        with self._lock:
            self._failed_at = None
        self._log.info(why)
        self.event("began_again", detail=why)

    @contextmanager
    def in_line(self) -> Iterator[None]:
        """Report that the party waits in a service's line for its turn, which is none of its own session's time."""
        self.event("in_line")
        try:
            yield
        finally:
            self.event("out_of_line")

    @contextmanager
    def step(
        self, step: str, title: str, *, channel: Channel | None = None, peer: str = "", awaits: Sequence[str] = ()
    ) -> Iterator[None]:
        """Measure the seconds of one step, waiting for the peer included, and the bytes that `channel` moves in it.

        `awaits` names the parties that the step needs where it has no channel yet. When the run stands still, the
        launcher looks for the stuck party among them.
        """
        peer = peer or (channel.peer if channel else "")
        towards = f" with {peer}" if peer else ""
        self.event("step_started", step=step, title=title, peer=peer, awaits=list(awaits) or None)
        self._log.info(f"step {step}: {title}{towards}")
        began = time.perf_counter()
        with contextlib.ExitStack() as stack:
            if channel is not None:
                stack.enter_context(channel.in_step(step))
                sent, received = channel.traffic[step].sent, channel.traffic[step].received
            try:
                yield
            except BaseException:
                with self._lock:
                    self._failed_at = self._failed_at or (step, peer)
                raise
            seconds = time.perf_counter() - began
            moved = {}
            if channel is not None:
                traffic = channel.traffic[step]
                moved = {"sent": traffic.sent - sent, "received": traffic.received - received}
        self.event("step_finished", step=step, title=title, peer=peer, seconds=round(seconds, 6), **moved)
        volume = f", {moved['sent']} B sent, {moved['received']} B received" if moved else ""
        self._log.info(f"step {step}: {title}{towards}: done in {seconds:.3f} s{volume}")

    def finished(self) -> None:
        """Report that the party has done all its work."""
        self._write_status({"ok": True, "error": None, "step": None, "peer": None})
        self.event("finished")
        self._log.info("finished")

    def failed(self, error: BaseException) -> None:
        """Report the error that ends the party, as one sentence with its step. Details of a bug go to the log alone.

        The peer of the step is named only where the error is about a peer, and where it is known which one.
        """
        step, peer = self._failed_at or ("", "")
        about_a_peer = isinstance(error, (PeerError, ConnectionError))
        if not about_a_peer or isinstance(error, (AbsentError, CheatingError)):
            peer = ""  # whatever it was doing with a peer, that peer is not to blame
        step, peer = getattr(error, "step", "") or step, getattr(error, "peer", "") or peer
        if isinstance(error, EXPECTED):
            sentence = str(error)
        else:
            words = f": {error}" if isinstance(error, _NAMES_ONLY) else " (message withheld: it may hold a value)"
            sentence = f"unexpected {type(error).__name__}{words}"
            self._log.error("".join(traceback.format_tb(error.__traceback__)) + sentence)
        late: dict[str, Any] = {}
        if isinstance(error, DeadlineError):
            late = {"late": True}  # the peer said nothing at all
        if isinstance(error, AbsentError):
            late = {"late": True, "awaits": error.awaits}
        self._log.error(f"failed: {sentence}")
        # On a full disk the log or the terminal may still say it, and the exit status does.
        with contextlib.suppress(OSError):
            self._write_status({"ok": False, "error": sentence, "step": step or None, "peer": peer or None, **late})
        with contextlib.suppress(PartyError):
            self.event("failed", step=step, peer=peer, detail=sentence, **late)

    def _write_status(self, status: dict[str, Any]) -> None:
        write_private(self._status, json.dumps(status).encode() + b"\n")


def _unfailing(stream: TextIO) -> Callable[[str], None]:
    """Return what writes to a stream and goes on without it when it is full or gone, because no log is worth a run."""

    def write(line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            stream.write(line)
            stream.flush()

    return write
