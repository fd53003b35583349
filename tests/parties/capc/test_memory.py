"""What a run of many parties is expected to take, beside what runs took."""

from __future__ import annotations

import pytest

from parties.capc.config import CapcConfig
from parties.capc.memory import TRAININGS_BYTES, Memory

MB = 1_000_000


def in_all(config: CapcConfig, shape: tuple[int, int, int] = (1, 8, 8), name: str = "mlp") -> int:
    memory = Memory(config, shape, config.num_classes)
    parties = config.n_parties
    return memory.guardian() + memory.querying([name] * parties) + parties * memory.answering(name)


def test_the_figures_cover_what_a_run_was_seen_to_take() -> None:
    """40 parties of the default configuration held 71, 22 and 17 MB (asking, answering, guardian)."""
    memory = Memory(CapcConfig(n_parties=40), (1, 8, 8), 10)
    assert 71 * MB < memory.querying(["mlp"] * 40) < 2 * 71 * MB
    assert 20 * MB < memory.answering("mlp") < 25 * MB
    assert 17 * MB < memory.guardian() < 2 * 17 * MB
    many = Memory(CapcConfig(n_parties=250), (1, 8, 8), 10)
    assert 229 * MB < many.querying(["mlp"] * 250) < 2 * 229 * MB
    assert 44 * MB < many.guardian() < 2 * 44 * MB


def test_what_is_prepared_grows_with_pool_batch_and_network() -> None:
    def prepared(name: str, **choices: object) -> int:
        memory = Memory(CapcConfig(**choices), (1, 28, 28), 10)  # type: ignore[arg-type]
        return memory.answering(name) - memory.answering(None)

    once = prepared("mlp", pool=0)
    assert prepared("mlp", pool=1) == 2 * once
    assert prepared("mlp", pool=1, batch_size=64, n_queries=64) == 128 * once
    assert prepared("mlp", pool=1, circuits="streamed") == once
    assert once == 32 * 3000 + 10 * 2000
    assert prepared("linear", pool=0) == 10 * 2000
    assert prepared("cryptonets-relu", pool=0) > 10 * once


@pytest.mark.parametrize(("parties", "low", "high"), [(99, 2.4, 4), (250, 6, 8), (1000, 24, 30)])
def test_many_parties_are_planned_in_gigabytes(parties: int, low: float, high: float) -> None:
    assert low < (in_all(CapcConfig(n_parties=parties)) + TRAININGS_BYTES) / 1e9 < high
