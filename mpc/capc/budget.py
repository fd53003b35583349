"""The privacy budget between guardian and querying party. A batch is charged before it can be answered.

    QP                                        PG
    queries that it would like answered  -->  charges the ledger for as many as the budget allows; flushed to disk
    learns how many, or why none  <---------
    ...                                       the batch is answered
    0 queries: it has done  --------------->

An interrupted run has paid for the answers of at most one batch that it did not get. This costs budget and never
privacy. Every answer is charged, also where the parties abstained. The guardian has drawn the noise on the threshold.
To be told how many abstained would give it exact bounds on the top counts. The epsilon that is charged therefore does
not depend on the answers.

Below, each message stands with its sender's and its receiver's function. Then come the steps that consist of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from mpc.channels.frames import Channel
from mpc.dp.accountant import Cost
from mpc.errors import BudgetExceededError, ProtocolError

# The request, QP to PG.


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many queries the QP would like answered now. 0 says that it has no more."""

    queries: int


def querying_send_request(channel: Channel, queries: int) -> None:
    """QP: send the request."""
    channel.send_message("budget/request", BatchRequest(queries))


def guardian_receive_request(channel: Channel, max_queries: int) -> int:
    """PG: receive the request. Raises `ProtocolError` for more queries than a batch may have, or fewer than none."""
    queries = channel.recv_message("budget/request", BatchRequest).queries
    return _at_most("queries of a batch", max_queries, queries, channel)


# How much was granted and spent, PG to QP.


class Spent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many queries may be answered now, and the epsilon that the querying party has spent.

    Attributes:
        refusal: the reason why none may, in one sentence. It is empty if some may.
        queries: how many may.
        run: epsilon of this run's answers, these included. It is infinite without noise.
        total: epsilon of all the querying party's answers, this run's included.
        budget: epsilon that it may spend in all. It is infinite without a limit.
    """

    refusal: str
    queries: int
    run: float
    total: float
    budget: float = math.inf


def guardian_send_spent(channel: Channel, spent: Spent) -> None:
    """PG: send the account's state."""
    channel.send_message("budget/spent", spent)


def querying_receive_spent(channel: Channel, requested: int) -> Spent:
    """QP: receive the account's state.

    Raises:
        ProtocolError: more queries granted than requested, or none without a reason, or some with one.
    """
    spent = channel.recv_message("budget/spent", Spent)
    _at_most("queries granted", requested, spent.queries, channel)
    if (spent.queries == 0) != bool(spent.refusal):
        expected = "a reason for a refusal" if spent.queries == 0 else "no reason for a refusal"
        raise ProtocolError(
            f"expected {expected}, found '{spent.refusal}' and {spent.queries} queries granted",
            peer=channel.peer,
            step=channel.step,
        )
    return spent


def _at_most(what: str, largest: int, found: int, channel: Channel) -> int:
    if not 0 <= found <= largest:
        raise ProtocolError.mismatch(f"{what}, at most", largest, found, peer=channel.peer, step=channel.step)
    return found


# The querying party's steps.


def querying_request_batch(channel: Channel, queries: int) -> Spent:
    """QP: ask for a batch. The guardian may grant fewer queries or none.

    It faces :meth:`GuardiansAccount.charge`.
    """
    querying_send_request(channel, queries)
    return querying_receive_spent(channel, queries)


def querying_end(channel: Channel) -> None:
    """QP: tell the guardian that it has no more queries."""
    querying_send_request(channel, 0)


# The guardian's steps, with its ledger.


class Charged(Protocol):
    """An account after a charge."""

    @property
    def granted(self) -> int:
        """The queries that may be answered now."""
        ...

    @property
    def total(self) -> float:
        """Epsilon of everything that the account was charged, these queries included."""
        ...


class GuardiansLedger(Protocol):
    """The guardian's ledger, as far as this step needs it. It charges durably before an answer is possible."""

    def charge(self, account: str, session: str, query_costs: Sequence[Cost], queries: int) -> Charged:
        """Charge for as many of the queries as the budget allows. Raises `BudgetExceededError` where none fits."""
        ...

    def spent(self, account: str) -> float:
        """Return the epsilon that the account has spent."""
        ...


@dataclass
class GuardiansAccount:
    """PG's side of one querying party's account during a run.

    Attributes:
        query_costs: what one query costs.
        max_queries: how many queries one batch may have.
        epsilon_of: the accountant, for the run alone. The ledger has its own for the account.
    """

    channel: Channel
    ledger: GuardiansLedger
    account: str
    session: str
    query_costs: Sequence[Cost]
    max_queries: int
    epsilon_of: Callable[[Sequence[Cost]], float]
    budget: float | None
    _run: list[Cost] = field(default_factory=list)

    def charge(self) -> int:
        """Receive the next request and charge for it. Return how many queries may be answered, or 0 at the end.

        If not even one query fits the budget, the request is refused with a reason, and the next one is received. This
        faces :func:`querying_request_batch` and :func:`querying_end`.
        """
        with self.channel.in_step("0"):
            while requested := guardian_receive_request(self.channel, self.max_queries):
                try:
                    charged = self.ledger.charge(self.account, self.session, self.query_costs, requested)
                except BudgetExceededError as error:
                    self._send(str(error), 0, self.ledger.spent(self.account))
                    continue
                self._run += [cost.times(charged.granted) for cost in self.query_costs]
                self._send("", charged.granted, charged.total)
                return charged.granted
            return 0

    def _send(self, refusal: str, queries: int, total: float) -> None:
        budget = math.inf if self.budget is None else self.budget
        guardian_send_spent(self.channel, Spent(refusal, queries, self.epsilon_of(self._run), total, budget))
