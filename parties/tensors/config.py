"""The configuration of a run, under `tensors:` in the YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from mpc.errors import ParameterError
from mpc.tensors.backends.kinds import KINDS, check_parties
from parties.frame.plan import PathInFile, folder_of_file
from parties.tensors.serving.config import ServingConfig
from parties.tensors.settings import Argument


def _flag(unit: str = "") -> dict[str, Any]:
    return {"flag": True, "unit": unit}


def _program(program: str, info: ValidationInfo) -> str:
    """Return a built-in program's name, or the path of a file, which is relative to the configuration's file."""
    folder = folder_of_file(info)
    return program if folder is None or Path(program).suffix != ".py" else str(folder / program)


class TensorsConfig(BaseModel):
    """The keys under `tensors:`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    program: Annotated[str, AfterValidator(_program)] = Field(
        "logistic",
        description="the program that all parties run, one that is built in or a file of Python",
        json_schema_extra=_flag(),
    )
    computing: tuple[str, ...] = Field(
        ("hospital", "laboratory"), description="the computing parties, which hold a share of every value"
    )
    provider: str | None = Field(
        None,
        description="the party that provides correlations, and must collude with nobody; default: provider where the "
        "back-end needs one",
    )
    outside: tuple[str, ...] = Field((), description="parties that give inputs or take outputs, and do not compute")
    backend: Literal["dealer", "dealer_mac", "replicated", "replicated_mac", "two_party"] = Field(
        "dealer",
        description="what computes on shares: " + "; ".join(f"{name} for {kind.about}" for name, kind in KINDS.items()),
        json_schema_extra=_flag(),
    )
    ring_bits: int = Field(
        64, ge=16, le=64, multiple_of=8, description="bits of the ring", json_schema_extra=_flag("bits")
    )
    fraction_bits: int = Field(
        16, ge=4, le=28, description="fraction bits of fixed-point numbers", json_schema_extra=_flag("bits")
    )
    rounding: Literal["stochastic", "floor", "nearest"] = Field(
        "stochastic", description="of products; stochastic is unbiased, which training needs", json_schema_extra=_flag()
    )
    reveal: dict[str, tuple[str, ...]] | None = Field(
        None, description="which output may be revealed to whom; default: what the built-in program says"
    )
    reveal_times: dict[str, Annotated[int, Field(ge=1)]] = Field(
        {}, description="how often an output may be revealed, where that is more than once"
    )
    reveal_noise: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {}, description="the least standard deviation of the noise that each computing party adds to an output"
    )
    sessions: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="how many sessions members of a federation may open in all, which each of them counts; default: "
        "any number",
        json_schema_extra=_flag(),
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**63,
        description="seed of public random numbers, such as initial weights",
        json_schema_extra=_flag(),
    )
    arguments: dict[str, Argument] = Field({}, description="public numbers and words for the program")
    files: dict[str, dict[str, Annotated[Path, PathInFile]]] = Field(
        {}, description="each party's own files, by the names that the program has for them"
    )
    outputs: dict[str, Annotated[Path, PathInFile]] = Field(
        {}, description="the file (.npz) that a party's own outputs go to"
    )
    serving: ServingConfig | None = Field(
        None, description="serve the model that `program` names, in place of running a program once"
    )
    plan_deadline_s: float = Field(
        60.0,
        gt=0,
        description="how long following the program before the run, or trying out a served model, may take",
        json_schema_extra=_flag("seconds"),
    )
    connect_deadline_s: float = Field(
        60.0, gt=0, description="how long all parties may take to appear", json_schema_extra=_flag("seconds")
    )
    message_deadline_s: float = Field(
        120.0, gt=0, description="how long one message may take", json_schema_extra=_flag("seconds")
    )
    run_deadline_s: float = Field(
        3600.0, gt=0, description="how long a run may last in all", json_schema_extra=_flag("seconds")
    )

    @property
    def dealing(self) -> str | None:
        """The name of the provider of correlations, or None for a back-end that has none."""
        return (self.provider or "provider") if KINDS[self.backend].dealt else None

    @model_validator(mode="after")
    def _check_names(self) -> TensorsConfig:
        served = self.serving.names if self.serving else ()
        names = [*self.computing, *([self.dealing] if self.dealing else []), *self.outside, *served]
        try:
            check_parties(self.backend, self.computing, self.provider or self.dealing)
        except ParameterError as error:
            raise ValueError(f"computing, provider: {error}") from error
        if KINDS[self.backend].proven and self.ring_bits != 64:
            raise ValueError(f"ring_bits: expected 64 for the back-end {self.backend}, found {self.ring_bits}")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"expected each party in one role, found {', '.join(twice)} in two; a provider that computes would see"
                " every value"
            )
        known = {*self.computing, *self.outside, *served}
        for key in ("files", "outputs"):
            if unknown := sorted(getattr(self, key).keys() - known):
                raise ValueError(
                    f"{key}: expected parties among {', '.join(sorted(known))}, found {', '.join(unknown)}"
                )
        for output, receivers in (self.reveal or {}).items():
            if unknown := sorted(set(receivers) - known):
                allowed = ", ".join(sorted(known))
                raise ValueError(f"reveal: expected parties among {allowed} for {output}, found {', '.join(unknown)}")
        if self.reveal is not None and (unknown := sorted(self.reveal_times.keys() - self.reveal.keys())):
            raise ValueError(f"reveal_times: expected outputs that `reveal` names, found {', '.join(unknown)}")
        if self.reveal is not None and (unknown := sorted(self.reveal_noise.keys() - self.reveal.keys())):
            raise ValueError(f"reveal_noise: expected outputs that `reveal` names, found {', '.join(unknown)}")
        return self
