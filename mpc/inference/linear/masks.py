"""The querying party's masks for one batch, of its input and of what every non-linearity gives the answering party."""

from __future__ import annotations

from mpc.inference.models.fixed import Nonlinearity, PrivateLayer, Topology
from mpc.randomness import Randomness
from mpc.ring import Ring, Words


def draw_masks(topology: Topology, batch: int, randomness: Randomness) -> tuple[list[Words], list[Words]]:
    """Draw fresh uniform masks.

    Returns:
        The masks ``(batch, *shape)`` in Z_2^l, in order. Then what each private layer sees of them, after public maps
        and padded with zeros: ``(batch, channels, height, width)``.
    """
    ring = Ring(topology.ring_bits)
    mask = ring.random((batch, *topology.input_shape), randomness)
    masks, inputs = [mask], []
    wide = False  # after a private layer this side has a share of its output, not a mask, until a non-linearity
    for step in topology.steps():
        if isinstance(step.layer, PrivateLayer):
            inputs.append(step.layer.as_pixels(mask))
        elif isinstance(step.layer, Nonlinearity):
            mask = ring.random((batch, *step.after), randomness)
            masks.append(mask)
        elif not wide:
            mask = ring.reduce(step.layer.apply(mask))
        wide = step.layer.leaves_wide(wide)
    return masks, inputs
