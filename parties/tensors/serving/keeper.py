"""Starts a party of a service, and starts it again when it was killed.

    python -m parties.tensors.serving.keeper --settings PATH

The party is a process of its own, with the same settings. One that says in its status why it failed is not started
again, even where a signal has ended it after that. The keeper holds no key and no share, and ends with the party.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pydantic import ValidationError

from parties.frame.lifetime import Ended, lifetime, serving
from parties.frame.start import python_command
from parties.tensors.serving.settings import PROVIDER, ServingSettings, lanes_end_s

_LOOK_S = 0.1
_GRACE_S = 30.0  # beyond the time in which a lane of a party that is asked to end may still compute


def keep(settings: ServingSettings, path: Path) -> int:
    """Start the party, again where it was killed, until it ends or a signal tells it to. Return its exit status."""
    name = "provider" if settings.role == PROVIDER else "computing"
    command = python_command(f"parties.tensors.serving.{name}", "--settings", str(path))
    left, said = settings.restarts, path.with_name("status.json")
    while True:
        said.unlink(missing_ok=True)  # of the process before
        child = subprocess.Popen(command)
        try:
            with serving():
                status = _status(child)
                if status < 0 and _failed(said):
                    return 1
                if status >= 0 or left == 0:
                    return status
                left -= 1
                words = f"was ended by {signal.Signals(-status).name} and is started again"
                print(f"{settings.name} {words}, {left} more times at most", file=sys.stderr)
                continue
            child.terminate()
            try:
                return child.wait(lanes_end_s(settings.message_deadline_s) + _GRACE_S)
            except subprocess.TimeoutExpired:
                return 1  # it is killed now
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()


def _status(child: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a process, and return its status, which is negative for a signal."""
    while (status := child.poll()) is None:
        time.sleep(_LOOK_S)
    return status


def _failed(said: Path) -> bool:
    """Return whether the process that has ended says of itself that it failed."""
    try:
        return json.loads(said.read_bytes())["ok"] is False
    except FileNotFoundError:
        return False


def main() -> int:
    """Read the party's settings and keep it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--settings", type=Path, required=True, help="the party's own settings.json")
    path: Path = parser.parse_args().settings.resolve()
    try:
        settings = ServingSettings.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        print(f"{path}: these are no settings for this party: {type(error).__name__}", file=sys.stderr)
        return 2
    supervisor = settings.supervisor
    pid, started = (supervisor.pid, supervisor.started) if supervisor else (None, None)
    try:
        with lifetime(pid, started, math.inf):
            status = keep(settings, path)
    except Ended as error:
        print(f"{settings.name}: {error}", file=sys.stderr)
        return 1
    if status < 0:
        os.kill(os.getpid(), -status)  # so that whoever started the keeper learns how the party ended
    return status


if __name__ == "__main__":
    sys.exit(main())
