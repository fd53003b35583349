"""The command line, from arguments to an exit status.

    run_protocol.py [--config FILE] [flags]              run a protocol
    run_protocol.py COMMAND [--config FILE] [flags]      run an offline command of a protocol
    run_protocol.py PROGRAM [flags]                      run a program that belongs to no protocol

The status is 0 when it ended well, 1 when it failed, 2 when it cannot be run as configured, and 128 + n when signal n
ended it. A command may have a status of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from orchestrator import record, report
from orchestrator.command_line import CommandLine, leading_command
from orchestrator.config import ChosenCommand, Configuration, RunOptions, configure
from orchestrator.errors import Interrupted, RunFailed, in_a_sentence
from orchestrator.federation.behalf import on_behalf
from orchestrator.interruption import signals_raise
from orchestrator.page import report_page
from orchestrator.run import execute
from orchestrator.streams import plain_console, steady_streams
from parties.frame.errors import ConfigError, PartyError
from parties.frame.plan import RunFolders, RunnableProtocol

WIDTH = 120  # of tables where no terminal says its own


def main(
    protocols: Mapping[str, RunnableProtocol], arguments: list[str] | None = None, line: CommandLine | None = None
) -> int:
    """Run what the arguments ask for and return the exit status. A failure is one sentence on standard error."""
    with steady_streams() as output:
        try:
            status = _run(protocols, sys.argv[1:] if arguments is None else arguments, line or CommandLine())
        except SystemExit as left:  # after the help
            status = left.code if isinstance(left.code, int) else 0
        output.flush()
        if output.refused is not None and status == 0:
            status = _say(f"standard output: expected to write all of it, found: {output.refused.strerror}.", 1)
    return status


def _run(protocols: Mapping[str, RunnableProtocol], arguments: list[str], line: CommandLine) -> int:
    console = plain_console(WIDTH)
    try:
        found = leading_command(arguments, line.programs)
        return _run_program(found, line) if found else _do(_configured(protocols, arguments, line), console, protocols)
    except ConfigError as error:
        return _say(str(error), 2)
    except PartyError as error:
        return _say(str(error), 1)
    except RunFailed as error:
        if error.report is not None:
            report.show_files(console, Report=error.report)
        return _say(str(error), 1)
    except OSError as error:  # a full disk, a folder that is gone
        return _say(in_a_sentence(error), 1)
    except Interrupted as error:
        return _say(str(error), 128 + error.number)


def _configured(protocols: Mapping[str, RunnableProtocol], arguments: list[str], line: CommandLine) -> Configuration:
    return configure(on_behalf(protocols, arguments), protocols, line)


def _do(configuration: Configuration, console: Console, protocols: Mapping[str, RunnableProtocol]) -> int:
    """Run the command, write the report again, or run the protocol, whichever is asked for."""
    console.quiet = configuration.output != "text"
    if configuration.chosen is not None:
        return _run_command(configuration.chosen, configuration, console)
    if configuration.report is not None:
        report.show_files(console, Report=_rewrite_report(configuration.run, configuration.report, protocols))
        return 0
    outcome = execute(configuration, console)
    if configuration.output == "json":
        print(outcome.result_file.read_text(encoding="utf-8"), end="")
    files = (outcome.result_file, outcome.report_file)
    report.show(console, outcome.accounts, outcome.summary, *files, outcome.lost)
    return 0


def _run_program(found: tuple[str, list[str]], line: CommandLine) -> int:
    word, arguments = found
    return line.programs[word].run(arguments, f"{line.name} {word}")


def _run_command(chosen: ChosenCommand, configuration: Configuration, console: Console) -> int:
    with signals_raise():
        outcome = chosen.command.function(configuration.settings, configuration.run.files_dir, chosen.options)
    if isinstance(outcome, int):
        return outcome
    if configuration.output == "json":
        lines = {"lines": dict(outcome.lines), "warnings": list(outcome.warnings)}
        print(json.dumps(lines if outcome.document is None else outcome.document, indent=2))
    report.show_summary(console, outcome)
    return 0


def _rewrite_report(options: RunOptions, run: str, protocols: Mapping[str, RunnableProtocol]) -> Path:
    folders = RunFolders(options.files_dir.resolve(), options.logs_dir.resolve(), "")
    folders = replace(folders, run=_name_of(run, folders))
    protocol = protocols.get(record.read(folders).protocol)
    if protocol is None:
        raise ConfigError(f"report: expected a run of {' or '.join(protocols)}, found another protocol's.")
    return report_page.write(folders, protocol)


def _name_of(run: str, folders: RunFolders) -> str:
    """Return the name of a run that is given by its name, its folder, or a file in it. Raises `ConfigError`."""
    if "/" not in run and run not in ("", ".", ".."):
        return run
    path = Path(run).resolve()
    if path.is_file():
        path = path.parent
    if path.parent not in (folders.files, folders.logs):
        raise ConfigError(
            f"report: expected a run in {folders.files} or {folders.logs} (see --files_dir and --logs_dir), "
            f"found {run!r}."
        )
    return path.name


def _say(sentence: str, status: int) -> int:
    """Print one line. What a path holds beside letters is shown as in a program."""
    print("".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in sentence), file=sys.stderr)
    return status
