"""What each party of an online run is told."""

from __future__ import annotations

from pathlib import Path

from parties.frame.settings import Address, PartySettings, Peer

OWNER, TRAINER = "data-owner", "project-owner"  # the names of the parties and of their roles


class TrainingSettings(PartySettings):
    """What both parties know, which is the job's public shape.

    Attributes:
        parameters: the name of the set.
        records, features: n' and d', which are powers of two.
        stretch: how many iterations may follow each other before the owner refreshes the weights, or None.
    """

    parameters: str
    records: int
    features: int
    targets: int
    rate: float
    iterations: int
    degree: int
    stretch: int | None

    def agreed(self) -> dict[str, str]:
        """Return what both parties must agree on, as text by name. It is public."""
        names = ("parameters", "records", "features", "targets", "rate", "iterations", "degree", "stretch")
        return {"protocol": "securetrain"} | {name: str(getattr(self, name)) for name in names}


class OwnerSettings(TrainingSettings):
    """What the data owner knows. Its records lie in its private folder. `output` is where the model is to remain."""

    trainer: Peer
    output: Path | None


class TrainerSettings(TrainingSettings):
    """What the trainer knows."""

    listen: Address
    owner: str
