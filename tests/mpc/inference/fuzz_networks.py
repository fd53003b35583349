"""Random networks from torch, ONNX and scikit-learn, each right or refused by name.

    python -m tests.mpc.inference.fuzz_networks --clear 5000 --secret 500

Every network is converted and asked random queries. In the clear its logits lie within the derived error of the
original's, which is run here by itself. In secret the two shares add up to the twin's logits, bit by bit. A refusal is
an error of the kind that is raised on purpose. Anything else ends the run, with the seed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mpc.errors import ParameterError
from mpc.inference import Network, from_onnx, from_sklearn, from_torch
from tests.mpc.inference.examples import Session

Floats = NDArray[np.float64]
Shape = tuple[int, ...]
_QUERIES = 4


class Sample:
    """One random network: its layers, its queries' shape and range, and its original."""

    def __init__(
        self,
        kind: str,
        convert: Callable[[], Any],
        shape: Shape,
        ends: tuple[float, float],
        original: Callable[..., Any],
    ) -> None:
        self.kind, self.convert, self.shape, self.ends, self.original = kind, convert, shape, ends, original


class Residual(nn.Module):
    """No chain."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


class Functional(nn.Module):
    """The same modules, with functions between them, and a scaled input."""

    def __init__(self, first: nn.Module, rest: nn.Module, scale: float) -> None:
        super().__init__()
        self.first, self.rest, self.scale = first, rest, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu(self.first((x - 0.25) * self.scale))
        return self.rest(x.reshape(x.size(0), -1))


def images(rng: np.random.Generator) -> tuple[list[nn.Module], Shape]:
    """Layers of a random convolutional network, and the shape of its input."""
    shape: Shape = (int(rng.integers(1, 4)), int(rng.integers(4, 11)), int(rng.integers(4, 11)))
    layers: list[nn.Module] = []
    probe = torch.zeros(2, *shape)
    shared: nn.Module = nn.ReLU() if rng.random() < 0.7 else nn.LeakyReLU(float(rng.uniform(0.01, 0.9)))
    last: nn.Module | None = None
    for _ in range(int(rng.integers(1, 4))):
        channels = probe.shape[1]
        kernel = tuple(int(rng.integers(1, 1 + min(3, side))) for side in probe.shape[2:])
        stride = tuple(int(one) for one in rng.integers(1, 3, 2))
        outputs = channels * int(rng.integers(1, 3))
        groups = channels if rng.random() < 0.25 else 1
        padding: Any = tuple(int(one) for one in rng.integers(0, 2, 2))
        if rng.random() < 0.15:
            stride, padding = (1, 1), "same"
        if last is not None and rng.random() < 0.2 and probe.shape[1] == last.in_channels == last.out_channels:
            added: list[nn.Module] = [last]  # the same module again
        else:
            last = nn.Conv2d(channels, outputs, kernel, stride, padding, groups=groups, bias=rng.random() < 0.8)
            added = [last]
        if rng.random() < 0.3:
            added.append(nn.BatchNorm2d(added[0].out_channels))
        if rng.random() < 0.8:
            added.append(shared)
        pool = rng.random()
        window = tuple(int(one) for one in rng.integers(1, 4, 2))
        sides = tuple(int(rng.integers(0, one // 2 + 1)) for one in window)
        if pool < 0.2:
            added.append(nn.MaxPool2d(window, tuple(int(one) for one in rng.integers(1, 3, 2)), sides))
        elif pool < 0.4:
            added.append(nn.AvgPool2d(window, tuple(int(one) for one in rng.integers(1, 3, 2)), sides))
        if rng.random() < 0.2:
            added = [nn.Sequential(*added)]
        try:
            probe = nn.Sequential(*added).eval()(probe)
        except RuntimeError:  # torch itself refuses windows beyond the image
            last = None
            continue
        layers += added
    if rng.random() < 0.3:
        layers.append(nn.AdaptiveAvgPool2d(tuple(int(rng.integers(1, 1 + side)) for side in probe.shape[2:])))
    return layers, shape


def scaled(rng: np.random.Generator, module: nn.Module) -> nn.Module:
    """Trained-looking statistics, and weights that are sometimes small."""
    factor = float(rng.choice([1.0, 1.0, 1.0, 0.1, 1e-2, 1e-3]))
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
                part.running_mean.uniform_(-0.3, 0.3)
                part.running_var.uniform_(0.3, 2)
                part.weight.uniform_(-1.5, 1.5)
                part.bias.uniform_(-0.3, 0.3)
            elif isinstance(part, nn.Conv2d | nn.Linear):
                part.weight.mul_(factor)
    return module.eval()


def torch_network(rng: np.random.Generator) -> tuple[nn.Module, Shape]:
    classes = int(rng.integers(1, 6))
    if rng.random() < 0.3:
        width = int(rng.integers(1, 20))
        block = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        inner: list[nn.Module] = [block] * int(rng.integers(1, 3))
        if rng.random() < 0.1:
            inner.append(Residual(nn.Linear(width, width)))
        if rng.random() < 0.3:
            inner.append(nn.BatchNorm1d(width))
        return scaled(rng, nn.Sequential(*inner, nn.Dropout(), nn.Linear(width, classes))), (width,)
    layers, shape = images(rng)
    size = nn.Sequential(*layers).eval()(torch.zeros(2, *shape)).flatten(1).shape[1]
    if layers and rng.random() < 0.3:
        first = nn.Sequential(*layers)
        return scaled(rng, Functional(first, nn.Linear(size, classes), float(rng.uniform(0.5, 2)))), shape
    layers += [nn.Flatten(), nn.Linear(size, classes)]
    return scaled(rng, nn.Sequential(*layers)), shape


def from_a_torch_module(rng: np.random.Generator, folder: Path) -> Sample:
    module, shape = torch_network(rng)
    ends = (float(rng.choice([0.0, -1.0, 0.5])), float(rng.choice([1.0, 2.0])))
    double = module.double()
    kind = rng.choice(["float32", "float64"], p=[0.8, 0.2])

    def original(values: Floats) -> Floats:
        with torch.no_grad():
            return double.double()(torch.as_tensor(values, dtype=torch.float64)).numpy()

    return Sample("torch", lambda: from_torch(module.float() if kind == "float32" else module), shape, ends, original)


def from_an_onnx_file(rng: np.random.Generator, folder: Path) -> Sample:
    module, shape = torch_network(rng)
    path = folder / "network.onnx"
    try:
        with quiet():  # the exporter prints the graphs that it cannot write
            torch.onnx.export(
                module.float(), (torch.zeros(2, *shape),), str(path), dynamo=False, input_names=["x"],
                dynamic_axes={"x": {0: "n"}},
            )  # fmt: skip
    except Exception:  # noqa: BLE001 - torch cannot write every network: the next one
        return from_a_torch_module(rng, folder)

    def original(values: Floats) -> Floats:
        with torch.no_grad():
            return module.double()(torch.as_tensor(values, dtype=torch.float64)).numpy()

    return Sample("onnx", lambda: from_onnx(path), shape, (0.0, 1.0), original)


def from_an_estimator(rng: np.random.Generator, folder: Path) -> Sample:
    from sklearn import discriminant_analysis, linear_model, neural_network, pipeline, preprocessing, svm

    features, classes = int(rng.integers(2, 12)), int(rng.integers(2, 5))
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 60)])
    records = rng.uniform(0, 1, (len(labels), features)) * rng.uniform(0.2, 1, features)
    estimator: Any = rng.choice(
        [
            linear_model.LogisticRegression(), linear_model.RidgeClassifier(), linear_model.SGDClassifier(),
            linear_model.Perceptron(), svm.LinearSVC(), svm.SVC(kernel="linear"),
            discriminant_analysis.LinearDiscriminantAnalysis(),
            neural_network.MLPClassifier((5,), max_iter=20, random_state=0),
        ]
    )  # fmt: skip
    steps = rng.choice(
        [None, preprocessing.StandardScaler(), preprocessing.MinMaxScaler(), preprocessing.RobustScaler(),
         preprocessing.Normalizer()]
    )  # fmt: skip
    whole = estimator if steps is None else pipeline.make_pipeline(steps, estimator)
    whole.fit(records, labels)
    if rng.random() < 0.3 and hasattr(estimator, "sparsify"):
        estimator.sparsify()

    def original(values: Floats) -> Floats:
        if isinstance(estimator, neural_network.MLPClassifier):
            found = np.log(np.maximum(whole.predict_proba(values), 1e-300))
            return found - found[:, :1]
        found = whole.decision_function(values)
        return found if found.ndim == 2 else np.stack([0 * found, found], axis=1)

    kind = "sklearn mlp" if isinstance(estimator, neural_network.MLPClassifier) else "sklearn"
    return Sample(kind, lambda: from_sklearn(whole), (features,), (0.0, 1.0), original)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what C++ code prints nowhere."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


MAKERS = (from_a_torch_module, from_a_torch_module, from_an_onnx_file, from_an_estimator)


class Tally:
    """What became of the networks."""

    def __init__(self) -> None:
        self.right: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.secret = self.warned = 0
        self.worst = 0.0

    def __str__(self) -> str:
        reasons = ", ".join(f"{count} {reason!r}" for reason, count in self.refused.most_common(12))
        return (
            f"{sum(self.right.values())} right ({dict(self.right)}), {self.secret} of them also in secret, "
            f"{self.warned} with a warning, {sum(self.refused.values())} refused; "
            f"largest error {self.worst:.0%} of its bound; refusals: {reasons}"
        )


def check(seed: int, secret: bool, folder: Path, tally: Tally) -> bool:
    """Check one network. Returns whether it was converted.

    Raises:
        AssertionError: it is wrong.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sample = MAKERS[int(rng.integers(len(MAKERS)))](rng, folder)
    queries = rng.uniform(*sample.ends, (_QUERIES, *sample.shape))
    bits = int(rng.choice([8, 12, 14]))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            network = Network.from_layers(sample.convert(), sample.shape, sample.ends, bits, None, 64, samples=queries)
        except ParameterError as refusal:
            text = str(refusal)
            internal = ("expected logits in fixed point within", "expected the converted layers to compute")
            assert not text.startswith(internal), f"seed {seed}: {text}"  # nothing here is meant to be misread
            tally.refused[re.split(" in |, found", text, maxsplit=1)[0][:60]] += 1
            return False
    encoded = network.encode_inputs(queries)
    twin = network.run_clear(encoded)
    found, expected = network.decode_logits(twin), sample.original(queries)
    assert found.shape == expected.shape, f"seed {seed}: {found.shape} against {expected.shape}"
    if sample.kind == "sklearn mlp":
        found = found - found[:, :1]
    error = float(np.abs(found - expected).max())
    assert network.precision is not None
    floats = 1e-4 * max(1.0, float(np.abs(expected).max()))  # of the original's single precision
    bound = (2 if sample.kind == "sklearn mlp" else 1) * network.precision.bound
    assert error <= bound + floats, f"seed {seed}: error {error} beyond {bound}"
    tally.worst = max(tally.worst, (error - floats) / bound)
    tally.right[sample.kind] += 1
    tally.warned += any("labels in fixed point differ" in str(one.message) for one in said)
    if secret:
        left, right = Session.open(network).run(encoded)
        opened = network.ring.signed(network.ring.add(left, right))
        assert (opened == twin).all(), f"seed {seed}: shares do not add up to the twin"
        tally.secret += 1
    return True


def fuzz(clear: int, secret: int, first_seed: int = 0) -> Tally:
    """Check so many networks, of which so many converted ones also in secret."""
    torch.set_num_threads(1)
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first_seed, first_seed + clear):
            check(seed, tally.secret < secret, Path(folder), tally)
    return tally


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clear", type=int, default=5000, help="networks")
    parser.add_argument("--secret", type=int, default=500, help="of them so many also in secret")
    parser.add_argument("--seed", type=int, default=0, help="of the first network")
    chosen = parser.parse_args()
    print(fuzz(chosen.clear, chosen.secret, chosen.seed))
