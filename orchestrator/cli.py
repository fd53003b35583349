"""The command line of `run_protocol.py`: from flags to an exit status.

0: the run ended well. 1: it failed. 2: it cannot be run as configured. 128 + n: signal n ended it.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from rich.console import Console

from orchestrator import record, report
from orchestrator.config import RunOptions, configure
from orchestrator.errors import Interrupted, RunFailed
from orchestrator.page import report_page
from orchestrator.run import execute
from parties.frame.errors import ConfigError
from parties.frame.plan import RunFolders, RunnableProtocol

WIDTH = 120  # of tables where no terminal says its own


def main(protocols: Mapping[str, RunnableProtocol], arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for; returns the exit status. Every failure is one sentence on standard error."""
    status = _run(protocols, arguments)
    heard = [_let_go(stream) for stream in (sys.stdout, sys.stderr)]
    return status if status or all(heard) else 1


def _run(protocols: Mapping[str, RunnableProtocol], arguments: list[str] | None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an arrow must not end a run on a terminal that has none
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    try:
        configuration = configure(sys.argv[1:] if arguments is None else arguments, protocols)
        if configuration.view is not None:
            report.show_summary(console, configuration.view.show(configuration.settings, configuration.run.files_dir))
            return 0
        if configuration.report is not None:
            report.show_files(console, Report=_rewrite_report(configuration.run, configuration.report, protocols))
            return 0
        outcome = execute(configuration, console)
        report.show(console, outcome.accounts, outcome.summary, outcome.result_file, outcome.report_file)
    except ConfigError as error:
        return _say(str(error), 2)
    except RunFailed as error:
        if error.report is not None:
            report.show_files(console, Report=error.report)
        return _say(str(error), 1)
    except Interrupted as error:
        return _say(str(error), 128 + error.number)
    return 0


def _rewrite_report(options: RunOptions, run: str, protocols: Mapping[str, RunnableProtocol]) -> Path:
    folders = RunFolders(options.files_dir.resolve(), options.logs_dir.resolve(), run)
    protocol = protocols.get(record.read(folders).protocol)
    if protocol is None:
        raise ConfigError(f"report: expected a run of {' or '.join(protocols)}, found another protocol's.")
    return report_page.write(folders, protocol)


def _say(sentence: str, status: int) -> int:
    with contextlib.suppress(OSError):  # a terminal that has hung up hears nothing
        print(sentence, file=sys.stderr, flush=True)
    return status


def _let_go(stream: TextIO) -> bool:
    """Write what is still held back; false if nobody is there to read it. The interpreter's own attempt, at its end,
    would otherwise fail for the same reason and put its status 120 in place of ours."""
    try:
        stream.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True
