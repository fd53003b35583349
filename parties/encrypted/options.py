"""The flags of the commands, with the words of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from parties.frame.errors import ConfigError
from parties.learning.model_files.choices import ExtractorFile

DEFAULT_COMPONENTS = 15
DEFAULT_NORM, RIDGE_NORM = 3.0, 1.0
DEFAULT_REGULARISATION, DEFAULT_EIGENVALUE, DEFAULT_DEGREE = 0.02, 0.3, 8


def _flag(unit: str = "") -> dict[str, Any]:
    return {"flag": True, "unit": unit} if unit else {"flag": True}


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Reading(_Options):
    label: str = Field("label", description="column with the classes, of a table", json_schema_extra=_flag("name"))
    delimiter: str = Field(
        ",", min_length=1, max_length=1, description="between the columns of a CSV file", json_schema_extra=_flag()
    )


class _Extracting(_Options):
    features: Path | None = Field(
        None,
        description="a public network, .onnx, .pt, .pth, .skops or layers as .npz, that each record goes through first",
        json_schema_extra=_flag("path"),
    )
    features_layers: int | None = Field(
        None,
        ge=1,
        description="how many of its layers are used, from the first one; default: all",
        json_schema_extra=_flag(),
    )
    features_factory: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="function package.module:function that makes the torch module of a state dict",
        json_schema_extra=_flag("name"),
    )
    features_path: Path | None = Field(
        None, description="folder that the factory's package is found in", json_schema_extra=_flag("path")
    )
    trust_pickle: bool = Field(
        False, description="load an extractor's file that can run code", json_schema_extra=_flag()
    )

    @property
    def extractor(self) -> ExtractorFile | None:
        """The extractor's file, if there is one. Raises `ConfigError` for flags that have no meaning without it."""
        if self.features is not None:
            return ExtractorFile(
                file=self.features,
                factory=self.features_factory,
                path=self.features_path,
                layers=self.features_layers,
                trust_pickle=self.trust_pickle,
            )
        beside = {"features_layers", "features_factory", "features_path", "trust_pickle"} & self.model_fields_set
        if beside:
            raise ConfigError(f"{min(beside)}: expected with --features alone, found it without.")
        return None


class _Opening(_Options):
    passphrase_file: Path | None = Field(
        None, description="file with the private key's passphrase in its first line", json_schema_extra=_flag("path")
    )


class EncryptDatasetOptions(_Reading, _Extracting, _Opening):
    """Flags of `encrypt-dataset`."""

    dataset: Path = Field(description="the records, .npz with X and y, or a table", json_schema_extra=_flag("path"))
    output: Path = Field(description="file for the encrypted records", json_schema_extra=_flag("path"))
    keys_dir: Path = Field(Path("keys"), description="folder for the keys", json_schema_extra=_flag("path"))
    algorithm: Literal["logistic", "ridge"] = Field(
        "logistic",
        description="logistic regression on one owner's records, or ridge regression, whose owners may be several",
        json_schema_extra=_flag(),
    )
    iterations: int = Field(3, ge=1, le=100, description="steps of gradient descent", json_schema_extra=_flag())
    learning_rate: float = Field(10.0, gt=0, description="the rate that the twin checks", json_schema_extra=_flag())
    sigmoid_degree: Literal[3, 5] = Field(
        3, description="of the polynomial that stands for the logistic function", json_schema_extra=_flag()
    )
    components: int | None = Field(
        None,
        ge=0,
        description=f"directions of the largest variance that are kept, 0 for the features as they are; default "
        f"{DEFAULT_COMPONENTS}, or as many as there are, and all with ridge",
        json_schema_extra=_flag(),
    )
    whiten: float = Field(
        0.1, ge=0, description="added to variances before they are divided out, 0 for none", json_schema_extra=_flag()
    )
    clip: float = Field(4.0, gt=0, description="the largest magnitude of a prepared number", json_schema_extra=_flag())
    norm: float | None = Field(
        None,
        ge=0,
        description="the largest norm of a prepared record, the constant 1 with it; longer ones are scaled down, which "
        f"changes no prediction; 0 for none; default {DEFAULT_NORM:g}, and {RIDGE_NORM:g} with ridge",
        json_schema_extra=_flag(),
    )
    regularisation: float | None = Field(
        None,
        gt=0,
        description=f"of ridge, in the units of the mean of squared numbers; default {DEFAULT_REGULARISATION:g}",
        json_schema_extra=_flag(),
    )
    largest_eigenvalue: float | None = Field(
        None,
        gt=0,
        description="that the second moments of any owner's prepared records may have, with ridge; default "
        f"{DEFAULT_EIGENVALUE:g}",
        json_schema_extra=_flag(),
    )
    inverse_degree: int | None = Field(
        None,
        ge=2,
        le=64,
        description=f"of the polynomial that stands for the inverse, even, with ridge; default {DEFAULT_DEGREE}",
        json_schema_extra=_flag(),
    )
    all_records: int | None = Field(
        None,
        ge=1,
        description="how many records all owners have together, at most, with ridge; default: your own, padded to a "
        "power of two",
        json_schema_extra=_flag(),
    )
    public_key: Path | None = Field(
        None,
        description="another owner's public key, to pool your records with its own, with ridge; the choices are that "
        "owner's",
        json_schema_extra=_flag("path"),
    )
    preparation: Path | None = Field(
        None,
        description="that owner's preparation.npz, with --public_key",
        json_schema_extra=_flag("path"),
    )
    signed_by: str | None = Field(
        None, description="the fingerprint that the public key's file must have", json_schema_extra=_flag()
    )


class PoolOptions(_Options):
    """Flags of `pool`."""

    inputs: str = Field(
        description="the encrypted records of two owners or more under one key, with commas between",
        json_schema_extra=_flag("paths"),
    )
    output: Path = Field(description="file for their sum", json_schema_extra=_flag("path"))
    keys_dir: Path = Field(Path("keys"), description="folder of your own signing key", json_schema_extra=_flag("path"))


class TrainOptions(_Reading):
    """Flags of `train`. There is none for a private key."""

    encrypted_data: Path | None = Field(
        None, description="records that were encrypted, to train on", json_schema_extra=_flag("path")
    )
    encrypted_model: Path | None = Field(
        None, description="a model that was encrypted, to train on your own records", json_schema_extra=_flag("path")
    )
    dataset: Path | None = Field(
        None, description="your own records, with --encrypted_model", json_schema_extra=_flag("path")
    )
    iterations: int = Field(
        10, ge=1, le=1_000_000, description="steps, with --encrypted_model", json_schema_extra=_flag()
    )
    public_key: Path = Field(description="the public key that goes with it", json_schema_extra=_flag("path"))
    output_model: Path = Field(description="file for the encrypted model", json_schema_extra=_flag("path"))
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="default: the one that the records' owner has checked; with --encrypted_model, the reciprocal of "
        "the largest variance of your records",
        json_schema_extra=_flag(),
    )
    keys_dir: Path = Field(
        Path("keys"), description="folder of the trainer's own signing key", json_schema_extra=_flag("path")
    )
    signed_by: str | None = Field(
        None, description="the fingerprint that the other side must have", json_schema_extra=_flag()
    )
    moments_known: bool = Field(
        False,
        description="with --encrypted_model: answer also as often as tells the second moments of your records",
        json_schema_extra=_flag(),
    )


class EncryptModelOptions(_Opening):
    """Flags of `encrypt-model`."""

    model: Path = Field(
        description="the model in the clear, .npz as decrypt-model writes", json_schema_extra=_flag("path")
    )
    output: Path = Field(description="file for the encrypted model", json_schema_extra=_flag("path"))
    keys_dir: Path = Field(Path("keys"), description="folder for the keys", json_schema_extra=_flag("path"))


class DecryptModelOptions(_Reading, _Extracting, _Opening):
    """Flags of `decrypt-model`."""

    input_model: Path = Field(description="the encrypted model", json_schema_extra=_flag("path"))
    private_key: Path = Field(description="its owner's private key", json_schema_extra=_flag("path"))
    output_model: Path = Field(
        description="file for the model in the clear, .npz or .h5", json_schema_extra=_flag("path")
    )
    verify: Path | None = Field(
        None,
        description="the records that were encrypted: the twin's model is written if the decrypted one agrees with it",
        json_schema_extra=_flag("path"),
    )
    test: Path | None = Field(None, description="records to measure the accuracy on", json_schema_extra=_flag("path"))
    signed_by: str | None = Field(
        None, description="the fingerprint that the trainer must have", json_schema_extra=_flag()
    )


class InspectOptions(_Options):
    """Flags of `inspect`."""

    file: Path = Field(description="what to look at", json_schema_extra={"flag": True, "unit": "path", "place": True})
