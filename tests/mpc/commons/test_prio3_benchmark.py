"""The benchmark measures what it says and writes its table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import prio3


def test_it_writes_figures_of_every_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prio3, "BATCHES", (1, 8))
    prio3.main(["--rounds", "1", "--out", str(tmp_path)])
    cases = json.loads((tmp_path / "prio3.json").read_text())["cases"]
    assert list(cases) == list(prio3.CASES) == list(prio3.LIBPRIO)
    assert all(figure > 0 for programs in cases.values() for roles in programs.values() for figure in roles.values())
    assert (tmp_path / "prio3.md").read_text().count("\n| ") == 2 * len(cases) + 1
    with pytest.raises(SystemExit, match="expected reference=PYTHON:POC or npm=FOLDER, found other"):
        prio3.Peer("other=x")
