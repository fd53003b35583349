"""The settings of a party's training. They are a part of its cached model's name."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from parties.learning.architectures import described
from parties.learning.labels import Labelling
from parties.learning.model_files.source import ModelSource
from parties.learning.models import Layers, architecture


class TrainingSettings(BaseModel):
    """Everything that a party's training depends on, apart from its records.

    `template` is the text of an architecture of a user's own (:mod:`parties.learning.architectures`), or None.
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
    template: str | None = None

    @property
    def title(self) -> str:
        """What may be said of the model to everybody."""
        return self.architecture if self.source is None else self.source.title

    def identity(self) -> str:
        """Return all that the model depends on as text, without paths."""
        left_out: dict[str, Any] = {"source": {"file", "path"} if self.source else True}
        return self.model_dump_json(exclude=left_out | ({} if self.template else {"template": True}))

    @property
    def layers(self) -> Layers:
        """The architecture, with zero weights."""
        if self.template is not None:
            return described(self.template)
        return architecture(self.architecture, self.image_shape, self.classes)
