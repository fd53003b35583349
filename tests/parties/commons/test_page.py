"""What the page about the log says, held against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mpc.commons.entries import Kind
from mpc.commons.receipts import HEADER
from parties.commons.audit import main

PAGE = (Path(__file__).parents[3] / "docs" / "commons.md").read_text()


def _firsts(heading: str) -> list[str]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")][1:]


def test_the_page_names_every_kind_of_entry() -> None:
    named = [kind for row in _firsts("Entries") for kind in row.upper().split(", ")]
    assert sorted(named) == sorted(kind.name for kind in Kind)


def test_the_page_names_every_option_of_the_audit(capsys: pytest.CaptureFixture[str]) -> None:
    named = {option for row in _firsts("Audit") for option in re.findall(r"--\w+", row)}
    with pytest.raises(SystemExit):
        main(["--help"])
    assert named == set(re.findall(r"--\w+", capsys.readouterr().out)) - {"--help"}


def test_the_page_shows_a_receipt_as_it_is() -> None:
    assert f"\n{HEADER}\n" in PAGE


def test_the_page_links_to_what_is_there() -> None:
    for link in re.findall(r"\]\(([^)#h][^)#]*)\)", PAGE):
        assert (Path(__file__).parents[3] / "docs" / link).resolve().exists(), link
