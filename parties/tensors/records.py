"""What a member of a federation keeps of its sessions on its disk: each session, and each reveal before it happens.

A line is on the disk before anything that it speaks of leaves this party. So what was revealed is never more than what
stands here, whatever happens to the process. It holds names, shapes and readers, and no value.

Noise averages out over sessions. So members may agree how many sessions there may be in all, and each of them counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mpc.tensors.forecast import shape_text
from mpc.tensors.reveals import Reveal, readers
from parties.frame.charts import Measure
from parties.frame.errors import PartyError
from parties.frame.journal import JournalError, OpenJournal, locked
from parties.frame.plan import Summary

FILE = "sessions.jsonl"
"""The file in a member's private folder that outlives a session."""

DURABLE = "durable"
"""The folder with what outlives a session, see `parties.frame.plan.RunFolders`."""


class SessionsError(PartyError):
    """There have been as many sessions as the members agreed on. Nothing of this one was computed."""


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line, about a session that begins, or about a reveal in it.

    Attributes:
        session: its name, which says who opened it.
        when: seconds since 1970.
        computation: digest of what the members have agreed on, without the number of sessions.
        program: the name of the program's file, and the digest of its text.
        reveal: what is about to be revealed, or None where the session begins.
    """

    session: str
    when: float
    computation: str
    program: tuple[str, str]
    reveal: Reveal | None = None


@dataclass(frozen=True)
class SessionRecord:
    """One session in the record of one member.

    Attributes:
        path: the record's file.
        session, computation, program: as of a :class:`Line`.
        most: how many sessions of this computation there may be in all, or None.
        note: is told what is revealed, in a sentence.
    """

    path: Path
    session: str
    computation: str
    program: tuple[str, str]
    most: int | None = None
    note: Callable[[str], None] = lambda _: None

    def refusal(self) -> str:
        """Return why this session may not begin, or nothing."""
        with locked(self.path) as journal:
            return self._refusal(journal)

    def begin(self) -> None:
        """Count the session, durably, before anything of it is computed. Raises `SessionsError` for one too many."""
        with locked(self.path) as journal:
            if refusal := self._refusal(journal):
                raise SessionsError(refusal)
            journal.append(self._line())

    def reveal(self, reveal: Reveal) -> None:
        """Write down a reveal, durably, before anything of it is sent."""
        with locked(self.path) as journal:
            journal.append(self._line(reveal))
        self.note(f"{reveal.name} ({shape_text(reveal.shape)}) is revealed to {reveal.who}")

    def _refusal(self, journal: OpenJournal) -> str:
        if self.most is None:
            return ""
        lines = _read(self.path, journal.lines)
        there = sum(line.reveal is None and line.computation == self.computation for line in lines)
        return f"sessions: expected at most {self.most} in all, which there have been" if there >= self.most else ""

    def _line(self, reveal: Reveal | None = None) -> bytes:
        return msgspec.json.encode(Line(self.session, time.time(), self.computation, self.program, reveal))


def _read(path: Path, lines: tuple[bytes, ...]) -> list[Line]:
    """Return the lines of a record. Raises `JournalError` for one that is none."""
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(msgspec.json.decode(line, type=Line))
        except msgspec.DecodeError as error:
            raise JournalError(f"expected a session or a reveal in line {number} of {path}, found {error}") from error
    return found


def _records(files: Path) -> Iterator[list[Line]]:
    """Yield the lines of each record in a folder."""
    for path in sorted((files / DURABLE).glob(f"*/{FILE}")):
        with locked(path) as journal:
            yield _read(path, journal.lines)


def revealed_view(files: Path) -> Summary:
    """Return which programs ran in how many sessions, opened by whom, and what they revealed to whom and how often."""
    shown: list[tuple[str, str]] = []
    for lines in _records(files):
        for computation in dict.fromkeys(line.computation for line in lines):
            of = [line for line in lines if line.computation == computation]
            sessions = [line for line in of if line.reveal is None]
            openers = sorted({line.session.partition("/")[0] for line in sessions})
            last = time.strftime("%Y-%m-%d %H:%M", time.gmtime(of[-1].when))
            name, digest = of[0].program
            shown.append(
                (
                    f"{name} {digest[:16]}",
                    f"{len(sessions)} sessions, opened by {', '.join(openers)}, last at {last} UTC",
                )
            )
            counts: dict[Reveal, int] = {}
            for line in of:
                if line.reveal is not None:
                    counts[line.reveal] = counts.get(line.reveal, 0) + 1
            shown += [
                (
                    f"revealed {reveal.name}",
                    f"{shape_text(reveal.shape)}, {'once' if times == 1 else f'{times} times'}, to "
                    f"{readers(reveal.to, reveal.noise)}",
                )
                for reveal, times in counts.items()
            ]
    return Summary(tuple(shown) or (("sessions", f"none in {files / DURABLE}: nothing was revealed"),))


def revealed_measures(files: Path) -> list[Measure]:
    """Return how many sessions began and how often each output was revealed to each reader, as figures to watch."""
    begun: dict[str, int] = {}
    outputs: dict[tuple[str, str], int] = {}
    for lines in _records(files):
        for line in lines:
            if line.reveal is None:
                opener = line.session.partition("/")[0]
                begun[opener] = begun.get(opener, 0) + 1
            else:
                for reader in line.reveal.to:
                    key = line.reveal.name, reader
                    outputs[key] = outputs.get(key, 0) + 1
    found = [
        Measure("sessions_begun", "Sessions that all members came to.", count, {"opener": opener}, grows=True)
        for opener, count in sorted(begun.items())
    ]
    about = "How often an output was revealed."
    return found + [
        Measure("reveals", about, count, {"output": output, "reader": reader}, grows=True)
        for (output, reader), count in sorted(outputs.items())
    ]
