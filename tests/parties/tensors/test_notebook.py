"""The notebook on private tensors: a readable source and what Jupyter opens, which runs to its end."""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from tests.ports import free_ports

FOLDER = Path(__file__).resolve().parents[3] / "notebooks"
NOTEBOOK = FOLDER / "private_tensors.ipynb"


def test_the_notebook_is_its_source_without_outputs() -> None:
    notebook, source = nbformat.read(NOTEBOOK, as_version=4), jupytext.read(NOTEBOOK.with_suffix(".py"))
    nbformat.validate(notebook)
    both = [[(cell.cell_type, cell.source) for cell in one.cells] for one in (notebook, source)]
    assert both[0] == both[1], "write it again: jupytext --update --to ipynb notebooks/private_tensors.py"
    assert not any(cell.get("outputs") for cell in notebook.cells)


def test_the_notebook_runs_from_its_folder_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPC_START_PORT", str(free_ports(2)))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "needs 74 bits (a product of 36 and 36 bits), ring has 64" in text
    assert "accuracy on 114 tumours that nobody trained on: 0.9" in text
    assert "accuracy was revealed to hospital, laboratory" in text
    for backend in ("replicated", "two_party", "dealer_mac"):
        assert f"{backend}: -0.0833" in text
    assert not list(tmp_path.glob("tmp*"))
