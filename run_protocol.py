"""Run the protocol on this machine: `python run_protocol.py --n_parties X`; `--help` tells the rest."""

import sys

from orchestrator.cli import main
from parties.protocols import PROTOCOLS

if __name__ == "__main__":
    sys.exit(main(PROTOCOLS))
