"""Public names of a package that are loaded at their first use (PEP 562).

Importing a light module then stays light, although its package also names heavy ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_names(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """Return the `__getattr__` of a package.

    Args:
        package: the package's `__name__`.
        modules: for each public name the module that defines it, relative to the package.
    """

    def load(name: str) -> object:
        if name in modules:
            return getattr(import_module(f"{package}.{modules[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load
