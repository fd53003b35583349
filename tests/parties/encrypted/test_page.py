"""`docs/encrypted-training.md` is true: its commands print what it says, and its files and flags are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from parties.encrypted.options import DecryptModelOptions, EncryptDatasetOptions, TrainOptions
from tests.page_blocks import blocks_of, run

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "encrypted-training.md"


@pytest.mark.slow  # minutes on a busy machine: two dozen programs, one after another
@pytest.mark.timeout(2400)
def test_the_commands_print_what_the_page_says(tmp_path: Path) -> None:
    commands = 0
    for block in blocks_of(PAGE):
        if block.kind == "python":
            one_thread = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # threads wait for each other on a busy machine
            subprocess.run([sys.executable, "-c", block.body], cwd=tmp_path, check=True, env=one_thread)
        elif block.kind == "console":
            command = block.body.replace("$ capc", f"$ python {ROOT / 'run_protocol.py'}", 1)
            run(command.replace("--config ", f"--config {ROOT}/", 1), tmp_path)
            commands += 1
    assert commands == 21
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [
        "alice",
        "bob",
        "bob2",
        "files",
        "first",
        "logs",
        "north",
        "second",
        "south",
        "third",
    ]
    assert not os.path.exists(tmp_path / "other.enc")


def test_every_flag_of_the_page_is_there() -> None:
    known = {
        name for options in (EncryptDatasetOptions, DecryptModelOptions, TrainOptions) for name in options.model_fields
    }
    flags = re.findall(r"^\| `--(\w+)`", PAGE.read_text(), re.MULTILINE)
    assert len(flags) == 13
    assert {*flags} <= known


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", PAGE.read_text()))
def test_every_link_of_the_page_leads_somewhere(link: str) -> None:
    assert (PAGE.parent / link).exists()
