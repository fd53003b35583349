"""The table of a sweep, a CSV file that is whole at every moment.

It has a column for each key of the grid, the seed, the figures, and then::

    seconds         that the trial took
    failed          why there are no figures, or nothing
    how             clear or real
    version         of the project
    configuration   the other keys that differ from their defaults, as JSON

So a table says by itself how it came about, and a sweep that goes on compares itself with it.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parties.frame.errors import ConfigError

SEED, SECONDS, FAILED = "seed", "seconds", "failed"
_SAME = ("how", "version", "configuration")

Trial = tuple[tuple[str, ...], int]
"""The values of a cell, and a seed."""

Row = dict[str, str]


@dataclass
class SweepTable:
    """The rows so far, by trial. The file is replaced as a whole with every new row.

    Attributes:
        keys: of the grid.
        figures: the names of what is measured.
        how: clear or real.
        configuration: the other keys that differ from their defaults.
        order: the place of each trial that is asked for. Rows of others stand first.
    """

    path: Path
    keys: tuple[str, ...]
    figures: tuple[str, ...]
    how: str
    version: str
    configuration: Mapping[str, Any]
    rows: dict[Trial, Row] = field(default_factory=dict)
    order: Mapping[Trial, int] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        return [*self.keys, SEED, *self.figures, SECONDS, FAILED, *_SAME]

    @property
    def _same(self) -> Row:
        text = json.dumps(dict(self.configuration), sort_keys=True)
        return dict(zip(_SAME, (self.how, self.version, text), strict=True))

    def read(self) -> None:
        """Take the rows of an earlier sweep, if there are any. Raises `ConfigError` for a table of another one."""
        if not self.path.exists():
            return
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file, strict=True)
                found, rows = list(reader.fieldnames or ()), list(reader)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ConfigError(f"out: expected a table of a sweep in {self.path}, found {error}.") from error
        if SEED not in found or found[found.index(SEED) :] != self.columns[len(self.keys) :]:
            raise ConfigError(f"out: expected a new file or the table of such a sweep, found another in {self.path}.")
        earlier = found[: found.index(SEED)]
        if earlier != list(self.keys):
            before, now = (", ".join(keys) or "none" for keys in (earlier, self.keys))
            raise ConfigError(f"grid: expected {before} as in {self.path}, found {now}.")
        for row in rows:
            self._compare(row)
            trial = tuple(row[key] for key in self.keys), int(row[SEED])
            if trial in self.rows:
                raise ConfigError(f"out: expected each trial once in {self.path}, found seed {trial[1]} twice.")
            self.rows[trial] = row

    def _compare(self, row: Row) -> None:
        """Refuse a row that came about otherwise, by the name of what differs."""
        if None in row or None in row.values() or not row[SEED].isdecimal():
            raise ConfigError(f"out: expected whole rows in {self.path}, found one that is cut.")
        for key in ("how", "version"):
            if row[key] != self._same[key]:
                raise ConfigError(f"{key}: expected {row[key]} as in {self.path}, found {self._same[key]}.")
        try:
            earlier = dict(json.loads(row["configuration"]))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"out: expected a configuration in each row of {self.path}, found none.") from error
        for key in sorted(earlier.keys() | self.configuration):
            before, now = (one.get(key, "its default") for one in (earlier, self.configuration))
            if before != now:
                raise ConfigError(f"{key}: expected {_shown(before)} as in {self.path}, found {_shown(now)}.")

    def add(self, trial: Trial, figures: Mapping[str, Any], seconds: float, failed: str) -> None:
        """Add a row, or replace the row of a trial that failed before, and write the file."""
        values, seed = trial
        row = dict(zip(self.keys, values, strict=True)) | {SEED: str(seed)}
        row |= {name: "" if figures.get(name) is None else str(figures[name]) for name in self.figures}
        self.rows[trial] = row | {SECONDS: f"{seconds:.2f}", FAILED: failed} | self._same
        self.write()

    def write(self) -> None:
        """Replace the file, durably and in one piece. Raises `OSError`."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns)
        writer.writeheader()
        writer.writerows(self.rows[trial] for trial in sorted(self.rows, key=lambda one: self.order.get(one, -1)))
        unfinished = _beside(self.path, "new")  # always this one, so that a sweep that is killed leaves one at most
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self.path)

    def missing(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return those of the trials that have no row, or one that failed."""
        return [trial for trial in trials if trial not in self.rows or self.rows[trial][FAILED]]


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Within this, no other sweep writes the same table. Raises `ConfigError` where one does."""
    lock = _beside(path, "lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(file.fileno()).st_ino == lock.stat().st_ino  # and not of a sweep that has just ended
        except OSError:
            mine = False
        if not mine:
            raise ConfigError(f"out: expected one sweep at a time for {path}, found another that goes on.")
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
