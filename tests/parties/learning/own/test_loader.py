"""A function of the user's own reads the records: what it returns is checked, and what it raises is one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parties.learning.own.choices import DataChoices
from parties.learning.own.loader import loader_digest
from parties.learning.own.reading import Reader
from parties.learning.records import DataError

CODE = """
import numpy as np

def load(source, options):
    values = np.loadtxt(source)
    return {"inputs": values[:, :-1] / options["most"], "labels": values[:, -1]}

def asked(source, options):
    return {"inputs": np.zeros((2, 1, 2, 2))}

def wrong(source, options):
    return {"inputs": np.full((1, 2), 1.5), "labels": [0]}

def strange(source, options):
    return [1, 2]

def beyond(source, options):
    return {"inputs": np.zeros((1, 2)), "labels": [3]}

def hears_nothing():
    return {}

def fails(source, options):
    return {"inputs": options["nothing"]}

value = 3
"""


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "my_own_data.py").write_text(CODE)
    (tmp_path / "src" / "my_broken_data.py").write_text("def load(:\n")
    (tmp_path / "src" / "my_lacking_data.py").write_text("import no_such_thing_at_all\n")
    yield tmp_path
    for name in ("my_own_data", "my_broken_data", "my_lacking_data"):
        sys.modules.pop(name, None)


def choices(package: Path, loader: str, **more: Any) -> DataChoices:
    agreed = {"classes": ["a", "b"], "loader": loader, "path": package / "src", "options": {"most": 4}}
    return DataChoices(**agreed | {"records": package / "a.txt"} | more)


def test_its_arrays_are_the_records(package: Path) -> None:
    (package / "a.txt").write_text("1 2 0\n3 4 1\n")
    records = Reader(choices(package, "my_own_data:load")).records(package / "a.txt")
    assert records.images.tolist() == [[[[0.25, 0.5]]], [[[0.75, 1.0]]]]
    assert records.labels.tolist() == [0, 1]
    asked = Reader(choices(package, "my_own_data:asked")).asked(package / "a.txt")
    assert (asked.images.shape, asked.labels) == ((2, 1, 2, 2), None)
    assert str(package / "src") not in sys.path


def test_a_package_beside_the_caller_is_not_found(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(package / "src")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(package / "src"))])
    with pytest.raises(DataError, match=r"expected the module my_own_data, found none among .*`path:` names no folder"):
        Reader(choices(package, "my_own_data:load", path=None))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("my_own_data:nothing", "expected a function nothing in my_own_data, found NoneType"),
        ("my_own_data:value", "expected a function value in my_own_data, found int"),
        ("my_broken_data:load", r"SyntaxError: .*my_broken_data\.py, line 1\)"),
        (
            "my_lacking_data:load",
            r"ModuleNotFoundError: No module named 'no_such_thing_at_all' .*my_lacking_data\.py, line 1",
        ),
        ("my_own_data:wrong", r"expected inputs in 0\.\.1, found 1\.5\.\.1\.5"),
        ("my_own_data:strange", "expected a mapping with inputs and labels, found list"),
        ("my_own_data:beyond", r"expected labels \(1,\) in 0\.\.1 of the loader, found \(1,\) in 3\.\.3"),
        ("my_own_data:fails", r"a\.txt: KeyError: 'nothing' \(.*my_own_data\.py, line 24\)"),
    ],
)
def test_what_goes_wrong_in_it_is_one_sentence(package: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as refused:
        Reader(choices(package, name)).records(package / "a.txt")
    assert "\n" not in str(refused.value)


def test_no_line_of_this_project_is_blamed_for_a_function_that_takes_nothing(package: Path) -> None:
    (package / "a.txt").write_text("1 2 0\n")
    with pytest.raises(DataError) as refusal:
        Reader(choices(package, "my_own_data:hears_nothing")).records(package / "a.txt")
    assert "takes 0 positional arguments but 2 were given" in str(refusal.value)
    assert ", line" not in str(refusal.value)


def test_the_parties_agree_on_its_code(package: Path) -> None:
    first = loader_digest(choices(package, "my_own_data:load"))
    (package / "src" / "my_own_data.py").write_text(CODE + "\n")
    assert loader_digest(choices(package, "my_own_data:load")) != first
