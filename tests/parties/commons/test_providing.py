"""What a provider does when its disk and the log do not say the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mpc.commons.encoding import decode
from mpc.commons.entries import Entry
from mpc.commons.following import Follower
from mpc.commons.merkle import leaf_hash
from parties.commons.own_log import kept_view
from parties.commons.provider import Providing
from parties.commons.reading import Follow, LogReader
from parties.commons.reporting import KEPT, WISH, wish_to_withdraw, withdrawn_by
from parties.commons.settings import MEASUREMENTS, ProviderSettings
from parties.frame.errors import PartyError
from tests.mpc.commons.prepared import ROWS, fresh, prepared


class Logged:
    """A provider before a log in memory, which takes what the provider writes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.run = fresh()
        self.role = self.run.cast.providers[0]
        self.caught_up: list[int] = []
        self.written: list[str] = []
        self.notes: list[str] = []
        (folder / MEASUREMENTS).write_text(json.dumps(ROWS[:2]))
        self.follow()

    @property
    def state(self) -> Any:
        return self.role.log.state

    def providing(self) -> Providing:
        """What a new process of this provider does."""
        reader: Any = SimpleNamespace(
            state=self.state, lines=(), until=self._until, catch_up=self.caught_up.append, write=self._write
        )
        consumer = self.run.cast.consumer.identity.key.hex()
        settings = ProviderSettings.model_construct(
            name=self.role.name, founding_record="", task="task", uses=3, fault="", home=self.folder,
            trustees=[SimpleNamespace(name="trustee-0")], consumers={"institute": consumer},
            message_deadline_s=1.0, revokes_after=None,
        )  # fmt: skip
        settings.__dict__["founding"] = self.run.cast.founding
        progress: Any = SimpleNamespace(
            step=lambda *_, **__: nullcontext(), note=self.notes.append, advance=lambda *_: None
        )
        party: Any = SimpleNamespace(settings=settings, progress=progress, folder=self.folder)
        return Providing(party, SimpleNamespace(reader=lambda _: reader), self.role)  # type: ignore[arg-type]

    def follow(self) -> None:
        update = self.run.cast.trustees[0].update(self.role.log.size)
        if update:
            self.role.log.take(update)

    def _until(self, find: Any, what: str, *_: Any) -> Any:
        found = find(self.state)
        assert found is not None, what
        return found

    def _write(self, entries: list[tuple[bytes, bytes | None]], what: str) -> list[bytes]:
        self.written.append(what)
        for entry, attachment in entries:
            if decode(Entry, entry).statement not in self.state.statements:
                self.run.submit(entry, attachment)
        self.run.certify()
        self.follow()
        return [leaf_hash(entry) for entry, _ in entries]


def test_a_provider_that_has_lost_what_it_reported_does_not_report_twice(tmp_path: Path) -> None:
    one = Logged(tmp_path)
    first = one.providing()
    first.await_key()
    first.report()
    reported = one.state.of_task["task"]
    assert len(reported) == 2
    assert one.caught_up == [one.run.cast.founding.faulty + 1]
    one.providing().report()  # from its disk
    assert one.state.of_task["task"] == reported
    (tmp_path / KEPT).unlink()
    one.written.clear()
    with pytest.raises(
        PartyError, match=rf"{KEPT} the 2 records that .* has in the log, the first in entry {reported[0]}"
    ):
        one.providing().report()
    assert "the policy" not in one.written
    assert "the reports" not in one.written


def test_a_provider_withdraws_without_its_records_and_without_what_it_kept(tmp_path: Path) -> None:
    one, own = Logged(tmp_path / "durable" / "clinic"), tmp_path / "durable" / "clinic"
    wish_to_withdraw(own)
    one.providing().withdraw()
    assert one.notes == [f"the log has no policy to revoke. As long as {own / WISH} is there, nothing is reported"]
    assert withdrawn_by(own) == ()
    one.providing().report()
    assert "2 records, and its policy is revoked as soon as the service runs" in kept_view(tmp_path).lines[0]
    for name in (KEPT, MEASUREMENTS):
        (own / name).unlink()
    one.written.clear()
    again = one.providing()
    again.withdraw()
    (policy,) = [leaf for leaf, held in one.state.policies.items() if held.policy.owner == one.role.identity.key]
    entry = one.state.revoked[policy]
    assert one.written == ["the revocation"]
    assert one.notes[1:] == [f"entry {entry} revokes the policy, and bars every grant behind it"]
    assert withdrawn_by(own) == (entry,)
    assert kept_view(tmp_path).lines == (
        ("reported", f"nothing that is kept here, and its policy is revoked by entry {entry}"),
    )
    again.withdraw()
    one.providing().withdraw()
    wish_to_withdraw(own)
    assert one.written == ["the revocation"]
    assert withdrawn_by(own) == (entry,)
    (own / WISH).write_text("some")
    with pytest.raises(PartyError, match="expected entries of a log, found what cannot be read"):
        kept_view(tmp_path)


class Shows:
    """A line to a trustee that shows its log, or always an empty one."""

    def __init__(self, name: str, update: Callable[[int], bytes | None]) -> None:
        self.peer = SimpleNamespace(name=name)
        self._update = update

    def ask(self, _: str, body: bytes) -> Future[bytes]:
        answer: Future[bytes] = Future()
        answer.set_result(self._update(decode(Follow, body).size) or b"")
        return answer


def test_a_party_that_catches_up_with_more_trustees_is_not_behind_with_a_faulty_one() -> None:
    run = prepared()
    lines: Any = [Shows("trustee-0", lambda _: None), Shows("trustee-1", run.cast.trustees[1].update)]
    reader = LogReader(Follower(run.cast.founding), lines, 10.0)
    reader.catch_up()
    assert reader.log.size == 0
    reader.catch_up(2)
    assert reader.log.size == run.cast.trustees[1].trustee.copy.certified_size > 0
    with pytest.raises(PartyError, match=r"expected 3 trustees to show the log within -1 s, found"):
        LogReader(Follower(run.cast.founding), lines[:1], -1.0).catch_up(3)
