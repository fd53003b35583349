"""What a configuration says of a party's own model. The path is relative to the configuration's file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from parties.frame.plan import PathInFile


class ModelFile(BaseModel):
    """A model's file, see :mod:`parties.learning.model_files.source`.

    Attributes:
        factory: a function `package.module:function` that makes the torch module of a state dict.
        path: the folder that the factory's package is found in, besides the installed ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Annotated[Path, PathInFile]
    factory: str | None = Field(None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    path: Annotated[Path, PathInFile] | None = None


class ExtractorFile(ModelFile):
    """The file of a public network that turns records into features, see :mod:`parties.learning.model_files.extractor`.

    Attributes:
        layers: how many of its layers are used, from the first one, as `model check` counts them. None is all of them.
        trust_pickle: whether code that lies in the file may run.
    """

    layers: int | None = Field(None, ge=1)
    trust_pickle: bool = False
