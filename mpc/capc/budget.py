"""The privacy budget between guardian and querying party: charged before a batch can be answered.

    QP                                        PG
    queries that it would like answered  -->  charges the ledger for as many as the budget allows; flushed to disk
    learns how many, or why none  <---------
    ...                                       the batch is answered
    how many of them abstained  ----------->  gives their answers back; the checks stay charged       (threshold only)
    learns what was spent then  <-----------
    0 queries: it has done  --------------->

A run that breaks off has paid for the answers of at most one batch that it did not get, which costs budget and never
privacy. That the guardian is told of abstentions is a choice (`credit_abstentions`): it learns how many of a batch, not
which, and every answer is charged where it is not told.
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


class Ledger(Protocol):
    """What this step asks of the guardian's ledger, which charges durably before an answer is possible."""

    def charge(self, account: str, session: str, query_costs: Sequence[Cost], queries: int) -> Charged:
        """Charge for as many of the queries as the budget allows; raises `BudgetExceededError` where none fits."""
        ...

    def give_back(self, account: str, session: str, costs: Sequence[Cost]) -> float:
        """Take releases that did not happen off the account; returns the total."""
        ...

    def spent(self, account: str) -> float:
        """Epsilon that the account has spent."""
        ...


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """QP: how many queries it would like answered now. 0 says that it has no more."""

    queries: int


class Spent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PG's answer: how many queries may be answered now, and what the querying party has spent.

    Attributes:
        refusal: why none, in one sentence; empty if some may.
        queries: how many.
        run: epsilon of this run's answers, these included; infinite without noise.
        total: epsilon of all the querying party's answers, this run's included.
        budget: epsilon that it may spend in all; infinite without a limit.
    """

    refusal: str
    queries: int
    run: float
    total: float
    budget: float = math.inf


class Abstained(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """QP: how many of the batch's queries were not answered."""

    queries: int


@dataclass
class GuardiansAccount:
    """PG's side of one querying party's account during a run.

    Attributes:
        query_costs: what one query costs.
        max_queries: how many queries one batch may have.
        epsilon_of: the accountant, for the run alone; the ledger has its own for the account.
    """

    channel: Channel
    ledger: Ledger
    account: str
    session: str
    query_costs: Sequence[Cost]
    max_queries: int
    epsilon_of: Callable[[Sequence[Cost]], float]
    budget: float | None
    _run: list[Cost] = field(default_factory=list)

    def charge(self) -> int:
        """Receive the next request and charge for it. Returns how many queries may be answered, or 0 at the end.

        A request of which nothing fits the budget is refused in words. The next request is received then.
        """
        while requested := self._receive_request():
            try:
                charged = self.ledger.charge(self.account, self.session, self.query_costs, requested)
            except BudgetExceededError as error:
                self._tell(str(error), 0, self.ledger.spent(self.account))
                continue
            self._run += [cost.times(charged.granted) for cost in self.query_costs]
            self._tell("", charged.granted, charged.total)
            return charged.granted
        return 0

    def credit(self, answered: int) -> int:
        """Learn how many of the `answered` queries abstained and give their answers back."""
        abstained = self.channel.recv_message("budget/abstained", Abstained).queries
        if not 0 <= abstained <= answered:
            raise ProtocolError.mismatch(
                "abstentions of a batch, at most", answered, abstained, peer=self.channel.peer, step="3"
            )
        costs = [cost.times(abstained) for cost in self.query_costs if cost.what == "answer"]
        if abstained:
            self.ledger.give_back(self.account, self.session, costs)
            self._run += [cost.times(-1) for cost in costs]
        self._tell("", answered, self.ledger.spent(self.account))
        return abstained

    def _receive_request(self) -> int:
        queries = self.channel.recv_message("budget/request", BatchRequest).queries
        if not 0 <= queries <= self.max_queries:
            raise ProtocolError.mismatch(
                "queries of a batch, at most", self.max_queries, queries, peer=self.channel.peer, step="0"
            )
        return queries

    def _tell(self, refusal: str, queries: int, total: float) -> None:
        budget = math.inf if self.budget is None else self.budget
        spent = Spent(refusal, queries, self.epsilon_of(self._run), total, budget)
        self.channel.send_message("budget/spent", spent)


def querying_request_batch(channel: Channel, queries: int) -> Spent:
    """QP: ask for a batch; what the guardian grants, which may be fewer queries or none."""
    channel.send_message("budget/request", BatchRequest(queries))
    spent = channel.recv_message("budget/spent", Spent)
    if not (0 <= spent.queries <= queries) or (spent.queries == 0) != bool(spent.refusal):
        raise ProtocolError.mismatch(
            "queries granted, at most", queries, spent.queries, peer=channel.peer, step=channel.step
        )
    return spent


def querying_tell_abstained(channel: Channel, queries: int) -> Spent:
    """QP: how many queries of the batch were not answered; what is spent when their answers were given back."""
    channel.send_message("budget/abstained", Abstained(queries))
    return channel.recv_message("budget/spent", Spent)


def querying_end(channel: Channel) -> None:
    """QP: it has no more queries."""
    channel.send_message("budget/request", BatchRequest(0))
