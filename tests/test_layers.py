"""The orchestrator knows processes, not what they compute; imports run one way."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.orchestrator.conftest import ROOT

SOURCES = sorted((ROOT / "orchestrator").rglob("*.py")) + sorted((ROOT / "orchestrator").rglob("*.conf"))

# Words of one protocol, of privacy and of cryptography beyond certificates.
FOREIGN = {
    "capc", "logit", "argmax", "guardian", "query", "queries", "querying", "answering", "label", "vote", "noise",
    "paillier", "garble", "epsilon", "dataset", "mnist", "classes", "neural", "train", "accuracy", "histogram",
    "n_parties",
}  # fmt: skip


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_word_of_a_protocol(path: Path) -> None:
    text = path.read_text().lower()
    found = [word for word in sorted(FOREIGN) if re.search(rf"(?<![a-z]){word}", text)]
    assert found == []


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", sorted((ROOT / "orchestrator").rglob("*.py")), ids=lambda path: path.name)
def test_the_orchestrator_imports_only_what_a_protocol_tells_its_launcher(path: Path) -> None:
    from_parties = {name for name in imported(path) if name.split(".")[0] == "parties"}
    allowed = ("parties.frame.plan", "parties.frame.errors", "parties.frame.charts", "parties.frame.private_files")
    within = tuple(f"{module}." for module in allowed)
    assert all(name in ("parties", *allowed) or name.startswith(within) for name in from_parties)
    assert not any(name.split(".")[0] in ("mpc", "torch", "numpy") for name in imported(path))


@pytest.mark.parametrize("layer", ["parties", "mpc"])
def test_lower_layers_do_not_import_upwards(layer: str) -> None:
    above = {"parties": {"orchestrator", "libtmux"}, "mpc": {"orchestrator", "parties", "libtmux"}}[layer]
    for path in (ROOT / layer).rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & above, path


def test_the_guard_needs_only_the_standard_library() -> None:
    names = {name.split(".")[0] for name in imported(ROOT / "orchestrator" / "teardown.py")}
    assert names <= {
        "__future__", "contextlib", "json", "os", "shutil", "signal", "subprocess", "sys", "time", "collections",
        "dataclasses", "pathlib",
    }  # fmt: skip
