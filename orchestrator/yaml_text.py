"""YAML as a person means it, which is the core schema of YAML 1.2 without duplicate keys.

PyYAML follows YAML 1.1, in which `1e-5` is text, `no` is false, `010` is eight and `1:30` is ninety. Here numbers
are decimal, `true` and `false` are the only booleans, and everything else is text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from parties.frame.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """A safe loader with the resolvers of YAML 1.2. The tables are its own, not PyYAML's shared ones."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  (PyYAML's name)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            where = f"{key.start_mark.name}, line {key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{where}: expected a word as key, found a list or a mapping.")
            if key.value in seen:
                raise ConfigError(f"{where}: {key.value!r} is given twice.")
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        return int(self.construct_scalar(node), 10)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> Any:
        """Return the number, or its text where a float would make 0 or infinity of it."""
        value, text = super().construct_yaml_float(node), str(self.construct_scalar(node))
        digits = re.split("[eE]", text)[0]
        lost = (value == 0 and re.search("[1-9]", digits)) or (math.isinf(value) and digits[-1].isdigit())
        return text if lost else value


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)


def read_file(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds. An empty file is an empty mapping. Raises `ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"config: expected a readable YAML file, found {path} ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"config: expected text in UTF-8, found other bytes in {path}.") from error
    content = _parse(text, str(path))
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{path}: expected keys and values, found {type(content).__name__}.")
    return content


def read_scalar(text: str) -> Any:
    """Return one value as it would be read in a file, where `3` is a number, `true` a boolean and `digits` text."""
    try:
        value = _parse(text, "flag")
    except ConfigError:
        return text
    return text if value is not None and not isinstance(value, bool | int | float) else value


def read_list(text: str, name: str) -> list[Any]:
    """Return the values of a text such as `1,2,[a,b]`, each as in a file. Raises `ConfigError`."""
    found = _parse(f"[{text}]", name)
    if not isinstance(found, list) or not found or any(isinstance(value, dict) for value in found):
        raise ConfigError(f"{name}: expected values with commas between them, found {text!r}.")
    return found


def _parse(text: str, name: str) -> Any:
    loader = _Loader(text)
    loader.name = name
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{name}{where}: expected YAML, found a mistake: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: expected YAML, found text that cannot be read.") from error
    finally:
        loader.dispose()
