"""The configuration of a run, under `commons:` in the YAML file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mpc.commons.functions import noise_of
from parties.commons import clinics
from parties.commons.own import DataConfig
from parties.commons.questions import Question, Regression, Sum, check_questions

MOST_PARTIES = 64


def _flag(unit: str = "") -> dict[str, Any]:
    return {"flag": True, "unit": unit}


class CommonsConfig(BaseModel):
    """The keys under `commons:`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data: DataConfig | None = Field(
        None, description="providers' own files, see docs/commons.md; null for the measurements that come along"
    )
    questions: tuple[Question, ...] = Field((), description="what is asked of own files, each one aggregate")
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
    keys: dict[str, str] = Field({}, description="in a federation, the line of each member's public keys, by its name")
    reports: int | None = Field(
        None,
        ge=1,
        description="reports that the consumer waits for; null for all in a run. In a federation null is for the "
        "smallest batch, and then until no further ones come",
        json_schema_extra=_flag(),
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
            "clinics": tuple(self.data.files) if self.data else tuple(f"clinic-{at}" for at in range(self.clinics)),
        }

    @property
    def asked(self) -> tuple[Question, ...]:
        """The questions about own files that are asked. With noise there is no regression."""
        return tuple(one for one in self.questions if self.dp_noise_scale is None or not isinstance(one, Regression))

    @model_validator(mode="after")
    def _check_own_data(self) -> CommonsConfig:
        if self.data is None:
            if self.questions:
                raise ValueError("questions: expected files under data that they are about, found none")
            return self
        if not self.questions:
            raise ValueError("questions: expected at least one about the files under data, found none")
        if given := sorted(self.model_fields_set & {"clinics", "records_each", "seed"}):
            raise ValueError(
                f"{given[0]}: expected nothing beside data, found {getattr(self, given[0])}: it is about the "
                "measurements that come along"
            )
        if len(self.data.files) > MOST_PARTIES:
            raise ValueError(f"data: expected at most {MOST_PARTIES} files, found {len(self.data.files)}")
        if taken := {*self.names["trustees"], *self.names["aggregators"], "institute", "auditor"} & {*self.data.files}:
            raise ValueError(f"data: expected other names than {', '.join(sorted(taken))}, which other parties have")
        check_questions(self.questions)
        if self.dp_noise_scale is None:
            return self
        if not self.asked:
            raise ValueError("questions: expected a count or a sum where there is noise, found regressions alone")
        if dropping := next((one for one in self.asked if one.drops), None):
            raise ValueError(
                f"questions: expected no record to be dropped where there is noise, found drop for {dropping.called}: "
                "the number of reports is public, and would show which records were dropped; use refuse or clamp"
            )
        return self

    @model_validator(mode="after")
    def _check_noise(self) -> CommonsConfig:
        """Refuse a scale that no function's name can say, of a count or of a sum, which has it times its steps."""
        if (scale := self.dp_noise_scale) is None:
            return self
        sums = {one.about: one.steps for one in self.asked if isinstance(one, Sum)}
        for about, most in ({"a count": 1} | (sums if self.data else {"the sum of the radius": clinics.MOST})).items():
            written = clinics.noise(scale, most)
            if not noise_of(f"count{written}"):
                raise ValueError(
                    f"dp_noise_scale: expected one that times {most}, for {about}, has at most 10 digits before its "
                    f"point and 9 behind it, found {scale!r}, which makes {written.removeprefix(clinics.NOISE)}"
                )
        return self

    @model_validator(mode="after")
    def _check_groups(self) -> CommonsConfig:
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
        if self.data or self.records_each is None:  # then a plan says whether there are enough
            return self
        if self.clinics * self.records_each < self.smallest_batch:
            raise ValueError(
                f"smallest_batch: expected at most the {self.clinics * self.records_each} reports of all clinics, "
                f"found {self.smallest_batch}"
            )
        return self

    @model_validator(mode="after")
    def _check_parties(self) -> CommonsConfig:
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
        least = (len(self.asked) if self.data else 3) + (self.revoke is not None)
        if self.uses < least:
            raise ValueError(f"uses: expected at least {least}, one for each request of a report, found {self.uses}")
        return self
