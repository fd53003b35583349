"""Limits on what a peer may announce about its network, and the checks that hold them.

Every refusal is a :class:`~mpc.errors.ParameterError` that names the layer, the limit and what was found.
"""

from __future__ import annotations

import math

from mpc.errors import ParameterError
from mpc.inference.models.shapes import Pair, Shape

SMALLEST_RING_BITS = 8
LARGEST_RING_BITS = 45  # the widest ring for which every way to prepare the linear layers has parameters
LARGEST_DEPTH = 64
LARGEST_EXTENT = 1 << 16  # of any single dimension
LARGEST_TENSOR = 1 << 20  # values between two layers, one query
LARGEST_WEIGHTS = 1 << 26  # of one layer
LARGEST_BATCH = 1 << 12
LARGEST_WINDOW = 1 << 10  # values that one maximum is taken of


def require(holds: bool, expected: str, found: object) -> None:
    """Refuse what does not hold.

    Raises:
        ParameterError: always, if it does not.
    """
    if not holds:
        raise ParameterError(f"expected {expected}, found {found}")


def check_extents(name: str, *extents: int) -> None:
    """Refuse an extent of a layer that is not positive or too large."""
    require(all(1 <= e <= LARGEST_EXTENT for e in extents), f"extents of 1 to {LARGEST_EXTENT} in {name}", extents)


def check_tensor(shape: Shape, name: str) -> None:
    """Refuse a tensor with too many values."""
    check_extents(name, *shape)
    require(math.prod(shape) <= LARGEST_TENSOR, f"at most {LARGEST_TENSOR} values at {name}", math.prod(shape))


def check_weights(count: int, name: str, found: object) -> None:
    """Refuse a layer with too many weights."""
    require(count <= LARGEST_WEIGHTS, f"at most {LARGEST_WEIGHTS} weights in {name}", found)


def check_image(shape: Shape, name: str) -> None:
    """Refuse an input that is no image."""
    require(len(shape) == 3, f"an input (channels, height, width) of {name}", shape)


def check_window(name: str, image: Pair, kernel: Pair) -> None:
    """Refuse a window larger than the padded image."""
    require(kernel[0] <= image[0] and kernel[1] <= image[1], f"a window within {image} in {name}", kernel)
