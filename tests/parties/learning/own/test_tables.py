"""Tables of users' own: what is read is what the file says, and all else is refused by file, row and column."""

from __future__ import annotations

import csv
import gzip
import io
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parties.learning.own import extras, tables
from parties.learning.own.describe import described
from parties.learning.own.quoting import Lines
from parties.learning.records import DataError
from tests.parties.learning.own.agreed import INPUTS, ROWS, reader, written


def test_inputs_follow_the_features_their_scales_and_categories(tmp_path: Path) -> None:
    records = reader().records(written(tmp_path, ROWS))
    assert records.images.shape == (2, 1, 1, 5)
    np.testing.assert_allclose(records.images.reshape(2, 5), INPUTS, atol=1e-7)
    assert records.labels.tolist() == [1, 0]


FORMS = {
    "bom.csv": b"\xef\xbb\xbf" + ROWS.encode(),
    "packed.csv.gz": gzip.compress(ROWS.encode()),
    "windows.csv": ROWS.replace("\n", "\r\n").encode(),
    "quoted.csv": b'"age","sex","dose","diagnosis"\n"25","m","10","well"\n"50","f","20","ill"\n',
    "order.csv": b"diagnosis,dose,sex,age\nwell,10,m,25\nill,20,f,50\n",
    "more.csv": b"id,age,sex,dose,diagnosis\n07,25,m,10,well\n08,50,f,20,ill\n",
    "blank.csv": b"age,sex,dose,diagnosis\n 25 ,m,1e1,well\n\n50.0,f,+20,ill\n\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_the_same_table_in_another_form_gives_the_same_records(tmp_path: Path, name: str) -> None:
    expected = reader().records(written(tmp_path, ROWS))
    assert reader().records(written(tmp_path, FORMS[name], name)).digest() == expected.digest()


def test_parquet_and_npz_give_what_csv_gives(tmp_path: Path) -> None:
    expected = reader().records(written(tmp_path, ROWS)).digest()
    columns = {"age": [25, 50], "sex": ["m", "f"], "dose": [10.0, 20.0], "diagnosis": ["well", "ill"]}
    pq.write_table(pa.table(columns), tmp_path / "records.parquet")
    np.savez(tmp_path / "records.npz", **{name: np.array(values) for name, values in columns.items()})
    assert reader().records(tmp_path / "records.parquet").digest() == expected
    assert reader().records(tmp_path / "records.npz").digest() == expected
    coded = pa.table(columns | {"sex": pa.array(["m", "f"]).dictionary_encode(), "dose": [Decimal("10"), Decimal(20)]})
    pq.write_table(coded, tmp_path / "coded.parquet")
    assert reader().records(tmp_path / "coded.parquet").digest() == expected


def test_another_delimiter_is_stated(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS.replace(",", ";"))
    with pytest.raises(DataError, match=r"records\.csv: .*a comma, found a semicolon .* set delimiter to ';'"):
        reader().records(path)
    assert len(reader(delimiter=";").records(path)) == 2


REFUSED = {
    "duplicate columns": ("age,age,sex,dose,diagnosis\n1,2,m,1,ill\n", "the same for columns 1 and 2, 'age'"),
    "a missing column": (ROWS.replace("dose", "Dose"), "a column 'dose' for a .* did you mean 'Dose'"),
    "no label": ("age,sex,dose\n1,m,1\n", "expected labels, found none: expected the column diagnosis"),
    "a short row": (ROWS + "30,f\n", "row 3: expected 4 cells, found 2"),
    "a long row": (ROWS + "30,f,1,ill,9\n", "row 3: expected 4 cells, found 5"),
    "a decimal comma": (ROWS + '"30,5",f,1,ill\n', "column 'age': expected a number, found '30,5': a decimal"),
    "thousands": (ROWS + '"1,234.5",f,1,ill\n', "found '1,234.5': a separator of thousands"),
    "a date": (ROWS + "2020-01-31,f,1,ill\n", "column 'age': expected a number, found '2020-01-31': a date"),
    "a word": (ROWS + "old,f,1,ill\n", "found 'old': list the column under `categories:`"),
    "infinity": (ROWS + "inf,f,1,ill\n", "row 3, column 'age': expected a number, found 'inf'"),
    "too large": (ROWS + "1e400,f,1,ill\n", "row 3, column 'age': expected a finite number, found '1e400'"),
    "nothing": (ROWS + ",f,1,ill\n", "row 3, column 'age': expected a number, found nothing in 1 of 3 rows: state"),
    "no number": (ROWS + "NaN,f,1,ill\n", "found nothing in 1 of 3 rows"),
    "another category": (ROWS + "30,w,1,ill\n", "row 3, column 'sex': expected one of f, m, x, found 'w'"),
    "blanks": (ROWS + "30,f,1, ill\n", "column 'diagnosis': expected one of ill, well, found ' ill', with blanks"),
    "capitals": (ROWS + "30,F,1,ill\n", "found 'F', which differs in capital letters"),
    "a label too few": (ROWS + "30,f,1,\n", "column 'diagnosis': expected a label, found nothing, as in 1 of 3 rows"),
    "an empty file": ("", "expected a table, found an empty file"),
    "a header alone": ("age,sex,dose,diagnosis\n", "at least one row below the header, found none"),
    "blank lines": ("\n\n", "expected a header with the names of the columns, found none"),
    "other bytes": (ROWS.replace("m", "\u00e4").encode("latin-1"), "expected text in UTF-8, found other bytes"),
    "an open quote": (ROWS + '"30,f,1,ill\n', "row 3: expected a quote that is closed, found the end of the file"),
    "a quote that hides rows": (ROWS + '30,f,1,"ill\n31,f,1,"ill\n', "row 3: expected a delimiter behind a cell in q"),
    "a quote in an unread column": ('id,' + ROWS.replace("\n", "\n7,")[:-2] + '"8,30,f,1,ill\n', "row 3: .* closed"),
    "a quote before many letters": (ROWS + '"' + "1,f,1,ill\n" * 20_000, "row 3: expected cells of at most 131072"),
    "a quote in the header": ('"' + ROWS, "the header: expected a quote that is closed"),
    "a zip": (b"PK\x03\x04", "found"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_such_table_is_refused_by_its_place(tmp_path: Path, name: str) -> None:
    content, words = REFUSED[name]
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=words) as refused:
        reader().records(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_a_gzip_file_that_is_cut_or_huge_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, gzip.compress(ROWS.encode())[:-9], "records.csv.gz")
    with pytest.raises(DataError, match="a whole gzip file"):
        reader().records(path)
    monkeypatch.setattr(tables, "LARGEST", 1000)
    path.write_bytes(gzip.compress(ROWS.encode() + b"1,m,1,ill\n" * 1000))
    with pytest.raises(DataError, match="at most 1000 bytes in memory"):
        reader().records(path)
    with pytest.raises(DataError, match=r"at most 1000 bytes, found 1\d{4}"):
        reader().records(written(tmp_path, ROWS + "1,m,1,ill\n" * 1000))
    pq.write_table(pa.table({"age": pa.array([1] * 100_000).dictionary_encode()}), tmp_path / "small.parquet")
    monkeypatch.setattr(tables, "LARGEST", 100_000)
    with pytest.raises(DataError, match="at most 100000 bytes in memory, found 400000"):
        tables.read_table(tmp_path / "small.parquet", ["age"])
    np.savez_compressed(tmp_path / "small.npz", age=np.zeros(100_000))
    with pytest.raises(DataError, match="at most 100000 bytes in memory, found 8"):
        tables.read_table(tmp_path / "small.npz", ["age"])


STRAY = {
    'stay,ward\n10,surgery\n20,"surgery\n30,medicine\n40,"surgery\n50,medicine\n60,surgery\n': "row 2: .*behind a cell",
    'x,note\n1,a\n2,"b\n3,c\n4,d\n5,e\n': "row 2: expected a quote that is closed",
    'stay,ward\n1,"a" \n2,b\n': "row 1: .* behind a cell",
    '\ufeff"stay","ward"\n"1","a"\n"2","b\n': "row 2: expected a quote that is closed",
}


@pytest.mark.parametrize("text", STRAY)
def test_a_stray_quote_hides_no_row_even_where_its_column_is_not_read(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=STRAY[text]) as refused:
        tables.read_table(written(tmp_path, text), ["stay", "x"])
    assert not re.search("surgery|medicine", str(refused.value))


def test_honest_quotes_are_read_and_rows_of_several_lines_are_counted(tmp_path: Path) -> None:
    text = 'stay,note\n1,"of ""two""\nlines, one cell"\n\n2,a "word" within\r\n3,""\n4,"a, b"'
    found = tables.read_table(written(tmp_path, text), None)
    assert found.columns["stay"].tolist() == ["1", "2", "3", "4"]
    assert found.columns["note"].tolist() == ['of "two"\nlines, one cell', 'a "word" within', "", "a, b"]
    assert (found.lines.spread, found.lines.empty, found.lines.first_empty) == (1, 1, 4)
    told = reader()
    told.records(
        written(tmp_path, ROWS.replace("age", "note,age").replace("\n25", '\n"a\nb",25').replace("\n5", "\nc,5"))
    )
    assert [note for note in told.notes if "1 of 2 rows go over several lines" in note]


EMPTY_LINES = {
    "a,b\n1,2\n3,4\n": (0, 0),
    "a,b\n1,2\n3,4\n\n\n": (0, 0),
    "\n\na,b\n1,2\n": (0, 0),
    "\ufeff\r\n\r\na,b\r\n1,2\r\n": (0, 0),
    "a,b\n\n1,2\n": (1, 2),
    "\n\na,b\n1,2\n\n\n3,4\n5,6\n\n7,8\n\n": (3, 5),
    "a,b\r\n1,2\r\n\r\n3,4\r\n": (1, 3),
    "a,b\r1,2\r\r3,4\r": (1, 3),
    "a,b\r\n1,2\n\r\n\r\r\n3,4\n": (3, 3),
}


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("text", EMPTY_LINES)
def test_empty_lines_between_rows_are_counted_with_the_line_of_the_first(
    tmp_path: Path, text: str, quoted: bool
) -> None:
    """Both readers of lines say the same, and the end of a file and its beginning need no word."""
    text = text.replace("a,", '"a",') if quoted else text
    empty, first = EMPTY_LINES[text.replace('"', "")]
    path = tmp_path / "records.csv"
    path.write_bytes(text.encode())
    found = tables.read_table(path, None)
    assert (found.lines.empty, found.lines.first_empty) == (empty, first)
    assert found.columns["a"].tolist() == ["1", "3", "5", "7"][: found.rows]
    assert len(found.notes) == (empty > 0)


COUNTING = """
import resource, sys
from pathlib import Path
from parties.learning.own.quoting import lines_of
content = b"a,b\\n%b,2" + b"\\n" * 4_000_000 + b"3,4\\n"
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
empty = lines_of(Path("x"), content.replace(b"%b", sys.argv[1].encode()), ",", False).empty
print(empty, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("cell", ["1", '"1"'])
def test_counting_empty_lines_takes_little_memory(cell: str) -> None:
    """In a process of its own, whose highest memory is the counting's."""
    done = subprocess.run((sys.executable, "-c", COUNTING, cell), capture_output=True, text=True, check=True)
    empty, mib = map(int, done.stdout.split())
    assert empty == 3_999_999
    assert mib < 40  # a regular expression's ways back, or a list of numbers, took more than twice as much


def test_whoever_reads_a_table_is_told_of_its_empty_lines(tmp_path: Path) -> None:
    told = reader()
    told.records(written(tmp_path, ROWS.replace("\n50", "\n\n\n50")))
    assert told.notes == [
        "records.csv: 2 empty lines between rows, the first in line 3, are skipped: is a row missing there?"
    ]
    path = written(tmp_path, ROWS.replace("\n50", "\n\n50"), "other.csv")
    assert "# 1 empty line between rows, the first in line 3, is skipped: is a row missing there?" in described(path)
    assert tables.read_table(written(tmp_path, "age\n1\n\n2\n", "one.csv"), None).notes == ()  # a cell without a value


def test_two_readers_that_differ_are_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "lines_of", lambda *given, **named: Lines(rows=3))
    with pytest.raises(DataError, match="expected rows that two readers tell apart alike, found 3 and 2"):
        reader().records(written(tmp_path, ROWS))


@given(
    rows=st.lists(st.lists(st.text(alphabet='a1", \n\r;', max_size=5), min_size=2, max_size=2), min_size=1, max_size=8)
)
def test_what_a_writer_quotes_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["x", "y"], *rows])
    found = tables.read_table(written(tmp_path_factory.mktemp("csv"), out.getvalue()), None)
    assert [list(row) for row in zip(found.columns["x"], found.columns["y"], strict=True)] == rows


@pytest.mark.parametrize("line", ["17,m,10,ill", "x,m,1970-01-31,ill", "x,m,-3.5e2,ill", "x,m,12:30,ill"])
def test_a_first_line_of_values_is_not_shown(tmp_path: Path, line: str) -> None:
    table = tables.read_table(written(tmp_path, f"{line}\n18,f,2,well\n"), ["age"])
    with pytest.raises(DataError, match="none among 4 columns: does the first line name the columns\\?") as refused:
        table.column("age", "a feature")
    assert not [cell for cell in line.split(",") if f" {cell}" in str(refused.value)]


def test_names_are_listed_for_training_and_otherwise_only_another_spelling(tmp_path: Path) -> None:
    table = tables.read_table(written(tmp_path, "Stay_days,ward\n1,a\n"), ["stay days"])
    with pytest.raises(DataError, match=r"found none among Stay_days, ward$"):
        table.column("sex", "a feature")
    with pytest.raises(DataError, match=r"found none among 2 columns: did you mean 'Stay_days'\?$"):
        table.column("stay days", "a question", lists_others=False)
    with pytest.raises(DataError, match=r"found none among 2 columns: does the first line name the columns\?$"):
        table.column("wards", "a question", lists_others=False)


def test_two_columns_of_one_name_are_told_by_their_places(tmp_path: Path) -> None:
    path = written(tmp_path, "secret,x,secret\n1,2,3\n")
    for wanted in (None, ["x"]):
        with pytest.raises(DataError, match=r"found the same for columns 1 and 3: does the first line") as refused:
            tables.read_table(path, wanted)
        assert "secret" not in str(refused.value)


def test_an_empty_line_of_one_column_is_a_cell_without_a_value(tmp_path: Path) -> None:
    for text in ("age\n17\n\n70\n", "\n\nage\n17\n\n70", '\ufeff\r\n"age"\r\n17\r\n""\r\n"70"\r\n'):
        assert tables.read_table(written(tmp_path, text), None).columns["age"].tolist() == ["17", "", "70"]


def test_an_npz_file_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"age": np.array([1, None], object), "sex": np.array(["f", "m"]), "dose": np.zeros(2)}
    np.savez(tmp_path / "records.npz", **columns, diagnosis=np.array(["ill", "well"]))
    with pytest.raises(DataError, match=r"array 'age': .*Python objects, which are not unpickled"):
        reader().records(tmp_path / "records.npz")
    np.savez(tmp_path / "records.npz", **columns | {"age": np.zeros((2, 1))}, diagnosis=np.array(["ill", "well"]))
    with pytest.raises(DataError, match=r"array 'age': expected a column \(n,\), found shape \(2, 1\)"):
        reader().records(tmp_path / "records.npz")
    np.savez(tmp_path / "records.npz", **columns | {"age": np.zeros(3)}, diagnosis=np.array(["ill", "well"]))
    with pytest.raises(DataError, match=r"columns of one length, found \[2, 3\]"):
        reader().records(tmp_path / "records.npz")
    written(tmp_path, b"no zip", "records.npz")
    with pytest.raises(DataError, match="expected an NPZ file"):
        reader().records(tmp_path / "records.npz")
    written(tmp_path, b"no parquet", "records.parquet")
    with pytest.raises(DataError, match="expected a Parquet file"):
        reader().records(tmp_path / "records.parquet")


def test_one_row_is_enough(tmp_path: Path) -> None:
    assert len(reader().records(written(tmp_path, "age,sex,dose,diagnosis\n25,m,10,well\n"))) == 1


def test_a_library_that_is_not_installed_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", absent)
    with pytest.raises(DataError, match=r"takes pyarrow, which is not installed: `pip install pyarrow`.*\[data\]"):
        reader().records(written(tmp_path, ROWS))


def test_no_message_prints_a_table(tmp_path: Path) -> None:
    table = tables.read_table(written(tmp_path, ROWS), None)
    assert repr(table) == "Table(records.csv, rows=2, columns=4)"
