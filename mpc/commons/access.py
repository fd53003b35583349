"""What the entries of a log allow, as a function of these entries alone.

A trustee decides by :func:`decide` what to answer to a request. The other trustees and every auditor check the answer
by the same function. The order of the log decides: a revocation bars each grant behind it, and none before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mpc.commons.entries import Grant, Policy, Reason, Refuse, Request, Role, batch_digest
from mpc.commons.founding import Founding, Task
from mpc.commons.steps import Complaint, Step, Verdict
from mpc.errors import ProtocolError

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Member:
    """Who has registered, and at which index."""

    name: str
    role: Role
    index: int


@dataclass(frozen=True)
class PolicyState:
    """A policy's version that holds now, with its index and leaf hash."""

    index: int
    leaf: bytes
    policy: Policy


@dataclass(frozen=True)
class ReportState:
    """A report in the log, with its leaf hash, its policy's name, its public shares, and SHA-256 of its ciphertext."""

    leaf: bytes
    author: bytes
    task: str
    policy: bytes
    report_id: bytes
    digest: bytes
    public_share: bytes


@dataclass(frozen=True)
class RequestState:
    """A request, and the answer with its index as soon as there is one."""

    index: int
    author: bytes
    request: Request
    answer: Grant | Refuse | None = None
    answered: int = 0


@dataclass(frozen=True)
class GrantState:
    """A grant: its index, its request's leaf hash, and the indices of the reports."""

    index: int
    request: bytes
    reports: tuple[int, ...]


@dataclass(frozen=True)
class NoiseState:
    """An aggregator's part of the noise of a grant: its index, the digest of its boxes, and its public share."""

    index: int
    digest: bytes
    public_share: bytes


@dataclass(frozen=True)
class VerdictState:
    """A verdict that t + 1 trustees have said, and the index of the entry by which they were so many."""

    index: int
    verdict: Verdict


class State:
    """What all entries so far say. Every change can be taken back, so that a proposal can be tried.

    Attributes:
        root_of: returns the root of the log's first entries.
        members: by key. names: the keys by name.
        policies: by the leaf hash of their first version. versions: the policy's name by each version's leaf hash.
        reports: by index. report_leaves: indices by leaf hash. of_task: indices by task, in order.
        report_ids: the index by author and the author's own number.
        used: how many granted aggregates a report has entered, by index.
        revoked: the revocation's index by the leaf hash of a policy or report.
        requests, grants: by leaf hash.
        bare_requests: the index by the digest of author and request without endorsements.
        first_grants: the leaf hash of the first grant that a report has entered, by the report's index.
        coins: the entry's index by the leaf hash of what the coin is about. coin_values: the coin itself, 32 bytes.
        deliveries: the entry's index by the grant's leaf hash.
        verdicts: by the grant's leaf hash. verdict_votes: digest of what a trustee has said, by grant and its place.
        complaints: the complaint by grant, report and the aggregator's place. hand_ons, words: the digest of what was
            said, by grant, and by grant and the aggregator's place. noises: by grant and the aggregator's place.
        closes: the entry's index by grant, step and the trustee's place. ended: that by which a step ended with its
            leaf hash, by grant and step. noise_ends: the grant by the leaf hash of the entry that ended its noise.
        statements: the index by :attr:`mpc.commons.entries.Entry.statement`.
        key_votes: trustees by the copy of the trustees' key that they have registered.
        trustees_key: the copy that a quorum of trustees has registered, or nothing.
    """

    def __init__(self, founding: Founding, root_of: Callable[[int], bytes]) -> None:
        self.founding = founding
        self.root_of = root_of
        self.members: dict[bytes, Member] = {}
        self.names: dict[str, bytes] = {}
        self.policies: dict[bytes, PolicyState] = {}
        self.versions: dict[bytes, bytes] = {}
        self.reports: dict[int, ReportState] = {}
        self.report_leaves: dict[bytes, int] = {}
        self.report_ids: dict[tuple[bytes, bytes], int] = {}
        self.of_task: dict[str, list[int]] = {task.name: [] for task in founding.tasks}
        self.used: dict[int, int] = {}
        self.revoked: dict[bytes, int] = {}
        self.requests: dict[bytes, RequestState] = {}
        self.bare_requests: dict[bytes, int] = {}
        self.grants: dict[bytes, GrantState] = {}
        self.first_grants: dict[int, bytes] = {}
        self.coins: dict[bytes, int] = {}
        self.coin_values: dict[bytes, bytes] = {}
        self.verdicts: dict[bytes, VerdictState] = {}
        self.verdict_votes: dict[tuple[bytes, int], bytes] = {}
        self.deliveries: dict[bytes, int] = {}
        self.complaints: dict[tuple[bytes, int, int], Complaint] = {}
        self.hand_ons: dict[bytes, bytes] = {}
        self.words: dict[tuple[bytes, int], bytes] = {}
        self.noises: dict[tuple[bytes, int], NoiseState] = {}
        self.closes: dict[tuple[bytes, Step, int], int] = {}
        self.ended: dict[tuple[bytes, Step], tuple[int, bytes]] = {}
        self.noise_ends: dict[bytes, bytes] = {}
        self.statements: dict[bytes, int] = {}
        self.key_votes: dict[bytes, frozenset[int]] = {}
        self.trustees_key = b""
        self._undo: list[Callable[[], object]] = []

    def put(self, table: dict[K, V], key: K, value: V) -> None:
        """Set an item of one of the tables."""
        if key in table:
            before = table[key]
            self._undo.append(lambda: table.__setitem__(key, before))
        else:
            self._undo.append(lambda: table.__delitem__(key))
        table[key] = value

    def add_report(self, task: str, index: int) -> None:
        """Add a report's index to its task's."""
        self.of_task[task].append(index)
        self._undo.append(self.of_task[task].pop)

    def set_trustees_key(self, key: bytes) -> None:
        """Set the trustees' key, once a quorum has registered it."""
        before = self.trustees_key
        self._undo.append(lambda: setattr(self, "trustees_key", before))
        self.trustees_key = key

    def keep(self) -> None:
        """Forget how to take back what has changed so far."""
        self._undo.clear()

    @property
    def mark(self) -> int:
        """Where :meth:`take_back` can go back to."""
        return len(self._undo)

    def take_back(self, mark: int = 0) -> None:
        """Take back every change since the mark, or since the last :meth:`keep`."""
        while len(self._undo) > mark:
            self._undo.pop()()


def task_of(state: State, name: str) -> Task:
    """Return a task. Raises `ProtocolError` where there is none of this name."""
    task = state.founding.task(name)
    if task is None:
        raise ProtocolError(f"expected a task of this log, found {name}")
    return task


def member_of(state: State, key: bytes, *roles: Role) -> None:
    """Raise `ProtocolError` unless the key is registered in one of these roles."""
    member = state.members.get(key)
    if member is None or member.role not in roles:
        expected = " or ".join(role.name.lower() for role in roles)
        found = f"{member.name}, which is a {member.role.name.lower()}" if member else f"the key {key.hex()[:16]}"
        raise ProtocolError(f"expected a registered {expected}, found {found}")


def trustee_place(state: State, key: bytes) -> int:
    """Return a trustee's place. Raises `ProtocolError` for another's key."""
    place = state.founding.trustee_of(key)
    if place is None:
        raise ProtocolError(f"expected a trustee, found the key {key.hex()[:16]}")
    return place


def granted(state: State, grant: bytes) -> GrantState:
    """Return a grant by its leaf hash. Raises `ProtocolError` where it is not in the log."""
    if grant not in state.grants:
        raise ProtocolError(f"expected the hash of a grant, found {grant.hex()[:16]}")
    return state.grants[grant]


def request_of(state: State, grant: bytes) -> RequestState:
    """Return the request of a grant. Raises `ProtocolError` where the grant is not in the log."""
    return state.requests[granted(state, grant).request]


def batch_of(state: State, request: Request) -> list[int]:
    """Return the indices of all reports that a request names, in order."""
    indices = state.of_task[request.task]
    found: list[int] = []
    for one in request.ranges:
        found += indices[bisect_left(indices, one.first) : bisect_left(indices, one.end)]
    return found


def decide(state: State, index: int, leaf: bytes) -> Grant | Refuse:
    """Return the one answer to a request that may stand at this index.

    Every report of the batch must be allowed, or all is refused and the answer names the first that is not. A batch
    without that report is another request. Nobody is given an aggregate of other reports than it has asked for.

    Raises:
        ProtocolError: there is no such request, or it has been answered.
    """
    asked = state.requests.get(leaf)
    if asked is None or asked.answer is not None:
        raise ProtocolError(f"expected a request without an answer, found {'one' if asked else 'none'} with the hash "
                            f"{leaf.hex()[:16]}")  # fmt: skip
    request = asked.request
    if index > request.not_after:
        return Refuse(leaf, Reason.REQUEST_EXPIRED, asked.index, request.not_after, index)
    batch, smallest = batch_of(state, request), task_of(state, request.task).smallest_batch
    if len(batch) < smallest:
        return Refuse(leaf, Reason.BATCH_TOO_SMALL, asked.index, smallest, len(batch))
    signers = {asked.author, *(one.key for one in request.endorsements)}
    for _, refusal in bars(state, index, leaf, request.function, signers, batch):
        return refusal
    return Grant(leaf, batch_digest(batch), len(batch))


def bars(
    state: State,
    index: int,
    leaf: bytes,
    function: str,
    signers: Collection[bytes],
    batch: Sequence[int],
    results: int = 1,
) -> Iterator[tuple[int, Refuse]]:
    """Yield each report of a batch that may not enter an aggregate, with the refusal that follows from it.

    Args:
        index: at which the request would be answered.
        leaf: the request's leaf hash, for the refusals.
        signers: the consumers' keys that sign the request.
        results: how many aggregates the report shall enter, from the next one on.
    """
    found: dict[bytes, Refuse | int] = {}  # the refusal or the uses, by policy
    for report in batch:
        one = state.reports[report]
        if one.leaf in state.revoked:
            yield report, Refuse(leaf, Reason.REPORT_REVOKED, state.revoked[one.leaf], 0, report)
            continue
        if one.policy not in found:
            refusal = _barred(state, index, leaf, function, one.policy, signers)
            found[one.policy] = state.policies[one.policy].policy.rules.uses if refusal is None else refusal
        uses = found[one.policy]
        if isinstance(uses, Refuse):
            yield report, uses
        elif state.used.get(report, 0) + results > uses:
            yield report, Refuse(leaf, Reason.USED_UP, report, uses, state.used.get(report, 0))


def _barred(
    state: State, index: int, leaf: bytes, function: str, policy: bytes, signers: Collection[bytes]
) -> Refuse | None:
    """Return the refusal by which a policy bars a request, or None."""
    held = state.policies[policy]
    rules = held.policy.rules
    if policy in state.revoked:
        return Refuse(leaf, Reason.POLICY_REVOKED, state.revoked[policy], 0, held.index)
    if index > rules.not_after:
        return Refuse(leaf, Reason.POLICY_EXPIRED, held.index, rules.not_after, index)
    if function not in rules.functions:
        return Refuse(leaf, Reason.FUNCTION_NOT_ALLOWED, held.index, len(rules.functions), 0)
    named = len(set(signers) & set(rules.consumers))
    if named < rules.threshold:
        return Refuse(leaf, Reason.TOO_FEW_CONSUMERS, held.index, rules.threshold, named)
    return None


def sentence(refusal: Refuse) -> str:
    """Return a refusal as a sentence. Numbers of entries are indices of the log, from 0 on."""
    where, expected, found = refusal.subject, refusal.expected, refusal.found
    return {
        Reason.REQUEST_EXPIRED: f"the request could be answered up to entry {expected}, and this is entry {found}",
        Reason.BATCH_TOO_SMALL: f"expected at least {expected} reports in the batch, found {found}",
        Reason.REPORT_REVOKED: f"entry {where} revokes report {found}; what was released before cannot be recalled",
        Reason.POLICY_REVOKED: f"entry {where} revokes the policy of entry {found}; what was released before cannot be "
        "recalled",
        Reason.POLICY_EXPIRED: f"the policy of entry {where} allows grants up to entry {expected}, and this is entry "
        f"{found}",
        Reason.FUNCTION_NOT_ALLOWED: f"the policy of entry {where} allows other functions",
        Reason.TOO_FEW_CONSUMERS: f"the policy of entry {where} expects {expected} of its consumers to sign a request, "
        f"found {found}",
        Reason.USED_UP: f"report {where} may enter {expected} aggregates and has entered {found}",
    }[Reason(refusal.reason)]
