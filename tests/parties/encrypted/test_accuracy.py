"""What the polynomial and the few steps cost in accuracy, beside scikit-learn, over ten splits of breast cancer.

In the clear: that the encrypted run gives the same weights is tested elsewhere.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from mpc.encrypted.packing import Packing
from mpc.encrypted.programs.logistic import Logistic, train_in_the_clear
from mpc.encrypted.ranges import largest_z
from parties.encrypted.model import LinearModel
from parties.encrypted.owner import signed_records
from parties.encrypted.preparation import Preparation
from parties.encrypted.records import LabelledTable


@pytest.mark.parametrize(
    ("components", "whiten", "choices", "least"),
    [(15, 0.01, Logistic(4.0, 3), 0.958), (30, 0.1, Logistic(0.8, 20, stretch=2), 0.965)],
)
def test_accuracy_over_ten_splits(components: int, whiten: float, choices: Logistic, least: float) -> None:
    features, classes = load_breast_cancer(return_X_y=True)
    ours, theirs = [], []
    for seed in range(10):
        x, test, y, truth = train_test_split(features, classes, test_size=0.2, random_state=seed, stratify=classes)
        table = LabelledTable(x, y.astype(np.int64), ("0", "1"))
        preparation = Preparation.of(x, components, whiten, 4.0 if components == 15 else 3.0)
        (records,), _ = signed_records(table, preparation)
        packing = Packing.fit(len(x), preparation.outputs, 8192)
        assert max(largest_z(records, choices, packing.records)) <= choices.sigmoid.range
        weights = train_in_the_clear(packing.unpack(packing.pack(records)), choices, packing)
        model = LinearModel(weights[None, : preparation.outputs], preparation, table.classes)
        ours.append(model.accuracy(test, truth))
        scaler = StandardScaler().fit(x)
        best = LogisticRegression(max_iter=1000).fit(scaler.transform(x), y)
        theirs.append(best.score(scaler.transform(test), truth))
    assert least < np.mean(ours) < np.mean(theirs) < 0.99
