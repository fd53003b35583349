"""Users' own files and questions: what is reported, what is refused without being shown, and the names in the log."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mpc.commons.functions import circuit_of, without_noise
from parties.commons import converting, measured
from parties.commons.config import CommonsConfig
from parties.commons.protocol import PROTOCOL
from parties.commons.questions import Sum, check_questions
from parties.commons.report import summary
from parties.commons.results import in_the_clear
from parties.commons.units import in_units, in_words
from parties.frame.errors import ConfigError
from parties.frame.plan import FOLDER, Run, RunFolders

AGE = {"kind": "histogram", "column": "age", "unit": "years", "edges": [0, 18, 40, 65, 120]}
STAY = {"kind": "mean", "column": "stay", "unit": "days", "least": 0, "most": 60, "step": 0.5}
BACK = {"kind": "count", "column": "back", "value": "yes", "among": ["yes", "no"]}
WARD = {"kind": "histogram", "column": "ward", "categories": ["surgery", "medicine"]}
LINE = {
    "kind": "regression",
    "target": {"column": "stay", "unit": "days", "least": 0, "most": 60, "step": 0.5},
    "from": [
        {"column": "age", "least": 0, "most": 120, "step": 1},
        {"column": "dose", "least": -2, "most": 2, "step": 0.01},
    ],
}  # fmt: skip
ALL = [AGE, STAY, BACK, WARD, LINE]
HEADER = "age,stay,back,ward,dose\n"
GOOD = "70,12.5,yes,surgery,0.25\n17,0.0,no,medicine,-1.5\n18,60,no,surgery,2\n120,3.5,no,medicine,0\n"


def config(folder: Path, questions: list[dict[str, Any]], files: Any = "*.csv", **more: Any) -> CommonsConfig:
    choices = {"data": {"files": files}, "questions": questions, "smallest_batch": 1, "uses": len(questions) + 1} | more
    return CommonsConfig.model_validate_json(json.dumps(choices), strict=True, context={FOLDER: folder})


def read(folder: Path, questions: list[dict[str, Any]], text: str) -> measured.Measured:
    (folder / "a.csv").write_text(HEADER + text)
    return measured.measurements_of(config(folder, questions), "a")


def test_every_question_becomes_the_number_that_was_agreed(tmp_path: Path) -> None:
    found = read(tmp_path, ALL, GOOD)
    names = [one.function for one in config(tmp_path, ALL).asked]
    assert names == [
        "age-in-years_in_0_18_40_65_120.histogram/4",
        "stay-in-days_0_to_60_by_0.5.sum/120",
        "back_is_yes_of_yes_no.count",
        "ward_in_surgery_medicine.histogram/2",
        "stay-in-days_0_to_60_by_0.5_from_age_0_to_120_by_1_dose_-2_to_2_by_0.01.regression/2/9",
    ]
    assert [[row[name] for name in names] for row in found.rows] == [
        [3, 25, 1, 0, [70, 225, 25]], [0, 0, 0, 1, [17, 50, 0]], [1, 120, 0, 0, [18, 400, 120]],
        [3, 7, 0, 1, [120, 200, 7]],
    ]  # fmt: skip
    assert found.notes == ()
    for name in names:
        assert without_noise(name) == name
        assert circuit_of(name)


@pytest.mark.parametrize(
    ("rows", "place", "secret"),
    [
        (GOOD + "121.25,1,no,surgery,0\n", "row 5, column 'age': expected a number from 0 to 120 years", "121"),
        (GOOD + "-0.75,1,no,surgery,0\n", "row 5, column 'age': expected a number from 0 to 120 years", "0.75"),
        ("1,61.75,no,surgery,0\n" + GOOD, "row 1, column 'stay': expected a number from 0 to 60 in steps of 0.5", "61"),
        (GOOD + "1,37x,no,surgery,0\n", "row 5, column 'stay': expected a number from 0 to 60", "37"),
        (GOOD + '1,"31,5",no,surgery,0\n', "row 5, column 'stay': expected a number from 0 to 60", "31"),
        (GOOD + "1,1e999,no,surgery,0\n", "row 5, column 'stay': expected a number from 0 to 60", "1e999"),
        (GOOD + "1,inf,no,surgery,0\n", "row 5, column 'stay': expected a number from 0 to 60", "inf,"),
        (GOOD + "1,,no,surgery,0\n", "row 5, column 'stay': .* in 1 of 5 rows: say under `missing`", "nan"),
        (GOOD + "1,NaN,no,surgery,0\n", "row 5, column 'stay': .* found no value in 1 of 5 rows", "NaN"),
        (GOOD + "1,1,maybe,surgery,0\n", "row 5, column 'back': expected one of yes, no", "maybe"),
        (GOOD + "1,1,no,oncology,0\n", "row 5, column 'ward': expected one of surgery, medicine", "oncology"),
        (GOOD + "1,1,no,surgery,2.75\n", "row 5, column 'dose': expected a number from -2 to 2 in steps of", "2.75"),
    ],
)  # fmt: skip
def test_what_was_not_agreed_is_refused_by_its_place_and_never_shown(
    tmp_path: Path, rows: str, place: str, secret: str
) -> None:
    with pytest.raises(ConfigError, match=place) as refused:
        read(tmp_path, ALL, rows)
    assert secret not in str(refused.value).replace(str(tmp_path), "")
    assert refused.value.__cause__ is None


def test_values_outside_go_to_the_bound_or_are_dropped_as_agreed_and_are_counted(tmp_path: Path) -> None:
    clamped = [AGE | {"outside": "clamp"}, STAY | {"outside": "clamp"}]
    found = read(tmp_path, clamped, "-3,61,x,x,0\n500,-1,x,x,0\n30,1.2,x,x,0\n")
    assert [list(row.values()) for row in found.rows] == [[0, 120], [3, 0], [1, 2]]
    assert found.notes == (
        "a: 2 of 3 values of age beyond 0 to 120 are moved to the nearer bound",
        "a: 2 of 3 values of stay beyond 0 to 60 are moved to the nearer bound",
        "a: 1 of 3 values of stay go to the nearest step of 0.5",
    )
    noisy = measured.measurements_of(config(tmp_path, clamped, dp_noise_scale=5.0), "a")
    assert noisy.notes == (*found.notes, "a: these counts have no noise, so they are for this provider alone")
    (function,) = (one.function for one in config(tmp_path, [AGE | {"outside": "clamp"}]).asked)
    assert function == "age-in-years_in_0_18_40_65_120_outside-clamp.histogram/4"
    dropped = [AGE | {"outside": "drop"}, STAY | {"missing": "drop"}, WARD | {"outside": "drop", "missing": "drop"}]
    found = read(
        tmp_path, dropped, "500,1,x,surgery,0\n30,,x,surgery,0\n30,2,x,,0\n30,2,x,cellar,0\n30,2,x,medicine,0\n"
    )
    assert [list(row.values()) for row in found.rows] == [[1, 4, 1]]
    assert found.notes == (
        "a: 1 of 5 values of age beyond 0 to 120 are dropped with their records",
        "a: 1 of 5 cells of stay hold no value, and their records are dropped",
        "a: 1 of 5 cells of ward hold no value, and their records are dropped",
        "a: 1 of 5 values of ward beside surgery, medicine are dropped with their records",
        "a: 4 of 5 records are in no report, as a question drops them",
    )
    with pytest.raises(ConfigError, match="expected a record that no question drops, found none among 1"):
        read(tmp_path, dropped, "500,1,x,surgery,0\n")


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (
            "71,12.4,yes,oncology,Mary",
            "expected a column 'stay' for a question, found none among 5 columns: does the f",
        ),
        ("Mary,oncology,yes,ages,Stays", "found none among 5 columns: does the first line name the columns"),
        ("Mary,oncology,yes,yes,71", "expected columns of different names, found the same for columns 3 and 4: does"),
        ("Mary,Mary,71,yes,71", "expected columns of different names, found the same for columns 1 and 2: does"),
    ],
)
def test_a_file_without_a_header_is_refused_and_its_first_record_not_shown(
    tmp_path: Path, first: str, words: str
) -> None:
    (tmp_path / "a.csv").write_text(f"{first}\n70,12.5,yes,surgery,0.25\n")
    with pytest.raises(ConfigError, match=words) as refused:
        measured.measurements_of(config(tmp_path, [STAY]), "a")
    said = str(refused.value).replace(str(tmp_path), "")
    assert not [cell for cell in first.split(",") if cell in said]


def test_a_quote_that_hides_records_is_refused_and_cells_of_several_lines_are_noted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.csv, row 2: expected a delimiter behind a cell in quotes") as refused:
        read(tmp_path, [STAY], '1,2,no,surgery,0\n2,3,no,"surgery,0\n3,4,no,medicine,0\n4,5,no,"surgery,0\n')
    assert "surgery" not in str(refused.value)
    found = read(tmp_path, [STAY], '1,2,no,"a\nb",0\n2,3,no,c,0\n')
    assert len(found.rows) == 2
    assert found.notes == ("a: 1 of 2 rows go over several lines, as quotes say: a stray quote would hide rows so",)
    found = read(tmp_path, [STAY], "1,2,no,a,0\n\n2,3,no,c,0\n")
    assert found.notes == ("a: 1 empty line between rows, the first in line 3, is skipped: is a row missing there?",)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.decimals(-7, 7, places=3).map(float), min_size=1, max_size=30),
    st.sampled_from([(-7.0, 7.0, 0.1), (-7.0, 7.0, 0.007), (-10.0, 10.0, 2.5), (-7.5, 7.5, 1.0)]),
)
def test_steps_and_buckets_are_those_of_numpy(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], scale: tuple[float, float, float]
) -> None:
    least, most, step = scale
    folder = tmp_path_factory.mktemp("own")
    questions = [
        {"kind": "sum", "column": "x", "least": least, "most": most, "step": step},
        {"kind": "histogram", "column": "x", "edges": [least, -1.5, 0, 0.3, most]},
    ]
    np.savez(folder / "a.npz", x=np.array(values))
    its = config(folder, questions, "*.npz")
    rows = measured.measurements_of(its, "a").rows
    total, buckets = (in_the_clear(one.function, rows) for one in its.asked)
    assert buckets["counts"] == np.histogram(values, [least, -1.5, 0, 0.3, most])[0].tolist()
    found = in_units(its.asked[0], total, len(rows))
    assert found["sum"] == pytest.approx(sum(values), abs=len(values) * step / 2 + 1e-9)
    assert found["mean"] == pytest.approx(np.mean(values), abs=step / 2 + 1e-9)
    assert found["rounded_by_at_most"] == pytest.approx(step / 2)


def test_half_a_step_goes_up_however_floats_are_rounded(tmp_path: Path) -> None:
    question = {"kind": "sum", "column": "x", "least": 0, "most": 1, "step": 0.1}
    np.savez(tmp_path / "a.npz", x=np.array([0.05, 0.15, 0.25, 0.35, 0.45, 0.549, 0.55, 0.95, 1.0, 0.3]))
    its = config(tmp_path, [question], "*.npz")
    assert [row[its.asked[0].function] for row in measured.measurements_of(its, "a").rows] == [
        1, 2, 3, 4, 5, 5, 6, 10, 10, 3
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@pytest.mark.parametrize("form", ["npz", "parquet", "parquet with gaps"])
def test_a_short_float_is_the_number_that_it_is_written_as(tmp_path: Path, kind: str, form: str) -> None:
    questions = [
        {"kind": "histogram", "column": "x", "edges": [4, 5.7, 6.5, 14.1], "missing": "drop"},
        {"kind": "sum", "column": "x", "least": 4.1, "most": 14.1, "step": 0.1, "missing": "drop"},
    ]
    values = np.array([5.7, 6.5, 14.1, 4.1, 5.6], kind)
    if form == "npz":
        np.savez(tmp_path / "a.npz", x=values)
    else:
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        gaps = [None] if form == "parquet with gaps" else []
        parquet.write_table(
            arrow.table({"x": arrow.array([*values, *gaps], arrow.from_numpy_dtype(kind))}), tmp_path / "a.parquet"
        )
    its = config(tmp_path, questions, "a.*")
    found = measured.measurements_of(its, "a")
    assert [list(row.values()) for row in found.rows] == [[1, 16], [2, 24], [2, 100], [0, 0], [0, 15]]
    assert not [note for note in found.notes if "nearest step" in note]


def test_empty_lines_of_one_column_are_records_without_a_value(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("age\n17\n\n70\n")
    with pytest.raises(ConfigError, match=r"row 2, column 'age': .*found no value in 1 of 3 rows"):
        measured.measurements_of(config(tmp_path, [AGE]), "a")
    assert len(measured.measurements_of(config(tmp_path, [AGE | {"missing": "drop"}]), "a").rows) == 2


@pytest.mark.parametrize(("name", "wrong"), [("_whole", lambda number: 1), ("bisect_right", lambda edges, number: 1)])
def test_a_conversion_that_another_way_does_not_confirm_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, wrong: Any
) -> None:
    monkeypatch.setattr(converting, name, wrong)
    with pytest.raises(
        ConfigError, match=r"row 1, column '(age|stay)': expected (edges|steps of 0\.5) that floats resolve"
    ):
        read(tmp_path, [AGE, STAY], GOOD)


def test_a_category_that_is_not_the_cells_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting.cells, "places_among", lambda table, column, values: np.zeros(table.rows, int))
    with pytest.raises(ConfigError, match="row 2, column 'ward': expected values that are told apart"):
        read(tmp_path, [WARD], GOOD)


def test_parquet_with_booleans_and_csv_say_the_same(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    questions = [{"kind": "count", "column": "x"}, {"kind": "sum", "column": "y", "least": 0, "most": 9, "step": 1}]
    (tmp_path / "a.csv").write_text("x,y\ntrue,3\nFALSE,4\n")
    parquet.write_table(arrow.table({"x": [True, False], "y": [3, 4]}), tmp_path / "b.parquet")
    its = config(tmp_path, questions, {"a": "a.csv", "b": "b.parquet"})
    assert measured.measurements_of(its, "a").rows == measured.measurements_of(its, "b").rows
    assert [list(row.values()) for row in measured.measurements_of(its, "b").rows] == [[1, 3], [0, 4]]


def test_one_providers_file_is_read_without_those_of_others(tmp_path: Path) -> None:
    (tmp_path / "here.csv").write_text(HEADER + GOOD)
    its = config(tmp_path, [AGE], {"elsewhere": "nowhere.csv", "here": "here.csv"})
    assert len(measured.measurements_of(its, "here").rows) == 4
    with pytest.raises(ConfigError, match=r"nowhere.csv: expected a file, found nothing"):
        measured.measurements_of(its, "elsewhere")
    assert len(measured.measurements_of(its, "elsewhere", tmp_path / "here.csv").rows) == 4


def test_a_regression_is_that_of_numpy_in_the_units_of_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    age, dose = rng.integers(0, 121, 50), rng.integers(-200, 201, 50) / 100
    stay = np.round(np.clip(0.2 * age + 3 * dose + 10 + rng.normal(0, 1, 50), 0, 60) * 2) / 2
    text = "".join(f"{a},{s},no,surgery,{d}\n" for a, s, d in zip(age, stay, dose, strict=True))
    rows = read(tmp_path, [LINE], text).rows
    (question,) = config(tmp_path, [LINE]).asked
    found = in_units(question, in_the_clear(question.function, rows), len(rows))
    wanted = np.linalg.lstsq(np.column_stack([age, dose, np.ones(50)]), stay, rcond=None)[0]
    assert [*found["coefficients"].values(), found["intercept"]] == pytest.approx(list(wanted))
    assert list(found["coefficients"]) == ["age", "dose"]
    assert in_words(question, found) == f"{wanted[0]:.6g} age {wanted[1]:+.6g} dose {wanted[2]:+.6g}"
    assert in_units(question, {"unsolvable": "no single one"}, 3) == {"unsolvable": "no single one"}


def test_a_name_that_cannot_say_all_holds_a_digest_of_it(tmp_path: Path) -> None:
    group = {"kind": "count", "column": "blood group", "value": "A+", "among": ["A+", "A-"]}
    long = {"kind": "histogram", "column": "age", "edges": [one / 8 for one in range(60)]}
    alike = {"kind": "histogram", "column": "x", "categories": ["a b", "a_b"]}
    for question, start in ((group, "blood-group_sha256-"), (long, "age_sha256-"), (alike, "x_sha256-")):
        (asked,) = config(tmp_path, [question], {"a": "a.csv"}).asked
        assert asked.function.startswith(start)
        digest = asked.function.removeprefix(start).partition(".")[0]
        assert digest == hashlib.sha256(asked.agreed().encode()).hexdigest()
        assert len(f"{asked.function}/noise-1234567890.123456789") <= 128
        other = json.loads(asked.agreed()) | {"missing": "drop"}
        assert config(tmp_path, [other], {"a": "a.csv"}).asked[0].function != asked.function


@pytest.mark.parametrize(
    ("questions", "more", "sentence"),
    [
        ([], {}, "questions: expected at least one about the files under data"),
        ([AGE], {"data": None}, "questions: expected files under data"),
        ([AGE], {"clinics": 3}, "clinics: expected nothing beside data, found 3"),
        ([AGE], {"data": {"files": {"institute": "a.csv"}}}, "data: expected other names than institute"),
        ([AGE], {"data": {"files": {"A b": "a.csv"}}}, "expected providers' names of a-z, 0-9 and '-', found 'A b'"),
        ([AGE], {"data": {"files": "*.none"}}, "expected files that fit \\*.none, found none in"),
        ([AGE], {"data": {"files": {}}}, "files: expected providers with the path of a file for each"),
        ([AGE, AGE], {}, "question 2: expected another than question 1, found the same"),
        ([STAY, STAY | {"kind": "sum"}], {}, "question 2: expected another than question 1, found the same"),
        ([STAY | {"column": "%"}], {}, "question 1: expected a name with a letter or a digit, found '%': add name"),
        ([STAY | {"step": 0.7}], {}, "step: expected a whole number of steps from 0 to 60, found 85.7143 of 0.7"),
        ([STAY | {"most": 0}], {}, "expected a least below the most"),
        ([STAY | {"step": 1e-9}], {}, "step: expected at most 4294967295 steps"),
        ([AGE | {"edges": [0, 18, 18]}], {}, "edges: expected 3 to 10001 numbers, each above the one before"),
        ([AGE | {"categories": ["a", "b"]}], {}, "edges, categories: expected one of the two"),
        ([WARD | {"outside": "clamp"}], {}, "expected no clamp and no unit with categories"),
        ([WARD | {"categories": ["a", "a"]}], {}, "categories: expected 2 to 10000 different values"),
        ([WARD | {"categories": ["None", "mild"]}], {}, "categories: expected values, found 'None', which says in a f"),
        ([WARD | {"categories": ["", "mild"]}], {}, "categories: expected values, found '', which says in a file that"),
        ([BACK | {"among": ["yes", "no", "NA"]}], {}, "among: expected values, found 'NA', which says in a file that"),
        ([BACK | {"value": "perhaps"}], {}, "value: expected one of yes, no, found 'perhaps'"),
        ([{"kind": "count", "column": "x", "value": "y"}], {}, "among: expected all values"),
        ([LINE | {"from": [LINE["target"], LINE["target"]]}], {}, "from: expected different names, found stay twice"),
        ([AGE | {"outside": "drop"}], {"dp_noise_scale": 5.0}, "expected no record to be dropped where there is noise"),
        ([LINE], {"dp_noise_scale": 5.0}, "expected a count or a sum where there is noise, found regressions alone"),
        (
            [STAY],
            {"dp_noise_scale": 1 / 3},
            r"dp_noise_scale: .* times 1, for a count, .* found 0\.3333333333333333, wh",
        ),
        ([STAY | {"step": 1e-6}], {"dp_noise_scale": 1000.5}, r"times 60000000, for mean of stay .*makes 60030000000"),
        ([], {"data": None, "dp_noise_scale": 5e7}, "times 511, for the sum of the radius"),
        ([STAY | {"most": 1e308, "step": 1e300}], {}, r"most: expected a magnitude of at most 1e\+50, found 1e\+308"),
        ([STAY | {"least": -1e51, "step": 1e50}], {}, r"least: expected a magnitude of at most 1e\+50, found -1e\+51"),
        ([STAY | {"most": 1e-300, "step": 1e-301}], {}, "step: expected at least 1e-50, found 1e-301"),
        (ALL, {"uses": 4}, "uses: expected at least 5"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    tmp_path: Path, questions: list[dict[str, Any]], more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        config(tmp_path, questions, {"a": "a.csv"}, **more)


def test_a_scale_of_noise_and_a_range_at_the_bounds_are_taken(tmp_path: Path) -> None:
    its = config(tmp_path, [STAY], {"a": "a.csv"}, dp_noise_scale=1.123456789)
    assert measured.functions(its) == ("stay-in-days_0_to_60_by_0.5.sum/120/noise-134.81481468",)
    wide = [STAY | {"least": -1e50, "most": 1e50, "step": 1e48}]
    (question,) = config(tmp_path, wide, {"a": "a.csv"}).asked
    assert in_units(question, {"sum": 200 * 10**9}, 10**9)["mean"] == 1e50


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet"):
        (tmp_path / name).write_text("x")
    with pytest.raises(ValidationError, match="expected one file for each provider, found 2 for a"):
        config(tmp_path, [AGE], "*")


def test_the_plan_has_the_files_reports_and_names_all_functions_with_their_noise(tmp_path: Path) -> None:
    for name in ("north", "south"):
        (tmp_path / f"{name}.csv").write_text(HEADER + GOOD)
    folders = RunFolders(tmp_path / "files", tmp_path / "logs", "run")
    with pytest.raises(ConfigError, match="smallest_batch: expected at most the 8 reports of all providers, found 9"):
        PROTOCOL.plan(config(tmp_path, ALL, smallest_batch=9), Run(folders, "0" * 32, 20000))
    folders = RunFolders(tmp_path / "files", tmp_path / "logs", "other")
    plan = PROTOCOL.plan(config(tmp_path, ALL, smallest_batch=8, dp_noise_scale=5.0), Run(folders, "0" * 32, 20000))
    asked = next(process.settings for process in plan.processes if process.name == "institute").model_dump()
    assert asked["functions"] == (
        "age-in-years_in_0_18_40_65_120.histogram/4/noise-5", "stay-in-days_0_to_60_by_0.5.sum/120/noise-600",
        "back_is_yes_of_yes_no.count/noise-5", "ward_in_surgery_medicine.histogram/2/noise-5",
    )  # fmt: skip
    assert asked["reports"] == 8
    assert [one for one in plan.notes if "stay in days" in one and "noise of scale 300" in one and "epsilon" in one]
    rows = json.loads((folders.party("north") / "measurements.json").read_text())
    assert len(rows) == 4
    assert {process.pane for process in plan.processes if process.name == "north"} == {"Providers"}
    assert {name for row in rows for name in row} == {without_noise(name) for name in asked["functions"]}


def test_the_report_has_units_edges_and_what_was_agreed(tmp_path: Path) -> None:
    asked = config(tmp_path, [AGE, LINE], {"a": "a.csv"}).asked
    answer = {
        "function": asked[0].function, "about": asked[0].about, "question": asked[0].agreed(), "request": 3,
        "grant": 4, "value": {"counts": [1, 2, 3, 4]}, "reports": 10, "rejected": {}, "aggregators_lied": [],
        "aggregators_silent": [], "trustees_lied": {},
    }  # fmt: skip
    answer["words"] = in_words(asked[0], in_units(asked[0], answer["value"], 10))
    refused = {"function": asked[1].function, "about": asked[1].about, "question": asked[1].agreed(), "request": 5,
               "refused": "no"}  # fmt: skip
    audited = {"folder": "log", "size": 9, "certified": 9, "events": []}
    found = summary([{"answers": [answer, refused], "privacy": ()}, audited])
    assert dict(found.lines)["age in years, records in each bucket"] == (
        "0 to 18: 1, 18 to 40: 2, 40 to 65: 3, 65 to 120: 4 (of 10 reports)"
    )
    assert found.sections[0].parts[0].places == ("0 to 18", "18 to 40", "40 to 65", "65 to 120")
    assert found.sections[0].parts[0].axis == "years"
    agreed = next(section for section in found.sections if section.title == "What was agreed").parts[0]
    assert [row[1:3] for row in agreed.rows] == [
        ("age in years", "0 to 18; 18 to 40; 40 to 65; 65 to 120"),
        ("age", "from 0 to 120 in steps of 1, to the nearest step"),
        ("dose", "from -2 to 2 in steps of 0.01, to the nearest step"),
        ("stay in days", "from 0 to 60 in steps of 0.5, to the nearest step"),
    ]


def test_a_sum_and_a_mean_of_numbers_that_no_name_can_say_are_one_function() -> None:
    found = [Sum.model_validate(STAY | {"kind": kind, "unit": "°", "column": "x"}) for kind in ("sum", "mean")]
    assert found[0].function == found[1].function
    with pytest.raises(ValueError, match="found the same"):
        check_questions(found)
