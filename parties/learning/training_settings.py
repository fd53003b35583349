"""The settings of a party's training. They are a part of its cached model's name."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from parties.learning.labels import Labelling
from parties.learning.model_files.source import ModelSource
from parties.learning.models import Layers, architecture


class TrainingSettings(BaseModel):
    """Everything that a party's training depends on, apart from its records.

    `classes` counts labels where `labelling` says that records have several. With a `source` the model comes from a
    file, and the rest says how it is trained further.
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
    source: ModelSource | None = None

    @property
    def title(self) -> str:
        """What may be said of the model to everybody."""
        return self.architecture if self.source is None else self.source.title

    def identity(self) -> str:
        """Return all that the model depends on as text, without paths."""
        return self.model_dump_json(exclude={"source": {"file", "path"}} if self.source else {"source": True})

    @property
    def layers(self) -> Layers:
        """The architecture, with zero weights."""
        return architecture(self.architecture, self.image_shape, self.classes)
