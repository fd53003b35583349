"""What each party is told of a run in which the model is encrypted."""

from __future__ import annotations

from pathlib import Path

from mpc.encrypted.private_model import PrivateModelJob
from parties.frame.settings import Address, PartySettings, Peer

SHOWN = "model/preparation"
"""The message with which the project owner shows how features are prepared."""


class ModelRunSettings(PartySettings):
    """What both parties know, which is the job's public shape.

    Attributes:
        parameters: the name of the set.
        features: d', a power of two.
        targets: how many models are trained, one against the rest each.
    """

    parameters: str
    features: int
    targets: int

    @property
    def job(self) -> PrivateModelJob:
        """The job."""
        return PrivateModelJob(self.features, self.targets, self.parameters)

    def agreed(self) -> dict[str, str]:
        """Return what both parties must agree on, as text by name. It is public."""
        names = ("parameters", "features", "targets")
        return {"protocol": "securetrain", "encrypted": "model"} | {name: str(getattr(self, name)) for name in names}


class RecordsOwnerSettings(ModelRunSettings):
    """What the data owner knows. Its records lie in its private folder.

    Attributes:
        rate: the learning rate, or None for one that follows from the records.
        answers: the folder that outlives runs, with what the records have answered.
        moments_known: whoever asks may know the second moments of the records.
    """

    trainer: Peer
    iterations: int
    rate: float | None
    answers: Path
    moments_known: bool


class ModelOwnerSettings(ModelRunSettings):
    """What the project owner knows. Its model lies in its private folder.

    Attributes:
        output: where the trained model is to remain.
        twin: what the same training gives in the clear. Whoever starts a run of both parties on one machine has both
            inputs and can tell. It is for the report alone.
    """

    listen: Address
    owner: str
    output: Path | None
    twin: dict[str, float]
