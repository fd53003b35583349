"""The cells of a grid, which are the combinations of its values, each with its configuration."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import BaseModel

from orchestrator import sentences
from orchestrator.command_line import CommandLine
from orchestrator.config import Configuration, configure
from orchestrator.yaml_text import read_list
from parties.frame.errors import ConfigError
from parties.frame.plan import RunnableProtocol

MOST_TRIALS = 100_000


@dataclass(frozen=True)
class Cell:
    """One combination of values.

    Attributes:
        values: of the grid's keys in their order, as text that is the same for equal values.
        configuration: with these values, and with the first seed.
    """

    values: tuple[str, ...]
    configuration: Configuration


def grid_of(given: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values by key of texts such as `players=2,3`. Raises `ConfigError`."""
    grid: dict[str, list[Any]] = {}
    for text in given:
        key, equals, values = text.partition("=")
        if not (re.fullmatch(r"\w+", key) and equals and values):
            raise ConfigError(f"grid: expected a key and its values, such as key=1,2,3, found {text!r}.")
        if key in grid:
            raise ConfigError(f"grid: expected each key once, found {key} twice.")
        grid[key] = read_list(values, f"grid {key}")
    return grid


def seeds_of(text: str) -> list[int]:
    """Return the seeds of a text such as `0-4,7`. Raises `ConfigError`."""
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"([0-9]{1,15})(?:-([0-9]{1,15}))?", part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not found or not first <= last < first + MOST_TRIALS:
            raise ConfigError(f"seeds: expected whole numbers and ranges of them, such as 0-4,7, found {text!r}.")
        seeds += range(first, last + 1)
    if len(set(seeds)) != len(seeds):
        raise ConfigError(f"seeds: expected each seed once, found {text!r}.")
    return seeds


def cells_of(
    grid: Mapping[str, Sequence[Any]],
    seed_key: str,
    arguments: list[str],
    protocols: Mapping[str, RunnableProtocol],
    line: CommandLine,
) -> list[Cell]:
    """Return every combination of the grid's values with its configuration.

    The other keys come from `arguments`, as for a run. Raises `ConfigError` for the first that cannot be configured.
    """
    base = configure(arguments, protocols, line)
    if base.federation is not None:
        raise ConfigError("simulate: expected a configuration without members of a federation, found some.")
    fields = base.protocol.Config.model_fields
    for key in grid:
        if key == seed_key:
            raise ConfigError(f"grid: expected the values of {seed_key} as --seeds, found them in the grid.")
        if key not in fields:
            raise ConfigError(
                f"grid: expected a key of {base.protocol.name}, found {key}{sentences.suggestion(key, fields)}"
            )
    cells = []
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        configuration = configure(arguments, protocols, line, more=chosen)
        settings = configuration.settings.model_dump(mode="json")
        cells.append(Cell(tuple(as_text(settings[key]) for key in grid), configuration))
    if len({cell.values for cell in cells}) != len(cells):
        raise ConfigError("grid: expected each value of a key once, found one twice.")
    return cells


def with_seed(settings: BaseModel, key: str, seed: int) -> dict[str, Any]:
    """Return the keys that were given, with this seed, as plain values from which the settings are made again."""
    return settings.model_dump(mode="json", by_alias=True, exclude_unset=True) | {key: seed}


def as_text(value: Any) -> str:
    """Return a value as text that is the same for equal values, such as 2 and 2.0."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return json.dumps(value)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    return f"{number.normalize():f}" if number.is_finite() else str(value)


def others(settings: BaseModel, keys: Sequence[str]) -> dict[str, Any]:
    """Return all other values that differ from their defaults, by key, as plain values."""
    defaults = {
        name: field.get_default(call_default_factory=True) for name, field in type(settings).model_fields.items()
    }
    dumped = settings.model_dump(mode="json", by_alias=True)
    return {name: dumped[name] for name in dumped if name not in keys and getattr(settings, name) != defaults[name]}
