"""The whole protocol with correlations from a dealer gives the plaintext labels, and the dealer sees only shapes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mpc.capc.clear import plaintext_labels
from mpc.capc.parameters import PublicParameters
from mpc.capc.protocol import run_capc
from mpc.inference import Network
from tests.mpc.inference.examples import mlp


@pytest.mark.parametrize("aggregation", ["paillier", "direct"])
def test_capc_with_a_dealer_gives_the_plaintext_labels(aggregation: str) -> None:
    networks = [Network.from_layers(*mlp(np.random.default_rng(seed))) for seed in range(3)]
    parameters = PublicParameters(
        parties=3,
        classes=10,
        input_shape=(64,),
        ring_bits=41,
        fraction_bits=12,
        sigma=str(Fraction(0)),
        aggregation=aggregation,
        key_bits=2048,
        preprocessing="dealer",
    )
    queries = np.random.default_rng(7).uniform(0, 1, (4, 64))
    run = run_capc(queries, networks, parameters)
    np.testing.assert_array_equal(run.labels, plaintext_labels(queries, networks, parameters))
    labels = {label for channel in run.views["server-1"] for _, label, _ in channel.transcript}
    assert "linear/0/dealt" in labels
    assert "linear/0/upload" not in labels
    dealing = run.views["privacy-guardian"][1:]
    assert len(dealing) == len(networks)
    for channel in dealing:
        received = {label for way, label, _ in channel.transcript if way == "received"}
        assert received - {"hello", "masks/plain"} == {"dealer/architecture", "dealer/request"}
