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
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from mpc.channel import Channel
from mpc.errors import ProtocolError
from parties.ledger import BudgetExceededError, EpsilonOf, Ledger
from parties.privacy import Cost


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """QP: how many queries it would like answered now; 0 when it has done."""

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
        each: what one query costs.
        most: queries that one batch may have.
        epsilon_of: the accountant, for the run alone; the ledger has its own for the account.
    """

    channel: Channel
    ledger: Ledger
    account: str
    session: str
    each: Sequence[Cost]
    most: int
    epsilon_of: EpsilonOf
    budget: float | None
    _run: list[Cost] = field(default_factory=list)

    def charge(self) -> int:
        """Wait for the next wish and charge for it; the number of queries that may be answered, 0 for the end.

        A wish that does not fit the budget at all is refused in words, and the next one is waited for.
        """
        while wished := self._wish():
            try:
                account = self.ledger.charge(self.account, self.session, self.each, wished)
            except BudgetExceededError as error:
                self._tell(str(error), 0, self.ledger.spent(self.account))
                continue
            self._run += [cost.times(account.granted) for cost in self.each]
            self._tell("", account.granted, account.total)
            return account.granted
        return 0

    def credit(self, answered: int) -> int:
        """Learn how many of the `answered` queries abstained and give their answers back."""
        abstained = self.channel.recv_message("budget/abstained", Abstained).queries
        if not 0 <= abstained <= answered:
            raise ProtocolError.mismatch(
                "abstentions of a batch, at most", answered, abstained, peer=self.channel.peer, step="3"
            )
        costs = [cost.times(abstained) for cost in self.each if cost.what == "answer"]
        if abstained:
            self.ledger.give_back(self.account, self.session, costs)
            self._run += [cost.times(-1) for cost in costs]
        self._tell("", answered, self.ledger.spent(self.account))
        return abstained

    def _wish(self) -> int:
        queries = self.channel.recv_message("budget/wish", Wish).queries
        if not 0 <= queries <= self.most:
            raise ProtocolError.mismatch(
                "queries of a batch, at most", self.most, queries, peer=self.channel.peer, step="0"
            )
        return queries

    def _tell(self, refusal: str, queries: int, total: float) -> None:
        budget = math.inf if self.budget is None else self.budget
        spent = Spent(refusal, queries, self.epsilon_of(self._run), total, budget)
        self.channel.send_message("budget/spent", spent)


def querying_wish(channel: Channel, queries: int) -> Spent:
    """QP: ask for a batch; what the guardian grants, which may be fewer queries or none."""
    channel.send_message("budget/wish", Wish(queries))
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
    channel.send_message("budget/wish", Wish(0))
