"""What a peer's architecture and orders may be at most, and one beyond it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mpc.errors import ParameterError
from mpc.inference.linear.dealt import CorrelationRequest
from mpc.inference.models.fixed import MaxPool
from mpc.inference.models.limits import check_extents, check_tensor, check_weights
from mpc.inference.pool import Order


@pytest.mark.parametrize(
    ("most", "check"),
    [
        (1 << 16, lambda size: check_extents("it", 1, size)),
        (1 << 20, lambda size: check_tensor((32, size // 32 + size % 32), "it")),
        (1 << 26, lambda size: check_weights(size, "it", size)),
        (1 << 12, lambda size: Order("use", size)),
        (1 << 12, CorrelationRequest),
        (1 << 10, lambda size: MaxPool((1, size), (1, 1)).output_shape((1, 1, size), "it")),
        (1 << 10, lambda size: MaxPool((32, 32), (1, 1)).output_shape((1, 32, 31 + size), "it")),
    ],
)
def test_a_limit_holds_to_the_last_one(most: int, check: Callable[[int], object]) -> None:
    check(most)
    with pytest.raises(ParameterError):
        check(most + 1)
