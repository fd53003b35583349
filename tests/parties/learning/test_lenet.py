"""LeNet-5 with batch normalisation and max pooling on MNIST: secret logits equal the twin's, labels equal torch's."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from mpc.inference import Network, from_torch
from parties.learning.datasets import load_dataset
from tests.mpc.inference.examples import Session, lenet

IMAGES, BATCH = 200, 10

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        "CAPC_DATA_DIR" not in os.environ, reason="CAPC_DATA_DIR does not name a folder with the MNIST files"
    ),
]


def test_secret_logits_of_200_images_equal_the_fixed_point_twin() -> None:
    dataset = load_dataset("mnist", Path(os.environ["CAPC_DATA_DIR"]))
    torch.manual_seed(0)
    module = lenet()
    optimiser = torch.optim.AdamW(module.parameters(), lr=2e-3, weight_decay=0.2)
    images = torch.tensor(dataset.pool.images[:4000], dtype=torch.float32)
    labels = torch.tensor(dataset.pool.labels[:4000])
    for _ in range(2):
        for part in torch.randperm(len(images)).split(64):
            optimiser.zero_grad()
            functional.cross_entropy(module(images[part]), labels[part]).backward()
            optimiser.step()
    module.eval()

    queries = dataset.queries(0, IMAGES)
    network = Network.from_layers(from_torch(module), (1, 28, 28), session_queries=IMAGES)
    encoded = network.encode_inputs(queries.images)
    session = Session.open(network)
    logits = np.concatenate(
        [network.ring.add(*session.run(encoded[start : start + BATCH])) for start in range(0, IMAGES, BATCH)]
    )
    np.testing.assert_array_equal(network.ring.signed(logits), network.run_clear(encoded))
    with torch.no_grad():
        expected = module(torch.tensor(queries.images, dtype=torch.float32)).numpy()
    assert np.abs(network.decode_logits(logits) - expected).max() < 0.03
    predicted = network.decode_logits(logits).argmax(axis=1)
    assert (predicted == expected.argmax(axis=1)).mean() >= 0.99
    assert (predicted == queries.labels).mean() > 0.9
