"""What a person is told about the privacy that was spent."""

from __future__ import annotations

import math

from mpc.dp.accountant import answer_cost, epsilon
from parties.capc.results import warnings


def test_the_demos_noise_is_called_what_it_is() -> None:
    spent = epsilon([answer_cost("1/10")], 1e-5)
    assert spent > 100
    (warning,) = warnings(spent, 1)
    assert "no privacy to speak of" in warning
    assert "1 answering party," in warning


def test_warnings_come_only_where_they_are_due() -> None:
    assert warnings(2.5, 50) == ()
    assert "no differential privacy" in warnings(math.inf, 3)[0]
    assert "3 answering parties" in warnings(10.5, 3)[0]
    assert "larger dp_noise_scale" in warnings(10.5, 50)[0]
