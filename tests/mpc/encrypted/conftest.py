"""A small set of parameters, which is not secure, for tests of programs on ciphertexts."""

from __future__ import annotations

import pytest

from mpc._core import CkksParameters
from mpc.encrypted import parameters


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a set of degree 1024 and depth 9, which is the only one while a test runs."""

    def make() -> CkksParameters:
        return CkksParameters(1024, [47] + [36] * 9, [47], 36, insecure=True)

    monkeypatch.setattr(parameters, "SETS", {"tiny": make})
    monkeypatch.setattr(parameters, "_made", {})
    return "tiny"
