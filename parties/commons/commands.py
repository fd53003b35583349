"""The offline commands. `audit` is the same as `python -m parties.commons.audit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from parties.commons import clinics, measured, units
from parties.commons.audit import audit_as_told
from parties.commons.config import CommonsConfig
from parties.commons.options import AuditOptions
from parties.commons.questions import Question
from parties.commons.report import in_words
from parties.commons.results import in_the_clear
from parties.commons.storage import LogError
from parties.frame.plan import Summary


def audit_log(_: CommonsConfig, __: Path, options: AuditOptions) -> Summary:
    """Return what happened in a log in which everything holds.

    Raises:
        LogError: something does not hold.
    """
    try:
        found = audit_as_told(
            options.log,
            checkpoints=[] if options.checkpoint is None else [options.checkpoint],
            origin=options.origin or "",
            keep=options.keep,
            reports=options.reports,
        )
    except LogError as error:
        raise LogError(f"The log does not hold. {error}") from error
    return Summary((), lead="\n".join(found.sentences), document=asdict(found))


def plain(config: CommonsConfig, _: Path, __: object) -> Summary:
    """Return the results in the clear, as a run without faults and without noise gives them."""
    found = [measured.measurements_of(config, name) for name in config.names["clinics"]]
    rows = [row for one in found for row in one.rows]
    lines = [_plain(one, rows) for one in config.asked or clinics.FUNCTIONS]
    notes = tuple(note for one in found for note in one.notes)
    return Summary((("reports", str(len(rows))), *lines), warnings=notes)


def _plain(asked: Question | str, rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return a question, or one of the functions about measurements that come along, with its result."""
    if isinstance(asked, str):
        return clinics.about(asked), in_words(asked, in_the_clear(asked, rows))
    found = units.in_units(asked, in_the_clear(asked.function, rows), len(rows))
    return asked.about, units.in_words(asked, found)
