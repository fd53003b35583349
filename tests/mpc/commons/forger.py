"""A client that makes hashes and polynomials anew for any shares, whatever the circuit says of them."""

from __future__ import annotations

import os
from typing import Any

from mpc.commons.prio import Complaint, HeldShare, RobustPrio
from tests.mpc.commons.turboshake import xof


class Forger:
    """A client of Prio3Sum of 3 bits, which begins with the shares of an honest report of 5.

    Attributes:
        values: the field elements of each aggregator's share, to be changed. blinds: what is hashed with them.
    """

    bits = 3

    def __init__(self, robust: RobustPrio[Any], nonce: bytes | None = None) -> None:
        self.robust, self.n, self.t = robust, robust.n, robust.t
        self.p, self.nonce = robust.circuit.modulus, nonce or os.urandom(16)
        _, shares = robust.deal(5, self.nonce)
        self.blinds = [share[-32:] for share in shares]
        self.values = [[int.from_bytes(s[i : i + 8], "little") for i in range(0, len(s) - 32, 8)] for s in shares]

    @property
    def proof_elements(self) -> range:
        """The places of the proof in a share, between the measurement and the two masks."""
        return range(self.bits, len(self.values[0]) - 2)

    def add(self, element: int, value: int) -> None:
        """Change an element of what is shared."""
        for values in self.values:
            values[element] = (values[element] + value) % self.p

    def share(self, j: int) -> bytes:
        """Return the share of aggregator j, from 0 on."""
        return b"".join(value.to_bytes(8, "little") for value in self.values[j]) + self.blinds[j]

    def public(self) -> bytes:
        """Return the public share that fits the shares of the first t + 1 aggregators."""

        def tag(usage: int) -> bytes:
            return bytes([1, 0xC0, 0, 0, 0, 2, usage, self.n, self.t]) + self.robust.ctx

        def hashed(usage: int, j: int, size: int | None) -> bytes:
            values = self.share(j)[:-32][:size]
            return xof(tag(usage), self.blinds[j], bytes([j + 1]) + self.nonce + values, 32)

        hashes = b"".join(hashed(2, j, 8 * self.bits) for j in range(self.n)) + b"".join(
            hashed(6, j, None) for j in range(self.n)
        )
        drawn = xof(tag(7), bytes(32), self.nonce + hashes, 16)
        published = b""
        for i, rho in enumerate((int.from_bytes(drawn[:8], "little"), int.from_bytes(drawn[8:], "little"))):
            points = [
                sum(pow(rho, k + 1, self.p) * value for k, value in enumerate(self.values[j][:-2]))
                + self.values[j][len(self.values[j]) - 2 + i]
                for j in range(self.t + 1)
            ]
            published += b"".join(one.to_bytes(8, "little") for one in self._coefficients(points))
        return hashes + published

    def checked(self) -> list[HeldShare | Complaint]:
        """Return what each aggregator finds."""
        public = self.public()
        return [self.robust.check(j + 1, self.nonce, public, self.share(j)) for j in range(self.n)]

    def whole(self, coin: bytes) -> list[int]:
        """Return the verifier words of the whole under a coin."""
        held = [one for one in self.checked() if isinstance(one, HeldShare)]
        words = {one.number: self.robust.verifier(one, coin) for one in held}
        return self.robust._decode(words, self.robust._sizes["verifier"])[0]

    def verdict(self, coin: bytes) -> Any:
        """Return what all decide under a coin."""
        held = [one for one in self.checked() if isinstance(one, HeldShare)]
        return self.robust.decide({one.number: self.robust.verifier(one, coin) for one in held})

    def _coefficients(self, points: list[int]) -> list[int]:
        """Return the polynomial through the values at 1, 2, ..., lowest coefficient first."""
        total = [0] * len(points)
        for j, value in enumerate(points, 1):
            basis, under = [1], 1
            for other in range(1, len(points) + 1):
                if other != j:
                    basis = [(low - other * high) % self.p for low, high in zip([0, *basis], [*basis, 0], strict=True)]
                    under = under * (j - other) % self.p
            factor = value * pow(under, -1, self.p)
            total = [(one + factor * two) % self.p for one, two in zip(total, basis, strict=True)]
        return total
