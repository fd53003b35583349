"""The offline commands. `audit` is the same as `python -m parties.commons.audit`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from parties.commons import clinics
from parties.commons.audit import audit_as_told
from parties.commons.config import CommonsConfig
from parties.commons.options import AuditOptions
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
    """Return the results in the clear, as a run without faults gives them."""
    rows = clinics.measurements(config.clinics, config.records_each, config.seed)
    measured = [one for clinic in rows for one in clinic]
    lines = [(clinics.about(name), in_words(name, in_the_clear(name, measured))) for name in clinics.FUNCTIONS]
    return Summary((("reports", str(len(measured))), *lines))
