"""Run the protocol on this machine: `python run_protocol.py --n_parties X`; `--help` tells the rest."""

import os
import sys

if __name__ == "__main__":
    if __spec__ is None or not sys.flags.isolated:
        # This process makes keys: again, as the parties are started, out of reach of files in the current folder.
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(number, True)  # a standard stream was closed, and libraries expect all three
        start = os.path.join(os.path.dirname(os.path.abspath(__file__)), "parties", "frame", "start.py")
        os.execv(sys.executable, [sys.executable, "-I", start, "run_protocol", *sys.argv[1:]])  # noqa: S606
    from orchestrator.cli import main
    from parties.protocols import PROTOCOLS

    sys.exit(main(PROTOCOLS))
