"""What is public about an answering party's network.

The querying party learns exactly this. It is the chain of layers with its fixed-point format, and the bounds on which
the encryption under the linear layers rests.
"""

from __future__ import annotations

import hashlib
import math

import msgspec

from mpc._core import RlweParameters
from mpc.inference.linear.encoding import DEGREE
from mpc.inference.linear.rlwe import DEGREES, LARGEST_NORM_BITS, rlwe_parameters
from mpc.inference.models.fixed import PrivateLayer, Topology
from mpc.inference.models.limits import require


class Architecture(Topology, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The public description of a network. See :class:`~mpc.inference.models.fixed.Topology` for the other attributes.

    Attributes:
        session_queries: how many queries one session may ask. The flooding's statistical distance is stated for them.
        norm_bits: for each private layer n with the Euclidean norm of its weights at most 2^n. It is empty until the
            weights are known.
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

    def digest(self) -> str:
        """Return SHA-256 over the canonical encoding, in hex."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()
