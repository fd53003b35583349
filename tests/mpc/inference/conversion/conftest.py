"""Models of these tests have the same random weights in every run."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def same_weights_in_every_run() -> None:
    torch.manual_seed(3)
