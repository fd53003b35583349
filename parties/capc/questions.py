"""The queries that a querying party asks, batch by batch, and what becomes of the answers.

There are two kinds. :class:`GivenQueries` are asked for the sake of their labels. A
:class:`~parties.capc.campaign.Campaign` is about a better model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from mpc.capc.budget import Spent
from mpc.capc.release import Labels
from parties.capc.campaign import Answer, Answers, Campaign
from parties.capc.results import Owners, Query, Results, answer_of, finite
from parties.capc.settings import QueryingSettings
from parties.frame.process import Party
from parties.learning.records import AskedRecords, Images


class Questions(Protocol):
    """The queries of a run that are still to be answered."""

    @property
    def images(self) -> Images:
        """The queries, ``(n, *input_shape)``, in the order in which they are to be asked."""
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
    """Given records, from `first_query` on. The methods are those of :class:`Questions`.

    With a file of answers, a record that was answered in an earlier session is not asked again.
    """

    def __init__(self, party: Party[QueryingSettings]) -> None:
        settings = party.settings
        self._first = settings.first_query
        self._queries = AskedRecords.read(party.folder / "queries.npz")
        self._results = Results(party.folder / "result.json", settings)
        self._run = settings.session
        self._progress = party.progress
        self._results.expected = len(self._queries)
        self._answers = None if settings.answers is None else Answers(settings.answers)
        earlier = [] if self._answers is None else self._answers.read()
        known = {answer.record for answer in earlier}
        self._asked = [place for place in range(len(self._queries)) if place not in known]
        self._add(earlier)
        if earlier:
            party.progress.note(f"{len(earlier)} queries were answered in earlier sessions and are not asked again")
            total = earlier[-1].epsilon
            self._results.publish(Spent("", 0, 0.0, math.inf if total is None else total))
        self._results.tell(self._progress)

    @property
    def images(self) -> Images:
        return self._queries.images[self._asked]

    def answered(self, first: int, labels: Labels, spent: Spent, owners: Owners) -> None:
        self._results.owners = owners
        places = self._asked[first : first + len(labels)]
        batch = [
            Answer(place, answer_of(label), finite(spent.total), self._run)
            for place, label in zip(places, labels, strict=True)
        ]
        if self._answers is not None:
            self._answers.add(batch)
        self._add(batch)
        self._results.publish(spent)
        self._results.tell(self._progress)

    def _add(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            truth = self._queries.truth(answer.record)
            place = self._first + answer.record
            self._results.add(Query(place, answer.label, truth, answer.epsilon, None, answer.run))
        self._results.queries.sort(key=lambda query: query.index)

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
