"""The names that a user may rely on, when they are loaded, and the page of errors."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mpc import errors

ROOT = Path(__file__).resolve().parents[1]
LAZY = ("mpc", "mpc.channels", "mpc.garbled")
HEAVY = ("numpy", "OpenSSL", "mpc._core")


def loaded_by(statements: str) -> set[str]:
    """Return the names of all modules that a fresh interpreter has loaded after the statements."""
    program = f"{statements}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_is_there_and_unknown_ones_are_not(package: str) -> None:
    module = import_module(package)
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018  (the point of this test)


@pytest.mark.parametrize("package", [*LAZY, "mpc.errors"])
def test_importing_a_package_loads_nothing_heavy(package: str) -> None:
    assert loaded_by(f"import {package}").isdisjoint(HEAVY)


def test_a_channel_in_memory_needs_no_tls() -> None:
    assert loaded_by("from mpc.channels import memory_pair").isdisjoint({"OpenSSL", "mpc._core"})


@pytest.mark.parametrize("package", LAZY)
def test_any_public_name_may_be_the_first_to_be_loaded(package: str) -> None:
    """A circle of imports would show itself in one order and not in another."""
    for name in import_module(package).__all__:
        loaded_by(f"from {package} import {name}")


def test_the_page_of_errors_is_the_tree_of_classes() -> None:
    classes = {
        name: found for name, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, errors.MpcError)
    }
    drawn: list[tuple[str, str]] = []
    path: list[str] = []
    for branch, name in re.findall(r"^ {4}([│├└─ ]*)(\w+)", errors.__doc__ or "", re.MULTILINE):
        path[len(branch) // 4 :] = [name]
        if len(path) > 1:
            drawn.append((path[-2], name))
    found = [
        (base.__name__, name) for name, child in classes.items() for base in child.__bases__ if base.__name__ in classes
    ]
    assert sorted(drawn) == sorted(found)


@pytest.mark.parametrize("package", ["mpc", "parties", "orchestrator"])
def test_annotations_are_for_users_too(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
