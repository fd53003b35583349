"""Measurements, as ratios taken side by side in one run. Nothing here is a test."""

import os

# As in the parties of a run: the library's idle threads would spin on the other party's core. Peers inherit it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
