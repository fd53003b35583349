"""The configuration of a run, under `tensors:` in the YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from parties.frame.plan import PathInFile
from parties.tensors.serving.config import ServingConfig
from parties.tensors.settings import Argument

EXACTLY = {"replicated": 3, "two_party": 2}
"""How many computing parties the back-ends without a provider have."""


def _flag(unit: str = "") -> dict[str, Any]:
    return {"flag": True, "unit": unit}


class TensorsConfig(BaseModel):
    """The keys under `tensors:`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    program: str = Field(
        "logistic",
        description="the program that all parties run, one that is built in or a file of Python",
        json_schema_extra=_flag(),
    )
    computing: tuple[str, ...] = Field(
        ("hospital", "laboratory"), description="the computing parties, which hold a share of every value"
    )
    provider: str | None = Field(
        None,
        description="the party that provides correlations, and must collude with nobody; default: provider with the "
        "back-end dealer, and none with the back-ends replicated and two_party, which have no such party",
    )
    outside: tuple[str, ...] = Field((), description="parties that give inputs or take outputs, and do not compute")
    backend: Literal["dealer", "replicated", "two_party"] = Field(
        "dealer",
        description="what computes on shares: dealer for 2 parties or more and a provider, replicated for 3 parties "
        "of whom no two collude, two_party for 2 parties who trust nobody",
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
        return (self.provider or "provider") if self.backend == "dealer" else None

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        served = self.serving.names if self.serving else ()
        names = [*self.computing, *([self.dealing] if self.dealing else []), *self.outside, *served]
        if len(self.computing) < 2:
            raise ValueError(f"computing: expected at least 2 parties, found {len(self.computing)}")
        if (exactly := EXACTLY.get(self.backend)) and len(self.computing) != exactly:
            raise ValueError(
                f"computing: expected exactly {exactly} parties for the back-end {self.backend}, found "
                f"{len(self.computing)}"
            )
        if self.backend in EXACTLY and self.provider is not None:
            raise ValueError(
                f"provider: expected none for the back-end {self.backend}, found {self.provider}: leave it out"
            )
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
        return self
