"""A child process that does one job with a library that a party's program must not load, and then ends.

In a run on one machine the fork server forks it from a server of its own, which has imported that library once for all
parties. The child of each party is a process apart all the same. It sees this party's job alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack

from pydantic import BaseModel

from parties.frame.forks import FORKED_BY, Order, fork
from parties.frame.start import python_command

__all__ = ["ending", "run_child"]

_WITHIN_S = 300.0  # for the server, which imports large libraries first


def run_child(
    module: str, job: BaseModel, timeout_s: float | None = None, imports: Sequence[str] = ()
) -> subprocess.CompletedProcess[bytes]:
    """Run a module of the project with a job as JSON on its standard input, and return how it ended.

    `imports` names modules that it will import, and that hold nothing of the job. Raises `subprocess.TimeoutExpired`
    after `timeout_s`.
    """
    text = job.model_dump_json().encode()
    folder = os.environ.get(FORKED_BY)
    if folder is not None:
        return _forked(folder, Order(module, (), dict(os.environ), apart=True, imports=tuple(imports)), text, timeout_s)
    return subprocess.run(
        python_command(module),
        input=text,
        capture_output=True,
        check=False,
        timeout=timeout_s,
    )


def _forked(folder: str, order: Order, job: bytes, timeout_s: float | None) -> subprocess.CompletedProcess[bytes]:
    with ExitStack() as stack:
        given, output, errors = (stack.enter_context(os.fdopen(os.memfd_create(name), "w+b", 0)) for name in "ioe")
        given.write(job)
        given.seek(0)
        streams = (given.fileno(), output.fileno(), errors.fileno())
        child = fork(folder, order, streams, _WITHIN_S)
        stack.callback(child.close)
        try:
            status = child.wait(timeout_s)
        except TimeoutError as error:
            child.send_signal(signal.SIGKILL)
            raise subprocess.TimeoutExpired(order.module, timeout_s or 0.0) from error
        if status is None:
            raise ConnectionResetError("the process that forks others has ended")
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(order.module, status, output.read(), errors.read())


def ending(child: subprocess.CompletedProcess[bytes]) -> str:
    """Say how a child failed, by its own last words where it has chosen its end."""
    if child.returncode < 0:
        return f"its process was ended by {signal.Signals(-child.returncode).name}"
    words = child.stderr.decode(errors="replace").strip().splitlines()
    return words[-1] if words else f"its process ended with status {child.returncode} and no message"
