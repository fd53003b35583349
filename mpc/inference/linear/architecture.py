"""What is public about an answering party's network.

The querying party learns exactly this. It is the chain of layers with its fixed-point format, and the bounds on which
the encryption under the linear layers rests. The chain is what the network's owner chose to run. All numbers follow
from it and from what the parties agree on (:mod:`mpc.inference.models.bounds`). Nothing here depends on the weights.
"""

from __future__ import annotations

import hashlib
import math

import msgspec

from mpc._core import RlweParameters
from mpc.errors import ParameterError
from mpc.inference.linear.encoding import DEGREE, plan
from mpc.inference.linear.rlwe import DEGREES, rlwe_parameters
from mpc.inference.models.bounds import (
    LARGEST_NORM_BITS,
    WEIGHT_NORM,
    public_norm_bits,
    public_weight_bits,
    stated_weight_bits,
)
from mpc.inference.models.fixed import PrivateLayer, Topology
from mpc.inference.models.limits import require


class Architecture(Topology, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The public description of a network. See :class:`~mpc.inference.models.fixed.Topology` for the other attributes.

    Attributes:
        session_queries: how many queries one session may ask. The flooding's statistical distance is stated for them.
        norm_bits: for each private layer n, a public bound: the Euclidean norm of its fixed-point weights is at most
            2^n. It is empty until :meth:`bounded` has been called.
        degree: N of the ciphertexts.

    Raises:
        ParameterError: shapes that do not fit each other or the ciphertexts, or anything beyond the limits.
    """

    session_queries: int = 2048
    norm_bits: tuple[int, ...] = ()
    degree: int = DEGREE

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.session_queries <= 1 << 20, "1 to 2^20 queries a session", self.session_queries)
        require(self.degree in DEGREES, f"a degree of {' or '.join(map(str, DEGREES))}", self.degree)
        private = [(step, step.layer) for step in self.steps() if isinstance(step.layer, PrivateLayer)]
        for step, layer in private:
            shape = layer.convolution(step.before)
            strip = shape.kernel[0] * shape.width
            limit = f"kernel height times padded width of at most {self.degree} in {step.name}"
            require(strip <= self.degree, limit, strip)
        require(
            len(self.norm_bits) in (0, len(private)), f"norms of {len(private)} private layers", len(self.norm_bits)
        )
        require(
            all(0 <= bits <= LARGEST_NORM_BITS for bits in self.norm_bits),
            f"norms of 0 to {LARGEST_NORM_BITS} bits",
            self.norm_bits,
        )
        if self.norm_bits:
            self.rlwe()

    def rlwe(self) -> RlweParameters:
        """Return the encryption's parameters.

        Raises:
            ParameterError: the norms are not known, or no modulus is wide enough for them.
        """
        private = list(self.private_layers())
        require(bool(self.norm_bits), f"norms of {len(private)} private layers", "none")
        results = [self.session_queries * math.prod(shape.output_shape) for _, _, shape in private]
        return rlwe_parameters(self.degree, self.ring_bits, tuple(zip(self.norm_bits, results, strict=True)))

    def bounded(self, weight_norm: int = WEIGHT_NORM, weight_bits: int | tuple[int, ...] | None = None) -> Architecture:
        """Return this with the public bounds on weights, and with the cheaper of the degrees that they allow.

        What this says of weights and degree itself is left aside. Both parties call it, and both get the same.

        Args:
            weight_norm: see :mod:`mpc.inference.models.bounds`.
            weight_bits: the fraction bits of weights, of all layers or of each. None derives them from shapes.

        Raises:
            ParameterError: bounds that do not fit the layers, or for which no modulus is wide enough.
        """
        plain = msgspec.structs.replace(self, weight_bits=msgspec.UNSET, norm_bits=(), degree=DEGREE)
        bits = public_weight_bits(plain) if weight_bits is None else stated_weight_bits(plain, weight_bits)
        if any(one != self.fraction_bits for one in bits):
            plain = msgspec.structs.replace(plain, weight_bits=bits)
        norm_bits = public_norm_bits(plain, weight_norm)
        candidates: list[tuple[float, Architecture]] = []
        refusal: ParameterError | None = None
        for degree in DEGREES:
            try:
                candidate = msgspec.structs.replace(plain, norm_bits=norm_bits, degree=degree)
            except ParameterError as error:
                refusal = error
                continue
            cost = sum(plan(shape, 1, degree).cost_ms for _, _, shape in candidate.private_layers())
            candidates.append((cost, candidate))
        if not candidates:
            raise ParameterError(
                f"expected a smaller weight_norm, a narrower ring or fewer queries a session: {refusal}"
            )
        return min(candidates, key=lambda pair: pair[0])[1]

    def digest(self) -> str:
        """Return SHA-256 over the canonical encoding, in hex."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()
