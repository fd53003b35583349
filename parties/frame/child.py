"""A child process that does one job with a library that a party's program must not load, and then ends."""

from __future__ import annotations

import signal
import subprocess

from pydantic import BaseModel

from parties.frame.start import python_command

__all__ = ["ending", "run_child"]


def run_child(module: str, job: BaseModel, timeout_s: float | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a module of the project with a job as JSON on its standard input, and return how it ended.

    Raises `subprocess.TimeoutExpired` after `timeout_s`.
    """
    return subprocess.run(
        python_command(module),
        input=job.model_dump_json().encode(),
        capture_output=True,
        check=False,
        timeout=timeout_s,
    )


def ending(child: subprocess.CompletedProcess[bytes]) -> str:
    """Say how a child failed, by its own last words where it has chosen its end."""
    if child.returncode < 0:
        return f"its process was ended by {signal.Signals(-child.returncode).name}"
    words = child.stderr.decode(errors="replace").strip().splitlines()
    return words[-1] if words else f"its process ended with status {child.returncode} and no message"
