"""What a person relies on: fifty labels equal the plaintext vote, on digits and MNIST, with 1, 3 and 10 parties."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.parties.runs import expected_labels, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

needs_mnist = pytest.mark.skipif(
    "CAPC_DATA_DIR" not in os.environ, reason="CAPC_DATA_DIR does not name a folder with the MNIST files"
)


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for all runs, so that a party trains once."""
    return tmp_path_factory.mktemp("acceptance")


@pytest.mark.parametrize("parties", [1, 3, 10])
@pytest.mark.parametrize("dataset", ["digits", pytest.param("mnist", marks=needs_mnist)])
def test_fifty_labels_are_the_plaintext_majority(top: Path, dataset: str, parties: int) -> None:
    choices = {
        "dataset": dataset,
        "models": "mlp,cnn-avgpool" if dataset == "digits" else "cryptonets-relu",
        "n_parties": parties,
        "n_queries": 50,
        "batch_size": 25,
        "connect_deadline_s": 600,
        "run_deadline_s": 800,
    }
    with running(top, f"{dataset}-{parties}", **choices) as run:
        result = run.finish()
        assert [query["predicted"] for query in result["queries"]] == expected_labels(run)
    correct = [query["correct"] for query in result["queries"]]
    agreement = np.mean([query["predicted"] == query["correct"] for query in result["queries"]])
    assert agreement > 0.6, correct  # models of a few epochs, but models
    if dataset == "mnist":
        assert correct[0] == 7
