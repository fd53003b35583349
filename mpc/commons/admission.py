"""Which entry may stand at an index of the log, and what it changes. Every trustee and every auditor asks this."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from mpc.commons.access import (
    GrantState,
    Member,
    PolicyState,
    ReportState,
    RequestState,
    State,
    batch_of,
    decide,
    member_of,
    task_of,
    trustee_place,
)
from mpc.commons.committee import check_for
from mpc.commons.encoding import decode
from mpc.commons.entries import (
    NONE,
    Entry,
    Grant,
    Kind,
    Policy,
    Refuse,
    Register,
    Report,
    Request,
    Revoke,
    Role,
    check_endorsements,
    endorsed_by_others,
)
from mpc.commons.functions import layout_of
from mpc.commons.proceedings import (
    admit_close,
    admit_coin,
    admit_complaint,
    admit_delivered,
    admit_hand_on,
    admit_noise,
    admit_verdict,
    admit_words,
)
from mpc.commons.release import check_request
from mpc.errors import ProtocolError


def admit(state: State, index: int, data: bytes, leaf: bytes) -> Entry:
    """Take one more entry into the state, and return it.

    Args:
        index: of the entry, which is how many are before it.
        leaf: its leaf hash.

    Raises:
        ProtocolError: the entry may not stand here. Then the state may have changed in part, and the caller takes back.
    """
    entry = decode(Entry, data)
    if not entry.is_signed(state.founding.origin):
        raise ProtocolError(f"expected an entry that {entry.author.hex()[:16]} has signed for this log, found another")
    statement = entry.statement
    if (before := state.statements.get(statement)) is not None:
        raise ProtocolError(f"expected a new entry, found what entry {before} says")
    _HANDLERS[Kind(entry.kind)](state, index, leaf, entry.author, entry.contents())
    state.put(state.statements, statement, index)
    return entry


def _register(state: State, index: int, leaf: bytes, author: bytes, body: Register) -> None:
    if body.role not in {int(one) for one in Role}:
        raise ProtocolError(f"expected a role from 1 to {max(Role)}, found {body.role}")
    role = Role(body.role)
    if author in state.members or body.name in state.names:
        raise ProtocolError(f"expected a new key and a new name, found {body.name} of {author.hex()[:16]}")
    place = state.founding.trustee_of(author)
    if place is None and body.name in {one.name for one in state.founding.trustees}:
        raise ProtocolError(f"expected the name {body.name} from the trustee that has it alone, found another's key")
    named = state.founding.aggregators
    if author in named or body.name in {one.name for one in named.values()}:
        raise ProtocolError(f"expected nobody to register as an aggregator, found {body.name}")
    if (place is not None) != (role == Role.TRUSTEE):
        raise ProtocolError(f"expected the role trustee for the trustees' keys alone, found {role.name.lower()}")
    if bool(body.details) != (role == Role.TRUSTEE):
        raise ProtocolError(f"expected the trustees' key from trustees alone, found another for {body.name}")
    if place is not None:
        if body.name != state.founding.trustees[place].name:
            raise ProtocolError(f"expected the name {state.founding.trustees[place].name}, found {body.name}")
        check_for(state.founding, body.details)
        votes = state.key_votes.get(body.details, frozenset()) | {place}
        state.put(state.key_votes, body.details, votes)
        if len(votes) == state.founding.quorum:
            state.set_trustees_key(body.details)
    state.put(state.members, author, Member(body.name, role, index))
    state.put(state.names, body.name, author)


def _policy(state: State, index: int, leaf: bytes, author: bytes, body: Policy) -> None:
    task_of(state, body.task)
    if body.version == 0:
        if body.previous != NONE or author != body.owner:
            raise ProtocolError("expected a policy's version 0 signed by its owner, without a version before it")
        member_of(state, author, Role.OWNER, Role.PROVIDER)
        name = leaf
    else:
        found = state.versions.get(body.previous)
        held = state.policies[found] if found is not None else None
        if found is None or held is None or held.leaf != body.previous or held.policy.version + 1 != body.version:
            raise ProtocolError(f"expected the version after one that holds, found version {body.version} of another")
        if author != held.policy.owner:
            raise ProtocolError(f"expected the signature of the owner of version {held.policy.version}, found another")
        if body.task != held.policy.task:
            raise ProtocolError(f"expected a policy of task {held.policy.task}, found {body.task}")
        if found in state.revoked:
            raise ProtocolError(f"expected a policy that holds, found one that entry {state.revoked[found]} revokes")
        name = found
    state.put(state.policies, name, PolicyState(index, leaf, body))
    state.put(state.versions, leaf, name)


def _report(state: State, index: int, leaf: bytes, author: bytes, body: Report) -> None:
    member_of(state, author, Role.PROVIDER)
    task_of(state, body.task)
    if not state.trustees_key:
        raise ProtocolError("expected the trustees' key before the first report, found none")
    held = state.policies.get(body.policy)
    if held is None or held.policy.task != body.task:
        raise ProtocolError(f"expected a policy of task {body.task}, found {body.policy.hex()[:16]}")
    if body.policy in state.revoked:
        raise ProtocolError(f"expected a policy that holds, found one that entry {state.revoked[body.policy]} revokes")
    if (author, body.report_id) in state.report_ids:
        raise ProtocolError(f"expected a new number of a report, found {body.report_id.hex()}")
    expected, found = layout_of(state.founding.origin, task_of(state, body.task)).public_size, len(body.public_share)
    if found != expected:
        raise ProtocolError(f"expected {expected} bytes as the public part of a report of {body.task}, found {found}")
    state.put(state.report_ids, (author, body.report_id), index)
    report = ReportState(leaf, author, body.task, body.policy, body.report_id, body.digest, body.public_share)
    state.put(state.reports, index, report)
    state.put(state.report_leaves, leaf, index)
    state.add_report(body.task, index)


def _request(state: State, index: int, leaf: bytes, author: bytes, body: Request) -> None:
    member_of(state, author, Role.CONSUMER)
    if body.function not in task_of(state, body.task).functions:
        raise ProtocolError(f"expected a function of task {body.task}, found {body.function}")
    if body.ranges[-1].end > index:
        raise ProtocolError(f"expected ranges of entries before {index}, found one up to {body.ranges[-1].end}")
    for one in body.endorsements:
        member_of(state, one.key, Role.CONSUMER)
    check_request(state.founding.origin, author, body)
    check_endorsements(state.founding.origin, author, body)
    bare = hashlib.sha256(endorsed_by_others(state.founding.origin, author, body)).digest()
    if bare in state.bare_requests:
        before = state.bare_requests[bare]
        raise ProtocolError(f"expected a new request, found the one of entry {before}, whoever endorses it")
    state.put(state.bare_requests, bare, index)
    state.put(state.requests, leaf, RequestState(index, author, body))


def _answer(state: State, index: int, leaf: bytes, author: bytes, body: Grant | Refuse) -> None:
    trustee_place(state, author)
    expected = decide(state, index, body.request)
    if body != expected:
        raise ProtocolError(
            f"expected of this request a {type(expected).__name__} by the entries before, found another"
        )
    asked = state.requests[body.request]
    state.put(state.requests, body.request, RequestState(asked.index, asked.author, asked.request, body, index))
    if isinstance(body, Grant):
        batch = batch_of(state, asked.request)
        for report in batch:
            state.put(state.used, report, state.used.get(report, 0) + 1)
            if report not in state.first_grants:
                state.put(state.first_grants, report, leaf)
        state.put(state.grants, leaf, GrantState(index, body.request, tuple(batch)))


def _revoke(state: State, index: int, leaf: bytes, author: bytes, body: Revoke) -> None:
    if body.target in state.policies:
        owners = {state.policies[body.target].policy.owner}
    elif body.target in state.report_leaves:
        report = state.reports[state.report_leaves[body.target]]
        owners = {report.author, state.policies[report.policy].policy.owner}
    else:
        raise ProtocolError(f"expected the hash of a policy or a report, found {body.target.hex()[:16]}")
    if author not in owners:
        raise ProtocolError(f"expected a revocation by the owner, found one by {author.hex()[:16]}")
    if body.target in state.revoked:
        raise ProtocolError(f"expected something not revoked, found what entry {state.revoked[body.target]} revokes")
    state.put(state.revoked, body.target, index)


_HANDLERS: dict[Kind, Callable[[State, int, bytes, bytes, Any], None]] = {
    Kind.REGISTER: _register, Kind.POLICY: _policy, Kind.REPORT: _report, Kind.REQUEST: _request, Kind.GRANT: _answer,
    Kind.REFUSE: _answer, Kind.REVOKE: _revoke, Kind.COIN: admit_coin, Kind.COMPLAINT: admit_complaint,
    Kind.VERDICT: admit_verdict, Kind.DELIVERED: admit_delivered, Kind.HAND_ON: admit_hand_on,
    Kind.WORDS: admit_words, Kind.CLOSE: admit_close, Kind.NOISE: admit_noise,
}  # fmt: skip
