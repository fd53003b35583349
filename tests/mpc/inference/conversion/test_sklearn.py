"""What is converted from an estimator of scikit-learn decides as the estimator does, or is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegressionCV, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import SVC

from mpc.errors import ParameterError
from mpc.inference import Network, from_sklearn


@pytest.mark.parametrize("scaler", [None, StandardScaler(), StandardScaler(with_mean=False), MinMaxScaler((-1, 2))])
@pytest.mark.parametrize(
    "estimator",
    [RidgeClassifier(), SGDClassifier(random_state=0), Perceptron(), LinearDiscriminantAnalysis(),
     LogisticRegressionCV(cv=2, max_iter=500)],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_estimators_with_coefficients_and_their_scalers_decide_the_same(estimator, scaler) -> None:
    records, labels = load_iris(return_X_y=True)
    names = np.array(["c", "a", "b"])[labels]
    for chosen in (names, names == "a"):
        model = make_pipeline(scaler, estimator) if scaler is not None else estimator
        model.fit(records, chosen)
        network = Network.from_layers(from_sklearn(model), (4,), (0.0, 8.0), 14, 45)
        found = network.run_clear(network.encode_inputs(records)).argmax(axis=1)
        assert (np.asarray(estimator.classes_)[found] == model.predict(records)).mean() > 0.98


def test_estimators_that_decide_otherwise_are_refused() -> None:
    records, labels = load_iris(return_X_y=True)
    several = np.stack([labels == 0, labels == 1], axis=1).astype(int)
    for model, message in (
        (RidgeClassifier().fit(records, several), "one label in RidgeClassifier"),
        (make_pipeline(Normalizer(), Perceptron()).fit(records, labels), r"found step normalizer \(Normalizer\)"),
        (make_pipeline(MinMaxScaler(clip=True), Perceptron()).fit(records, labels), "clip off"),
        (SVC(kernel="linear").fit(records, labels), "one for every pair"),
        (SVC(kernel="rbf").fit(records, labels), "found one without coefficients"),
        (object(), "found object"),
    ):
        with pytest.raises(ParameterError, match=message):
            from_sklearn(model)
