"""What a party's training depends on; part of its settings and of its cached model's name."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from parties.learning.labels import Labelling
from parties.learning.models import Layer, architecture


class TrainingSettings(BaseModel):
    """What a party's training depends on, apart from its records; `classes` may also be labels, see `labelling`."""

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
    def layers(self) -> tuple[Layer, ...]:
        return architecture(self.architecture, self.image_shape, self.classes)
