"""Sessions of two parties have more time."""

from __future__ import annotations

import pytest

from tests.mpc.tensors.backends import session


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transforms of long polynomials take their time on a busy machine."""
    monkeypatch.setattr(session, "PATIENCE_S", 300.0)
