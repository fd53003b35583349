"""Plain processes, each in a session of its own, their terminal output in a file beside their log."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from orchestrator.errors import LaunchError
from orchestrator.launchers import Command, Exit, LogView


class ProcessLauncher:
    def __init__(self) -> None:
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self,
        commands: Sequence[Command],
        views: Sequence[LogView],
        environment: Mapping[str, str],
        dashboard: Sequence[str] = (),
    ) -> tuple[int, ...]:
        for command in commands:
            with command.output.open("wb") as output:
                try:
                    self._children[command.name] = subprocess.Popen(
                        command.arguments,
                        env=dict(environment),
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,  # Ctrl-C ends the orchestrator, which ends the parties in order
                    )
                except OSError as error:
                    raise LaunchError(f"it could not be started ({error})", party=command.name) from error
        return tuple(child.pid for child in self._children.values())

    def ended(self) -> Mapping[str, Exit]:
        exits = {}
        for name, child in self._children.items():
            status = child.poll()
            if status is not None:
                exits[name] = Exit(code=status) if status >= 0 else Exit(signal=-status)
        return exits

    def keep_output(self, name: str) -> None:
        """Nothing to do: it went to the file directly."""

    def close(self) -> None:
        for child in self._children.values():
            child.wait()  # the teardown has ended it; this takes its exit status off the system's hands
