"""What a provider has reported stays what it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from parties.commons.commands import withdraw
from parties.commons.config import CommonsConfig
from parties.commons.options import MemberOptions
from parties.commons.own_log import kept_measures, kept_view
from parties.commons.reporting import (
    KEPT,
    WISH,
    KeptReports,
    keep_reports,
    kept_reports,
    mark_withdrawn,
    withdrawn_by,
)
from parties.commons.settings import SEED
from parties.frame.errors import ConfigError, PartyError

KEPT_REPORTS = KeptReports(b"policy", hashlib.sha256(b"[1]").digest(), (b"entry",), (b"sealed",))


def test_what_was_reported_is_read_again_and_other_records_or_rules_are_refused(tmp_path: Path) -> None:
    assert kept_reports(tmp_path, b"policy", b"[1]") is None
    keep_reports(tmp_path, KEPT_REPORTS)
    assert kept_reports(tmp_path, b"policy", b"[1]") == KEPT_REPORTS
    with pytest.raises(PartyError, match="expected the 1 records that were reported before, found others"):
        kept_reports(tmp_path, b"policy", b"[2]")
    with pytest.raises(PartyError, match="expected the uses and consumers of the policy"):
        kept_reports(tmp_path, b"another", b"[1]")
    (tmp_path / KEPT).write_bytes(b"what")
    with pytest.raises(PartyError, match="expected what was reported, found what cannot be read"):
        kept_reports(tmp_path, b"policy", b"[1]")


def test_only_a_provider_that_has_reported_withdraws(tmp_path: Path) -> None:
    config, folder = CommonsConfig(), tmp_path / "durable" / "clinic-0"
    folder.mkdir(parents=True)
    mine = MemberOptions(member="clinic-0", member_role="provider")
    with pytest.raises(ConfigError, match=r"expected reports or keys of clinic-0 in .*, found none"):
        withdraw(config, tmp_path, mine)
    keep_reports(folder, KEPT_REPORTS)
    assert kept_view(tmp_path).lines == (("reported", "1 records"),)
    assert kept_measures(tmp_path) == []
    with pytest.raises(ConfigError, match="expected a member"):
        withdraw(config, tmp_path, MemberOptions())
    with pytest.raises(ConfigError, match="expected a provider, found clinic-0, which is a trustee"):
        withdraw(config, tmp_path, MemberOptions(member="clinic-0", member_role="trustee"))
    assert not (folder / WISH).exists()
    assert "revokes its policy as soon as it runs" in str(withdraw(config, tmp_path, mine).lead)
    assert (folder / WISH).exists()
    assert "is revoked as soon as" in kept_view(tmp_path).lines[0][1]
    mark_withdrawn(folder, [15])
    assert "is revoked already, by entry 15" in str(withdraw(config, tmp_path, mine).lead)
    assert withdrawn_by(folder) == (15,)


def test_a_provider_that_has_its_keys_alone_withdraws_what_the_log_has(tmp_path: Path) -> None:
    folder = tmp_path / "durable" / "clinic-0"
    folder.mkdir(parents=True)
    (folder / SEED).write_bytes(bytes(32))
    withdraw(CommonsConfig(), tmp_path, MemberOptions(member="clinic-0", member_role="provider"))
    assert withdrawn_by(folder) == ()
