"""Which back-ends can be chosen, and which parties each may have."""

from __future__ import annotations

from typing import get_args

import pytest

from mpc.errors import ParameterError
from mpc.tensors.backends.kinds import KINDS, all_in_memory, check_parties, kind_of
from parties.tensors.config import TensorsConfig


def test_a_configuration_offers_all_of_them() -> None:
    assert get_args(TensorsConfig.model_fields["backend"].annotation) == tuple(KINDS)


@pytest.mark.parametrize("backend", [*KINDS, "clear"])
def test_each_has_the_name_by_which_it_is_chosen(backend: str) -> None:
    kind = kind_of(backend)
    parties = tuple("abcd"[: kind.parties or 2])
    found = all_in_memory(backend, parties, "p" if kind.dealt else None, ("o",), 64)
    assert {one.name for one in found.values()} == {backend}
    assert {one.computing for one in found.values()} == {parties}
    for one in found.values():
        one.close()


@pytest.mark.parametrize("backend", KINDS)
def test_parties_that_it_cannot_have_are_refused(backend: str) -> None:
    kind = KINDS[backend]
    parties, provider = tuple("abcd"[: kind.parties or 2]), "p" if kind.dealt else None
    check_parties(backend, parties, provider)
    wrong: list[tuple[tuple[str, ...], str | None, str]] = [
        (parties[:1], provider, "computing parties"),
        (parties, None if kind.dealt else "p", "provider of correlations"),
        ((*parties[:-1], parties[0]), provider, "found a in two"),
    ]
    if kind.parties is not None:
        wrong.append(((*parties, "e"), provider, f"exactly {kind.parties} computing parties"))
    if kind.dealt:
        wrong.append((parties, "a", "found a, who could open every value"))
    for computing, dealer, words in wrong:
        with pytest.raises(ParameterError, match=words):
            check_parties(backend, computing, dealer)


def test_another_name_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"expected a back-end among clear, .*, found 'trusted'"):
        kind_of("trusted")
