"""Cells of users' own tables: numbers, categories, classes and labels, and cells without a value."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parties.learning.own import cells, tables
from parties.learning.records import DataError
from tests.parties.learning.own.agreed import AGREED, ROWS, reader, written


def test_floats_keep_their_type_where_a_cell_has_no_value(tmp_path: Path) -> None:
    short = pa.array([5.7, None], pa.float32())
    pq.write_table(pa.table({"a": short, "b": short.dictionary_encode(), "c": [1, None]}), tmp_path / "records.parquet")
    found = tables.read_table(tmp_path / "records.parquet", None).columns
    for name in ("a", "b"):
        assert found[name].dtype == np.float32
        assert cells.absent(found[name]).tolist() == [False, True]
    assert found["c"].tolist() == [1, None]


@pytest.mark.parametrize(
    "choices", [{"categories": {"sex": ["f", "None"]}}, {"classes": ["", "ill"]}, {"classes": ["ill", " NA "]}]
)
def test_a_word_that_stands_for_no_value_is_no_class_and_no_category(choices: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected values, found '.*', which says in a file that there is none"):
        reader(**choices)


def test_numbers_beyond_the_scale_are_cut_and_counted_or_refused(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS + "130,f,-5,ill\n-1,f,5,ill\n")
    lenient = reader()
    found = lenient.records(path).images.reshape(4, 5)
    assert found[2:, 0].tolist() == [1, 0]
    assert lenient.notes == ["records.csv: 3 numbers were cut to the stated scale in 2 columns"]
    bounds = {"age": {"minimum": 0, "maximum": 100, "outside": "refuse"}, "dose": AGREED["scale"]["dose"]}
    with pytest.raises(DataError, match=r"row 3, column 'age': expected numbers in 0\.\.100, found 130 among 2 beyond"):
        reader(scale=bounds).records(path)


def test_what_is_missing_is_filled_by_the_stated_constant_and_counted(tmp_path: Path) -> None:
    filling = reader(missing={"age": 40, "sex": "x"})
    found = filling.records(written(tmp_path, ROWS + ",,15,ill\n")).images.reshape(3, 5)
    np.testing.assert_allclose(found[2], [0.4, 0, 0, 1, 0.75], atol=1e-7)
    assert filling.notes == ["records.csv: 2 were filled in in 2 columns"]
    with pytest.raises(DataError, match="column 'dose': expected a number, found nothing"):
        filling.records(written(tmp_path, ROWS + "1,f,,ill\n", "other.csv"))
    pq.write_table(
        pa.table({"age": [25, None], "sex": ["m", None], "dose": [10.0, None], "diagnosis": ["well", "ill"]}),
        tmp_path / "records.parquet",
    )
    whole = reader(missing={"age": 40, "sex": "x", "dose": 0}).records(tmp_path / "records.parquet")
    np.testing.assert_allclose(whole.images.reshape(2, 5)[1], [0.4, 0, 0, 1, 0], atol=1e-7)


@pytest.mark.parametrize(
    ("classes", "cells", "places"),
    [
        ([0, 1], ["0", "1", "1.0", "0.0"], [0, 1, 1, 0]),
        (["0", "1"], ["0", "1"], [0, 1]),
        (["1", "0"], ["0", "1"], [1, 0]),
        ([True, False], ["True", "false", "TRUE"], [0, 1, 0]),
        (["01", "1"], ["1", "01"], [1, 0]),
        (["-1", "+1"], ["+1", "-1"], [1, 0]),
        ([-1, 1], ["1", "-1"], [1, 0]),
    ],
)
def test_classes_are_numbers_words_or_truths(
    tmp_path: Path, classes: list[Any], cells: list[str], places: list[int]
) -> None:
    text = "age,sex,dose,diagnosis\n" + "".join(f"1,f,1,{cell}\n" for cell in cells)
    assert reader(classes=classes).records(written(tmp_path, text)).labels.tolist() == places


@pytest.mark.parametrize(
    ("classes", "cell", "words"),
    [
        ([0, 1], "01", "found '01', with leading zeros: quote"),
        ([0, 1], "0.5", "found '0.5'"),
        ([0, 1], "true", "found 'true'"),
        (["0", "1"], "1.0", "found '1.0'"),
        ([0, 1], "\u0661", "expected one of 0, 1"),
    ],
)
def test_what_only_looks_like_a_class_is_none(tmp_path: Path, classes: list[Any], cell: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        reader(classes=classes).records(written(tmp_path, f"age,sex,dose,diagnosis\n1,f,1,{cell}\n"))


@pytest.mark.parametrize(
    ("classes", "cells", "places"),
    [
        ([0, 1], [0.0, 1.0], [0, 1]),  # whole numbers that were read as floats
        ([0, 1], [0, 1], [0, 1]),
        (["0", "1"], [0, 1], [0, 1]),
        ([False, True], [True, False], [1, 0]),
        ([0, 1], [True, False], None),
        ([False, True], [1, 0], None),
        ([0, 1], [0.5, 1.0], None),
    ],
)
def test_typed_classes_keep_their_type(
    tmp_path: Path, classes: list[Any], cells: list[Any], places: list[int] | None
) -> None:
    columns = {"age": [1, 2], "sex": ["f", "m"], "dose": [1, 2], "diagnosis": cells}
    pq.write_table(pa.table(columns), tmp_path / "records.parquet")
    if places is None:
        with pytest.raises(DataError, match="row 1, column 'diagnosis': expected one of"):
            reader(classes=classes).records(tmp_path / "records.parquet")
    else:
        assert reader(classes=classes).records(tmp_path / "records.parquet").labels.tolist() == places


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([True, False], "column 'age': expected a number, found True: list the column under `categories:`"),
        ([datetime.date(2020, 1, 1)] * 2, r"column 'age': expected numbers, text or booleans, found date32"),
        ([1.0, float("inf")], "row 2, column 'age': expected a finite number, found inf"),
        ([[1], [2]], "expected numbers, text or booleans, found list"),
        ([2**53 + 1, 0], "row 1, column 'age': expected a whole number of at most 2\\^53, found 9007199254740993"),
    ],
)
def test_a_typed_column_that_is_no_number_is_refused(tmp_path: Path, column: list[Any], words: str) -> None:
    columns = {"age": column, "sex": ["f", "m"], "dose": [1, 2], "diagnosis": ["ill", "well"]}
    pq.write_table(pa.table(columns), tmp_path / "records.parquet")
    with pytest.raises(DataError, match=words):
        reader().records(tmp_path / "records.parquet")


def test_a_truth_value_among_other_cells_is_told_to_be_a_category(tmp_path: Path) -> None:
    table = tables.Table(tmp_path / "r.csv", 2, {"age": np.array([1.5, True], object)}, (), is_text=False)
    with pytest.raises(DataError, match=r"row 2, column 'age': expected a number, found True: list the column under"):
        cells.numbers(table, "age", table.columns["age"])


def test_several_labels_are_columns_of_0_and_1(tmp_path: Path) -> None:
    choices = {"label": None, "classes": [], "labels": ["fog", "ice"]}
    text = "age,sex,dose,ice,fog\n1,f,1,1,0\n2,m,2,false,True\n3,m,2,0.0,1\n"
    records = reader(**choices).records(written(tmp_path, text))
    assert records.labels.tolist() == [[0, 1], [1, 0], [1, 0]]
    with pytest.raises(DataError, match="row 4, column 'fog': expected 0 or 1, found '2'"):
        reader(**choices).records(written(tmp_path, text + "3,m,2,0,2\n"))
    with pytest.raises(DataError, match="a column 'fog' for a label, found none"):
        reader(**choices).records(written(tmp_path, "age,sex,dose,ice\n1,f,1,1\n"))


def test_what_is_asked_about_needs_no_labels(tmp_path: Path) -> None:
    assert reader().asked(written(tmp_path, "age,sex,dose\n25,m,10\n")).labels is None
    assert reader().asked(written(tmp_path, "age,sex,dose,diagnosis\n25,m,10,\n50,f,1,\n", "b.csv")).labels is None
    known = reader().asked(written(tmp_path, ROWS, "c.csv")).labels
    assert known is not None
    assert known.tolist() == [1, 0]


@given(
    value=st.floats(-1e300, 1e300),
    low=st.floats(-1e12, 1e12),
    width=st.floats(1e-3, 1e12),
)
def test_a_scale_is_affine_and_cut(value: float, low: float, width: float) -> None:
    from fractions import Fraction

    from parties.learning.own.cells import Counts, scaled

    high = low + width
    if high <= low:
        return
    (found,) = scaled(Path("a"), "c", np.array([value]), (low, high), "cut", Counts())
    exact = (Fraction(value) - Fraction(low)) / (Fraction(high) - Fraction(low))
    assert float(min(max(exact, Fraction(0)), Fraction(1))) == pytest.approx(found, abs=1e-9)


@given(texts=st.lists(st.text(alphabet="0123456789.eE+- _,infa\u0661\t\n", max_size=6), min_size=1, max_size=3))
def test_a_column_at_once_is_its_cells_one_by_one(texts: list[str]) -> None:
    from parties.learning.own.cells import numbers, plain_numbers

    column = np.array(texts, object)
    table = tables.Table(Path("a"), len(texts), {"c": column}, (), is_text=True)
    found = plain_numbers(column)
    if found is not None:
        assert found.tolist() == numbers(table, "c", column).tolist()
    elif all(re.fullmatch(r"[0-9]{1,5}", text) for text in texts):
        raise AssertionError("plain digits are numbers")


def test_constants_that_a_file_holds_are_noted(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS)
    told = reader(scale={"age": {"minimum": 25, "maximum": 50}, "dose": {"mean": 15, "deviation": 5}})
    told.records(path)
    (note,) = told.notes
    assert re.match(r"scale: the constants of 2 of 2 columns equal what records\.csv holds", note)
    quiet = reader()
    quiet.records(path)
    assert quiet.notes == []
