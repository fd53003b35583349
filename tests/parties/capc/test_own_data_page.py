"""`docs/own-data.md` is true: its files, written into a copy of the project, do what the page prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from parties.capc.config import CapcConfig
from parties.learning.own.choices import DataChoices
from parties.learning.own.reading import Reader
from tests.copies import ROOT, copy_project
from tests.page_blocks import blocks_of, run

PAGE = ROOT / "docs" / "own-data.md"


def test_the_page_gets_labels_as_it_says(tmp_path: Path) -> None:
    copy = copy_project(tmp_path / "project")
    commands = 0
    for block in blocks_of(PAGE):
        if block.kind == "console":
            run(block.body, copy, ports=6)
            commands += 1
        elif block.path:
            file = copy / block.path
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.body)
    assert commands == 5


def test_the_pages_loader_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = (block.body for block in blocks_of(PAGE) if block.path == "clinics/my_loader.py")
    (tmp_path / "my_loader.py").write_text(code)
    (tmp_path / "a.txt").write_text("1 2 0\n")
    choices = DataChoices(
        classes=("a", "b"), loader="my_loader:load", path=tmp_path, options={"largest": 4}, records=tmp_path / "a.txt"
    )
    monkeypatch.delitem(sys.modules, "my_loader", raising=False)
    assert Reader(choices).records(tmp_path / "a.txt").images.tolist() == [[[[0.25, 0.5]]]]


def federation() -> dict[str, Any]:
    text = next(block.body for block in blocks_of(PAGE) if block.path.endswith("federation.yaml"))
    data: dict[str, Any] = yaml.safe_load(text)["capc"]["data"]
    return data


def test_the_pages_table_names_every_public_key() -> None:
    table = PAGE.read_text().split("## What is agreed")[1].split("## Which files")[0]
    data = CapcConfig(data=federation()).data
    assert data is not None
    assert {key for key in data.agreed().keys() - {"loader", "options"} if f"`{key}`" not in table} == set()
