"""The pages are true: whatever they name is there. They tell of CaPC, so this stands with its tests."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestrator.config import RunOptions
from parties.capc.config import CapcConfig
from parties.capc.settings import ANSWERING, GUARDIAN, QUERYING
from parties.protocols import PROTOCOLS

ROOT = Path(__file__).resolve().parents[3]
WHERE_PAGES_LIE = ("*.md", "docs/*.md", "files/README.md", "logs/README.md", "benchmarks/peers/*.md", "configs/*/*.md")
PAGES = sorted(page for pattern in WHERE_PAGES_LIE for page in ROOT.glob(pattern))
OTHER_PROGRAMS = re.compile(r"\b(cmake|ctest|docker|pip|git)\b[^`\n]*")  # their flags are not ours
OLD_PAGES = {"CHANGELOG.md"}  # what was true once may name what has gone
PAGES_WITH_FILES = {"adding-a-protocol.md"}  # what it names it brings along; a test of its own runs it
README_LINES = 120

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The names that a page's headings have as targets of links."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table_under(page: str, heading: str) -> list[list[str]]:
    """The rows, without the head, of the table under a heading."""
    text = (ROOT / "docs" / page).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [cells(line) for line in text.splitlines() if line.startswith("|")][2:]


def test_the_readme_is_a_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in anchors(found.read_text())):
            broken.append(target)
    assert broken == []


@pages
def test_every_path_exists(page: Path) -> None:
    if page.name in OLD_PAGES | PAGES_WITH_FILES:
        return
    tops = "mpc|parties|orchestrator|tests|docs|configs|benchmarks|notebooks"
    named = re.findall(rf"(?<![\w/.-])((?:{tops})/[\w./-]*)", page.read_text())
    named += re.findall(r"`(\w+\.(?:py|toml))`(?!\])", page.read_text()) if page.parent == ROOT else []
    assert [path for path in named if not (ROOT / path.rstrip(".")).exists()] == []


@pages
def test_every_module_that_one_may_run_is_there(page: Path) -> None:
    if page.name in PAGES_WITH_FILES:
        return
    modules = re.findall(r"python[\d.]* -m ([\w.]+\w)", page.read_text())
    assert [name for name in modules if find_spec(name) is None] == []


@pages
def test_every_test_that_is_named_is_there(page: Path) -> None:
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", page.read_text())
    assert [pair for pair in named if f"def {pair[1]}(" not in (ROOT / pair[0]).read_text()] == []


@pytest.fixture(scope="module")
def flags() -> set[str]:
    """Of `run_protocol.py`, and of every other program of the project."""
    command = [sys.executable, "run_protocol.py", "--help"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tops = ("benchmarks", "orchestrator", "parties", "tests/vectors", "tests/mutation")
    sources = [path for top in tops for path in (ROOT / top).rglob("*.py")]
    text += "".join(path.read_text() for path in sources)
    for protocol in PROTOCOLS.values():
        models = [protocol.Config, *(one.options for one in protocol.commands.values())]
        text += "".join(f" --{name}" for model in models for name in model.model_fields)
    return set(re.findall(r"(?<![\w-])--\w+", text))


@pages
def test_every_flag_is_one(page: Path, flags: set[str]) -> None:
    if page.name not in OLD_PAGES:
        text = OTHER_PROGRAMS.sub("", page.read_text().replace("\\\n", " "))
        named = {f"--{name.replace('-', '_')}" for name in re.findall(r"(?<![\w<!-])--([a-z](?:-?\w)*)", text)}
        assert named - flags == set()  # a flag may be written with hyphens


def test_every_key_of_the_choices_is_a_key() -> None:
    keys = set(CapcConfig.model_fields) | set(RunOptions.model_fields)
    first = [cells(line)[0] for line in (ROOT / "docs" / "choices.md").read_text().splitlines() if line[:3] == "| `"]
    named = {name for cell in first for name in re.findall(r"`(\w+)`", cell)}
    assert len(named) > 20
    assert named - keys == set()


@pages
def test_every_configuration_is_there(page: Path) -> None:
    named = re.findall(r"`([\w-]+\.yaml)`", page.read_text())
    assert [name for name in named if not (ROOT / "configs" / name).exists()] == []


def test_the_glossary_names_every_role_that_the_code_names() -> None:
    rows = table_under("glossary.md", "Roles")
    assert {QUERYING, ANSWERING, GUARDIAN} <= {row[0].partition(",")[0] for row in rows}


def test_the_glossary_has_every_word_once() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()
    words = [cells(line)[0] for line in text.splitlines() if line.startswith("|")]
    words = [word for word in words if word not in ("word", "---")]
    assert sorted(words) == sorted(set(words))
