"""A model's file as float layers, with the function of the original to hold them to. Only a child imports this.

What is loaded is a copy of the file whose digest was compared first, so that nobody changes it in between. A softmax
and the like at the end is dropped (:mod:`mpc.inference.models.endings`).
"""

from __future__ import annotations

import importlib
import pickle
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mpc.errors import ParameterError
from mpc.extras import needed
from mpc.inference import from_onnx, from_sklearn, from_torch
from mpc.inference.models.convert_onnx import unsupported_nodes
from mpc.inference.models.convert_torch import unsupported_parts
from mpc.inference.models.converted import ConvertedLayers
from parties.learning.model_files.source import ModelSource, companions, file_digest

_OPTIMISERS = "sklearn.neural_network._stochastic_optimizers"
_TRUSTED = [f"{_OPTIMISERS}.AdamOptimizer", f"{_OPTIMISERS}.SGDOptimizer"]  # of a perceptron, they hold numbers alone


@dataclass(frozen=True)
class ReadModel:
    """A model as it is in its file.

    Attributes:
        layers: what was made of it.
        words: what its owner is told about it, in sentences.
        classes: the classes in the order of the outputs, as text, where the file says them.
    """

    layers: ConvertedLayers
    words: list[str] = field(default_factory=list)
    classes: tuple[str, ...] | None = None


def read_model(source: ModelSource) -> ReadModel:
    """Read a model's file.

    Raises `ParameterError` for a file that has changed, that cannot be read, or that has a layer that is not supported.
    """
    with _copied(source) as copy, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = _READERS[source.kind](copy, source)
    versions = [str(one.message).splitlines()[0] for one in caught if "Version" in one.category.__name__]
    dropped = [f"the {ending} at the end is left out, which changes no label" for ending in found.layers.endings]
    return ReadModel(found.layers, [*found.words, *dropped, *dict.fromkeys(versions)], found.classes)


def unsupported_layers(source: ModelSource) -> list[tuple[str, str]]:
    """Return the place and the kind of every layer of a file that has no counterpart here.

    Calls in a torch module's ``forward`` and the parts of an estimator are not listed. Raises `ParameterError`.
    """
    with _copied(source) as copy:
        if source.kind == "ONNX":
            return unsupported_nodes(copy)
        if source.kind == "torch.export":
            return unsupported_parts(_program(copy))
        return unsupported_parts(_module(copy, source)[0]) if source.kind == "state dict" else []


@contextmanager
def _copied(source: ModelSource) -> Iterator[Path]:
    """Copy the file, and refuse it unless it is the one that was meant."""
    with tempfile.TemporaryDirectory(prefix="capc-model-") as folder:
        copy = Path(folder) / source.file.name
        try:
            for one in companions(source.file):
                shutil.copyfile(one, Path(folder) / one.name)
        except OSError as error:
            raise ParameterError(f"the file cannot be read ({error.strerror or error})") from error
        if file_digest(copy) != source.digest:
            raise ParameterError("expected the file that the run was planned with, found that it has changed since")
        yield copy


def _onnx(file: Path, source: ModelSource) -> ReadModel:
    return ReadModel(from_onnx(file, drop_endings=True))


def _exported(file: Path, source: ModelSource) -> ReadModel:
    return ReadModel(from_torch(_program(file), drop_endings=True))


def _program(file: Path) -> Any:
    torch = needed("torch", "a model of torch")
    return _loaded(file, lambda: torch.export.load(file), "a program of torch.export")


def _state_dict(file: Path, source: ModelSource) -> ReadModel:
    module, words = _module(file, source)
    return ReadModel(from_torch(module, drop_endings=True), words)


def _module(file: Path, source: ModelSource) -> tuple[Any, list[str]]:
    """Return the factory's module with the weights of the file, and what its owner is told."""
    torch = needed("torch", "a model of torch")
    state = _loaded(file, lambda: torch.load(file, map_location="cpu", weights_only=True), "a state dict")
    words = []
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
        words.append("the weights are those under `state_dict` in the file")
    if not isinstance(state, Mapping) or not all(isinstance(one, torch.Tensor) for one in state.values()):
        raise ParameterError(f"expected a state dict, which maps names to tensors, found {type(state).__name__}")
    module = _made(source)
    if not isinstance(module, torch.nn.Module):
        raise ParameterError(f"factory {source.factory}: expected a torch.nn.Module, found {type(module).__name__}")
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise ParameterError(
            f"factory {source.factory}: expected a module with the weights of the file, found: {' '.join(lines[1:3])}"
        ) from error
    return module.eval(), words


def _skops(file: Path, source: ModelSource) -> ReadModel:
    needed("skops", "a skops file")
    skops = importlib.import_module("skops.io")
    unknown = _loaded(file, lambda: skops.get_untrusted_types(file=file), "a skops file")
    if strange := [name for name in unknown if name not in _TRUSTED]:
        raise ParameterError(f"expected types of scikit-learn and numpy alone, found {', '.join(strange)}")
    return _estimator(_loaded(file, lambda: skops.load(file, trusted=_TRUSTED), "a skops file"))


def _joblib(file: Path, source: ModelSource) -> ReadModel:
    joblib = importlib.import_module("joblib")  # scikit-learn brings it
    return _estimator(_loaded(file, lambda: joblib.load(file), "a joblib file"))


def _pickled(file: Path, source: ModelSource) -> ReadModel:
    return _estimator(
        _loaded(file, lambda: pickle.loads(file.read_bytes()), "a pickle")  # noqa: S301  (its owner trusts the file)
    )


def _estimator(model: Any) -> ReadModel:
    layers = from_sklearn(model)
    return ReadModel(layers, classes=tuple(class_text(value) for value in np.asarray(model.classes_)))


def class_text(value: Any) -> str:
    """Return a class as text. A whole number in floats is written as an integer."""
    plain = value.item() if isinstance(value, np.generic) else value
    return str(int(plain)) if isinstance(plain, float) and plain.is_integer() else str(plain)


_READERS: dict[str, Callable[[Path, ModelSource], ReadModel]] = {
    "ONNX": _onnx,
    "torch.export": _exported,
    "state dict": _state_dict,
    "skops": _skops,
    "joblib": _joblib,
    "pickle": _pickled,
}


def _loaded(file: Path, load: Callable[[], Any], what: str) -> Any:
    """Return what a library loads. Raises `ParameterError` in one sentence for whatever the library raises."""
    try:
        return load()
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        raise ParameterError(
            f"expected {what}, found a file that does not load ({type(error).__name__}: {words})"
        ) from error


def _made(source: ModelSource) -> Any:
    """Return the module that the owner's factory makes."""
    module, _, name = str(source.factory).partition(":")
    if source.path is not None:
        sys.path.append(str(source.path))
    try:
        return getattr(importlib.import_module(module), name)()
    except Exception as error:
        where = f" and in {source.path}" if source.path else ", and `path:` names no folder"
        missing = isinstance(error, ModuleNotFoundError) and error.name and module.startswith(error.name)
        words = f"no module {module} among the installed packages{where}" if missing else " ".join(str(error).split())
        raise ParameterError(f"factory {source.factory}: {type(error).__name__}: {words}") from error
