"""`docs/experiments.md` is true: its files, written into a copy of the project, do what the page prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from parties.capc.forms import FORMS
from parties.capc.trial import FIGURES
from tests.copies import ROOT, copy_project
from tests.page_blocks import blocks_of, run

PAGE = ROOT / "docs" / "experiments.md"


@pytest.mark.timeout(1900)  # three commands, each within 600 s
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    copy = copy_project(tmp_path / "project")
    commands = 0
    for block in blocks_of(PAGE):
        if block.kind == "console":
            run(block.body, copy)
            commands += 1
        elif block.path:
            file = copy / block.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.body)
    assert commands == 3


def test_its_tables_name_every_figure_and_every_form() -> None:
    text = PAGE.read_text()
    assert [name for name in (*FIGURES, *FORMS) if f"`{name}`" not in text] == []
