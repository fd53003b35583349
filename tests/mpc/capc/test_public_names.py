"""The names that a package offers are there, and a light module of CaPC stays light."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest


@pytest.mark.parametrize("package", ["mpc.capc", "mpc.dp", "mpc.inference", "mpc.paillier"])
def test_every_public_name_is_there_once(package: str) -> None:
    module = import_module(package)
    assert [name for name in module.__all__ if getattr(module, name) is None] == []
    assert len(set(module.__all__)) == len(module.__all__)
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_a_turn_is_imported_without_the_protocol() -> None:
    program = (
        "import sys, mpc.capc.turns; print([name for name in ('mpc._core', 'mpc.inference') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
