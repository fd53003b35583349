"""The pages name tests that are there: a claim that a test stands for must not outlive it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MADE_BY_READERS = "total"  # the protocol that docs/adding-a-protocol.md tells its readers to write
_NAMED = re.compile(r"(?<![\w/])(?:\.\./)*((?:tests|mpc/tests)/[\w/]+\.(?:py|cpp))(?:::(\w+))?")


def missing(page: str, root: Path) -> list[str]:
    """Return each test that the page names and the tree does not have."""
    found = []
    for path, name in _NAMED.findall(page):
        if MADE_BY_READERS in Path(path).parts:
            continue
        file = root / path
        if not file.is_file() or (
            name and not re.search(rf"^\s*(?:async )?(?:def|class) {name}\b", file.read_text(), re.M)
        ):
            found.append(f"{path}::{name}" if name else path)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    assert missing(page.read_text(), ROOT) == []


def test_a_test_that_moved_or_was_renamed_is_found(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_one.py").write_text("def test_a() -> None: ...\n")
    page = "`tests/test_one.py::test_a`, `tests/test_one.py::test_b`, [two](../tests/test_two.py), mpc/tests/x.cpp"
    assert missing(page, tmp_path) == ["tests/test_one.py::test_b", "tests/test_two.py", "mpc/tests/x.cpp"]
