"""What is shown of a file to its owner is true, and the block of YAML is a configuration that reads the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchestrator.cli import main
from parties.capc.config import CapcConfig
from parties.learning.own.describe import described
from parties.learning.own.reading import Reader
from parties.protocols import PROTOCOLS
from tests.parties.capc import clinics

TABLE = "id,age,sex,code,visit,stage\na1,25.5,m,01,2020-01-01,1\na2,,f,02,2020-02-01,2\na3,61,f,01,,1\n"


def test_the_block_reads_the_file_that_it_describes(tmp_path: Path) -> None:
    path = tmp_path / "records.csv"
    path.write_text(TABLE + "".join(f"b{n},{30 + n},f,02,2021-01-{n:02},2\n" for n in range(1, 13)))
    lines = described(path)
    text = "\n".join(lines)
    assert lines[0] == "# records.csv: 15 rows, 6 columns"
    assert "#   age: numbers in 25..61 (rounded outwards), 1 without a value" in lines
    assert "#   sex: text, 2 different values: f, m" in lines
    assert "a1" not in text  # a value of a single row
    data = yaml.safe_load(text)["capc"]["data"]
    assert data["features"] == ["age", "sex", "code"]
    assert (data["label"], data["classes"]) == ("stage", ["1", "2"])
    assert data["categories"] == {"sex": ["f", "m"], "code": ["01", "02"]}
    assert {scale["from"] for scale in data["scale"].values()} == {"private"}
    config = CapcConfig(data=data | {"missing": {"age": 40}, "records": path})
    assert config.data is not None
    records = Reader(config.data).records(path)
    assert records.images.shape == (15, 1, 1, 5)


def test_bounds_are_rounded_away_from_the_records(tmp_path: Path) -> None:
    clinics.write(tmp_path)
    data = yaml.safe_load("\n".join(described(tmp_path / "clinic-0.csv")))["capc"]["data"]
    own = Reader(CapcConfig(data=data | {"records": tmp_path / "clinic-0.csv"}).data)  # type: ignore[arg-type]
    own.records(tmp_path / "clinic-0.csv")
    assert len(data["features"]) == 30
    assert own.notes == []  # nothing is cut, and hardly a bound is a record's own


def test_it_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "records.csv"
    path.write_text(TABLE.replace(",", ";"))
    assert main(PROTOCOLS, ["describe", "--file", str(path), "--delimiter", ";", "--label", "sex"]) == 0
    printed = capsys.readouterr().out
    assert "    label: sex\n    classes: [f, m]\n" in printed
    assert 'delimiter: ";"' in printed
    assert main(PROTOCOLS, ["describe", "--file", str(path)]) == 2
    assert "found a semicolon in the header" in capsys.readouterr().err
    assert main(PROTOCOLS, ["describe", "--file", str(path), "--delimiter", ";", "--label", "Sex"]) == 2
    assert "expected a column 'Sex' for the label" in capsys.readouterr().err
    assert main(PROTOCOLS, ["describe", "--file", str(tmp_path / "none.csv")]) == 2
    assert "expected a file, found nothing" in capsys.readouterr().err
