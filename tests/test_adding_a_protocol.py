"""`docs/adding-a-protocol.md` is true: its files, written into a copy of the project, do what the page prints."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.copies import ROOT, copy_project
from tests.page_blocks import blocks_of, run

PAGE = ROOT / "docs" / "adding-a-protocol.md"


def change(file: Path, difference: str) -> None:
    """Apply lines that begin with a blank, `-` or `+` to the one place where they fit."""
    lines = difference.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    text = file.read_text()
    assert text.count(old) == 1, f"{file.name} has {text.count(old)} places for\n{difference}"
    file.write_text(text.replace(old, new))


def test_the_page_builds_a_protocol_that_does_what_the_page_prints(tmp_path: Path) -> None:
    copy = copy_project(tmp_path / "project")
    commands = 0
    for block in blocks_of(PAGE):
        file = copy / block.path
        if block.kind == "console":
            run(block.body, copy)
            commands += 1
        elif block.kind == "diff":
            change(file, block.body)
        elif block.path:
            assert not file.exists(), f"{block.path} is there already"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.body)
    assert commands == 4


def test_the_page_prints_code_as_the_project_writes_it(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for block in blocks_of(PAGE):
        if block.kind == "python":
            file = tmp_path / block.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.body)
    for command in (["format", "--check"], ["check", "--ignore", "I001"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", PAGE.read_text()))
def test_every_link_of_the_page_leads_somewhere(link: str) -> None:
    assert (PAGE.parent / link).exists()
