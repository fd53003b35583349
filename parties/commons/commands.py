"""The offline commands. `audit` is the same as `python -m parties.commons.audit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from parties.commons import clinics, measured, units
from parties.commons.audit import audit_as_told
from parties.commons.config import CommonsConfig
from parties.commons.options import AuditOptions, MemberOptions
from parties.commons.own_keys import WORDS, make_keys
from parties.commons.questions import Question
from parties.commons.report import in_words
from parties.commons.reporting import KEPT, wish_to_withdraw, withdrawn_by
from parties.commons.results import in_the_clear
from parties.commons.settings import PROVIDER, SEED
from parties.commons.storage import LogError
from parties.frame.errors import ConfigError
from parties.frame.plan import Summary
from parties.frame.private_files import make_private_folder


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


def keys(_: CommonsConfig, files: Path, options: MemberOptions) -> Summary:
    """Make a member's own keys, if they are not there, and return the line that all others need.

    Raises:
        ConfigError: nobody has said whose keys they are.
    """
    name, role = options.whose("keys")
    folder = make_private_folder(files / "durable" / name)
    line = make_keys(folder, WORDS[role]).line
    lead = f"The keys of {name} are in {folder}, and stay there.\nUnder `commons:` and `keys:` of the shared file:"
    return Summary(((f"  {name}", line),), lead=lead, document={"name": name, "line": line})


def withdraw(_: CommonsConfig, files: Path, options: MemberOptions) -> Summary:
    """Let a provider's service revoke its policy.

    Raises:
        ConfigError: it is no provider, or has neither reported nor a key by which it could have.
    """
    name, role = options.whose("withdraw")
    folder = files / "durable" / name
    if WORDS[role] != PROVIDER:
        raise ConfigError(f"withdraw: expected a provider, found {name}, which is a {role}.")
    if not (folder / KEPT).exists() and not (folder / SEED).exists():  # reports may be lost, and stand in the log
        raise ConfigError(f"withdraw: expected reports or keys of {name} in {folder}, found none.")
    wish_to_withdraw(folder)
    if entries := withdrawn_by(folder):
        where = " and ".join(map(str, entries))
        return Summary((), lead=f"The policy of {name} is revoked already, by entry {where} of the log.")
    return Summary(
        (),
        lead=f"The service of {name} revokes its policy as soon as it runs, and says so in its log. Results that were "
        "released before cannot be recalled.",
    )
