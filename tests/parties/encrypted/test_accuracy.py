"""What the polynomial and the few steps cost in accuracy, beside scikit-learn, over ten splits of breast cancer.

In the clear: that the encrypted run gives the same weights is tested elsewhere.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from mpc.encrypted.packing import Packing
from mpc.encrypted.programs.logistic import Logistic, train_in_the_clear
from mpc.encrypted.ranges import largest_z
from parties.encrypted.model import LinearModel
from parties.encrypted.owner import Choices, scikit_learn, signed_records
from parties.encrypted.preparation import Preparation
from parties.encrypted.records import LabelledTable


@pytest.mark.parametrize(
    ("choices", "below"),
    [
        (Choices(Logistic(10.0, 3), 15, 0.1, 4.0, 3.0), 0.01),
        (Choices(Logistic(7.0, 5), None, None, 4.0, 2.0), 0.007),
        (Choices(Logistic(4.0, 9, stretch=2), None, None, 4.0, 2.5), 0.005),
        (Choices(Logistic(3.0, 20, stretch=2), None, None, 4.0, 2.5), 0.005),
    ],
)
def test_accuracy_over_ten_splits(choices: Choices, below: float) -> None:
    """The choices were made on other splits of the records than these."""
    training = choices.training
    features, classes = load_breast_cancer(return_X_y=True)
    ours, theirs = [], []
    for seed in range(10):
        x, test, y, truth = train_test_split(features, classes, test_size=0.2, random_state=seed, stratify=classes)
        table = LabelledTable(x, y.astype(np.int64), ("0", "1"))
        preparation = Preparation.of(x, choices.components, choices.whiten, choices.clip, choices.norm)
        (records,), _ = signed_records(table, preparation)
        packing = Packing.fit(len(x), preparation.outputs, 8192)
        assert max(largest_z(records, training, packing.records)) <= training.sigmoid.range
        weights = train_in_the_clear(packing.unpack(packing.pack(records)), training, packing)
        model = LinearModel(weights[None, : preparation.outputs], preparation, table.classes)
        ours.append(model.accuracy(test, truth))
        theirs.append(scikit_learn(table).score(test, truth))
    assert np.mean(theirs) == pytest.approx(0.9816, abs=1e-4)
    assert np.mean(ours) >= np.mean(theirs) - below
