"""What is asked in a run, and what each data provider has measured, by the configuration alone.

One provider's measurements can be read without those of the others, so that a provider on a machine of its own reads
its own file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parties.commons import clinics
from parties.commons.config import CommonsConfig
from parties.commons.converting import read_own
from parties.commons.questions import Sum
from parties.commons.units import in_words_of


@dataclass(frozen=True, repr=False)
class Measured:
    """One provider's measurements.

    Attributes:
        rows: one a report, each with a value for every function of the task, by its name without noise.
        notes: what was done to values on the way, in sentences for their owner. They hold counts and no value.
    """

    rows: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Measured(rows={len(self.rows)})"


def log_name(config: CommonsConfig) -> str:
    """Return the name of the log, which its origin begins with."""
    return config.data.log if config.data else "clinics.example/tumours"


def task_name(config: CommonsConfig) -> str:
    """Return the name of the one task."""
    return config.data.task if config.data else clinics.TASK


def functions(config: CommonsConfig) -> tuple[str, ...]:
    """Return what is asked for, in order, with the noise that is configured."""
    if not config.data:
        return clinics.functions(config.dp_noise_scale)
    found = []
    for one in config.asked:
        most = one.steps if isinstance(one, Sum) else 1
        noise = "" if config.dp_noise_scale is None else clinics.noise(config.dp_noise_scale, most)
        found.append(f"{one.function}{noise}")
    return tuple(found)


def about(config: CommonsConfig, function: str) -> str:
    """Return what a function is, in words."""
    return in_words_of(config.asked, function)


def left_out(config: CommonsConfig) -> bool:
    """Return whether there is a regression that is not asked, as it has no noise."""
    return config.dp_noise_scale is not None and (not config.data or len(config.asked) < len(config.questions))


def measurements_of(config: CommonsConfig, provider: str, path: Path | None = None) -> Measured:
    """Return what one provider has measured.

    Args:
        provider: one of `config.names["clinics"]`.
        path: of its file, where the configuration does not name it.

    Raises:
        ConfigError: its records do not fit what was agreed. The message holds no value.
    """
    if config.data:
        rows, notes = read_own(path or config.data.files[provider], config.asked, config.data.delimiter)
        if notes and config.dp_noise_scale is not None:
            notes = (*notes, "these counts have no noise, so they are for this provider alone")
        return Measured(tuple(rows), tuple(f"{provider}: {note}" for note in notes))
    place = config.names["clinics"].index(provider)
    return Measured(tuple(clinics.measurements(config.clinics, config.records_each, config.seed)[place]))
