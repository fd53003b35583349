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
    VerdictState,
    batch_of,
    decide,
    task_of,
)
from mpc.commons.coin import CoinLabel, Toss
from mpc.commons.committee import check_for
from mpc.commons.encoding import decode, encode
from mpc.commons.entries import (
    NONE,
    Coin,
    Complaint,
    Delivered,
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
    Verdict,
    check_endorsements,
    endorsed_by_others,
)
from mpc.commons.group import read_points
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
    if (place is not None) != (role == Role.TRUSTEE):
        raise ProtocolError(f"expected the role trustee for the trustees' keys alone, found {role.name.lower()}")
    if (body.point != NONE) != (role == Role.AGGREGATOR):
        raise ProtocolError(f"expected a key for boxes of aggregators alone, found another for {body.name}")
    if bool(body.details) != (role == Role.TRUSTEE):
        raise ProtocolError(f"expected the trustees' key from trustees alone, found another for {body.name}")
    if role == Role.AGGREGATOR:
        read_points([body.point], "an aggregator's key")
    if place is not None:
        if body.name != state.founding.trustees[place].name:
            raise ProtocolError(f"expected the name {state.founding.trustees[place].name}, found {body.name}")
        check_for(state.founding, body.details)
        votes = state.key_votes.get(body.details, frozenset()) | {place}
        state.put(state.key_votes, body.details, votes)
        if len(votes) == state.founding.quorum:
            state.set_trustees_key(body.details)
    state.put(state.members, author, Member(body.name, role, body.point, index))
    state.put(state.names, body.name, author)


def _policy(state: State, index: int, leaf: bytes, author: bytes, body: Policy) -> None:
    task_of(state, body.task)
    if body.version == 0:
        if body.previous != NONE or author != body.owner:
            raise ProtocolError("expected a policy's version 0 signed by its owner, without a version before it")
        _member(state, author, Role.OWNER, Role.PROVIDER)
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
    _member(state, author, Role.PROVIDER)
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
    state.put(state.report_ids, (author, body.report_id), index)
    state.put(state.reports, index, ReportState(leaf, author, body.task, body.policy, body.report_id, body.digest))
    state.put(state.report_leaves, leaf, index)
    state.add_report(body.task, index)


def _request(state: State, index: int, leaf: bytes, author: bytes, body: Request) -> None:
    _member(state, author, Role.CONSUMER)
    if body.function not in task_of(state, body.task).functions:
        raise ProtocolError(f"expected a function of task {body.task}, found {body.function}")
    if body.ranges[-1].end > index:
        raise ProtocolError(f"expected ranges of entries before {index}, found one up to {body.ranges[-1].end}")
    for one in body.endorsements:
        _member(state, one.key, Role.CONSUMER)
    check_request(state.founding.origin, author, body)
    check_endorsements(state.founding.origin, author, body)
    bare = hashlib.sha256(endorsed_by_others(state.founding.origin, author, body)).digest()
    if bare in state.bare_requests:
        before = state.bare_requests[bare]
        raise ProtocolError(f"expected a new request, found the one of entry {before}, whoever endorses it")
    state.put(state.bare_requests, bare, index)
    state.put(state.requests, leaf, RequestState(index, author, body))


def _answer(state: State, index: int, leaf: bytes, author: bytes, body: Grant | Refuse) -> None:
    _trustee(state, author)
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


def _coin(state: State, index: int, leaf: bytes, author: bytes, body: Coin) -> None:
    _trustee(state, author)
    value = toss_of(state, body.grant).value(body.shares)
    _once(state, state.coins, body.grant, index)
    state.put(state.coin_values, body.grant, value)


def _complaint(state: State, index: int, leaf: bytes, author: bytes, body: Complaint) -> None:
    _member(state, author, Role.AGGREGATOR)
    if body.report not in _granted(state, body.grant).reports:
        raise ProtocolError(f"expected a report of the granted batch, found {body.report}")
    place = (body.grant, body.report, author)
    if place in state.complaints:
        raise ProtocolError(f"expected a new complaint, found the one of entry {state.complaints[place]}")
    state.put(state.complaints, place, index)


def _verdict(state: State, index: int, leaf: bytes, author: bytes, body: Verdict) -> None:
    """Count what one trustee says. It stands once t + 1 of them say the same, of whom one at least is honest."""
    place = _trustee(state, author)
    if unknown := sorted(set(body.rejected) - set(_granted(state, body.grant).reports)):
        raise ProtocolError(f"expected reports of the granted batch, found {unknown[0]}")
    aggregators = sum(one.role == Role.AGGREGATOR for one in state.members.values())
    if body.liars and body.liars[-1] >= aggregators:
        raise ProtocolError(f"expected places of {aggregators} aggregators, found {body.liars[-1]}")
    if (held := state.verdicts.get(body.grant)) is not None:
        raise ProtocolError(f"expected one verdict for each grant, found the one that stands since entry {held.index}")
    if (body.grant, place) in state.verdict_votes:
        raise ProtocolError(f"expected one verdict of trustee {place} for each grant, found a second one")
    said = hashlib.sha256(encode(body)).digest()
    state.put(state.verdict_votes, (body.grant, place), said)
    places = range(len(state.founding.trustees))
    if sum(state.verdict_votes.get((body.grant, one)) == said for one in places) > state.founding.faulty:
        state.put(state.verdicts, body.grant, VerdictState(index, body))


def _delivered(state: State, index: int, leaf: bytes, author: bytes, body: Delivered) -> None:
    if author != state.requests[_granted(state, body.grant).request].author:
        raise ProtocolError("expected the consumer that has asked, found another")
    _once(state, state.deliveries, body.grant, index)


def toss_of(state: State, grant: bytes) -> Toss:
    """Return what the coin of a grant is about. Raises `ProtocolError` where the grant is not in the log before."""
    granted = _granted(state, grant)
    task = state.requests[granted.request].request.task
    root = state.root_of(granted.index + 1)
    label = CoinLabel(state.founding.origin, task, grant, root)
    return Toss(check_for(state.founding, state.trustees_key), label)


def coins_of(state: State, grant: bytes) -> tuple[bytes, ...]:
    """Return for each report of a grant, in order, the coin with which aggregators verify it.

    It is the coin of the first grant that the report has entered, whatever other grants follow. So a report has one
    coin for ever, and an aggregator that starts again, or that serves another grant, sends the same verifier words.
    Words under two coins would give the measurement away. The report was in the log before its first grant, so nobody
    has made it by this coin.

    Raises:
        ProtocolError: the grant is not in the log, or a coin that it needs is not. That coin can be tossed now.
    """
    coins = []
    for report in _granted(state, grant).reports:
        first = state.first_grants[report]
        if first not in state.coin_values:
            where = state.grants[first].index
            raise ProtocolError(f"expected the coin of the grant of entry {where} for report {report}, found none yet")
        coins.append(state.coin_values[first])
    return tuple(coins)


def _member(state: State, key: bytes, *roles: Role) -> None:
    member = state.members.get(key)
    if member is None or member.role not in roles:
        expected = " or ".join(role.name.lower() for role in roles)
        found = f"{member.name}, which is a {member.role.name.lower()}" if member else f"the key {key.hex()[:16]}"
        raise ProtocolError(f"expected a registered {expected}, found {found}")


def _trustee(state: State, key: bytes) -> int:
    place = state.founding.trustee_of(key)
    if place is None:
        raise ProtocolError(f"expected a trustee, found the key {key.hex()[:16]}")
    return place


def _granted(state: State, grant: bytes) -> GrantState:
    if grant not in state.grants:
        raise ProtocolError(f"expected the hash of a grant, found {grant.hex()[:16]}")
    return state.grants[grant]


def _once(state: State, table: dict[bytes, int], grant: bytes, index: int) -> None:
    if grant in table:
        raise ProtocolError(f"expected one such entry for each grant, found entry {table[grant]} before")
    state.put(table, grant, index)


_HANDLERS: dict[Kind, Callable[[State, int, bytes, bytes, Any], None]] = {
    Kind.REGISTER: _register, Kind.POLICY: _policy, Kind.REPORT: _report, Kind.REQUEST: _request, Kind.GRANT: _answer,
    Kind.REFUSE: _answer, Kind.REVOKE: _revoke, Kind.COIN: _coin, Kind.COMPLAINT: _complaint, Kind.VERDICT: _verdict,
    Kind.DELIVERED: _delivered,
}  # fmt: skip
