"""What a party takes along to another machine, and what of it comes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.launchers.travel import AWAY, Luggage, Places, refuse_accounts_away
from parties.frame.errors import ConfigError


def test_files_and_empty_folders_arrive_for_their_owner_alone(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "cache" / "a").mkdir(parents=True)
    (here / "cache" / "a" / "x").write_bytes(b"1")
    (here / "secret").write_bytes(b"2")
    (here / "cache" / "a" / "link").symlink_to(here / "secret")
    luggage = Luggage(Luggage.packed(here, [here / "cache"]).files, ("durable/b",))
    assert "1" not in repr(luggage)[8:].replace("1 files", "")
    luggage.unpack(there)
    found = {str(path.relative_to(there)): path.stat().st_mode & 0o777 for path in there.rglob("*")}
    assert found == {"cache": 0o700, "cache/a": 0o700, "cache/a/x": 0o600, "durable": 0o700, "durable/b": 0o700}
    assert Luggage({"cache/x": b"", "other/x": b""}).below("other").files == {"other/x": b""}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="below the folder"):
        Luggage({name: b""}).unpack(tmp_path / "top")
    assert not (tmp_path / "x").exists()


def test_settings_travel_with_their_paths_and_addresses(tmp_path: Path) -> None:
    ours = Places(tmp_path / "files", tmp_path / "logs", tmp_path / "files" / "turns")
    theirs = Places(Path("/far/files"), Path("/far/logs"), Path("/far/turns"))
    settings = {
        "name": "server-1",
        "log": f"{tmp_path}/logs/run/server-1.log",
        "account": [f"{tmp_path}/files/durable/owner-1/ledger.jsonl"],
        "slot": f"{tmp_path}/files/cache/slot-0",
        "cache": f"{tmp_path}/files/cache/server-1",
        "listen": {"host": "127.0.0.1", "port": 7001},
        "others": [{"host": "127.0.0.1", "port": 7002, "name": "server-2"}, {"host": "127.0.0.1", "port": 9}],
        "out": f"{tmp_path}/labels.csv",
    }
    (tmp_path / "files" / "cache" / "server-1").mkdir(parents=True)
    neutral, outside = ours.neutral(settings, {7001: "10.0.0.1", 7002: "10.0.0.2"})
    assert outside == [tmp_path / "labels.csv"]
    assert str(tmp_path / "files") not in json.dumps(neutral)
    assert theirs.in_settings(neutral) == {
        "name": "server-1",
        "log": "/far/logs/run/server-1.log",
        "account": ["/far/files/durable/owner-1/ledger.jsonl"],
        "slot": "/far/turns/slot-0",
        "cache": "/far/files/cache/server-1",
        "listen": {"host": "10.0.0.1", "port": 7001},
        "others": [{"host": "10.0.0.2", "port": 7002, "name": "server-2"}, {"host": "127.0.0.1", "port": 9}],
        "out": f"{tmp_path}/labels.csv",
    }


def test_accounts_that_did_not_come_back_are_refused_with_the_place(tmp_path: Path) -> None:
    refuse_accounts_away(tmp_path)
    folder = tmp_path / "durable" / "owner-1"
    folder.mkdir(parents=True)
    refuse_accounts_away(tmp_path)
    (folder / AWAY).write_text(json.dumps({"node": "10.0.0.1", "folder": "/far/files/durable"}))
    with pytest.raises(
        ConfigError, match=r"owner-1 to be complete, .* to 10\.0\.0\.1, in /far/files/durable, and they"
    ):
        refuse_accounts_away(tmp_path)
