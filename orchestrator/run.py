"""One run from its configuration to its result: folders, plan, keys, processes, watch, and always the teardown."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator import certificates, ports, record, report
from orchestrator.accounts import Accounts
from orchestrator.config import Configuration, RunOptions
from orchestrator.display import RunDisplay
from orchestrator.environment import MARKER, party_environment
from orchestrator.errors import RunFailed
from orchestrator.folders import keep_events, make_folders, run_name
from orchestrator.interruption import ignore_signals, signals_raise
from orchestrator.launchers import Command, Launcher, LogView
from orchestrator.launchers.process import ProcessLauncher
from orchestrator.launchers.tmux import TmuxLauncher, unavailable
from orchestrator.page import report_page
from orchestrator.teardown import Guard, Remains
from orchestrator.watch import Watch, output_file
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Run, RunFolders, Summary, write_settings

HOST = "127.0.0.1"
RUN_LOG_PANE = 2  # where the reference demo shows it


@dataclass(frozen=True)
class Outcome:
    """A run that ended well."""

    plan: Plan
    accounts: Accounts
    summary: Summary
    result_file: Path
    report_file: Path
    timing_file: Path


def execute(configuration: Configuration, console: Console) -> Outcome:
    """Run to the end. Whatever happens, no process, pane, socket, port or key of the run is left.

    Raises `ConfigError` when it could not be started as configured, `RunFailed` when a party or a deadline ended it,
    `Interrupted` when a signal did.
    """
    os.umask(0o077)
    options = configuration.run
    session = options.session or configuration.protocol.name
    note = _check_launcher(options)
    _check_timing_file(options)
    started = time.time()
    with signals_raise():
        run = run_name(session)
        launcher: Launcher
        launcher = ProcessLauncher() if note or options.launcher == "process" else TmuxLauncher(run, session)
        folders = make_folders(options.files_dir, options.logs_dir, run)
        try:
            with _guarded(folders, launcher) as guard:
                plan = _plan(configuration, folders)
                with _recorded(configuration, folders, plan, started):
                    log, title = folders.logs / run / "run.log", f"{configuration.protocol.name} · {run}"
                    with RunDisplay(plan, console, log, title) as display:
                        _announce(display, console, folders, launcher, note)
                        accounts = _start_and_watch(configuration, plan, folders, launcher, guard, display)
                    result = _read_result(plan, folders)
        except RunFailed as error:
            error.report = report_page.write(folders, configuration.protocol)
            raise
        return _write_report(configuration, plan, folders, result, accounts, started)


# -- before anything is started --------------------------------------------------------------------------------------


def _check_launcher(options: RunOptions) -> str | None:
    """Why there will be no panes although they were asked for, or None. Raises `ConfigError`."""
    note = unavailable() if options.launcher == "tmux" else None
    if options.attach:
        if note or options.launcher != "tmux":
            raise ConfigError(f"attach: expected the tmux launcher, found {note or options.launcher}.")
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ConfigError("attach: expected a terminal, found none.")
    return note


def _check_timing_file(options: RunOptions) -> None:
    """Raises `ConfigError` when the run's seconds could not be written at its end."""
    path = options.log_timing_file
    if path is None:
        return
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    target = path if path.exists() else folder
    if path.is_dir() or not folder.is_dir() or not os.access(target, os.W_OK):
        raise ConfigError(f"log_timing_file: expected a file that can be written, found {path}.")


def _plan(configuration: Configuration, folders: RunFolders) -> Plan:
    """The protocol's plan, its ports free, each party's keys and settings in its private folder."""
    run = Run(
        folders=folders,
        session=secrets.token_hex(16),
        start_port=configuration.run.start_port,
        host=HOST,
        supervisor_pid=os.getpid(),
    )
    plan = configuration.protocol.plan(configuration.settings, run)
    ports.check_free(HOST, [process.listens for process in plan.processes if process.listens is not None])
    certificates.issue(folders.run, [(process.name, folders.party(process.name)) for process in plan.processes])
    return plan


def _announce(display: RunDisplay, console: Console, folders: RunFolders, launcher: Launcher, note: str | None) -> None:
    if note:
        console.print(f"{note}: the parties run as plain processes.", highlight=False, soft_wrap=True)
    lines = [f"Logs: {folders.logs / folders.run}"]
    if isinstance(launcher, TmuxLauncher):
        lines.append(f"Panes: {' '.join(launcher.command)} attach")
    for line in lines:
        display.say(line, shown=False)
        console.print(line, markup=False, highlight=False, soft_wrap=True)


# -- while it runs ---------------------------------------------------------------------------------------------------


def _start_and_watch(
    configuration: Configuration,
    plan: Plan,
    folders: RunFolders,
    launcher: Launcher,
    guard: Guard,
    display: RunDisplay,
) -> Accounts:
    """Start every process and follow them to their end. Returns what the steps cost. Raises `RunFailed`."""
    commands = _commands(plan, folders)
    environment = party_environment(folders.run, len(commands))
    groups = launcher.start(commands, _views(plan, folders), environment, _dashboard(folders))
    guard.add_groups(groups)
    watch = Watch(plan, folders, launcher, configuration.run.silence_s, display.tell, display.states)
    client = launcher.attach() if configuration.run.attach and isinstance(launcher, TmuxLauncher) else None

    def draw() -> None:
        if client is None or client.poll() is not None:  # nobody is looking at panes here, or not any more
            display.show()

    try:
        watch.until_done(draw)
        if client is not None and client.poll() is None:
            display.say("All parties have finished; detach (C-b d) to see the report.")
            client.wait()
    except RunFailed as error:
        display.say(str(error), shown=False)
        raise
    finally:
        if client is not None:
            _end_client(client)
    return display.scene.accounts


def _end_client(client: subprocess.Popen[bytes]) -> None:
    """Give the terminal back before anything else is written to it: the client restores it on its way out."""
    if client.poll() is None:
        client.terminate()
        client.wait()


def _commands(plan: Plan, folders: RunFolders) -> list[Command]:
    commands = []
    for process in plan.processes:
        settings = write_settings(process, folders)
        log = folders.log(process.name)
        log.touch(mode=0o600)
        arguments = (sys.executable, "-m", process.module, "--settings", str(settings))
        commands.append(Command(process.name, arguments, log, output_file(folders, process.name)))
    return commands


def _dashboard(folders: RunFolders) -> tuple[str, ...]:
    places = ("--run", folders.run, "--files_dir", str(folders.files), "--logs_dir", str(folders.logs))
    return (sys.executable, "-m", "orchestrator.dashboard", *places)


def _views(plan: Plan, folders: RunFolders) -> list[LogView]:
    views = [LogView(pane.title, tuple(folders.log(name) for name in pane.processes)) for pane in plan.panes]
    views.insert(RUN_LOG_PANE, LogView("run", (folders.logs / folders.run / "run.log",)))
    return views


# -- the end ---------------------------------------------------------------------------------------------------------


@contextmanager
def _guarded(folders: RunFolders, launcher: Launcher) -> Iterator[Guard]:
    """The run's guard; on the way out, everything that the run brought into the world is ended."""
    remains = Remains(marker=f"{MARKER}={folders.run}", private=(str(folders.files / folders.run),))
    if isinstance(launcher, TmuxLauncher):
        remains = Remains(
            marker=remains.marker,
            private=remains.private,
            tmux=launcher.command,
            socket=str(launcher.socket),
        )
    guard = Guard(remains)
    try:
        yield guard
    finally:
        ignore_signals()
        keep_events(folders)
        guard.end_run()
        launcher.close()
        _tidy_logs(folders)


@contextmanager
def _recorded(configuration: Configuration, folders: RunFolders, plan: Plan, started: float) -> Iterator[None]:
    """The run's record, and on the way out how it ended."""
    settings = configuration.settings.model_dump(mode="json")
    kept = record.begun(folders, configuration.protocol.name, started, plan, settings)
    kept.write(folders)
    ended_by: BaseException | None = None
    try:
        yield
    except BaseException as error:
        ended_by = error
        raise
    finally:
        kept.closed(time.time(), ended_by).write(folders)


def _tidy_logs(folders: RunFolders) -> None:
    """Files in which nothing was written, and the folder of a run that wrote none, are of no use to anybody."""
    logs = folders.logs / folders.run
    for path in logs.iterdir():
        if path.stat().st_size == 0:
            path.unlink()
    if not any(logs.iterdir()):
        logs.rmdir()


def _read_result(plan: Plan, folders: RunFolders) -> dict[str, Any]:
    """The reporter's result, or `{"reports": [...]}` of several."""
    if not plan.more_reporters:
        return _read_report(plan.reporter, folders)
    return {"reports": [_read_report(party, folders) for party in (plan.reporter, *plan.more_reporters)]}


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
    started: float,
) -> Outcome:
    summary = configuration.protocol.summary(result)
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
    }
    report.write_result(result_file, header=header, result=result, accounts=accounts, summary=summary)
    report_file = report_page.write(folders, configuration.protocol)
    return Outcome(plan, accounts, summary, result_file, report_file, timing_file)
