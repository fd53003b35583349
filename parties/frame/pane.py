"""Stand for a party in a pane of a terminal: have it forked, pass signals on to it, and end as it ends.

The party writes to the pane's terminal. A multiplexer sees this small process.

    python -I -u .../start.py parties.frame.pane MODULE FOLDER
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType

from parties.frame.forks import FORKED_BY, Order, fork

WITHIN_S = 60.0  # for the fork server, which may still be importing


def main(module: str, folder: str) -> int:
    """Return the party's exit status. For one that a signal has ended, end by this signal."""
    order = Order(module, ("--settings", f"{folder}/settings.json"), dict(os.environ))
    try:
        party = fork(os.environ[FORKED_BY], order, (0, 1, 2), WITHIN_S)
    except OSError as error:
        print(f"the party could not be started ({error})", file=sys.stderr)
        return 2

    def pass_on(number: int, _: FrameType | None) -> None:
        party.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    status = party.wait()
    if status is None:
        print("the process that forks parties is gone", file=sys.stderr)
        return 1
    if status < 0:
        with contextlib.suppress(OSError):  # nobody can heed SIGKILL
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
