"""Coefficient encoding of linear layers, which makes a matrix product or a convolution one product of polynomials.

After Cheetah (Huang, Lu, Hong, Ding, USENIX Security 2022, sections 4.1-4.3), with no rotations. It is extended so that
one ciphertext carries several instances. An instance is one query, or one horizontal tile of one.

With S = channels_a_block * height * width, instance q, output o and channel c, all counted within their block:

    input   x[q, c, h, w]  at coefficient  q*O*S + c*height*width + h*width + w
    weight  k[o, c, u, v]  at coefficient  o*S + (C-1-c)*height*width + (kh-1-u)*width + (kw-1-v)
    result  y[q, o, h, w]  at coefficient  q*O*S + o*S + (C-1)*height*width + (h*stride + kh-1)*width + w*stride + kw-1

A weight polynomial of one output has degree at most first = (C-1)*height*width + (kh-1)*width + kw-1. An input
polynomial has a degree below S. Thus what spills over from one output's or instance's segment into the next ends below
the segment's coefficient ``first``, where its results begin. The same holds for the wrap at X^N = -1.

A dense layer is the case of one pixel, with its inputs as channels.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError
from mpc.inference.models.shapes import Convolution
from mpc.ring import Words

DEGREE = 8192
KEPT_PLAINTEXTS = 512  # weight polynomials of one layer that stay in memory, 192 KiB each
LARGEST_SUM = 999  # products that one reply may add up
# What the cost model weighs, in milliseconds at N = 8192: work on one core plus transfer at 1 Gbit/s.
_UPLOAD_MS = 0.4 + 1.0
_REPLY_MS = 0.6 + 0.5
_PRODUCT_MS = 0.04
_TRANSFORM_MS = 0.2  # of a weight polynomial: once for every product, or once for all batches of a size
_BATCHES = 4  # of one size that a session is expected to have


@dataclass(frozen=True)
class Layout:
    """Where everything lies in the ciphertexts. It follows from public shapes and is the same at both parties.

    Attributes:
        batch: queries.
        rows: output rows of one tile.
        instances_a_block, channels_a_block, outputs_a_block: what shares a ciphertext.
        degree: N.
    """

    shape: Convolution
    batch: int
    rows: int
    instances_a_block: int
    channels_a_block: int
    outputs_a_block: int
    degree: int = DEGREE

    @property
    def tiles(self) -> int:
        """Horizontal tiles of one query."""
        return -(-self.shape.output_height // self.rows)

    @property
    def tile_height(self) -> int:
        """Input rows of one tile."""
        return (self.rows - 1) * self.shape.stride[0] + self.shape.kernel[0]

    @property
    def segment(self) -> int:
        """S, the coefficients that one output of one instance takes."""
        return self.channels_a_block * self.tile_height * self.shape.width

    @property
    def instance_blocks(self) -> int:
        """Blocks that all instances take."""
        return -(-self.batch * self.tiles // self.instances_a_block)

    @property
    def channel_blocks(self) -> int:
        """Blocks that all channels take."""
        return -(-self.shape.channels // self.channels_a_block)

    @property
    def output_blocks(self) -> int:
        """Blocks that all outputs take."""
        return -(-self.shape.outputs // self.outputs_a_block)

    @property
    def keeps_weights(self) -> bool:
        """Whether the transformed weights stay in memory for the session."""
        return self.channel_blocks * self.output_blocks <= KEPT_PLAINTEXTS

    @property
    def output_groups(self) -> list[range]:
        """The output blocks in runs, one reply each, whose weights are in memory together."""
        size = self.output_blocks if self.keeps_weights else max(1, KEPT_PLAINTEXTS // self.channel_blocks)
        starts = range(0, self.output_blocks, size)
        return [range(start, min(start + size, self.output_blocks)) for start in starts]

    @property
    def cost_ms(self) -> float:
        """Milliseconds under the cost model, for both parties one after the other and a 1 Gbit/s link."""
        uploads = self.instance_blocks * self.channel_blocks
        replies = self.instance_blocks * self.output_blocks
        products = uploads * self.output_blocks
        transforms = self.channel_blocks * self.output_blocks / _BATCHES if self.keeps_weights else products
        polynomials = _UPLOAD_MS * uploads + _REPLY_MS * replies + _PRODUCT_MS * products + _TRANSFORM_MS * transforms
        return polynomials * self.degree / DEGREE

    def encode_inputs(self, values: Words) -> Words:
        """Encode padded inputs ``[batch, channels, height, width]`` as ``[instance_blocks, channel_blocks, N]``."""
        shape, per = self.shape, self.instances_a_block
        step = self.rows * shape.stride[0]
        needed = (self.tiles - 1) * step + self.tile_height
        rows = np.zeros((self.batch, shape.channels, max(needed, shape.height), shape.width), dtype=np.uint64)
        rows[:, :, : shape.height] = values
        tiles = np.stack([rows[:, :, t * step : t * step + self.tile_height] for t in range(self.tiles)], axis=1)
        blocks = np.zeros(
            (self.instance_blocks * per, self.channel_blocks * self.channels_a_block, self.tile_height * shape.width),
            dtype=np.uint64,
        )
        blocks[: self.batch * self.tiles, : shape.channels] = tiles.reshape(self.batch * self.tiles, shape.channels, -1)
        segments = blocks.reshape(self.instance_blocks, per, self.channel_blocks, self.segment).swapaxes(1, 2)
        encoded = np.zeros((self.instance_blocks, self.channel_blocks, self.degree), dtype=np.uint64)
        spacing = self.outputs_a_block * self.segment
        for index in range(per):
            encoded[:, :, index * spacing : index * spacing + self.segment] = segments[:, :, index]
        return encoded

    def encode_weights(self, weights: NDArray[np.int64], output_block: int, channel_block: int) -> NDArray[np.int64]:
        """Encode weights ``[outputs, channels, kh, kw]`` as the polynomial ``[N]`` of one pair of blocks."""
        shape = self.shape
        outputs = slice(output_block * self.outputs_a_block, (output_block + 1) * self.outputs_a_block)
        channels = slice(channel_block * self.channels_a_block, (channel_block + 1) * self.channels_a_block)
        part = weights[outputs, channels]
        grid = np.zeros((self.outputs_a_block, self.channels_a_block, self.tile_height, shape.width), dtype=np.int64)
        # Reversed in channels and pixels; a short last block keeps its channels at the reversed end.
        grid[: part.shape[0], self.channels_a_block - part.shape[1] :, : shape.kernel[0], : shape.kernel[1]] = part[
            :, ::-1, ::-1, ::-1
        ]
        encoded = np.zeros(self.degree, dtype=np.int64)
        encoded[: grid.size] = grid.reshape(-1)
        return encoded

    def selection(self, instance_blocks: range, output_blocks: range) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Find the results of one reply with these blocks' polynomials, instance-major.

        Returns:
            Their places in the reply, polynomial number times N plus coefficient, ascending. Then their places in the
            output, as for :meth:`results`.
        """
        return _selection(self, instance_blocks, output_blocks)

    def results(self, instance_block: int, output_block: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Find the places of results in one reply, and their places in the flattened ``[batch, *output_shape]``."""
        shape, per = self.shape, self.instances_a_block
        instance, output, row, column = np.meshgrid(
            np.arange(per),
            np.arange(self.outputs_a_block),
            np.arange(self.rows),
            np.arange(shape.output_width),
            indexing="ij",
        )
        spot = instance * self.outputs_a_block + output
        position = (
            spot * self.segment
            + (self.channels_a_block - 1) * self.tile_height * shape.width
            + (row * shape.stride[0] + shape.kernel[0] - 1) * shape.width
            + column * shape.stride[1]
            + shape.kernel[1]
            - 1
        )
        query, tile = np.divmod(instance_block * per + instance, self.tiles)
        whole_output = output_block * self.outputs_a_block + output
        whole_row = tile * self.rows + row
        present = (query < self.batch) & (whole_output < shape.outputs) & (whole_row < shape.output_height)
        target = np.ravel_multi_index(
            (query, whole_output, whole_row, column), (self.batch, *shape.output_shape), mode="clip"
        )
        return position[present].astype(np.intp), target[present].astype(np.intp)


@functools.lru_cache(maxsize=256)
def plan(shape: Convolution, batch: int, degree: int = DEGREE) -> Layout:
    """Choose the cheapest layout under the cost model, and among equals the one with the fewest tiles.

    Raises:
        ParameterError: one kernel-high strip of one channel does not fit a polynomial.
    """
    best: Layout | None = None
    heights = {-(-shape.output_height // tiles) for tiles in range(1, shape.output_height + 1)}
    for rows in sorted(heights, reverse=True):
        pixels = ((rows - 1) * shape.stride[0] + shape.kernel[0]) * shape.width
        instances = batch * -(-shape.output_height // rows)
        for per in _block_sizes(instances, degree // pixels):
            for channels in _block_sizes(shape.channels, degree // (pixels * per)):
                outputs = min(shape.outputs, degree // (pixels * per * channels))
                outputs = -(-shape.outputs // -(-shape.outputs // outputs))
                layout = Layout(shape, batch, rows, per, channels, outputs, degree)
                if layout.channel_blocks > LARGEST_SUM:
                    continue
                if best is None or layout.cost_ms < best.cost_ms:
                    best = layout
    if best is None:
        raise ParameterError(
            f"expected kernel height times padded width of at most {degree}, "
            f"found {shape.kernel[0]} times {shape.width}"
        )
    return best


@functools.lru_cache(maxsize=16)
def _selection(layout: Layout, instances: range, outputs: range) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    places = [layout.results(instance, output) for instance in instances for output in outputs]
    positions = [(found + index * layout.degree).astype(np.int64) for index, (found, _) in enumerate(places)]
    return np.concatenate(positions), np.concatenate([targets for _, targets in places])


def _block_sizes(whole: int, most: int) -> list[int]:
    """Sizes up to ``most`` that split ``whole`` evenly into blocks, one size for each number of blocks."""
    return sorted({size for size in (-(-whole // blocks) for blocks in _block_counts(whole)) if size <= most})


def _block_counts(whole: int) -> list[int]:
    """Numbers of blocks worth trying. They are all the small ones, and then a geometric sequence."""
    counts = set(range(1, min(whole, 64) + 1)) | {whole}
    counts |= {min(whole, math.ceil(64 * 1.1**i)) for i in range(200) if 64 * 1.1**i < whole}
    return sorted(counts)
