"""What each party of an online run is told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from parties.frame.settings import Address, PartySettings, Peer

OWNER, TRAINER = "data-owner", "project-owner"  # the names of the parties and of their roles


class TrainingSettings(PartySettings):
    """What both parties know, which is the job's public shape.

    Attributes:
        parameters: the name of the set.
        records, features: n' and d', which are powers of two.
        stretch: how many iterations may follow each other before the owner refreshes the weights, or None.
        release: how the model leaves. The next three are about a shared release alone.
        noise: the deviation of the noise that each party adds to each weight.
        limit_bits: log2 of what no weight reaches.
        release_to: who gets the model.
    """

    parameters: str
    records: int
    features: int
    targets: int
    rate: float
    iterations: int
    degree: int
    stretch: int | None
    release: Literal["verified", "shared"] = "verified"
    noise: float = 0.01
    limit_bits: int = 3
    release_to: Literal["owner", "both"] = "owner"

    def agreed(self) -> dict[str, str]:
        """Return what both parties must agree on, as text by name. It is public."""
        names = ["parameters", "records", "features", "targets", "rate", "iterations", "degree", "stretch", "release"]
        if self.release == "shared":
            names += ["noise", "limit_bits", "release_to"]
        return {"protocol": "securetrain"} | {name: str(getattr(self, name)) for name in names}


class OwnerSettings(TrainingSettings):
    """What the data owner knows. Its records lie in its private folder. `output` is where the model is to remain."""

    trainer: Peer
    output: Path | None


class TrainerSettings(TrainingSettings):
    """What the trainer knows."""

    listen: Address
    owner: str
