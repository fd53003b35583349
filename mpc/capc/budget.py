"""The privacy budget between guardian and querying party. A batch is charged before it can be answered.

    QP                                        PG
    queries that it would like answered,
    and the batch's name  ----------------->  charges the ledger for as many as the budget allows; flushed to disk
    learns how many, or why none  <---------
    ...                                       the batch is answered
    0 queries: it has done  --------------->

A batch has a name, which the querying party draws. A batch that was interrupted is asked for again by its name, and
costs nothing again (:mod:`mpc.capc.batches`). Every answer is charged, also where the parties abstained. The guardian
has drawn the noise on the threshold. To be told how many abstained would give it exact bounds on the top counts. The
epsilon that is charged therefore does not depend on the answers.

Below, each message stands with its sender's and its receiver's function. Then come the steps that consist of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from mpc.capc.batches import NO_BATCH, Openings, State, check_name
from mpc.channels.frames import Channel
from mpc.dp.accountant import Cost
from mpc.errors import BudgetExceededError, ProtocolError

# The request, QP to PG.


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many queries the QP would like answered now, and the batch's name. 0 queries say that it has no more."""

    queries: int
    batch: bytes = NO_BATCH


def querying_send_request(channel: Channel, queries: int, batch: bytes = NO_BATCH) -> None:
    """QP: send the request."""
    channel.send_message("budget/request", BatchRequest(queries, batch))


def guardian_receive_request(channel: Channel, max_queries: int) -> BatchRequest:
    """PG: receive the request.

    Raises:
        ProtocolError: more queries than a batch may have, or fewer than none, or a name of another length.
    """
    request = channel.recv_message("budget/request", BatchRequest)
    _at_most("queries of a batch", max_queries, request.queries, channel)
    check_name(channel, request.batch, may_be_none=request.queries == 0)
    return request


# How much was granted and spent, PG to QP.


class Spent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many queries may be answered now, and the epsilon that the querying party has spent.

    Attributes:
        refusal: the reason why none may, in one sentence. It is empty if some may.
        queries: how many may.
        state: of the batch, see :data:`mpc.capc.batches.State`.
        run: epsilon of this run's answers, these included. It is infinite without noise.
        total: epsilon of all the querying party's answers, this run's included.
        budget: epsilon that it may spend in all. It is infinite without a limit.
    """

    refusal: str
    queries: int
    run: float
    total: float
    budget: float = math.inf
    state: State = "open"


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


def querying_request_batch(channel: Channel, queries: int, batch: bytes) -> Spent:
    """QP: ask for a batch by its name. The guardian may grant fewer queries or none.

    It faces :meth:`GuardiansAccount.charge`.
    """
    querying_send_request(channel, queries, batch)
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

    def charge(self, account: str, session: str, query_costs: Sequence[Cost], queries: int, *, batch: str) -> Charged:
        """Charge for as many of the queries as the budget allows, but nothing for a batch that was charged before.

        Raises `BudgetExceededError` where none fits.
        """
        ...

    def spent(self, account: str) -> float:
        """Return the epsilon that the account has spent."""
        ...

    def charged_in(self, session: str, account: str) -> Sequence[Cost]:
        """Return what the account was charged in a run, over all sessions that were opened again in it."""
        ...


@dataclass(frozen=True)
class Granted:
    """A batch that may be answered now.

    Attributes:
        queries: how many of its queries.
        batch: its name.
        repeat: whether its labels were possible before, so that step 3 alone is repeated.
    """

    queries: int
    batch: bytes
    repeat: bool


@dataclass
class GuardiansAccount:
    """PG's side of one querying party's account during a run.

    Attributes:
        query_costs: what one query costs.
        max_queries: how many queries one batch may have.
        epsilon_of: the accountant, for the run alone. The ledger has its own for the account.
        openings: the batches whose labels were possible before. None where no batch may be asked for again, so that
            every request is charged.
    """

    channel: Channel
    ledger: GuardiansLedger
    openings: Openings | None
    account: str
    session: str
    query_costs: Sequence[Cost]
    max_queries: int
    epsilon_of: Callable[[Sequence[Cost]], float]
    budget: float | None

    def charge(self) -> Granted | None:
        """Receive the next request and charge for it. Return the batch that may be answered, or None at the end.

        If not even one query fits the budget, the request is refused with a reason, and the next one is received. So it
        is where the labels of the batch were possible before and cannot be given again. Either way, a request says that
        the QP has the labels of all other batches. This faces :func:`querying_request_batch` and :func:`querying_end`.
        """
        with self.channel.in_step("0"):
            while (request := guardian_receive_request(self.channel, self.max_queries)).queries:
                state, name = self._state(request.batch), request.batch.hex() if self.openings else ""
                if state == "closed":
                    refusal = "expected a batch without labels yet, found one whose labels were possible before"
                    self._send(refusal, 0, self.ledger.spent(self.account), state)
                    continue
                try:
                    charged = self.ledger.charge(
                        self.account, self.session, self.query_costs, request.queries, batch=name
                    )
                except BudgetExceededError as error:
                    self._send(str(error), 0, self.ledger.spent(self.account))
                    continue
                self._send("", charged.granted, charged.total, state)
                return Granted(charged.granted, request.batch, state == "repeat")
            self._state(NO_BATCH)
            return None

    def _state(self, batch: bytes) -> State:
        """Return what may happen to a batch, after wiping what is kept for all others."""
        if self.openings is None:
            return "open"
        self.openings.forget_others(self.account, batch)
        return self.openings.state(self.account, batch)

    def _send(self, refusal: str, queries: int, total: float, state: State = "open") -> None:
        budget = math.inf if self.budget is None else self.budget
        run = self.epsilon_of(self.ledger.charged_in(self.session, self.account))
        guardian_send_spent(self.channel, Spent(refusal, queries, run, total, budget, state))
