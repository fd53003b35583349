"""Run the protocol on this machine: `python run_protocol.py --n_parties X`; `--help` tells the rest."""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # isolated, Python does not look beside this file
    from capc.start import main

    main(os.path.basename(__file__))
