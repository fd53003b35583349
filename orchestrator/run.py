"""One run from its configuration to its result.

It makes folders, plan and keys, starts the processes and watches them. Whatever happens, the teardown comes last.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator import certificates, memory, ports, report
from orchestrator.accounts import Accounts
from orchestrator.config import Configuration, RunOptions
from orchestrator.display import RunDisplay
from orchestrator.environment import MARKER
from orchestrator.errors import RunFailed, in_a_sentence
from orchestrator.folders import keep_events, make_folders, run_name, unused_removed
from orchestrator.interruption import ignore_signals, signals_raise
from orchestrator.launchers import Launcher, ray
from orchestrator.launchers.process import ProcessLauncher
from orchestrator.launchers.ray import RayLauncher
from orchestrator.launchers.tmux import TmuxLauncher, unavailable
from orchestrator.launchers.travel import refuse_accounts_away
from orchestrator.losses import Loss
from orchestrator.page import report_page
from orchestrator.record import Recorder
from orchestrator.running import Running
from orchestrator.teardown import Guard, Remains
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Run, RunFolders, Summary

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Outcome:
    """A run that ended well."""

    plan: Plan
    accounts: Accounts
    summary: Summary
    result_file: Path
    report_file: Path
    timing_file: Path
    lost: tuple[Loss, ...] = ()


def execute(
    configuration: Configuration,
    console: Console,
    make_plan: Callable[[Configuration, RunFolders], Plan] | None = None,
) -> Outcome:
    """Run to the end. Whatever happens, no process, pane, socket, port or key of the run is left.

    `make_plan` returns the processes to run. By default they are all of the protocol's, with keys made for this run.

    Raises `ConfigError` when it could not be started as configured, `RunFailed` when a party or a deadline ended it,
    `Interrupted` when a signal did.
    """
    os.umask(0o077)
    options = configuration.run
    session = options.session or configuration.protocol.name
    note = _check_launcher(options)
    _check_timing_file(options)
    started = time.time()
    run = run_name(session)
    with signals_raise() as interruption, unused_removed(options.files_dir, options.logs_dir, run):
        refuse_accounts_away(options.files_dir)
        folders = make_folders(options.files_dir, options.logs_dir, run)
        launcher = _launcher(options, folders, session, has_panes=note is None)
        try:
            with _guarded(folders, launcher) as guard:
                plan = (make_plan or _plan)(configuration, folders)
                if isinstance(launcher, RayLauncher):
                    launcher.expect(plan)
                else:
                    plan = _with_memory_checked(plan, launcher)
                settings = configuration.settings.model_dump(mode="json")
                recorder = Recorder(folders, configuration.protocol.name, started, plan, settings)
                with recorder.until_end(), interruption.stays():
                    log, title = folders.logs / run / "run.log", f"{configuration.protocol.name} · {run}"
                    with RunDisplay(plan, console, log, title, options.progress) as display:
                        _announce(display, console, folders, launcher, note, plan.notes)
                        running = Running(configuration.run, plan, folders, launcher, guard, display, recorder)
                        accounts = running.until_end(interruption.check)
                    result = _read_result(plan, folders)
        except RunFailed as error:
            try:
                error.report = report_page.write(folders, configuration.protocol)
            except (OSError, ConfigError) as second:
                error.add(f"its report could not be written: {in_a_sentence(second)}")
            raise
        return _write_report(configuration, plan, folders, result, accounts, recorder)


# -- before anything is started --------------------------------------------------------------------------------------


def _launcher(options: RunOptions, folders: RunFolders, session: str, *, has_panes: bool) -> Launcher:
    if options.launcher == "ray":
        return RayLauncher(folders)
    if options.launcher == "tmux" and has_panes:
        return TmuxLauncher(folders.run, session)
    return ProcessLauncher()


def _check_launcher(options: RunOptions) -> str | None:
    """Return why there will be no panes although they were asked for, or None. Raises `ConfigError`."""
    if options.launcher == "ray" and (complaint := ray.unavailable()):
        raise ConfigError(f"launcher: {complaint}.")
    note = unavailable() if options.launcher == "tmux" else None
    if options.attach:
        if note or options.launcher != "tmux":
            raise ConfigError(f"attach: expected the tmux launcher, found {note or options.launcher}.")
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ConfigError("attach: expected a terminal, found none.")
    return note


def _check_timing_file(options: RunOptions) -> None:
    """Raise `ConfigError` when the run's seconds could not be written at its end."""
    path = options.log_timing_file
    if path is None:
        return
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    target = path if path.exists() else folder
    if path.is_dir() or not folder.is_dir() or not os.access(target, os.W_OK):
        raise ConfigError(f"log_timing_file: expected a file that can be written, found {path}.")


def _plan(configuration: Configuration, folders: RunFolders) -> Plan:
    """Return the protocol's plan after checking that its ports are free and giving each party its keys."""
    run = Run(
        folders=folders,
        session=secrets.token_hex(16),
        start_port=configuration.run.start_port,
        host=HOST,
        supervisor_pid=os.getpid(),
        federation=configuration.federation,
    )
    plan = configuration.protocol.plan(configuration.settings, run)
    if configuration.run.launcher == "ray":  # ports are other machines', and each party makes its own key there
        return plan
    ports.check_free(HOST, [process.listens for process in plan.processes if process.listens is not None])
    certificates.issue(folders.run, [(process.name, folders.party(process.name)) for process in plan.processes])
    return plan


def _with_memory_checked(plan: Plan, launcher: Launcher) -> Plan:
    """Return the plan with a note where memory is scarce. Raises `ConfigError` where there is too little."""
    warning = memory.check(plan, memory.Memory.of_this_machine(), panes=isinstance(launcher, TmuxLauncher))
    return plan if warning is None else replace(plan, notes=(*plan.notes, warning))


def _announce(
    display: RunDisplay,
    console: Console,
    folders: RunFolders,
    launcher: Launcher,
    note: str | None,
    notes: tuple[str, ...],
) -> None:
    if note:
        console.print(f"{note}: the parties run as plain processes.", soft_wrap=True)
    lines = [*(f"note: {one}." for one in notes), f"Logs: {folders.logs / folders.run}"]
    if isinstance(launcher, TmuxLauncher):
        lines.append(f"Panes: {' '.join(launcher.command)} attach")
    for line in lines:
        display.say(line, shown=False)
        console.print(line, markup=False, highlight=False, soft_wrap=True)


# -- the end ---------------------------------------------------------------------------------------------------------


@contextmanager
def _guarded(folders: RunFolders, launcher: Launcher) -> Iterator[Guard]:
    """Start the run's guard. On the way out, end all that the run has started and remove its keys."""
    remains = Remains(marker=f"{MARKER}={folders.run}", private=(str(folders.files / folders.run),))
    if isinstance(launcher, TmuxLauncher):
        remains = Remains(
            marker=remains.marker,
            private=remains.private,
            tmux=launcher.command,
            panes=launcher.marker,
            socket=str(launcher.socket),
        )
    guard = Guard(remains)
    try:
        yield guard
    finally:
        ignore_signals()
        launcher.bring_back()
        keep_events(folders)
        guard.end_run()
        launcher.close()
        with contextlib.suppress(OSError):  # somebody else has tidied
            _tidy_logs(folders)


def _tidy_logs(folders: RunFolders) -> None:
    """Remove files that are empty, and the folder of a run that wrote none."""
    logs = folders.logs / folders.run
    for path in logs.iterdir():
        if path.stat().st_size == 0:
            path.unlink()
    if not any(logs.iterdir()):
        logs.rmdir()


def _read_result(plan: Plan, folders: RunFolders) -> dict[str, Any]:
    """Return the reporter's result, or `{"reports": [...]}` of several."""
    if not plan.more_reporters:
        return _read_report(plan.reporter, folders)
    return {"reports": [_read_report(party, folders) for party in plan.reporters]}


def _read_report(party: str, folders: RunFolders) -> dict[str, Any]:
    path = folders.result(party)
    try:
        result = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunFailed(
            f"it finished without a result that can be read ({error})",
            party=party,
            log=folders.log(party),
        ) from error
    if not isinstance(result, dict):
        raise RunFailed("its result is no object", party=party, log=folders.log(party))
    return result


def _write_report(
    configuration: Configuration,
    plan: Plan,
    folders: RunFolders,
    result: dict[str, Any],
    accounts: Accounts,
    recorder: Recorder,
) -> Outcome:
    summary, started, lost = configuration.protocol.summary(result), recorder.record.started, recorder.record.lost
    logs = folders.logs / folders.run
    timing_file = configuration.run.log_timing_file or logs / "timing.log"
    report.append_timings(timing_file, folders.run, accounts.records)
    result_file = folders.files / folders.run / "result.json"
    result_file.parent.mkdir(mode=0o700, exist_ok=True)
    header = {
        "run": folders.run,
        "protocol": configuration.protocol.name,
        "started": datetime.fromtimestamp(started).astimezone().isoformat(timespec="seconds"),
        "seconds": time.time() - started,
        "configuration": configuration.settings.model_dump(mode="json"),
        "notes": list(plan.notes),
    }
    report.write_result(result_file, header=header, result=result, accounts=accounts, summary=summary, lost=lost)
    report_file = report_page.write(folders, configuration.protocol)
    return Outcome(plan, accounts, summary, result_file, report_file, timing_file, lost)
