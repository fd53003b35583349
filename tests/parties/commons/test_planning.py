"""What a person may ask for, what each party is told, and what is refused before anything starts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from mpc.commons.noise import epsilon_of
from parties.commons import clinics
from parties.commons.config import CommonsConfig
from parties.commons.protocol import PROTOCOL
from parties.commons.results import in_the_clear
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Run, RunFolders

ROOT = Path(__file__).resolve().parents[3]


def planned(folder: Path, **choices: Any) -> tuple[Plan, RunFolders]:
    folders = RunFolders(folder / "files", folder / "logs", "run")
    return PROTOCOL.plan(CommonsConfig(**choices), Run(folders, "0" * 32, 20000)), folders


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"trustees": 6, "faulty_trustees": 2}, "trustees: expected at least 3t \\+ 1, which is 7 where 2"),
        ({"aggregators": 4, "faulty_aggregators": 2}, "aggregators: expected at least 2t \\+ 1, which is 5 where 2"),
        ({"records_each": 10, "smallest_batch": 81}, "smallest_batch: expected at most the 80 reports .* found 81"),
        ({"faults": {"clinic-9": "lies"}}, "faults: expected parties among trustee-0, .* found clinic-9"),
        ({"faults": {"trustee-0": "silent"}}, "faults: expected other parties than trustee-0, the sequencer"),
        ({"faults": {"clinic-1": "silent"}}, "faults: expected clinic-1 to lie or crash, found silent"),
        ({"faults": {"clinic-1": "sleeps"}}, "Input should be 'lies', 'crashes' or 'silent'"),
        ({"revoke": "institute"}, "revoke: expected one of clinic-0, .* found institute"),
        ({"revoke": "clinic-1", "faults": {"clinic-1": "crashes"}}, "revoke: expected a clinic that is there"),
        ({"revoke": "clinic-1", "uses": 3}, "uses: expected at least 4"),
        ({"uses": 2}, "uses: expected at least 3"),
        ({"dp_noise_scale": 0.0}, "greater than 0"),
        ({"surprise": 1}, "Extra inputs"),
    ],
)
def test_a_configuration_that_cannot_run_is_one_sentence(choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        CommonsConfig(**choices)


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"clinics": 8, "records_each": 72}, "records_each: expected at most 71 for 8 clinics, found 72"),
        ({"aggregators": 64, "faulty_aggregators": 20}, "commons: .*expected at most 20000 sets"),
        ({"dp_noise_scale": 0.25}, "commons: .*noise"),
    ],
)
def test_what_only_the_plan_sees_is_refused_there(tmp_path: Path, choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        planned(tmp_path, **choices)


def test_each_party_finds_its_own_keys_and_measurements_and_no_other_ones(tmp_path: Path) -> None:
    plan, folders = planned(tmp_path, clinics=3, smallest_batch=10)
    held = {
        process.name: {path.name: path.read_bytes() for path in folders.party(process.name).iterdir()}
        for process in plan.processes
    }
    expected = {
        "trustee": {"identity.key"}, "aggregator": {"identity.key", "boxes.key"},
        "clinic": {"identity.key", "measurements.json"}, "institute": {"identity.key"}, "auditor": set(),
    }  # fmt: skip
    assert {name: set(files) for name, files in held.items()} == {
        name: expected[name.partition("-")[0]] for name in held
    }
    secrets = [data for files in held.values() for name, data in files.items() if name.endswith(".key")]
    assert len(set(secrets)) == len(secrets)
    told = "".join(process.settings.model_dump_json() for process in plan.processes)
    assert not [data for data in secrets if data.hex() in told]
    rows = [row for name in ("clinic-0", "clinic-1", "clinic-2") for row in json.loads(held[name]["measurements.json"])]
    assert [len(row) for row in rows] == [3] * 60
    assert held["clinic-0"]["measurements.json"] != held["clinic-1"]["measurements.json"]


def test_the_plan_says_of_whom_so_many_may_be_lost_and_never_the_sequencer(tmp_path: Path) -> None:
    plan, _ = planned(tmp_path, trustees=7, faulty_trustees=2, revoke="clinic-2")
    groups = {tolerance.group: tolerance.losses for tolerance in plan.tolerates}
    assert groups == {
        tuple(f"trustee-{place}" for place in range(1, 7)): 2,
        tuple(f"aggregator-{place}" for place in range(4)): 1,
        tuple(f"clinic-{place}" for place in range(8) if place != 2): 3,  # 160 reports, 100 are enough
    }
    assert plan.reporters == ("institute", "auditor")
    assert [process.listens for process in plan.processes if process.serves] == list(range(20000, 20011))


def test_without_spare_reports_no_clinic_may_be_lost(tmp_path: Path) -> None:
    plan, _ = planned(tmp_path, smallest_batch=160)
    assert not [tolerance for tolerance in plan.tolerates if "clinic-0" in tolerance.group]


def test_noise_costs_what_the_plan_says_and_leaves_the_regression_out(tmp_path: Path) -> None:
    plan, folders = planned(tmp_path, dp_noise_scale=5.0)
    asked = next(process.settings for process in plan.processes if process.name == "institute")
    assert asked.model_dump()["functions"] == ("radius.histogram/10/noise-5", "radius.sum/511/noise-2555")
    assert any(note.startswith("epsilon 1.53 at delta 1e-06 for the mean radius in buckets") for note in plan.notes)
    (allowed,) = (note for note in plan.notes if "agreed on allow 4 results of a record" in note)
    found = re.search(r"at most epsilon ([0-9.]+) at delta 1e-06", allowed)
    assert found
    assert any("for each record, which is one report, and not for each person" in note for note in plan.notes)
    (task,) = next(one.settings for one in plan.processes if one.name == "trustee-0").founding.tasks  # type: ignore[attr-defined]
    functions = asked.model_dump()["functions"]
    assert float(found[1]) == pytest.approx(
        max(epsilon_of(task, name, 1e-6, results=4) for name in functions), rel=1e-2
    )
    rows = json.loads((folders.party("clinic-0") / "measurements.json").read_text())
    assert set(rows[0]) == {clinics.HISTOGRAM, clinics.SUM}


def test_the_configuration_that_comes_along_has_every_key_with_its_default() -> None:
    text = yaml.safe_load((ROOT / "configs" / "commons.yaml").read_text())
    assert text["protocol"] == "commons"
    assert set(text["commons"]) == set(CommonsConfig.model_fields)
    assert CommonsConfig(**text["commons"]) == CommonsConfig()


def test_the_clinics_numbers_fit_their_functions() -> None:
    rows = [row for clinic in clinics.measurements(8, None, 0) for row in clinic]
    assert len(rows) == 568
    assert {len(row[clinics.REGRESSION]) for row in rows} == {3}
    assert all(0 <= one <= clinics.MOST for row in rows for one in row[clinics.REGRESSION])
    assert all(0 <= row[clinics.HISTOGRAM] < clinics.BUCKETS for row in rows)
    assert clinics.bucket_names()[0] == "5 to 7.5"
    assert (clinics.bucket(74), clinics.bucket(75), clinics.bucket(10), clinics.bucket(511)) == (0, 1, 0, 9)


def test_least_squares_in_the_clear_is_numpys() -> None:
    import numpy as np

    rows = [row for clinic in clinics.measurements(8, 20, 0) for row in clinic]
    table = np.array([row[clinics.REGRESSION] for row in rows], float)
    design = np.column_stack([table[:, :2], np.ones(len(table))])
    wanted = np.linalg.lstsq(design, table[:, 2], rcond=None)[0]
    found = in_the_clear(clinics.REGRESSION, rows)
    assert [*found["coefficients"], found["intercept"]] == pytest.approx(list(wanted))
    alike = [{clinics.REGRESSION: [3, 4, 5]}] * 4
    assert "do not depend on each other" in in_the_clear(clinics.REGRESSION, alike)["unsolvable"]
