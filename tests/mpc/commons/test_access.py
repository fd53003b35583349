"""What the entries of a log allow: policies, requests, grants, refusals and revocations."""

from __future__ import annotations

import dataclasses

import pytest

from mpc.commons.access import decide, sentence
from mpc.commons.entries import (
    NONE,
    Endorsement,
    Grant,
    Kind,
    Policy,
    Reason,
    Refuse,
    Register,
    Report,
    Revoke,
    Role,
    batch_digest,
    endorse,
)
from mpc.commons.group import SecretScalar, read_points
from mpc.commons.identities import Identity
from tests.mpc.commons.setting import FOREVER, Log, asked, grant_of, refused

OTHER_POINT = SecretScalar.of(99).times_generator().encode()


def test_a_request_that_the_policy_allows_is_granted() -> None:
    log = Log()
    log.ready(3)
    answer = asked(log)
    reports = log.copy.state.of_task["heights"]
    assert answer == Grant(answer.request, batch_digest(reports), 3)
    assert log.kinds()[-2:] == [Kind.REQUEST, Kind.GRANT]
    assert log.copy.state.grants[grant_of(log)].reports == tuple(reports)


def test_only_the_reports_in_the_ranges_are_granted() -> None:
    log = Log()
    log.ready(5)
    first, second, *_, last = log.copy.state.of_task["heights"]
    answer = asked(log, ranges=[(first, second), (last, last + 1)])
    assert answer.batch == batch_digest([first, last])


@pytest.mark.parametrize(
    ("rules", "request_changes", "reason", "words"),
    [
        ({}, {"not_after": 14}, Reason.REQUEST_EXPIRED, "could be answered up to entry 14, and this is entry 14"),
        ({}, {"ranges": [(0, 11)]}, Reason.BATCH_TOO_SMALL, "at least 2 reports in the batch, found 1"),
        ({"not_after": 13}, {}, Reason.POLICY_EXPIRED, "policy of entry 9 allows grants up to entry 13, and this is"),
        ({"functions": ("histogram/10",)}, {}, Reason.FUNCTION_NOT_ALLOWED, "policy of entry 9 allows other functions"),
        ({"threshold": 2}, {}, Reason.TOO_FEW_CONSUMERS, "expects 2 of its consumers to sign a request, found 1"),
        ({"uses": 0}, {}, Reason.USED_UP, "report 10 may enter 0 aggregates and has entered 0"),
    ],
)
def test_each_rule_refuses_and_says_why(rules: dict, request_changes: dict, reason: Reason, words: str) -> None:
    log = Log()
    log.register_all()
    policy = log.policy(**rules)
    for number in range(3):
        log.report(policy, number)
    log.step()
    assert log.copy.size == 13
    if reason == Reason.REQUEST_EXPIRED:
        request_changes = {"not_after": 13}
        words = "could be answered up to entry 13, and this is entry 14"
    answer = asked(log, **request_changes)
    assert isinstance(answer, Refuse)
    assert answer.reason == reason
    assert words in sentence(answer)


def test_k_of_the_named_consumers_open_what_fewer_do_not() -> None:
    log = Log()
    log.register_all()
    policy = log.policy(threshold=2)
    for number in range(2):
        log.report(policy, number)
    log.step()
    bare = log.request()
    both = dataclasses.replace(bare, endorsements=(endorse(log.other_consumer, log.origin, log.consumer.key, bare),))
    assert isinstance(asked(log), Refuse)
    log.submit(log.consumer, both)  # the request was answered as it was, and asking again needs another one
    assert "expected a new request, found the one of entry" in refused(log)
    bare = log.request(not_after=FOREVER + 1)
    both = dataclasses.replace(bare, endorsements=(endorse(log.other_consumer, log.origin, log.consumer.key, bare),))
    leaf = log.submit(log.consumer, both)
    log.step()
    assert isinstance(log.answer(leaf), Grant)


def test_endorsements_of_one_request_are_good_for_one_grant() -> None:
    """Each subset of them would otherwise make another entry, and use the reports once more."""
    log, third = Log(), Identity(b"\7" * 32)
    log.register_all()
    log.submit(third, Register("third", Role.CONSUMER, b""))
    consumers = tuple(sorted((log.consumer.key, log.other_consumer.key, third.key)))
    policy = log.policy(threshold=2, uses=9, consumers=consumers)
    for number in range(2):
        log.report(policy, number)
    log.step()
    bare = log.request()
    one, other = (endorse(by, log.origin, log.consumer.key, bare) for by in (log.other_consumer, third))
    both = tuple(sorted((one, other), key=lambda found: found.key))
    for endorsements in ((one,), (other,), both):
        log.submit(log.consumer, dataclasses.replace(bare, endorsements=endorsements))
    log.step()
    assert len(log.copy.state.grants) == 1
    assert set(log.copy.state.used.values()) == {1}
    assert len(log.sequencer.refused) == 2


@pytest.mark.parametrize("fault", ["of another request", "by the author", "by nobody"])
def test_an_endorsement_is_for_one_request_of_one_author(fault: str) -> None:
    log = Log()
    log.ready()
    bare = log.request()
    if fault == "of another request":
        found = endorse(log.other_consumer, log.origin, log.consumer.key, log.request(function="histogram/10"))
    elif fault == "by the author":
        found = endorse(log.consumer, log.origin, log.consumer.key, bare)
    else:
        found = Endorsement(log.other_consumer.key, bytes(64))
    log.submit(log.consumer, dataclasses.replace(bare, endorsements=(found,)))
    assert "expected the endorsement of another consumer" in refused(log)


def test_a_report_enters_as_many_aggregates_as_it_may() -> None:
    log = Log()
    log.ready(2)  # uses: 2
    asked(log)
    asked(log, function="histogram/10")
    third = asked(log, not_after=FOREVER + 1)
    assert (third.reason, third.expected, third.found) == (Reason.USED_UP, 2, 2)


def test_a_revocation_bars_what_comes_behind_it_and_nothing_before() -> None:
    log = Log()
    policy = log.ready(2)
    assert isinstance(asked(log), Grant)
    log.submit(log.owner, Revoke(policy))
    answer = asked(log, function="histogram/10")
    revocation = log.kinds().index(Kind.REVOKE)
    assert (answer.reason, answer.subject) == (Reason.POLICY_REVOKED, revocation)
    assert sentence(answer).startswith(f"entry {revocation} revokes the policy of entry 9")
    assert "cannot be recalled" in sentence(answer)
    assert len(log.copy.state.grants) == 1


@pytest.mark.parametrize("by", ["author", "owner"])
def test_one_report_can_be_revoked_by_its_author_and_by_the_policys_owner(by: str) -> None:
    log = Log()
    log.ready(4)
    reports = log.copy.state.of_task["heights"]
    leaf = log.copy.tree.leaf(reports[0])
    log.submit(log.provider if by == "author" else log.owner, Revoke(leaf))
    log.step()
    answer = asked(log)
    assert (answer.reason, answer.found) == (Reason.REPORT_REVOKED, reports[0])
    assert isinstance(asked(log, ranges=[(reports[1], reports[-1] + 1)]), Grant)


def test_revocations_of_others_are_refused() -> None:
    log = Log()
    policy = log.ready(2)
    log.submit(log.provider, Revoke(policy))
    assert "expected a revocation by the owner" in refused(log)
    log.submit(log.other_provider, Revoke(log.copy.tree.leaf(log.copy.state.of_task["heights"][0])))
    assert "expected a revocation by the owner" in refused(log)
    log.submit(log.owner, Revoke(NONE))
    assert "expected the hash of a policy or a report" in refused(log)


def test_a_new_version_is_signed_by_the_owner_before_and_holds_for_old_reports() -> None:
    log = Log()
    policy = log.ready(2)
    closed = Policy(1, policy, log.other_provider.key, "heights", log.rules(functions=("histogram/10",)))
    log.submit(log.other_provider, closed)
    assert "expected the signature of the owner of version 0" in refused(log)
    leaf = log.submit(log.owner, closed)
    assert asked(log).reason == Reason.FUNCTION_NOT_ALLOWED
    log.submit(log.owner, Policy(2, leaf, log.owner.key, "heights", log.rules()))
    assert "expected the signature of the owner of version 1" in refused(log)
    log.submit(log.owner, Policy(1, policy, log.owner.key, "heights", log.rules(uses=9)))
    assert "expected the version after one that holds" in refused(log)
    log.submit(log.other_provider, Policy(2, leaf, log.owner.key, "heights", log.rules()))
    assert isinstance(asked(log, not_after=FOREVER + 1), Grant)


def test_a_revoked_policy_takes_no_reports_and_no_versions() -> None:
    log = Log()
    policy = log.ready(2)
    log.submit(log.owner, Revoke(policy))
    log.step()
    log.report(policy, 9)
    assert "expected a policy that holds" in refused(log)
    log.submit(log.owner, Policy(1, policy, log.owner.key, "heights", log.rules()))
    assert "expected a policy that holds" in refused(log)
    log.submit(log.keys[0].identity, Revoke(policy))
    assert "expected a revocation by the owner" in refused(log)


def test_what_is_said_twice_is_logged_once() -> None:
    log = Log()
    policy = log.ready(1)
    log.sequencer._queue[b"again"] = log.copy.entries[-1], None
    assert "expected a new entry, found what entry" in refused(log)
    log.submit(log.provider, Report("heights", policy, (0).to_bytes(16, "big"), b"\7" * 32, log.public_share))
    assert "expected a new number of a report" in refused(log)


@pytest.mark.parametrize("fault", ["of nobody", "of another's request", "of another key", "of the ciphertext"])
def test_a_request_shows_that_its_author_knows_the_secret_of_its_key(fault: str) -> None:
    """Otherwise its key could be the difference to a ciphertext that nobody has granted."""
    log = Log()
    log.ready()
    request = log.request()
    if fault == "of nobody":
        request = dataclasses.replace(request, proof=bytes(64))
    elif fault == "of another's request":
        request = log.consumer_key.sign(log.origin, log.other_consumer.key, request)
    elif fault == "of another key":
        request = dataclasses.replace(request, consumer_key=OTHER_POINT)
    else:
        foreign = read_points([OTHER_POINT], "key") - read_points([request.consumer_key], "key")
        request = dataclasses.replace(request, consumer_key=foreign.encode())
    log.submit(log.consumer, request)
    assert "expected a proof that the consumer knows the secret" in refused(log)


def test_everything_can_be_taken_back() -> None:
    """The state after any prefix is that of a copy that has never seen more."""
    log = Log()
    policy = log.ready(3)
    asked(log)
    log.submit(log.owner, Revoke(policy))
    asked(log, function="histogram/10")
    tables = [name for name, value in vars(log.copy.state).items() if isinstance(value, dict)]
    assert len(tables) > 12
    for size in range(1, log.copy.size):
        one, other = Log().copy, Log().copy
        one.extend(log.copy.entries[:size])
        other.extend(log.copy.entries[:size])
        other.keep()
        other.notes[size] = None  # as if it were signed
        other.extend(log.copy.entries[size:])
        other.take_back()
        for name in (*tables, "trustees_key"):
            assert getattr(one.state, name) == getattr(other.state, name), name
        assert one.tree.root() == other.tree.root()


def test_the_same_function_answers_and_checks() -> None:
    log = Log()
    log.ready(2)
    leaf = log.submit(log.consumer, log.request())
    log.sequencer._queue, queue = {}, log.sequencer._queue
    log.copy.extend([entry for entry, _ in queue.values()])
    assert isinstance(decide(log.copy.state, log.copy.size, leaf), Grant)
    log.copy.take_back()
