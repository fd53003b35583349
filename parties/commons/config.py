"""The configuration of a run, under `commons:` in the YAML file."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_PARTIES = 64


def _flag(unit: str = "") -> dict[str, Any]:
    return {"flag": True, "unit": unit}


class CommonsConfig(BaseModel):
    """The keys under `commons:`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    clinics: int = Field(
        8, ge=1, le=MOST_PARTIES, description="data providers, each with measurements", json_schema_extra=_flag()
    )
    records_each: int | None = Field(
        20, ge=1, description="records of each clinic; null for all there are", json_schema_extra=_flag()
    )
    trustees: int = Field(
        4, ge=4, le=MOST_PARTIES, description="trustees, who keep the log and the key", json_schema_extra=_flag()
    )
    faulty_trustees: int = Field(
        1, ge=1, description="how many of them may be faulty, at most a third", json_schema_extra=_flag()
    )
    aggregators: int = Field(4, ge=3, le=MOST_PARTIES, description="aggregators", json_schema_extra=_flag())
    faulty_aggregators: int = Field(
        1,
        ge=1,
        description="how many of them may be faulty: as many lies as are below a third are corrected, and with fewer "
        "aggregators a lie is refused",
        json_schema_extra=_flag(),
    )
    smallest_batch: int = Field(
        100, ge=1, description="an aggregate of fewer reports is refused", json_schema_extra=_flag("reports")
    )
    uses: int = Field(4, ge=1, description="how many aggregates a report may enter", json_schema_extra=_flag())
    dp_noise_scale: float | None = Field(
        None,
        gt=0,
        description="scale of discrete Gaussian noise in the counts of the histogram, dealt by parts by the "
        "aggregators; the sum's is as many times larger as a measurement can move it; null for none",
        json_schema_extra=_flag(),
    )
    dp_delta: float = Field(
        1e-6, gt=0, lt=1, description="the delta at which epsilon is stated", json_schema_extra=_flag()
    )
    revoke: str | None = Field(
        None,
        description="the clinic that revokes its policy once the results are there, before the consumer asks again",
        json_schema_extra=_flag("name"),
    )
    faults: dict[str, Literal["lies", "crashes", "silent"]] = Field(
        {}, description="what a party does in place of its part in the first grant, by the party's name"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="of the split among the clinics", json_schema_extra=_flag())
    key_patience_s: float = Field(
        10.0, gt=0, description="how long a phase of making the key may last", json_schema_extra=_flag("seconds")
    )
    reports_within_s: float = Field(
        60.0, gt=0, description="how long the consumer waits for all reports", json_schema_extra=_flag("seconds")
    )
    words_patience_s: float = Field(
        15.0, gt=0, description="how long trustees wait for all aggregators", json_schema_extra=_flag("seconds")
    )
    sums_patience_s: float = Field(
        2.0, gt=0, description="how long to wait for more answers than suffice", json_schema_extra=_flag("seconds")
    )
    log_deadline_s: float = Field(
        120.0, gt=0, description="how long the log may stand still", json_schema_extra=_flag("seconds")
    )
    connect_deadline_s: float = Field(60.0, gt=0, description="how long a party may take to appear")
    message_deadline_s: float = Field(120.0, gt=0, description="how long one message may take")
    run_deadline_s: float = Field(1200.0, gt=0, description="how long the run may take in all")

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The parties' names, by group."""
        return {
            "trustees": tuple(f"trustee-{place}" for place in range(self.trustees)),
            "aggregators": tuple(f"aggregator-{place}" for place in range(self.aggregators)),
            "clinics": tuple(f"clinic-{place}" for place in range(self.clinics)),
        }

    @model_validator(mode="after")
    def _check_groups(self) -> Self:
        least = 3 * self.faulty_trustees + 1
        if self.trustees < least:
            raise ValueError(
                f"trustees: expected at least 3t + 1, which is {least} where {self.faulty_trustees} may be faulty, "
                f"found {self.trustees}"
            )
        least = 2 * self.faulty_aggregators + 1
        if self.aggregators < least:
            raise ValueError(
                f"aggregators: expected at least 2t + 1, which is {least} where {self.faulty_aggregators} may be "
                f"faulty, found {self.aggregators}"
            )
        if self.records_each is not None and self.clinics * self.records_each < self.smallest_batch:
            raise ValueError(
                f"smallest_batch: expected at most the {self.clinics * self.records_each} reports of all clinics, "
                f"found {self.smallest_batch}"
            )
        return self

    @model_validator(mode="after")
    def _check_parties(self) -> Self:
        names = self.names
        if self.revoke is not None and self.revoke not in names["clinics"]:
            raise ValueError(f"revoke: expected one of {', '.join(names['clinics'])}, found {self.revoke}")
        known = [*names["trustees"], *names["aggregators"], *names["clinics"]]
        for name, kind in self.faults.items():
            if name not in known:
                raise ValueError(f"faults: expected parties among {', '.join(known)}, found {name}")
            if name == names["trustees"][0]:
                raise ValueError(f"faults: expected other parties than {name}, the sequencer, whom nobody replaces")
            if name in names["clinics"] and kind == "silent":
                raise ValueError(f"faults: expected {name} to lie or crash, found silent")
            if name == self.revoke and kind == "crashes":
                raise ValueError(f"revoke: expected a clinic that is there, found {name}, which crashes")
        least = 3 if self.revoke is None else 4
        if self.uses < least:
            raise ValueError(f"uses: expected at least {least}, one for each request of a report, found {self.uses}")
        return self
