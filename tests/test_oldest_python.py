"""The project runs on the oldest Python that it says it does: no syntax and no name of the library is newer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 10)
NEWER = {  # names that came with Python 3.11 to 3.13, as far as a project like this one may want them
    "typing": {
        "LiteralString", "Never", "NotRequired", "ReadOnly", "Required", "Self", "TypeAliasType", "TypeIs",
        "TypeVarTuple", "Unpack", "assert_never", "assert_type", "dataclass_transform", "override", "reveal_type",
    },
    "asyncio": {"Runner", "TaskGroup", "timeout", "timeout_at"},
    "contextlib": {"chdir"},
    "copy": {"replace"},
    "datetime": {"UTC"},
    "enum": {"EnumCheck", "FlagBoundary", "ReprEnum", "StrEnum", "member", "nonmember", "verify"},
    "hashlib": {"file_digest"},
    "http": {"HTTPMethod"},
    "itertools": {"batched"},
    "math": {"cbrt", "exp2", "fma", "sumprod"},
    "operator": {"call"},
    "re": {"NOFLAG"},
    "sys": {"exception", "monitoring"},
    "tomllib": set[str](),
    "warnings": {"deprecated"},
}  # fmt: skip
NEWER_BUILTINS = {"BaseExceptionGroup", "ExceptionGroup", "PythonFinalizationError"}


def too_new(source: str) -> Iterator[str]:
    """Yield what a Python of that age does not have."""
    for node in ast.walk(ast.parse(source, feature_version=OLDEST)):
        if isinstance(node, ast.ImportFrom) and node.module in NEWER:
            if not NEWER[node.module]:
                yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names if one.name in NEWER[node.module])
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name in NEWER and not NEWER[one.name])
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in NEWER.get(node.value.id, ()):
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Name) and node.id in NEWER_BUILTINS:
            yield node.id
        elif node.__class__.__name__ == "TryStar":
            yield "except*"


def test_the_oldest_python_is_the_one_that_is_promised() -> None:
    said = re.search(r'^requires-python = ">=(\d+)\.(\d+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert said is not None
    assert (int(said[1]), int(said[2])) == OLDEST


@pytest.mark.parametrize("folder", ["capc", "mpc", "parties", "orchestrator", "benchmarks", "tests"])
def test_no_source_needs_a_newer_python(folder: str) -> None:
    found = {
        str(path.relative_to(ROOT)): names
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (names := sorted(set(too_new(path.read_text()))))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from typing import Any, Self", ["typing.Self"]),
        ("import tomllib", ["tomllib"]),
        ("import datetime\nnow = datetime.UTC", ["datetime.UTC"]),
        ("raise ExceptionGroup('', [])", ["ExceptionGroup"]),
        ("from typing import Any", []),
    ],
)
def test_what_is_newer_is_found(source: str, names: list[str]) -> None:
    assert list(too_new(source)) == names


def test_newer_syntax_is_found() -> None:
    with pytest.raises(SyntaxError):
        list(too_new("try:\n    pass\nexcept* OSError:\n    pass\n"))
