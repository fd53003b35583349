"""Plain processes, each in a session of its own, with their terminal output in a file beside their log."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from orchestrator.errors import LaunchError
from orchestrator.launchers import Exit, LogView, ProcessSpec


class ProcessLauncher:
    """Starts each process as a child of this one."""

    def __init__(self) -> None:
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def open(
        self, views: Sequence[LogView], environment: Mapping[str, str], dashboard: Sequence[str] = ()
    ) -> tuple[int, ...]:
        """Do nothing, because there are no panes."""
        return ()

    def start(self, specs: Sequence[ProcessSpec]) -> Mapping[str, int]:
        for spec in specs:
            try:
                with spec.output.open("wb") as output:
                    self._children[spec.name] = subprocess.Popen(
                        spec.arguments,
                        env=dict(spec.environment),
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,  # Ctrl-C ends the orchestrator, which ends the parties in order
                        cwd="/",
                    )
            except OSError as error:
                raise LaunchError(f"it could not be started ({error})", party=spec.name) from error
        return {spec.name: self._children[spec.name].pid for spec in specs}

    def ended(self) -> Mapping[str, Exit]:
        exits = {}
        for name, child in self._children.items():
            status = child.poll()
            if status is not None:
                exits[name] = Exit(code=status) if status >= 0 else Exit(signal=-status)
        return exits

    def ask_to_end(self, name: str) -> None:
        self._children[name].terminate()

    def keep_output(self, name: str) -> None:
        """Do nothing, because the output went to the file directly."""

    def close(self) -> None:
        for child in self._children.values():
            child.wait()  # the teardown has ended it, and this collects its exit status
