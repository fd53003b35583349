"""An answering party's own account of what its records have lost, which it charges before its masks leave."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from mpc.capc.batches import NO_BATCH
from mpc.capc.odometer import OwnersAccount, answering_send_account
from mpc.channels.frames import Channel
from mpc.dp.accountant import Cost, epsilon
from parties.capc.accounts import account_name
from parties.capc.settings import AnsweringSettings
from parties.frame.process import Party
from parties.learning.records import Records
from parties.ledger import Ledger

MOST_TIMES_AGAIN = 3
"""How often a batch that was interrupted is answered again at no cost.

For these times the owner relies on the guardian, which lets the labels of one batch be possible once. A querying party
that deviates could otherwise ask other queries by the name of a batch that was charged. After them the owner counts a
new batch."""


@dataclass
class Odometer:
    """The account of one data owner. Its name follows from the owner and the images that the party itself holds."""

    ledger: Ledger
    account: str
    session: str
    query_costs: tuple[Cost, ...]
    budget: float | None
    rejoin: bool
    limited_to: int | None = None
    limited_because: str = ""

    @classmethod
    def of(cls, party: Party[AnsweringSettings]) -> Odometer:
        """Open the odometer of a party."""
        settings = party.settings
        images = Records.read(party.folder / "records.npz").images
        return cls(
            Ledger(settings.odometer, partial(epsilon, delta=float(settings.delta)), settings.owner_epsilon_budget),
            settings.account or account_name(settings.owner, settings.owners, [images], settings.owner_name),
            settings.session,
            settings.price,
            settings.owner_epsilon_budget,
            settings.rejoin_s > 0,
        )

    def tell(self, client: Channel, left: int, interrupted: bytes = NO_BATCH) -> None:
        """Tell a querying party how many of the `left` queries that it may ask will be answered.

        What was charged for an `interrupted` batch is among them.
        """
        paid = 0
        if self.rejoin:
            paid = self.ledger.paid(self.account, interrupted.hex(), self.query_costs, MOST_TIMES_AGAIN)
        room = self.ledger.room(self.account, self.query_costs, max(0, left - paid))
        budget = math.inf if self.budget is None else self.budget
        answers = min(left, room.times + paid)
        refusal = room.refusal
        if self.limited_to is not None and self.limited_to < answers:
            answers, refusal = self.limited_to, self.limited_because
        answering_send_account(client, OwnersAccount(refusal, answers, room.total, budget))

    def limit(self, queries: int, because: str) -> None:
        """Answer at most so many queries from now on, whatever the account has room for."""
        self.limited_to, self.limited_because = queries, because

    def charge(self, client: Channel, batch: bytes, count: int, left: int) -> None:
        """Charge for a batch of `count` queries, durably, and tell the querying party.

        Raises:
            BudgetExceededError: the batch does not fit. Nothing is charged, and nothing may leave.
        """
        name = batch.hex() if self.rejoin else ""
        self.ledger.charge(
            self.account, self.session, self.query_costs, count, least=count, batch=name, again=MOST_TIMES_AGAIN
        )
        if self.limited_to is not None:
            self.limited_to -= count
        self.tell(client, left)
