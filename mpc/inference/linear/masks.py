"""The querying party's masks for one batch: of its input, and of what every non-linearity gives the answering party."""

from __future__ import annotations

from mpc.inference.models.architecture import NONLINEAR, PRIVATE, Architecture
from mpc.inference.models.tensors import as_pixels, public_map
from mpc.randomness import Randomness
from mpc.ring import Ring, Words


def draw_masks(architecture: Architecture, batch: int, randomness: Randomness) -> tuple[list[Words], list[Words]]:
    """Fresh uniform masks ``(batch, *shape)`` in Z_2^l, in order, and what the private layers see of them.

    The latter is ``(batch, channels, height, width)`` a layer, after public maps and padded with zeros.
    """
    ring = Ring(architecture.ring_bits)
    mine = ring.random((batch, *architecture.input_shape), randomness)
    masks, inputs = [mine], []
    wide = False
    for _, layer, _, after in architecture.steps():
        if isinstance(layer, PRIVATE):
            inputs.append(as_pixels(layer, mine))
            wide = True
        elif isinstance(layer, NONLINEAR):
            mine = ring.random((batch, *after), randomness)
            masks.append(mine)
            wide = False
        elif not wide:
            mine = ring.reduce(public_map(layer, mine))
    return masks, inputs
