"""The fork server of a run on this machine, see `parties.frame.forks`."""

from __future__ import annotations

import contextlib
import resource
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.errors import LaunchError
from orchestrator.launchers import Exit, ProcessSpec
from parties.frame.forks import FORKED_BY, Fork, Order, bind, fork, pane_command, server_command, server_environment
from parties.frame.private_files import make_private_folder

WITHIN_S = 60.0  # for the server to fork, which imports first
_END_S = 3.0
_FILES = 65_536  # at most; a run has a few for each party


class Forks:
    """Starts the server, and has it fork parties.

    Args:
        folder: a private folder for its socket, made if absent.
        output: the file for what it prints, which is nothing unless it fails.
        modules: what to import before the first fork.
    """

    def __init__(self, folder: Path, output: Path, modules: Sequence[str]) -> None:
        self.folder = folder
        self._output = output
        self._modules = tuple(dict.fromkeys(modules))
        self._server: subprocess.Popen[bytes] | None = None

    def open(self, environment: Mapping[str, str]) -> None:
        """Start the server with what the environments of all its processes have in common. Raises `LaunchError`."""
        _allow_files()
        try:
            with bind(make_private_folder(self.folder)) as door, self._output.open("wb") as output:
                self._server = subprocess.Popen(
                    server_command(door.fileno(), self._modules),
                    env=server_environment(environment),
                    stdin=subprocess.PIPE,  # it ends when this closes
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(door.fileno(),),
                    cwd="/",
                )
        except OSError as error:
            raise LaunchError(f"the process that forks parties could not be started ({error})") from error

    def start(self, spec: ProcessSpec) -> Fork:
        """Fork a party, with its output in its file. Raises `LaunchError`."""
        order = Order(spec.module, ("--settings", str(spec.settings)), self.environment(spec))
        try:
            with open("/dev/null", "rb") as nothing, spec.output.open("wb") as output:
                streams = (nothing.fileno(), output.fileno(), output.fileno())
                return fork(str(self.folder), order, streams, WITHIN_S)
        except OSError as error:
            raise LaunchError(f"it could not be started ({error})", party=spec.name) from error

    def pane_command(self, spec: ProcessSpec) -> tuple[str, ...]:
        """Return the command of the small process that stands for a party in a pane."""
        return pane_command(spec.module, spec.settings.parent)

    def environment(self, spec: ProcessSpec) -> dict[str, str]:
        """Return a party's environment, with the way to the server."""
        return {**spec.environment, FORKED_BY: str(self.folder)}

    def close(self) -> None:
        """Let the server end, and see that it does."""
        if self._server is None:
            return
        if self._server.stdin is not None:
            self._server.stdin.close()
        try:
            self._server.wait(_END_S)
        except subprocess.TimeoutExpired:  # it was stopped
            self._server.kill()
            self._server.wait()


def exit_of(party: Fork) -> Exit | None:
    """Return how a party ended, or None while it runs."""
    ended = party.poll()
    if ended is None:
        return None
    (status,) = ended
    if status is None:
        return Exit()
    return Exit(code=status) if status >= 0 else Exit(signal=-status)


def _allow_files() -> None:
    """Let this process and those that it starts have as many files open as a run of many parties needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
