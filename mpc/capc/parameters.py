"""The public parameters of a CaPC run. Every party holds the same ones, and the hello compares their digest."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Literal

import msgspec

from mpc.capc.confident import ConfidentArgmax, confident_bits
from mpc.capc.majority import NoisyMajority
from mpc.capc.release import NoisyArgmax, Release, histogram_bits
from mpc.capc.vote import VOTING_RULES, Labelling, VotingRule
from mpc.dp.accountant import Cost, answer_cost, check_cost, check_countable
from mpc.dp.discrete_gaussian import noise_bound, part_scale
from mpc.errors import ParameterError
from mpc.garbled.session import Circuits, Tables
from mpc.inference.models.bounds import WEIGHT_NORM, check_weight_norm
from mpc.paillier.packing import KEY_BITS, Packing

Aggregation = Literal["paillier", "direct"]
Preprocessing = Literal["he", "dealer"]


class PublicParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that the parties agree on before the first query.

    Attributes:
        parties: number of answering parties, K.
        classes: number of logits, which are C classes of which one is right, or L labels that each are a yes or no.
        input_shape: of one query.
        ring_bits: inference and logits live in Z_2^ring_bits.
        fraction_bits: of inputs and activations.
        weight_norm: bound on the weights of every model's layers, see :mod:`mpc.inference.models.bounds`.
        weight_bits: fraction bits of the weights of every model's layers. None derives them from the layers' shapes.
        sigma: scale of the discrete Gaussian on each count, an exact rational written "3/2" or "2".
        aggregation: the way in which the masks reach the Privacy Guardian.
        key_bits: of the Paillier modulus.
        preprocessing: the source of the linear layers' correlations, see :data:`mpc.inference.TRUST`.
        garbling: the format of garbled gates, see docs/circuits.md.
        circuits: when the garbled circuits of inference and vote are sent, before the query or with it.
        noise_parts: 0 where PG draws the noise. Otherwise every AP adds a part of the noise to its masks, and so many
            parts add up to scale sigma. The noise is full as long as at most ``parties - noise_parts`` APs tell theirs.
        threshold: T, which the largest count must reach for a label (:mod:`mpc.capc.confident`). 0 is always a label.
        threshold_sigma: scale of the discrete Gaussian on T, as `sigma`.
        labelling: whether a query gets one class or several labels.
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
    garbling: Tables = "half-gates"
    circuits: Circuits = "ahead"
    noise_parts: int = 0
    threshold: int = 0
    threshold_sigma: str = "0"
    labelling: Labelling = "class"
    weight_norm: int = WEIGHT_NORM
    weight_bits: int | None = None

    def __post_init__(self) -> None:
        fewest = 2 if self.labelling == "class" else 1
        if self.parties < 1 or self.classes < fewest or not self.input_shape or min(self.input_shape) < 1:
            raise ParameterError(
                f"expected at least 1 party, {fewest} classes or labels and a positive input shape, found "
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
        if self.noise_parts * self.part_scale**2 < (self.noise_scale**2 if self.noise_parts else 0):
            raise ParameterError(f"expected {self.noise_parts} parts that reach the whole noise, found less")
        if self.threshold < 0 or self.threshold_noise_scale < 0:
            raise ParameterError(
                f"expected a threshold and its noise scale of at least 0, found {self.threshold} and "
                f"{self.threshold_sigma}"
            )
        check_weight_norm(self.weight_norm)
        if self.weight_bits is not None and not 1 <= self.weight_bits < self.ring_bits - self.fraction_bits:
            raise ParameterError(
                f"expected 1 to {self.ring_bits - self.fraction_bits - 1} weight bits, found {self.weight_bits}"
            )
        check_countable(self.noise_scale)
        check_countable(self.threshold_noise_scale)
        if self.labelling == "labels" and self.threshold:
            raise ParameterError("expected no threshold with labels: it is a rule for one class out of several")

    @property
    def noise_scale(self) -> Fraction:
        return Fraction(self.sigma)

    @property
    def part_scale(self) -> Fraction:
        """Scale of the noise that every AP adds. It is 0 where PG draws the noise."""
        return part_scale(self.noise_scale, self.noise_parts) if self.noise_parts else Fraction(0)

    @property
    def threshold_noise_scale(self) -> Fraction:
        return Fraction(self.threshold_sigma)

    @property
    def width(self) -> int:
        """Bits of a vote share and of the histogram, with room for every count and the largest noise."""
        if self.noise_parts:  # the bound of each part, rounded up, K times
            return (self.parties * (1 + noise_bound(self.part_scale))).bit_length() + 1
        if self.threshold:
            return confident_bits(self.parties, self.noise_scale, self.threshold, self.threshold_noise_scale)
        return histogram_bits(self.parties, self.noise_scale)

    @property
    def voting_rule(self) -> VotingRule:
        """The way in which each answering party votes."""
        return VOTING_RULES[self.labelling]

    @property
    def release(self) -> Release:
        """The rule by which the counts become labels."""
        if self.labelling == "labels":
            return NoisyMajority(self.parties, self.width)
        if self.threshold:
            return ConfidentArgmax(self.threshold, self.threshold_noise_scale, self.width)
        return NoisyArgmax(self.width)

    @property
    def costs(self) -> tuple[Cost, ...]:
        """The cost of one query in privacy. The ledger is charged for it before the query can be answered."""
        sensitivity = self.voting_rule.sensitivity(self.classes)
        if self.threshold:
            return check_cost(self.threshold_sigma), answer_cost(self.sigma, sensitivity)
        if self.noise_parts:
            return (Cost("answer", str(self.part_scale), sensitivity, 1, self.noise_parts),)
        return (answer_cost(self.sigma, sensitivity),)

    @property
    def packing(self) -> Packing:
        return Packing(self.width, self.parties, self.key_bits)

    def digest(self) -> str:
        """Return the SHA-256 of the canonical encoding, in hex."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()
