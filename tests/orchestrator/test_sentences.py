"""A value outside its bounds is told from its bound, in as few digits as that takes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from orchestrator.sentences import validation_sentence


class Bounded(BaseModel):
    whole: Annotated[int, Field(le=12_345_678)] = 0
    real: Annotated[float, Field(le=10.0)] = 0.0
    fine: Annotated[float, Field(ge=0.1234567891)] = 1.0
    exact: Annotated[Decimal, Field(gt=Decimal("0.000001"))] = Decimal(1)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("whole", 12_345_679, "whole: expected a number of at most 12345678, found 12345679."),
        ("real", 10.000000001, "real: expected a number of at most 10, found 10.000000001."),
        ("fine", 0.123456789, "fine: expected a number of at least 0.1234567891, found 0.123456789."),
        ("exact", 0, "exact: expected a number above 0.000001, found 0."),
    ],
)
def test_a_bound_is_shown_as_exactly_as_it_is_needed(key: str, value: object, sentence: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Bounded.model_validate({key: value})
    assert validation_sentence(refusal.value, {}, Bounded.model_fields) == sentence


@pytest.mark.parametrize("length", [58, 59])
def test_a_long_value_is_cut(length: int) -> None:
    with pytest.raises(ValidationError) as refused:
        Bounded(whole="x" * length)  # type: ignore[arg-type]
    found = validation_sentence(refused.value, {}, Bounded.model_fields).partition(", found ")[2]
    assert found == (f"'{'x' * 58}'." if length == 58 else f"'{'x' * 56}....")
