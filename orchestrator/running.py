"""The part of a run in which processes exist, from the start of the first to the end of the last."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.accounts import Accounts
from orchestrator.config import RunOptions
from orchestrator.display import RunDisplay
from orchestrator.environment import marker_of, party_environment
from orchestrator.errors import RunFailed
from orchestrator.launchers import Launcher, LogView, ProcessSpec
from orchestrator.launchers.forks import Forks
from orchestrator.launchers.tmux import TmuxLauncher
from orchestrator.losses import Loss
from orchestrator.record import Recorder
from orchestrator.teardown import GRACE_S, HAS_PROC, Guard, Remains, end_processes, running
from orchestrator.watch import Watch, output_file
from parties.frame.plan import Plan, RunFolders, write_settings
from parties.frame.start import python_command

FORKS = ".forks"  # a folder beside those of the parties, whose names do not begin so
RUN_LOG_PANE = 2  # where the reference demo shows it


@dataclass(frozen=True)
class Running:
    """A run whose processes are about to start."""

    options: RunOptions
    plan: Plan
    folders: RunFolders
    launcher: Launcher
    guard: Guard
    display: RunDisplay
    recorder: Recorder
    groups: dict[str, int] = field(default_factory=dict)  # each process's group

    def until_end(self, check: Callable[[], None] = lambda: None) -> Accounts:
        """Start every process and follow them to their end. Return what the steps cost. Raises `RunFailed`.

        `check` is called again and again meanwhile, and raises what is to end the run.
        """
        plan, display, launcher = self.plan, self.display, self.launcher
        specs = _specs(plan, self.folders)
        environment = party_environment(self.folders.run, len(specs))
        views, dashboard = _log_views(plan, self.folders), _dashboard(self.folders)
        self.guard.add_groups(launcher.open(_forks(plan, self.folders), views, environment, dashboard))
        first = [spec for spec in specs if spec.name in plan.ready_first]
        silence_s = self.options.silence_s
        watch = Watch(
            plan,
            self.folders,
            launcher,
            silence_s,
            display.tell,
            self._lose,
            self._end_party,
            display.states,
            self._is_stopped,
        )
        self._start(first or specs)  # after the watch, whose deadline must pass before the parties' own
        client = launcher.attach() if self.options.attach and isinstance(launcher, TmuxLauncher) else None

        def draw() -> None:
            check()
            if client is None or client.poll() is not None:  # the panes are not shown in this terminal (any more)
                display.show()

        try:
            if first:
                watch.until_ready(draw)
                self._start([spec for spec in specs if spec not in first])
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

    def _start(self, specs: Sequence[ProcessSpec]) -> None:
        started = self.launcher.start(specs)
        self.groups.update(started)
        self.guard.add_groups(tuple(started.values()))

    def _lose(self, loss: Loss) -> None:
        self.recorder.add_loss(loss)
        self.display.lose(loss)

    def _end_party(self, name: str) -> None:
        """End all processes of one party, as the teardown ends those of all."""
        end_processes(self._remains(name))
        self.launcher.bring_back(name)

    def _is_stopped(self, name: str) -> bool:
        """Tell whether one of a party's processes was stopped (SIGSTOP, a debugger)."""
        return HAS_PROC and any(_state(pid) in "Tt" for pid in running(self._remains(name)))

    def _remains(self, name: str) -> Remains:
        ((variable, value),) = marker_of(self.folders.run, name).items()
        groups = (self.groups[name],) if name in self.groups else ()
        return Remains(marker=f"{variable}={value}", groups=groups)


def _state(pid: int) -> str:
    """Return the letter of a process's state (proc(5)), or a dash where there is no such process any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "-"


def _end_client(client: subprocess.Popen[bytes]) -> None:
    """Give the terminal back before anything else is written to it. The client restores it on its way out."""
    if client.poll() is None:
        client.terminate()
        try:
            client.wait(GRACE_S)
        except subprocess.TimeoutExpired:  # it waits for a server that was stopped
            client.kill()
            client.wait()


def _specs(plan: Plan, folders: RunFolders) -> list[ProcessSpec]:
    """Write each party's settings and return how to start it."""
    environment = party_environment(folders.run, len(plan.processes))
    specs = []
    for process in plan.processes:
        settings = write_settings(process, folders)
        log = folders.log(process.name)
        log.touch(mode=0o600)
        variables = environment | marker_of(folders.run, process.name)
        output = output_file(folders, process.name)
        specs.append(ProcessSpec(process.name, process.module, settings, variables, log, output))
    return specs


def _forks(plan: Plan, folders: RunFolders) -> Forks:
    modules = [process.module for process in plan.processes]
    return Forks(folders.party(FORKS), output_file(folders, "fork-server"), modules)


def _dashboard(folders: RunFolders) -> tuple[str, ...]:
    places = ("--run", folders.run, "--files_dir", str(folders.files), "--logs_dir", str(folders.logs))
    return python_command("orchestrator.dashboard", *places)


def _log_views(plan: Plan, folders: RunFolders) -> list[LogView]:
    views = [LogView(pane.title, tuple(folders.log(name) for name in pane.processes)) for pane in plan.panes]
    views.insert(RUN_LOG_PANE, LogView("run", (folders.logs / folders.run / "run.log",)))
    return views
