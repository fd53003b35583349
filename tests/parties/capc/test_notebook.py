"""The notebook: a pair of a readable source and what Jupyter opens, which runs to its end and keeps its promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from tests.parties.capc.runs import free_ports

FOLDER = Path(__file__).resolve().parents[3] / "notebooks"
NOTEBOOK = FOLDER / "run_experiment.ipynb"
PARTIES = 8  # of the larger run, and its guardian


def cells(notebook: Any) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_the_notebook_is_its_source_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert cells(notebook) == cells(jupytext.read(NOTEBOOK.with_suffix(".py"))), (
        "write it again: jupytext --update --to ipynb notebooks/run_experiment.py"
    )
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.slow  # two runs of the real parties, which train first: half a minute
def test_the_notebook_runs_from_its_folder_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPC_START_PORT", str(free_ports(PARTIES)))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 4
    before, after, labels = re.search(r"^accuracy (\S+) -> (\S+) by (\d+) labels$", text, re.MULTILINE).groups()  # type: ignore[union-attr]
    assert float(after) > float(before)
    assert 10 <= int(labels) <= 20  # as far as the budget goes
    assert f"for {labels} answers" in text  # the ledger's word
    assert not list(tmp_path.glob("capc-notebook-*"))
