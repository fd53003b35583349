"""Packages that only some uses need, imported when such a use begins.

Who trains with scikit-learn, answers from an ONNX file or adds up without Paillier needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from mpc.errors import ParameterError

CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
"""Where torch lies without gigabytes of CUDA."""

_HOW = {
    "h5py": "pip install h5py",
    "onnx": "pip install onnx",
    "phe": "pip install phe",
    "skops": "pip install skops",
    "torch": f"pip install torch --extra-index-url {CPU_WHEELS}",
}


def missing(package: str, use: str) -> str:
    """Return what is wrong where a package that `use` needs is not installed, with pip's command, or nothing."""
    if find_spec(package) is not None:
        return ""
    return f"expected the package {package} for {use}, found none: {_HOW[package]}"


def needed(package: str, use: str) -> ModuleType:
    """Import a package that `use` needs. Raises `ParameterError` with pip's command where it is not installed."""
    if complaint := missing(package, use):
        raise ParameterError(complaint)
    return import_module(package)
