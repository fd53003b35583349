"""The command that tries a configuration over a grid of values and a list of seeds.

    simulate [--config FILE] --grid key=1,2,3 [--grid key=a,b] --seeds 0-9 --out sweep.csv [--real] [flags]

In the clear, workers try one trial after the other, one for each processor. With `--real`, one run after the other is
started, each with keys and accounts of its own. A sweep that was ended goes on where it was, by the same command. The
status is 1 where a trial has failed, which is then a row with its reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import shutil
import statistics
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from orchestrator.command_line import CommandLine
from orchestrator.config import Configuration, RunOptions
from orchestrator.errors import Interrupted, RunFailed, in_a_sentence
from orchestrator.flags import FlagParser
from orchestrator.grid.cells import MOST_TRIALS, Cell, cells_of, grid_of, others, seeds_of, with_seed
from orchestrator.grid.table import FAILED, SECONDS, SweepTable, Trial, alone
from orchestrator.grid.workers import Answer, Task, Workers
from orchestrator.interruption import signals_raise
from orchestrator.run import execute
from orchestrator.streams import plain_console
from parties.frame.errors import ConfigError, PartyError
from parties.frame.plan import RunnableProtocol, Trials
from parties.frame.private_files import make_private_folder

WIDTH = 160  # of the summary where no terminal says its own
LINE_EVERY_S = 5.0
_ABOUT = (
    "Try a configuration over a grid of values and a list of seeds, and write a row for each into a CSV file. It is "
    "tried in the clear, unless the protocol itself is asked for. A sweep that was ended goes on by the same command."
)


@dataclass(frozen=True)
class Sweep:
    """What is to be tried.

    Attributes:
        cells: with `trials`, one for each cell and seed, in the order in which they are tried.
    """

    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    interface: Trials
    table: SweepTable
    real: bool

    @property
    def trials(self) -> list[Trial]:
        return [(cell.values, seed) for seed in self.seeds for cell in self.cells]

    def cell(self, trial: Trial) -> Cell:
        """Return the cell of a trial."""
        return next(cell for cell in self.cells if cell.values == trial[0])


def simulate(protocols: Mapping[str, RunnableProtocol], line: CommandLine, arguments: Sequence[str], name: str) -> int:
    """Run the command and return its exit status. Raises `ConfigError` for what cannot be tried as asked."""
    sweep = _sweep(protocols, line, list(arguments), name)
    base = sweep.cells[0].configuration
    console = plain_console(WIDTH)
    console.quiet = base.output != "text"
    with signals_raise() as interruption, alone(sweep.table.path):
        sweep.table.read()
        sweep.table.order = {trial: place for place, trial in enumerate(sweep.trials)}
        sweep.table.write()
        left = sweep.table.missing(sweep.trials)
        progress = _Progress(sweep, len(left), base.run.progress if base.output == "text" else "none")
        tried = _real(sweep, left) if sweep.real else _in_the_clear(sweep, left)
        try:
            with interruption.stays(), contextlib.closing(tried) as answers:
                for answer in answers:
                    if answer is not None:
                        sweep.table.add(left[answer.number], answer.figures, answer.seconds, answer.failed)
                    progress.show(answer)
        except Interrupted:
            progress.say(f"{sweep.table.path} is whole. The same command goes on.")
            raise
        finally:
            progress.close()
    failed = sweep.table.missing(sweep.trials)
    if base.output == "json":
        print(json.dumps({"table": str(sweep.table.path), "cells": _summary(sweep)}, indent=2))
    _show(console, sweep)
    if failed:
        reason = sweep.table.rows[failed[0]][FAILED]
        print(
            f"{len(failed)} of {len(sweep.trials)} trials failed, the first because of this: {reason}", file=sys.stderr
        )
    return 1 if failed else 0


def _sweep(protocols: Mapping[str, RunnableProtocol], line: CommandLine, arguments: list[str], name: str) -> Sweep:
    parser = FlagParser(name, _ABOUT, "All flags of a run may be given as well.")
    parser.add_argument(
        "--grid",
        metavar="KEY=VALUES",
        action="append",
        default=[],
        help="a key of the configuration, and its values with commas between them; may be given several times",
    )
    parser.add_argument("--seeds", metavar="SEEDS", default="0", help="such as 0-9 or 0,2,5 (default 0)")
    parser.add_argument("--out", metavar="PATH", default=None, help="the CSV file; a sweep that was ended goes on")
    parser.add_argument("--real", action="store_true", default=False, help="run the protocol itself for each row")
    given, rest = parser.parse_known_args(arguments)
    if given.out is None:
        raise ConfigError("out: expected --out with the name of a CSV file, found none.")
    path = Path(given.out)
    if path.suffix != ".csv" or not path.absolute().parent.is_dir() or path.is_dir():
        raise ConfigError(f"out: expected a name that ends in .csv, in a folder that is there, found {path}.")
    grid, seeds = grid_of(given.grid), seeds_of(given.seeds)
    interface = _interface(protocols, rest)
    cells = cells_of(grid, interface.seed, rest, protocols, line)
    if len(cells) * len(seeds) > MOST_TRIALS:
        raise ConfigError(f"grid: expected at most {MOST_TRIALS} trials, found {len(cells) * len(seeds)}.")
    configuration = others(cells[0].configuration.settings, [*grid, interface.seed])
    how = "real" if given.real else "clear"
    table = SweepTable(path, tuple(grid), interface.figures, how, line.version, configuration)
    return Sweep(tuple(cells), tuple(seeds), interface, table, given.real)


def _interface(protocols: Mapping[str, RunnableProtocol], arguments: list[str]) -> Trials:
    """Return how the protocol is tried, which is the first one unless another is named."""
    parser = FlagParser("")
    parser.add_argument("--protocol", default=next(iter(protocols), None))
    name = parser.parse_known_args([one for one in arguments if one not in ("-h", "--help")])[0].protocol
    found = getattr(protocols.get(name), "trials", None)
    if not isinstance(found, Trials):
        raise ConfigError(f"protocol: expected one that can be tried in the clear, found {name}.")
    return found


def _in_the_clear(sweep: Sweep, left: Sequence[Trial]) -> Generator[Answer | None, None, None]:
    """Have workers try what is left, and yield their answers."""
    tasks = []
    for number, trial in enumerate(left):
        settings = sweep.cell(trial).configuration.settings
        values = with_seed(settings, sweep.interface.seed, trial[1])
        tasks.append(Task(number, trial[1], values, sweep.interface.deadline_s(settings)))
    with Workers(sweep.interface.module, tasks) as workers:
        yield from workers.answers()


def _real(sweep: Sweep, left: Sequence[Trial]) -> Generator[Answer | None, None, None]:
    """Run what is left, one run after the other, and yield what came out.

    Each begins with empty accounts. They share what can be made again. When all have ended well, their files go, but no
    log.
    """
    options = sweep.cells[0].configuration.run
    mark = hashlib.sha256(str(sweep.table.path.absolute()).encode()).hexdigest()[:8]
    files = make_private_folder(options.files_dir.absolute() / "sweeps") / f"{sweep.table.path.stem}-{mark}"
    for number, trial in enumerate(left):
        began, figures, failed = time.monotonic(), {}, ""
        try:
            shutil.rmtree(files / "durable", ignore_errors=True)  # of a trial that was ended
            outcome = execute(_of_trial(sweep, trial, files, options), Console(file=io.StringIO()))
            result = json.loads(outcome.result_file.read_bytes())["result"]
            figures = dict(sweep.interface.of_result(result))
        except (ConfigError, PartyError, RunFailed) as error:
            failed = str(error)
        except OSError as error:
            failed = in_a_sentence(error)
        yield Answer(number, figures, time.monotonic() - began, failed)
    if not sweep.table.missing(left):
        shutil.rmtree(files, ignore_errors=True)


def _of_trial(sweep: Sweep, trial: Trial, files: Path, options: RunOptions) -> Configuration:
    configuration = sweep.cell(trial).configuration
    settings = type(configuration.settings).model_validate_json(
        json.dumps(with_seed(configuration.settings, sweep.interface.seed, trial[1])), strict=True
    )
    places = {"files_dir": files, "launcher": "process", "progress": "none", "attach": False}
    return replace(configuration, settings=settings, run=options.model_copy(update=places))


class _Progress:
    """One line about how far the sweep is, on standard error."""

    def __init__(self, sweep: Sweep, left: int, how: str | None) -> None:
        self._total, self._left, self._before = len(sweep.trials), left, len(sweep.trials) - left
        self._live = sys.stderr.isatty() and how in (None, "live")
        self._silent = how == "none"
        self._began = time.monotonic()
        self._shown = -math.inf
        self._done = self._failed = 0

    def show(self, answer: Answer | None) -> None:
        """Show how far it is, and count an answer."""
        if answer is not None:
            self._done += 1
            self._failed += bool(answer.failed)
        now = time.monotonic()
        waits = answer is None or (self._done < self._left and now - self._shown < LINE_EVERY_S)
        if self._silent or (waits and not self._live):
            return
        self._shown = now
        words = f"{self._before + self._done} of {self._total} trials"
        if self._failed:
            words += f", {self._failed} failed"
        if 0 < self._done < self._left:
            rest = (now - self._began) / self._done * (self._left - self._done)
            words += f", about {max(1, round(rest))} s left"
        print(f"\r{words}\x1b[K" if self._live else words, end="" if self._live else "\n", file=sys.stderr, flush=True)

    def say(self, sentence: str) -> None:
        """Say something else, on a line of its own."""
        self.close()
        if not self._silent:
            print(sentence, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the line, where it is one that changes."""
        if self._live and self._shown > -math.inf:
            print(file=sys.stderr, flush=True)
            self._shown = -math.inf


def _summary(sweep: Sweep) -> list[dict[str, Any]]:
    """Return for each cell how many trials ended well, and the mean and the deviation of each figure over the seeds.

    The deviation is that of a sample, with n - 1. It is None for less than two. So are both where a figure is missing.
    """
    summary = []
    for cell in sweep.cells:
        rows = [sweep.table.rows.get((cell.values, seed)) for seed in sweep.seeds]
        well = [row for row in rows if row is not None and not row[FAILED]]
        figures: dict[str, Any] = {}
        for name in (*sweep.interface.figures, SECONDS):
            numbers = [float(row[name]) for row in well if row[name] != ""]
            figures[name] = {"mean": _mean(numbers), "deviation": _deviation(numbers)}
        summary.append({**dict(zip(sweep.table.keys, cell.values, strict=True)), "trials": len(well), **figures})
    return summary


def _mean(numbers: Sequence[float]) -> float | None:
    return statistics.fmean(numbers) if numbers and all(map(math.isfinite, numbers)) else None


def _deviation(numbers: Sequence[float]) -> float | None:
    return statistics.stdev(numbers) if len(numbers) > 1 and all(map(math.isfinite, numbers)) else None


def _show(console: Console, sweep: Sweep) -> None:
    """Print the summary, a line for each cell, where a figure is a mean ± a deviation."""
    table = Table(box=None, pad_edge=False)
    for heading in (*sweep.table.keys, "trials", *sweep.interface.figures, SECONDS):
        table.add_column(heading, justify="right")
    for cell in _summary(sweep):
        figures = [_words(**cell[name]) for name in (*sweep.interface.figures, SECONDS)]
        table.add_row(*(cell[key] for key in sweep.table.keys), str(cell["trials"]), *figures)
    console.print(table)
    console.print(f"Table: {sweep.table.path}", soft_wrap=True)


def _words(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return "-"
    return f"{mean:.4g}" if not deviation else f"{mean:.4g} ± {deviation:.2g}"
