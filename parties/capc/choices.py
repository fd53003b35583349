"""The keys of a CaPC configuration, in the groups of configs/default.yaml.

Every key has a unit, a default, bounds and this one place. The checks that look at several keys are in
:mod:`parties.capc.config`.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, Field

from parties.capc.forms import RELEASES
from parties.frame.plan import PathInFile
from parties.learning.datasets import DATASETS
from parties.learning.extensions.registry import Kind
from parties.learning.model_files.choices import ModelFile
from parties.learning.models import MODELS
from parties.learning.own.choices import DataChoices
from parties.learning.selection import STRATEGIES

GIVEN = "given"
"""The strategy of a run that is no campaign."""


def _flag(unit: str, basic: bool = False) -> dict[str, Any]:
    """Return the marks of a key that is a flag, too, among the first in the help if it is basic."""
    return {"flag": True, "unit": unit, "basic": basic}


def _key(unit: str) -> dict[str, Any]:
    """Return the marks of a key that only a file has."""
    return {"flag": False, "unit": unit}


def _listed(value: Any) -> Any:
    """Return a list, which may be written `a,b` on the command line."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(","))
    return tuple(value) if isinstance(value, list) else value


def _listed_numbers(value: Any) -> Any:
    """Return a list of numbers from one number, a list of them, or `0,1,2` on the command line."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    words = _listed(value)
    if isinstance(value, str) and all(word.isdecimal() for word in words):
        return tuple(int(word) for word in words)
    return words


def _others(kind: Kind) -> str:
    """Return what a key takes beside what is built in, as the end of a sentence of the help."""
    installed = kind.names[len(kind.built_in) :]
    return "".join(f", {name}" for name in installed) + ", or a function as package.module:function"


def _strategy(name: str) -> str:
    return name if name == GIVEN else STRATEGIES.check(name)


class Participants(BaseModel):
    """Choices about who takes part."""

    n_parties: int = Field(
        1, ge=1, le=1000, description="answering parties (K)", json_schema_extra=_flag("parties", basic=True)
    )
    min_parties: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="answering parties that must vote; those that cannot be reached or are lost are left out by name; "
        "default n_parties, so that nobody may be missing",
        json_schema_extra=_flag("parties"),
    )
    qp_id: Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_listed_numbers)] = Field(
        (0,),
        min_length=1,
        description="which of the n_parties + 1 data owners ask, one after the other",
        json_schema_extra=_flag("indices, comma-separated"),
    )


class Asking(BaseModel):
    """Choices about what is asked."""

    dataset: Annotated[str, AfterValidator(DATASETS.check)] = Field(
        "digits",
        description="digits (8x8, built in), breast-cancer (30 measurements, built in), digit-traits (digits, with "
        f"three labels of which any number hold), mnist (28x28, from data_dir){_others(DATASETS)}",
        json_schema_extra=_flag("name", basic=True),
    )
    data: DataChoices | None = Field(
        None,
        description="own records in place of a dataset: their public preprocessing, and the files of each data owner",
        json_schema_extra=_key("keys and values"),
    )
    data_dir: Path | None = Field(
        None,
        description="folder with the MNIST files; default the environment variable CAPC_DATA_DIR",
        json_schema_extra=_flag("path"),
    )
    code_dir: Annotated[Path, PathInFile] | None = Field(
        None,
        description="folder with modules of your own, for functions that dataset, models, strategy or release name; "
        "default the installed packages alone",
        json_schema_extra=_key("path"),
    )
    num_classes: int = Field(
        10,
        ge=2,
        le=1000,
        description="classes, or labels where any number of them may hold; must match the dataset",
        json_schema_extra=_flag("classes"),
    )
    strategy: Annotated[str, AfterValidator(_strategy)] = Field(
        "given",
        description="what is asked: given test images, or a campaign: unlabelled records that the querying party's "
        "own model chooses, and a model trained again with the answers; the campaigns are "
        f"{', '.join(STRATEGIES.built_in)}{_others(STRATEGIES)}",
        json_schema_extra=_flag("name", basic=True),
    )
    unlabelled: int = Field(
        240,
        ge=1,
        description="records set aside from the training pool for a campaign to choose from",
        json_schema_extra=_flag("records"),
    )
    first_query: int = Field(
        0,
        ge=0,
        validation_alias=AliasChoices("first_query", "start_batch"),
        description="index of the first query in the test set",
        json_schema_extra=_flag("index"),
    )
    n_queries: int = Field(
        1, ge=1, description="queries of a querying party", json_schema_extra=_flag("queries", basic=True)
    )
    queries: Path | None = Field(
        None,
        description="the asking party's own records to ask about, in place of its `unlabelled` under `data:`; with or "
        "without labels",
        json_schema_extra=_flag("path"),
    )
    batch_size: int = Field(
        1,
        ge=1,
        le=4096,
        description="queries sent through the protocol at once",
        json_schema_extra=_flag("queries"),
    )
    pool: int = Field(
        1,
        ge=0,
        le=64,
        description="batches that each pair of querying and answering party prepares before they are asked about",
        json_schema_extra=_flag("batches"),
    )


class Privacy(BaseModel):
    """Choices about the privacy that a run gives."""

    dp_noise_scale: Decimal | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="standard deviation of the noise on each class's or label's count of votes; "
        "0 is no privacy; default n_parties / 6, about the most that a clear majority survives",
        json_schema_extra=_flag("votes", basic=True),
    )
    noise_by: Literal["guardian", "parties"] = Field(
        "guardian",
        description="who draws the noise: the privacy guardian, who knows it then, or every answering party a part",
        json_schema_extra=_flag("name"),
    )
    colluding: int = Field(
        0,
        ge=0,
        description="answering parties that may show their part of the noise; the others alone reach dp_noise_scale",
        json_schema_extra=_flag("parties"),
    )
    release: Annotated[str, AfterValidator(RELEASES.check)] | None = Field(
        None,
        description="rule by which votes become labels: argmax, confident-argmax (with a threshold) or majority (of "
        f"several labels){_others(RELEASES)}, which then says the noise and the threshold; default what follows from "
        "threshold and labels",
        json_schema_extra=_flag("name"),
    )
    threshold: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="votes that the likeliest class must have for a label (Confident-GNMax); 0 for always a label",
        json_schema_extra=_flag("votes"),
    )
    threshold_noise_scale: Decimal | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="standard deviation of the noise on the threshold; default dp_noise_scale",
        json_schema_extra=_flag("votes"),
    )
    credit_abstentions: bool = Field(
        False,
        description="only false, which charges the answer of every query: the guardian draws the threshold's noise, so "
        "that it may not be told how many queries got no label",
        json_schema_extra=_flag("yes or no"),
    )
    delta: Decimal = Field(
        Decimal("1e-5"),
        gt=0,
        lt=1,
        description="delta of the privacy guarantee",
        json_schema_extra=_flag("probability"),
    )
    epsilon_budget: float | None = Field(
        None,
        gt=0,
        description="epsilon that the querying party may spend on these records, over all runs; default no limit",
        json_schema_extra=_flag("epsilon", basic=True),
    )
    owner_epsilon_budget: float | None = Field(
        None,
        gt=0,
        description="epsilon that a data owner's records may lose in all, to everybody who asks, over all runs; "
        "every answering party keeps this account itself; default no limit",
        json_schema_extra=_flag("epsilon"),
    )

    queries_in_all: int | None = Field(
        None,
        ge=1,
        le=1 << 20,
        description="queries, over all runs and sessions, for which the weights of each answering party stay hidden; "
        "each counts what it prepares, and refuses more; default what one run needs, and 65536 in a federation",
        json_schema_extra=_flag("queries"),
    )


class Models(BaseModel):
    """Choices about how the parties' models come about."""

    models: Annotated[tuple[str | ModelFile, ...], BeforeValidator(_listed)] = Field(
        ("mlp",),
        min_length=1,
        description=f"architectures, of {', '.join(MODELS.built_in)}{_others(MODELS)}, or in a file also "
        "{file: net.onnx}, dealt to the answering parties in turn",
        json_schema_extra=_flag("names, comma-separated", basic=True),
    )
    trust_pickle: bool = Field(
        False,
        description="load models' files that can run code (.pt2, .joblib, .pkl), of which the owner is the maker",
        json_schema_extra=_flag("yes or no"),
    )
    split: Literal["stratified", "iid"] = Field(
        "stratified", description="how the data owners' parts are drawn", json_schema_extra=_flag("name")
    )
    missing_classes: int = Field(
        0,
        ge=0,
        description="classes, or combinations of labels, that a data owner has no record of; each owner lacks others",
        json_schema_extra=_flag("classes"),
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**63,
        description="seed of the experiment (data split, training), never of the protocol's randomness",
        json_schema_extra=_flag("seed"),
    )
    epochs: int = Field(
        20, ge=1, le=10_000, description="passes over a party's own data", json_schema_extra=_flag("epochs")
    )
    learning_rate: float = Field(0.005, gt=0, le=1, description="Adam's step size", json_schema_extra=_key("per step"))
    weight_decay: float = Field(
        0.2,
        ge=0,
        le=1,
        description="keeps weights, and so the ring, small",
        json_schema_extra=_key("per step"),
    )
    training_batch: int = Field(32, ge=1, description="records in a training step", json_schema_extra=_key("records"))


class Outputs(BaseModel):
    """Choices about what the asking party gets as files of its own."""

    labels_out: Path | None = Field(
        None,
        validation_alias=AliasChoices("labels_out", "out"),
        description="CSV file for the labels, of which only the asking party's user can read; with several asking "
        "parties `{party}` in it stands for each",
        json_schema_extra=_flag("path"),
    )
    model_out: Path | None = Field(
        None,
        description="file for the better model, .onnx or .npz, likewise; of a campaign",
        json_schema_extra=_flag("path"),
    )


class Cryptography(BaseModel):
    """Choices about the protocol."""

    fraction_bits: int = Field(
        13,
        ge=1,
        le=30,
        validation_alias=AliasChoices("fraction_bits", "round_exp"),
        description="fraction bits of the fixed-point numbers",
        json_schema_extra=_flag("bits"),
    )
    ring_bits: int = Field(
        41, ge=16, le=45, description="width of the ring that shares live in", json_schema_extra=_flag("bits")
    )
    weight_norm: int = Field(
        4,
        ge=1,
        le=65536,
        description="bound on the weights of every layer of every model, which all parties know: the norm of an "
        "output's weights, in the root mean square over a layer's outputs; a power of two",
        json_schema_extra=_flag("norm"),
    )
    weight_bits: int | None = Field(
        None,
        ge=1,
        le=44,
        description="fraction bits of weights, which all parties know; default fraction_bits, or more where a layer's "
        "shape lets expect small weights",
        json_schema_extra=_flag("bits"),
    )
    beyond_bounds: Literal["scale", "refuse"] = Field(
        "scale",
        description="what an answering party does with weights beyond weight_norm: scale the layer down by a power of "
        "two, which leaves labels alone but for rounding; or refuse to run, which everybody sees",
        json_schema_extra=_flag("name"),
    )
    preprocessing: Literal["he", "dealer"] = Field(
        "he",
        description="how the linear layers are prepared: he, under homomorphic encryption; or dealer, by the privacy "
        "guardian, which is faster, but with the querying party it could open models, with an answering party queries",
        json_schema_extra=_flag("name"),
    )
    garbling: Literal["half-gates", "three-halves"] = Field(
        "half-gates",
        description="how garbled gates are sent: half-gates; or three-halves, in a quarter fewer bytes for more "
        "computation, which pays on links of 2.5 Gbit/s and less",
        json_schema_extra=_flag("name"),
    )
    circuits: Literal["ahead", "streamed"] = Field(
        "ahead",
        description="when garbled circuits are sent: ahead, before the query, whose label then comes soonest; or "
        "streamed, with the query, in a fifth fewer bytes and with no memory for them",
        json_schema_extra=_flag("name"),
    )
    aggregation: Literal["paillier", "direct"] = Field(
        "paillier",
        description="how the answering parties' shares reach the privacy guardian",
        json_schema_extra=_flag("name"),
    )
    paillier_bits: int = Field(
        3072,
        ge=2048,
        le=8192,
        multiple_of=64,
        description="Paillier modulus",
        json_schema_extra=_flag("bits"),
    )


class Waiting(BaseModel):
    """Choices about how long to wait."""

    connect_deadline_s: float | None = Field(
        None,
        gt=0,
        description="how long a party waits for all its peers to train and appear; default 300 and 10 for each party",
        json_schema_extra=_key("seconds"),
    )
    message_deadline_s: float = Field(
        300, gt=0, description="how long a party waits for one message", json_schema_extra=_key("seconds")
    )
    quorum_wait_s: float = Field(
        30,
        gt=0,
        description="with min_parties, how long the guardian waits for those that are missing, after the last one that "
        "came, once enough are there",
        json_schema_extra=_key("seconds"),
    )
    run_deadline_s: float = Field(
        3600, gt=0, description="how long a run may last in all", json_schema_extra=_flag("seconds")
    )
    rejoin_s: float | None = Field(
        None,
        ge=0,
        description="how long a querying party tries again when it has lost a party that may come back; an interrupted "
        "batch is then asked again at no further charge; 0 is not at all; default 0, or with min_parties four times "
        "quorum_wait_s",
        json_schema_extra=_key("seconds"),
    )
