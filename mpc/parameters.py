"""The public parameters of a CaPC run: every party holds the same ones, and the hello compares their digest."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Literal

import msgspec

from mpc.confident import confident_bits
from mpc.errors import ParameterError
from mpc.noise import noise_bound, part_scale
from mpc.paillier import KEY_BITS, Packing
from mpc.release import histogram_bits

Aggregation = Literal["paillier", "direct"]
Preprocessing = Literal["he", "dealer"]


class PublicParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all parties agree on before the first query.

    Attributes:
        parties: number of answering parties, K.
        classes: number of labels, C.
        input_shape: of one query.
        ring_bits: inference and logits live in Z_2^ring_bits.
        fraction_bits: of inputs and weights; products carry twice as many.
        sigma: scale of the discrete Gaussian on each count, an exact rational written "3/2" or "2".
        aggregation: how the masks reach the Privacy Guardian.
        key_bits: of the Paillier modulus.
        preprocessing: where the linear layers' correlations come from, see :data:`mpc.inference.TRUST`.
        noise_parts: 0 where PG draws the noise. Otherwise every AP adds a part of the noise to its masks, and so many
            parts add up to scale sigma: full noise as long as at most ``parties - noise_parts`` APs tell theirs.
        threshold: T, what the largest count must reach for a label (:mod:`mpc.confident`); 0 for always a label.
        threshold_sigma: scale of the discrete Gaussian on T, as `sigma`.
    """

    parties: int
    classes: int
    input_shape: tuple[int, ...]
    ring_bits: int
    fraction_bits: int
    sigma: str
    aggregation: Aggregation = "paillier"
    key_bits: int = KEY_BITS
    preprocessing: Preprocessing = "he"
    noise_parts: int = 0
    threshold: int = 0
    threshold_sigma: str = "0"

    def __post_init__(self) -> None:
        if self.parties < 1 or self.classes < 2 or not self.input_shape or min(self.input_shape) < 1:
            raise ParameterError(
                "expected at least 1 party, 2 classes and a positive input shape, found "
                f"{self.parties}, {self.classes} and {self.input_shape}"
            )
        if self.noise_scale < 0:
            raise ParameterError(f"expected a noise scale of at least 0, found {self.sigma}")
        if not 0 <= self.noise_parts <= self.parties:
            raise ParameterError(f"expected 0 to {self.parties} parts of the noise, found {self.noise_parts}")
        if self.noise_parts and self.threshold:
            raise ParameterError("expected the guardian's noise with a threshold: a check needs counts without noise")
        if self.noise_parts and 0 < self.part_scale < Fraction(1, 2):
            raise ParameterError(
                f"expected a scale of at least 1/2 for each part of the noise, found {float(self.part_scale):.3g}"
            )
        if self.threshold < 0 or self.threshold_noise_scale < 0:
            raise ParameterError(
                f"expected a threshold and its noise scale of at least 0, found {self.threshold} and "
                f"{self.threshold_sigma}"
            )

    @property
    def noise_scale(self) -> Fraction:
        return Fraction(self.sigma)

    @property
    def part_scale(self) -> Fraction:
        """Scale of the noise that every AP adds; 0 where PG does."""
        return part_scale(self.noise_scale, self.noise_parts) if self.noise_parts else Fraction(0)

    @property
    def threshold_noise_scale(self) -> Fraction:
        return Fraction(self.threshold_sigma)

    @property
    def width(self) -> int:
        """Bits of a vote share and of the histogram: room for every count and the largest noise."""
        if self.noise_parts:  # the bound of each part, rounded up, K times
            return (self.parties * (1 + noise_bound(self.part_scale))).bit_length() + 1
        if self.threshold:
            return confident_bits(self.parties, self.noise_scale, self.threshold, self.threshold_noise_scale)
        return histogram_bits(self.parties, self.noise_scale)

    @property
    def packing(self) -> Packing:
        return Packing(self.width, self.parties, self.key_bits)

    def digest(self) -> str:
        """SHA-256 over the canonical encoding, in hex."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()
