"""What needs torch, onnx or phe, and what does not, where they are not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.environments import environment_without
from tests.mpc.inference.test_convert import write_onnx
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[3]
TORCH = ("torch", "torchgen", "functorch")
HOW_TO_GET_TORCH = "pip install torch --extra-index-url https://download.pytorch.org/whl/cpu"

# Converts a model of scikit-learn and an ONNX file, and compares both with the originals.
CONVERT = """
import sys
import numpy as np
from onnx.reference import ReferenceEvaluator
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from mpc.inference import Network, from_onnx, from_sklearn

records, labels = load_iris(return_X_y=True)
fitted = LogisticRegression(max_iter=1000).fit(records, labels)
def labelled(layers):
    network = Network.from_layers(layers, (4,), input_range=(0, 8), samples=records)
    return network.decode_logits(network.run_clear(network.encode_inputs(records))).argmax(axis=1)
assert (labelled(from_sklearn(fitted)) == fitted.predict(records)).all()
queries = records.astype(np.float32)
expected = ReferenceEvaluator(sys.argv[1]).run(None, {"x0": queries})[0].argmax(axis=1)
assert (labelled(from_onnx(sys.argv[1])) == expected).all()
from mpc.paillier import PublicKey, SecretKey
for package in ("torch", "phe"):
    assert package not in sys.modules
"""

# Asks for what does need them.
ASK = """
from mpc.errors import ParameterError
from mpc.inference import from_onnx, from_torch
from mpc.paillier import SecretKey

for ask in (lambda: from_torch(object()), lambda: from_onnx("no.onnx"), lambda: SecretKey(1024)):
    try:
        ask()
    except ParameterError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with neither torch nor phe."""
    return environment_without((*TORCH, "phe"), tmp_path_factory.mktemp("environment"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment without onnx, too."""
    return environment_without((*TORCH, "phe", "onnx"), tmp_path_factory.mktemp("environment"))


def start(python: Path, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [str(python), str(ROOT / "run_protocol.py"), "--launcher", "process", *flags]
    command += ["--start_port", str(free_ports(3))]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


def test_they_are_not_there(python: Path) -> None:
    for package in ("torch", "phe"):
        done = subprocess.run([str(python), "-I", "-c", f"import {package}"], capture_output=True, check=False)
        assert b"ModuleNotFoundError" in done.stderr


def test_models_of_scikit_learn_and_onnx_convert_without_torch(python: Path, tmp_path: Path) -> None:
    from onnx.helper import make_node

    draws = np.random.default_rng(3)
    constants = {"w": draws.normal(size=(4, 3)).astype(np.float32), "b": draws.normal(size=3).astype(np.float32)}
    file = write_onnx(tmp_path / "net.onnx", [make_node("Gemm", ["x0", "w", "b"], ["y"])], constants, (4,))
    command = [str(python), "-I", "-c", CONVERT, str(file)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_needs_one_of_them_says_so_and_how_to_get_it(bare: Path, tmp_path: Path) -> None:
    done = subprocess.run([str(bare), "-I", "-c", ASK], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"expected the package torch for a torch module, found none: {HOW_TO_GET_TORCH}",
        "expected the package onnx for ONNX files, found none: pip install onnx",
        "expected the package phe for the decryption of Paillier, found none: pip install phe",
    ]


@pytest.mark.parametrize("preprocessing", ["he", pytest.param("dealer", marks=pytest.mark.slow)])
def test_parties_that_train_with_scikit_learn_and_add_up_directly_need_neither(
    preprocessing: str, python: Path, tmp_path: Path
) -> None:
    flags = ("--aggregation", "direct", "--models", "logistic-regression", "--preprocessing", preprocessing, "--json")
    done = start(python, tmp_path, *flags)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["protocol"] == "capc"


def test_a_run_that_needs_one_of_them_is_refused_before_it_starts(python: Path, tmp_path: Path) -> None:
    paillier = start(python, tmp_path, "--models", "logistic-regression")
    assert (paillier.returncode, paillier.stdout) == (2, "")
    assert paillier.stderr == (
        "aggregation: expected the package phe for aggregation by paillier, found none: pip install phe. "
        "`--aggregation direct` needs none.\n"
    )
    for flags in (("--models", "mlp"), ("--models", "linear-svm,linear", "--n_parties", "2")):
        training = start(python, tmp_path, *flags, "--aggregation", "direct")
        assert (training.returncode, training.stdout) == (2, "")
        assert training.stderr == (
            f"models: expected the package torch for training {flags[1].split(',')[-1]}, found none: "
            f"{HOW_TO_GET_TORCH}; models that scikit-learn trains are logistic-regression, linear-svm, sklearn-mlp.\n"
        )
    assert not list((tmp_path / "logs").iterdir())


@pytest.mark.slow
def test_a_model_that_was_trained_before_needs_no_torch(python: Path, tmp_path: Path) -> None:
    flags = ("--aggregation", "direct", "--models", "linear", "--dp_noise_scale", "0", "--quiet")
    trained = start(Path(sys.executable), tmp_path, *flags)
    assert trained.returncode == 0, trained.stderr
    again = start(python, tmp_path, *flags)
    assert again.returncode == 0, again.stderr


def test_the_simulation_says_so_in_a_sentence(python: Path, tmp_path: Path) -> None:
    command = [
        str(python),
        str(ROOT / "run_protocol.py"),
        "simulation",
        "--config",
        str(ROOT / "configs/hospitals.yaml"),
    ]
    command += ["--models", "mlp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("expected the package torch for training mlp, found none: pip install torch")
    assert done.stderr.count("\n") == 1
