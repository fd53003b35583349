"""What is asked in a run, and what each data provider has measured, by the configuration alone.

One provider's measurements can be read without those of the others, so that a provider on a machine of its own reads
its own file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parties.commons import clinics
from parties.commons.config import CommonsConfig


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
    return "clinics.example/tumours"


def task_name(config: CommonsConfig) -> str:
    """Return the name of the one task."""
    return clinics.TASK


def functions(config: CommonsConfig) -> tuple[str, ...]:
    """Return what is asked for, in order, with the noise that is configured."""
    return clinics.functions(config.dp_noise_scale)


def about(config: CommonsConfig, function: str) -> str:
    """Return what a function is, in words."""
    return clinics.about(function)


def measurements_of(config: CommonsConfig, provider: str) -> Measured:
    """Return what one provider has measured.

    Args:
        provider: one of `config.names["clinics"]`.

    Raises:
        ConfigError: its records do not fit what was agreed. The message holds no value.
    """
    place = config.names["clinics"].index(provider)
    return Measured(tuple(clinics.measurements(config.clinics, config.records_each, config.seed)[place]))
