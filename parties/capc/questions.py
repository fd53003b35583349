"""The queries that a querying party asks, batch by batch, and what becomes of the answers.

There are two kinds. :class:`GivenQueries` are asked for the sake of their labels. A
:class:`~parties.capc.campaign.Campaign` is about a better model.
"""

from __future__ import annotations

from typing import Protocol

from mpc.capc.budget import Spent
from mpc.capc.release import Labels
from parties.capc.campaign import Campaign
from parties.capc.results import Owners, Query, Results, answer_of, finite
from parties.capc.settings import QueryingSettings
from parties.capc.turnout import Turnout
from parties.frame.process import Party
from parties.learning.records import AskedRecords, Images


class Questions(Protocol):
    """The queries of a run that are still to be answered."""

    @property
    def images(self) -> Images:
        """The queries, ``(n, *input_shape)``, in the order in which they are to be asked."""
        ...

    def voted(self, turnout: Turnout) -> None:
        """Take who voted on what is answered next."""
        ...

    def answered(self, first: int, labels: Labels, spent: Spent, owners: Owners) -> None:
        """Take the labels of the images from ``first`` on. They are kept before this returns."""
        ...

    def refused(self, spent: Spent, owners: Owners) -> None:
        """Take the refusal, of the guardian or of an answering party, to have more queries answered."""
        ...

    def finish(self) -> None:
        """Do what is left to do when all that could be answered has been answered."""
        ...


class GivenQueries:
    """Given records, from `first_query` on. The methods are those of :class:`Questions`."""

    def __init__(self, party: Party[QueryingSettings]) -> None:
        self._first = party.settings.first_query
        self._queries = AskedRecords.read(party.folder / "queries.npz")
        self._results = Results(party.folder / "result.json", party.settings)
        self._run = party.settings.session
        self._progress = party.progress
        self._results.expected = len(self._queries)
        self._results.tell(self._progress)

    @property
    def images(self) -> Images:
        return self._queries.images

    def voted(self, turnout: Turnout) -> None:
        self._results.turnout.append(turnout)

    def answered(self, first: int, labels: Labels, spent: Spent, owners: Owners) -> None:
        self._results.owners = owners
        for place, label in enumerate(labels, first):
            truth = self._queries.truth(place)
            self._results.add(Query(self._first + place, answer_of(label), truth, finite(spent.total), None, self._run))
        self._results.publish(spent)
        self._results.tell(self._progress)

    def refused(self, spent: Spent, owners: Owners) -> None:
        self._results.owners = owners
        if self._results.queries:
            self._results.refuse(spent)

    def finish(self) -> None:
        pass


def questions(party: Party[QueryingSettings]) -> Questions:
    """Return what the settings say that the party asks."""
    campaign = party.settings.campaign
    return GivenQueries(party) if campaign is None else Campaign(party, campaign)
