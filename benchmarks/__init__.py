"""Measurements, each a ratio of two figures that are taken side by side in one run. Nothing here is a test."""

import os

# As for the parties of a run on two cores: its idle threads would spin on the other's core. Peers inherit it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
