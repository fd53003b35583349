"""What the page about the log says, held against the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from mpc.commons.entries import Kind
from mpc.commons.receipts import HEADER
from parties.commons import clinics
from parties.commons.audit import main
from parties.commons.report import in_words
from parties.commons.results import in_the_clear
from tests.copies import copy_project
from tests.page_blocks import blocks_of, run

PAGE_FILE = Path(__file__).parents[3] / "docs" / "commons.md"
PAGE = PAGE_FILE.read_text()
MESSAGES = (Path(__file__).parents[3] / "docs" / "messages.md").read_text()
WING = Path(__file__).parents[3] / "parties" / "commons"


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


def test_the_page_of_messages_names_every_question_and_every_asker_asks_one_of_them() -> None:
    section = MESSAGES.split("### Questions\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1].strip(" `") for line in section.splitlines() if line.startswith("| `")]
    asked, answered = set[str](), set[str]()
    for path in WING.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "ask":
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    asked.add(str(first.value))
            if isinstance(node, ast.Dict):
                answered |= {
                    str(key.value)
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant) and "Question(" in ast.unparse(value)
                }
    assert sorted(rows) == sorted(answered)
    assert asked == answered


def test_what_the_page_shows_of_a_run_is_what_comes_out() -> None:
    rows = [row for clinic in clinics.measurements(8, 20, 0) for row in clinic]
    for function in clinics.FUNCTIONS:
        shown = f"{clinics.about(function)}: {in_words(function, in_the_clear(function, rows))} (of 160 reports)"
        assert f"\n{shown}\n" in PAGE


def test_your_own_data_gives_what_the_page_prints(tmp_path: Path) -> None:
    copy = copy_project(tmp_path / "project")
    commands = 0
    for block in blocks_of(PAGE_FILE):
        if block.kind == "console":
            run(block.body, copy, ports=8)
            commands += 1
        elif block.path:
            file = copy / block.path
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.body)
    assert commands == 2
