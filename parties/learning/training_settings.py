"""The settings of a party's training. They are a part of its cached model's name."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from parties.learning.labels import Labelling
from parties.learning.models import Layers, architecture


class TrainingSettings(BaseModel):
    """Everything that a party's training depends on, apart from its records.

    `classes` counts labels where `labelling` says that records have several.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    image_shape: tuple[int, int, int]
    classes: int
    seed: int
    epochs: int
    learning_rate: float
    weight_decay: float
    batch: int
    labelling: Labelling = "class"

    @property
    def layers(self) -> Layers:
        """The architecture, with zero weights."""
        return architecture(self.architecture, self.image_shape, self.classes)
