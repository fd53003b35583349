"""The names that a configuration may give, which are built in, an installed package's, or an import path.

A package makes a function known by an entry point, for example in its `pyproject.toml`::

    [project.entry-points."capc.datasets"]
    chest-scans = "scans.public:load"

What is built in keeps its name. An import path is `package.module:function`. Nothing is imported here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from parties.frame.errors import ConfigError

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@cache
def _installed(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


@dataclass(frozen=True)
class Kind:
    """One kind of function that a configuration may name.

    Attributes:
        key: of the configuration.
        plural: what there are several of, which names the group of the entry points.
        built_in: the names that the project has itself.
    """

    key: str
    plural: str
    built_in: tuple[str, ...]

    @property
    def group(self) -> str:
        """The group of the entry points, such as ``capc.datasets``."""
        return f"capc.{self.plural}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names that are built in, then those of installed packages."""
        installed = {point.name for point in _installed(self.group)} - set(self.built_in)
        return (*self.built_in, *sorted(installed))

    def knows(self, name: str) -> bool:
        """Return whether a name is built in, is installed, or is an import path."""
        return name in self.built_in or _PATH.fullmatch(name) is not None or name in self.names

    def check(self, name: str) -> str:
        """Return a name that is known. Raises ValueError for any other, with all names."""
        if not self.knows(name):
            raise ValueError(
                f"expected one of {', '.join(self.names)}, or a function as package.module:function, found {name!r}"
            )
        return name

    def reference(self, name: str) -> str:
        """Return the import path of a name that is not built in. Raises `ConfigError` for a name that is unknown."""
        if _PATH.fullmatch(name):
            return name
        values = sorted({point.value for point in _installed(self.group) if point.name == name})
        if len(values) != 1:
            places = " and ".join(values) or "none"
            raise ConfigError(f"{self.key}: expected one entry point {name} in the group {self.group}, found {places}")
        if not _PATH.fullmatch(values[0]):
            raise ConfigError(f"{self.key}: expected package.module:function as entry point {name}, found {values[0]}")
        return values[0]
