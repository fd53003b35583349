"""An answering party's own account of what its records have lost, which it charges before its masks leave."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from mpc.capc.odometer import OwnersAccount, answering_send_account
from mpc.channels.frames import Channel
from mpc.dp.accountant import Cost, epsilon
from parties.capc.accounts import account_name
from parties.capc.settings import AnsweringSettings
from parties.frame.process import Party
from parties.learning.records import Records
from parties.ledger import Ledger


@dataclass
class Odometer:
    """The account of one data owner. Its name follows from the owner and the images that the party itself holds."""

    ledger: Ledger
    account: str
    session: str
    query_costs: tuple[Cost, ...]
    budget: float | None

    @classmethod
    def of(cls, party: Party[AnsweringSettings]) -> Odometer:
        """Open the odometer of a party."""
        settings = party.settings
        images = Records.read(party.folder / "records.npz").images
        return cls(
            Ledger(settings.odometer, partial(epsilon, delta=float(settings.delta)), settings.owner_epsilon_budget),
            account_name(settings.owner, settings.owners, [images], settings.owner_name),
            settings.session,
            settings.parameters.costs,
            settings.owner_epsilon_budget,
        )

    def tell(self, client: Channel, left: int) -> None:
        """Tell a querying party how many of the `left` queries that it may ask will be answered."""
        room = self.ledger.room(self.account, self.query_costs, left)
        budget = math.inf if self.budget is None else self.budget
        answering_send_account(client, OwnersAccount(room.refusal, room.times, room.total, budget))

    def charge(self, client: Channel, count: int, left: int) -> None:
        """Charge for a batch of `count` queries, durably, and tell the querying party.

        Raises:
            BudgetExceededError: the batch does not fit. Nothing is charged, and nothing may leave.
        """
        self.ledger.charge(self.account, self.session, self.query_costs, count, least=count)
        self.tell(client, left)
