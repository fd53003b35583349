"""The configuration of an online run, under `securetrain:` in the YAML file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from parties.frame.plan import PathInFile
from parties.learning.model_files.choices import ExtractorFile

TRAINER = "trainer"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,40}")


_OF_RIDGE = ("regularisation", "largest_eigenvalue", "degree")
_OF_LOGISTIC = ("iterations", "learning_rate", "sigmoid_degree", "stretch")


def _flag(unit: str = "") -> dict[str, Any]:
    return {"flag": True, "unit": unit} if unit else {"flag": True}


class PoolConfig(BaseModel):
    """The keys under `pool:`, for several owners."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    owners: tuple[str, ...] = Field(
        ("hospital-a", "hospital-b", "hospital-c"), min_length=2, max_length=64, description="their names"
    )
    files: dict[str, Annotated[Path, PathInFile]] = Field(
        {},
        description="each owner's own records, by its name; the data set is then public, and features are prepared "
        "from it",
    )
    public_part: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="part of the records that is public, from which features are prepared, without files",
    )
    features: ExtractorFile | None = Field(
        None,
        description="a public network that every owner turns its own records into features with, so that a last layer "
        "is trained: file, layers, factory, path and trust_pickle",
    )
    algorithm: Literal["ridge", "logistic"] = Field(
        "ridge", description="ridge regression on second moments, or logistic regression on rows with refreshes"
    )
    norm: float | None = Field(
        None,
        gt=0,
        description="the largest norm of a prepared record, the constant 1 with it; default 1 with ridge, and 2.5 with "
        "logistic, which takes 1 or more",
    )
    regularisation: float = Field(0.025, gt=0, description="of ridge, in the units of the mean of squared numbers")
    largest_eigenvalue: float = Field(
        0.5, gt=0, description="that the second moments of any owner's prepared records may have"
    )
    degree: int = Field(8, ge=2, le=64, description="of the polynomial that stands for the inverse, even")
    iterations: int = Field(9, ge=2, le=100, description="steps of gradient descent, with logistic")
    learning_rate: float = Field(4.0, gt=0, description="of gradient descent, with logistic")
    sigmoid_degree: Literal[3, 5] = Field(
        3, description="of the polynomial that stands for the logistic function, with logistic"
    )
    stretch: int = Field(
        1, ge=1, description="iterations between two refreshes, with logistic; above 1 takes the large parameters"
    )
    sigma: float = Field(
        0.05, gt=0, description="deviation of the noise that trainer and opener each add to every weight"
    )

    @field_validator("owners")
    @classmethod
    def _names(cls, owners: tuple[str, ...]) -> tuple[str, ...]:
        if len({*owners, TRAINER}) <= len(owners) or not all(map(_NAME.fullmatch, owners)):
            raise ValueError(
                f"expected different names of letters, digits and hyphens, none of them {TRAINER}, found "
                f"{', '.join(owners)}"
            )
        return owners

    @property
    def largest_norm(self) -> float:
        """The largest norm of a prepared record, which has a default for each algorithm."""
        return self.norm or (1.0 if self.algorithm == "ridge" else 2.5)

    @model_validator(mode="after")
    def _own_keys(self) -> PoolConfig:
        others = _OF_LOGISTIC if self.algorithm == "ridge" else _OF_RIDGE
        if found := [name for name in others if name in self.model_fields_set]:
            raise ValueError(f"expected no {' or '.join(found)} with the algorithm {self.algorithm}, found it")
        return self

    @model_validator(mode="after")
    def _all_files(self) -> PoolConfig:
        if self.files and {*self.files} != {*self.owners}:
            raise ValueError(
                f"files: expected one for each of {', '.join(self.owners)}, found {', '.join(sorted(self.files))}"
            )
        return self


class SecureTrainConfig(BaseModel):
    """The keys under `securetrain:`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    encrypted: Literal["records", "model"] = Field(
        "records",
        description="what is encrypted: records, which the project owner trains on; or model, which the data owner "
        "trains on its own records",
        json_schema_extra=_flag(),
    )
    dataset: Annotated[Path, PathInFile] | None = Field(
        None,
        description="the data owner's records, .npz with X and y or a table; default: breast cancer of scikit-learn",
        json_schema_extra=_flag("path"),
    )
    label: str = Field("label", description="column with the classes, of a table", json_schema_extra=_flag("name"))
    delimiter: str = Field(
        ",", min_length=1, max_length=1, description="between the columns of a CSV file", json_schema_extra=_flag()
    )
    pool: PoolConfig | None = Field(
        None, description="owners who pool records under a key that they hold together; encrypted is then records"
    )
    start_model: Annotated[Path, PathInFile] | None = Field(
        None,
        description="the project owner's model in the clear, .npz as decrypt-model writes, where the model is "
        "encrypted; default: one that is trained on a tenth of the records, which the data owner does not get",
        json_schema_extra=_flag("path"),
    )
    moments_known: bool = Field(
        False,
        description="whoever asks may know the second moments of the data owner's records, where the model is "
        "encrypted",
        json_schema_extra=_flag(),
    )
    held_out: float = Field(
        0.2, gt=0, lt=1, description="part of the records that the model is measured on", json_schema_extra=_flag()
    )
    seed: int = Field(0, ge=0, lt=2**31, description="of the split into those parts", json_schema_extra=_flag())
    iterations: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="steps of gradient descent; default 9 on encrypted records, at most 100, and 10 on an encrypted "
        "model",
        json_schema_extra=_flag(),
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="of gradient descent; default 4 on encrypted records, and the reciprocal of the records' largest "
        "variance on an encrypted model",
        json_schema_extra=_flag(),
    )
    sigmoid_degree: Literal[3, 5] = Field(
        3, description="of the polynomial that stands for the logistic function", json_schema_extra=_flag()
    )
    stretch: int = Field(
        2,
        ge=1,
        description="iterations after the first one between two refreshes, at which the data owner encrypts the "
        "weights anew",
        json_schema_extra=_flag(),
    )
    components: int = Field(
        0, ge=0, description="directions of the largest variance, 0 for all features", json_schema_extra=_flag()
    )
    whiten: float = Field(
        0.0, ge=0, description="added to variances before they are divided out, 0 for none", json_schema_extra=_flag()
    )
    clip: float = Field(4.0, gt=0, description="the largest magnitude of a prepared number", json_schema_extra=_flag())
    norm: float = Field(
        2.5,
        ge=0,
        description="the largest norm of a prepared record, the constant 1 with it; longer ones are scaled down, which "
        "changes no prediction; 0 for none",
        json_schema_extra=_flag(),
    )
    release: Literal["verified", "shared"] = Field(
        "verified",
        description="how the model leaves encrypted records: verified, as the twin's weights; or shared, as the "
        "encrypted ones with noise of both parties, which neither sees without",
        json_schema_extra=_flag(),
    )
    release_noise: float = Field(
        0.01,
        gt=0,
        description="with release: shared, the deviation of the noise that each party adds to each weight",
        json_schema_extra=_flag(),
    )
    weight_limit: float = Field(
        8.0,
        gt=0,
        le=2**20,
        description="with release: shared, a power of two that no weight reaches, or nothing is released",
        json_schema_extra=_flag(),
    )
    release_to: Literal["owner", "both"] = Field(
        "owner",
        description="with release: shared, who gets the model: the data owner, or the project owner, too",
        json_schema_extra=_flag(),
    )
    output_model: Annotated[Path, PathInFile] | None = Field(
        None,
        description="file of the key's holder for the model in the clear, .npz or .h5",
        json_schema_extra=_flag("path"),
    )
    connect_deadline_s: float = Field(60.0, gt=0, description="how long the parties may take to appear")
    message_deadline_s: float = Field(600.0, gt=0, description="how long one message may take")
    run_deadline_s: float = Field(3600.0, gt=0, description="how long the run may take in all")

    @property
    def steps(self) -> int:
        """The iterations, which have a default for each kind of run."""
        return self.iterations or (9 if self.encrypted == "records" else 10)
