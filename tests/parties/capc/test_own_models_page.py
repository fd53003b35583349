"""`docs/own-models.md` is true: its files and those of the page before, in a copy of the project, do what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mpc.inference.models.floats import Linear, ReLU
from parties.learning.model_files.layers_file import write_layers
from parties.learning.model_files.source import KINDS, RUN_CODE
from parties.learning.models import Model
from tests.copies import ROOT, copy_project
from tests.page_blocks import blocks_of, run

PAGE, BEFORE = ROOT / "docs" / "own-models.md", ROOT / "docs" / "own-data.md"


@pytest.mark.slow
def test_the_page_gets_labels_and_a_better_model_as_it_says(tmp_path: Path) -> None:
    for needed in ("torch", "onnxscript", "onnxruntime", "skops"):
        pytest.importorskip(needed)
    copy = copy_project(tmp_path / "project")
    (copy / "clinics").mkdir()
    (make,) = (block for block in blocks_of(BEFORE) if block.path == "clinics/make.py")
    for block in (make, *blocks_of(PAGE)):
        if block.path:
            (copy / block.path).write_text(block.body)
    subprocess.run([sys.executable, "clinics/make.py"], cwd=copy, check=True)
    commands = [block.body for block in blocks_of(PAGE) if block.kind == "console"]
    for command in commands:
        run(command, copy, ports=6)
    assert len(commands) == 4
    told = (copy / "files" / "cache" / "client" / "own-model.txt").read_text()
    assert "decisions about own records" in told


def test_torch_reads_the_npz_as_the_page_says(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    layers = (Linear(rng.normal(size=(5, 4)), rng.normal(size=5)), ReLU(), Linear(rng.normal(size=(2, 5)), np.ones(2)))
    write_layers(tmp_path / "net.npz", layers, (4,), ("no", "yes"))
    (code,) = (block.body for block in blocks_of(PAGE) if block.path == "clinics/from_npz.py")
    found: dict[str, object] = {"sys": sys}
    code = code.replace("sys.argv[1]", repr(os.fspath(tmp_path / "net.npz")))
    exec(code, found)  # noqa: S102  (the page's own)
    values = rng.random((3, 4))
    with torch.no_grad():
        logits = found["net"](torch.tensor(values, dtype=torch.float32)).numpy()  # type: ignore[operator]
    np.testing.assert_allclose(logits, Model((1, 1, 4), layers).logits(values), atol=1e-5)


def test_the_page_names_every_kind_of_file_and_says_which_run_code() -> None:
    text = PAGE.read_text()
    table = [line for line in text.splitlines() if line.startswith("| `")]
    assert {end for end in KINDS if not any(f"{end}`" in line for line in table)} == {".pth", ".pickle"}
    for end, kind in KINDS.items():
        trusting = [line for line in table if f"{end}`" in line]
        assert all(("trust_pickle" in line) == (kind in RUN_CODE) for line in trusting)
