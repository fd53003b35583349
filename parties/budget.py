"""The privacy budget between guardian and querying party: charged before the first query is answered.

    QP                                PG
    is told   <------------------   charges the ledger for all answers of the run; flushed to disk
    stops, if refused                 stops, if refused

Charging all of a run's answers at once keeps the accountant out of the answers' way; a run that breaks off has paid
for answers it did not get, which costs budget and never privacy.
"""

from __future__ import annotations

import msgspec

from mpc.channel import Channel
from parties.ledger import BudgetExceededError, Ledger


class Spent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PG's answer: whether the run may go on, and what the querying party has spent.

    Attributes:
        refusal: why not, in one sentence; empty if it may.
        run: epsilon of this run's answers; infinite without noise.
        total: epsilon of all the querying party's answers, this run's included.
    """

    refusal: str
    run: float
    total: float


def guardian_charge(channel: Channel, ledger: Ledger, entry: tuple[str, str, int, str], run: float) -> float:
    """PG: charge the account, then tell the QP; returns the account's total.

    `entry` is account, sigma, answers and session; `run` is the epsilon of these answers alone. Raises
    `BudgetExceededError` when the QP has been told.
    """
    try:
        total = ledger.charge(*entry)
    except BudgetExceededError as error:
        channel.send_message("budget", Spent(str(error), run, 0.0))
        raise
    channel.send_message("budget", Spent("", run, total))
    return total


def querying_learn_spent(channel: Channel) -> Spent:
    """QP: what the run costs. Raises `BudgetExceededError` where the guardian refuses it."""
    spent = channel.recv_message("budget", Spent)
    if spent.refusal:
        raise BudgetExceededError(spent.refusal)
    return spent
