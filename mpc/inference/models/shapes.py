"""Shapes of tensors and of private linear layers. All of them are public."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]
"""One query's shape between two layers: ``(channels, height, width)`` or ``(values,)``."""

Pair = tuple[int, int]
"""Along height and width."""

Sides = tuple[int, int, int, int]
"""Padding at the top, the bottom, the left and the right."""

NO_PADDING: Sides = (0, 0, 0, 0)


@dataclass(frozen=True)
class Convolution:
    """The shape of a private linear layer, with its padded input. A dense layer has one pixel."""

    channels: int
    height: int
    width: int
    outputs: int
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)

    @property
    def output_height(self) -> int:
        """Rows of the output."""
        return (self.height - self.kernel[0]) // self.stride[0] + 1

    @property
    def output_width(self) -> int:
        """Columns of the output."""
        return (self.width - self.kernel[1]) // self.stride[1] + 1

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """``(outputs, channels, kernel height, kernel width)``."""
        return self.outputs, self.channels, *self.kernel

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """``(outputs, height, width)``."""
        return self.outputs, self.output_height, self.output_width
