"""How much memory each party of a run on one machine takes at most, from figures that were measured.

The figures are proportional set sizes (Linux, Python 3.11), of runs with 4 to 250 answering parties forked from one
process: what a party holds by itself, and in equal parts what it shares. What a party keeps of each batch that it
prepares ahead comes on top. It grows with the activations that go through garbled circuits, 2,907 bytes for each
(half gates), and with the classes of the vote. A model from its owner's file counts without that, because nobody knows
its layers before the run.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from mpc.inference.models.floats import LeakyReLU, MaxPool2d, ReLU
from parties.capc.config import CapcConfig
from parties.learning.models import architecture

_MB = 1_000_000
_PARTY_BYTES = 24 * _MB  # an answering party held 22 MB at most
_ASKING_BYTES = 1_400_000  # of a querying party for each that answers; with 40 it held 71 MB, with 250 229 MB
_GUARDED_BYTES = 120_000  # of a guardian for each that answers; with 40 it held 17 MB, with 250 44 MB
_ACTIVATION_BYTES = 3_000
_CLASS_BYTES = 2_000

TRAININGS_BYTES = (os.cpu_count() or 1) * 150 * _MB + 150 * _MB
"""One training for each processor at a time, and what they share with all others."""


class Memory:
    """Estimates what the parties of one run hold."""

    def __init__(self, config: CapcConfig, shape: tuple[int, int, int], classes: int) -> None:
        self._shape = shape
        self._parties = config.n_parties
        self._classes = classes
        self._queries = (config.pool + 1) * config.batch_size if config.circuits == "ahead" else config.batch_size

    def guardian(self) -> int:
        """Return the bytes of a privacy guardian."""
        return _PARTY_BYTES + self._parties * _GUARDED_BYTES

    def answering(self, name: str | None) -> int:
        """Return the bytes of an answering party with an architecture of this name, or None for a file."""
        return _PARTY_BYTES + self._prepared(name)

    def querying(self, names: Sequence[str | None]) -> int:
        """Return the bytes of a querying party, for the architecture of each that answers it."""
        return _PARTY_BYTES + sum(_ASKING_BYTES + self._prepared(name) for name in names)

    def _prepared(self, name: str | None) -> int:
        """Return the bytes of what one side keeps of the batches that a pair has prepared."""
        if name is None:
            return 0
        activations = 0
        shape: tuple[int, ...] = self._shape
        for layer in architecture(name, self._shape, self._classes):
            if isinstance(layer, ReLU | LeakyReLU | MaxPool2d):
                activations += math.prod(shape)
            shape = layer.output_shape(shape)
        each = activations * _ACTIVATION_BYTES + self._classes * _CLASS_BYTES
        return self._queries * each
