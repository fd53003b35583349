"""The randomness of every role of a run, as one argument."""

from __future__ import annotations

from dataclasses import dataclass

from mpc.randomness import RoleRandomness


@dataclass(frozen=True)
class CapcRandomness:
    """The randomness of every role, with these purposes (:meth:`RoleRandomness.source`).

    Attributes:
        querying: "garbling/NAME" and "inference/NAME" with the party of this name, "paillier" for its re-randomisation.
        answering: one for each answering party. "garbling/client", "inference/client", "paillier" for the encryption of
            its masks, "noise" for its part of the noise.
        guardian: "paillier" for the key pair, "garbling/client", "noise" on the counts, "threshold" for the noise on T.
        dealer: "seeds" for the querying party's, "seed/NAME" for the one of an answering party.
    """

    querying: RoleRandomness
    answering: tuple[RoleRandomness, ...]
    guardian: RoleRandomness
    dealer: RoleRandomness

    @classmethod
    def system(cls, parties: int) -> CapcRandomness:
        """Return the operating system's randomness for every role, with so many answering parties."""
        return cls(RoleRandomness(), (RoleRandomness(),) * parties, RoleRandomness(), RoleRandomness())
