"""A consumer in a federation asks all its questions of the same reports, and nobody has its requests refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from mpc.commons.attachments import MemoryAttachments
from mpc.commons.entries import Grant, Policy, Refuse, Revoke
from mpc.commons.following import update_from
from mpc.commons.identities import Identity
from mpc.commons.roles.consumer import Consumer
from parties.commons import consumer
from parties.commons.consumer import Asking
from parties.commons.settings import ConsumerSettings
from parties.frame.errors import PartyError
from tests.mpc.commons.prepared import prepared
from tests.mpc.commons.setting import Log

FUNCTIONS = ("histogram/10", "sum/100")


class Here:
    """A consumer with a log in memory.

    Attributes:
        before: is done before the consumer's next entry is logged.
        behind: is done behind it and its answer, before the consumer sees them.
    """

    def __init__(self, log: Log, *, federation: bool = True, functions: Sequence[str] = FUNCTIONS) -> None:
        self.world, self.notes = log, list[str]()
        self.before: Callable[[], object] = lambda: None
        self.behind: Callable[[], object] | None = None
        self.role = Consumer(log.founding, "institute", log.consumer, MemoryAttachments())
        providers = {"north": log.provider, "east": log.other_provider}
        told: dict[str, Any] = {"authors": None, "public_keys": {}}
        if federation:
            told["authors"] = tuple(one.key.hex() for one in providers.values())
            told["public_keys"] = {name: f"provider/{one.key.hex()}" for name, one in providers.items()}
            told["public_keys"]["institute"] = f"consumer/{log.consumer.key.hex()}"
        settings = ConsumerSettings.model_construct(task="heights", functions=tuple(functions), **told)
        progress: Any = SimpleNamespace(note=self.notes.append)
        reader: Any = self
        self.follow()
        self.asking = Asking(settings, self.role, reader, [], progress)

    @property
    def state(self) -> Any:
        return self.role.log.state

    def follow(self) -> None:
        update = update_from(self.world.copy, self.role.log.size)
        if update is not None:
            self.role.log.take(update)

    def write(self, entries: Sequence[tuple[bytes, bytes | None]], what: str) -> None:
        self.before()
        self.before = lambda: None
        for entry, _ in entries:
            self.world.sequencer.submit(entry)
        self.world.step()
        if self.behind is not None:
            self.behind()
            self.world.step()
            self.behind = None
        assert not self.world.sequencer.refused
        self.follow()

    def until(self, find: Callable[[Any], Any], what: str) -> Any:
        found = find(self.state)
        assert found is not None
        return found

    def asks(self, function: str) -> Grant | Refuse:
        return self.asking._settled(function)[1]

    def granted(self, function: str) -> tuple[int, ...]:
        """Ask, and return the reports of the grant."""
        answer = self.asks(function)
        assert isinstance(answer, Grant)
        reports: tuple[int, ...] = next(reversed(self.state.grants.values())).reports
        assert len(reports) == answer.count
        return reports


def two_providers(*, uses: int = 2, each: int = 2) -> tuple[Log, bytes, bytes]:
    """A log in which two providers have reported, each under a policy of its own."""
    log = Log()
    log.register_all()
    policies = [log.policy(one, uses=uses) for one in (log.provider, log.other_provider)]
    for number in range(each):
        for provider, policy in zip((log.provider, log.other_provider), policies, strict=True):
            log.report(policy, number, provider)
    log.step()
    assert not log.sequencer.refused
    return log, policies[0], policies[1]


def of(log: Log, identity: Identity) -> tuple[int, ...]:
    state = log.copy.state
    return tuple(one for one in state.of_task["heights"] if state.reports[one].author == identity.key)


def test_reports_of_strangers_are_in_no_range() -> None:
    log = prepared().cast.consumer.log
    task = log.state.founding.tasks[0].name
    every = log.state.of_task[task]
    authors = [log.state.reports[one].author for one in every]
    stranger = authors[0]
    notes = list[str]()
    role: Any = SimpleNamespace(log=log, identity=prepared().cast.consumer.identity)
    reader: Any = SimpleNamespace(state=log.state)
    progress: Any = SimpleNamespace(note=notes.append)
    for known in (
        None,
        tuple({one.hex() for one in authors}),
        tuple({one.hex() for one in authors if one != stranger}),
    ):
        lines = {key: f"provider/{key}" for key in known or ()}
        settings = ConsumerSettings.model_construct(task=task, authors=known, public_keys=lines, functions=("sum/100",))
        asking = Asking(settings, role, reader, [], progress)
        asking.choose()
        leaves_out = known is not None and stranger.hex() not in known
        assert list(asking._batch.reports) == [
            one for one, author in zip(every, authors, strict=True) if author != stranger or not leaves_out
        ]
    assert notes == [f"leaves out {authors.count(stranger)} reports whose authors are no providers of the federation"]


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ({"functions": ("histogram/10",)}, "their policy does not allow all that is asked"),
        ({"threshold": 2}, "their policy expects other consumers to sign"),
        ({"uses": 1}, "their policy does not allow so many more results of them"),
        ({"not_after": 3}, "their policy has ended"),
    ],
)
def test_a_second_policy_of_one_provider_bars_its_own_reports_alone(rules: dict[str, Any], why: str) -> None:
    log, _, _ = two_providers()
    honest = tuple(log.copy.state.of_task["heights"])
    log.report(log.policy(log.other_provider, **rules), 9, log.other_provider)
    log.step()
    here = Here(log)
    here.asking.choose()
    assert here.asking.left_out == [{"name": "east", "reports": 1, "why": why}]
    assert here.notes == [f"leaves out 1 reports of east: {why}"]
    assert [here.granted(one) for one in FUNCTIONS] == [honest, honest]


def test_after_a_withdrawal_others_are_asked_without_it_and_too_few_are_refused_with_the_entry() -> None:
    log, _, policy = two_providers()
    log.submit(log.other_provider, Revoke(policy))
    log.step()
    here = Here(log)
    here.asking.choose()
    assert here.asking.left_out == [{"name": "east", "reports": 2, "why": "their policy is revoked"}]
    assert [here.granted(one) for one in FUNCTIONS] == [of(log, log.provider)] * 2
    assert here.asking.left_out[0]["reports"] == 2

    log, _, policy = two_providers(each=1)
    log.submit(log.other_provider, Revoke(policy))
    log.step()
    here = Here(log)
    here.asking.choose()
    answer = here.asks("sum/100")
    assert isinstance(answer, Refuse)
    assert answer.subject == log.copy.state.revoked[policy]


@pytest.mark.parametrize("is_undone", [False, True])
def test_who_bars_a_request_before_its_answer_is_left_out_from_then_on(is_undone: bool) -> None:
    log, _, policy = two_providers()
    here = Here(log)
    here.asking.choose()
    first = here.granted("histogram/10")
    assert len(first) == 4
    versions = [policy]

    def change(**rules: Any) -> None:
        version = Policy(len(versions), versions[-1], log.other_provider.key, "heights", log.rules(**rules))
        versions.append(log.submit(log.other_provider, version))

    here.before = lambda: change(functions=())
    here.behind = change if is_undone else None
    assert here.granted("sum/100") == of(log, log.provider)
    (left,) = here.asking.left_out
    assert (left["name"], left["reports"]) == ("east", 2)
    assert str(left["why"]).startswith("from sum/100 on, as it was refused: the policy of entry ")
    assert len(log.copy.state.requests) == 3


def test_in_a_run_whose_clinic_revokes_the_refusal_is_shown() -> None:
    log, _, policy = two_providers()
    here = Here(log, federation=False)
    here.asking.choose()
    assert len(here.granted("histogram/10")) == 4
    here.before = lambda: log.submit(log.other_provider, Revoke(policy))
    answer = here.asks("sum/100")
    assert isinstance(answer, Refuse)
    assert answer.subject == log.copy.state.revoked[policy]


def test_uses_that_are_left_serve_the_first_questions_and_the_refusal_names_the_others() -> None:
    log, _, _ = two_providers(uses=3)
    for expected in (2, 1):  # questions that are granted
        here = Here(log)
        here.asking.choose()
        answers = [here.asks(one) for one in FUNCTIONS]
        assert sum(isinstance(one, Grant) for one in answers) == expected
        assert here.asking.left_out == []
    assert len(log.copy.state.requests) == 4  # nothing is asked again in vain


def test_all_questions_cover_the_reports_of_the_start() -> None:
    log, policy, _ = two_providers()
    here = Here(log)
    here.asking.choose()
    first = here.granted("histogram/10")
    here.before = lambda: log.report(policy, 7)
    assert here.granted("sum/100") == first
    assert len(log.copy.state.of_task["heights"]) == len(first) + 1


@pytest.mark.parametrize(("ever_from", "ends", "says"), [(100, 15, 0), (9, 61, 1)])
def test_an_asking_waits_until_reports_stand_still(
    ever_from: int, ends: int, says: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, reports = 0.0, list[int]()
    monkeypatch.setattr(consumer, "time", SimpleNamespace(monotonic=lambda: now))

    def until(find: Callable[[Any], Any], what: str, within_s: float) -> None:
        nonlocal now
        while find(None) is None:
            if now > within_s:
                raise PartyError("none")
            now += 1
            if now in (1, 2, 6, 10) or now > ever_from:
                reports.append(int(now))

    notes = list[str]()
    settings = ConsumerSettings.model_construct(reports=2, reports_within_s=60.0, still_s=5.0)
    reader: Any = SimpleNamespace(until=until)
    progress: Any = SimpleNamespace(note=notes.append)
    role: Any = None
    asking = Asking(settings, role, reader, [], progress)
    monkeypatch.setattr(asking, "_counting", lambda: reports)
    asking.wait_for_reports()
    assert now == ends
    assert notes == ["further reports came until the end within 60 s, so that some may be missing"] * says
