"""The queries that a querying party asks, batch by batch, and what becomes of the answers.

There are two kinds. :class:`GivenQueries` are asked for the sake of their labels. A
:class:`~parties.capc.campaign.Campaign` is about a better model.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Protocol

from mpc.capc.budget import Spent
from mpc.capc.release import Labels
from mpc.errors import BudgetExceededError
from parties.capc.answers import Answer, Answers, GivenAnswers, record_digests
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

    @property
    def kept(self) -> Collection[str]:
        """The names in hex of batches whose labels were kept by an earlier process."""
        ...

    def voted(self, turnout: Turnout) -> None:
        """Take who voted on what is answered next."""
        ...

    def answered(self, first: int, batch: bytes, labels: Labels, spent: Spent, owners: Owners) -> None:
        """Take the labels of the images from ``first`` on, of this batch. They are kept before this returns."""
        ...

    def refused(self, spent: Spent, owners: Owners) -> None:
        """Take the refusal, of the guardian or of an answering party, to have more queries answered."""
        ...

    def finish(self) -> None:
        """Do what is left to do when all that could be answered has been answered."""
        ...


class GivenQueries:
    """Given records, from `first_query` on. The methods are those of :class:`Questions`.

    With a file of answers, what an unfinished asking has bought of them is neither asked nor paid for again.
    """

    def __init__(self, party: Party[QueryingSettings]) -> None:
        settings = party.settings
        self._first = settings.first_query
        self._queries = AskedRecords.read(party.folder / "queries.npz")
        self._digests = record_digests(self._queries.images)
        self._results = Results(party.folder / "result.json", settings)
        self._run = settings.session
        self._progress = party.progress
        self._refusal = ""
        self._results.expected = len(self._queries)
        self._answers = None if settings.answers is None else Answers(settings.answers)
        known = {} if settings.answers is None else GivenAnswers(settings.answers, self._digests).known()
        self._asked = [place for place in range(len(self._queries)) if place not in known]
        self._kept = frozenset(answer.batch for answer in known.values())
        for place, answer in known.items():
            self._add(place, answer)
        if known:
            total = max(math.inf if answer.epsilon is None else answer.epsilon for answer in known.values())
            budget = math.inf if settings.epsilon_budget is None else settings.epsilon_budget
            self._results.publish(Spent("", 0, 0.0, total, budget))
        self._results.tell(self._progress)

    @property
    def images(self) -> Images:
        return self._queries.images[self._asked]

    @property
    def kept(self) -> Collection[str]:
        return self._kept

    def voted(self, turnout: Turnout) -> None:
        self._results.turnout.append(turnout)

    def answered(self, first: int, batch: bytes, labels: Labels, spent: Spent, owners: Owners) -> None:
        self._results.owners = owners
        places = self._asked[first : first + len(labels)]
        answers = [
            Answer(place, answer_of(label), finite(spent.total), self._run, self._digests[place], batch.hex())
            for place, label in zip(places, labels, strict=True)
        ]
        if self._answers is not None:
            self._answers.add(answers)
        for answer in answers:
            self._add(answer.record, answer)
        self._results.publish(spent)
        self._results.tell(self._progress)

    def _add(self, place: int, answer: Answer) -> None:
        """Add an answer to the results, which are in the order of the records."""
        truth = self._queries.truth(place)
        self._results.add(Query(self._first + place, answer.label, truth, answer.epsilon, None, answer.run))
        self._results.queries.sort(key=lambda query: query.index)

    def refused(self, spent: Spent, owners: Owners) -> None:
        self._results.owners = owners
        self._refusal = spent.refusal
        if self._results.queries:
            self._results.refuse(spent)

    def finish(self) -> None:
        """Raise `BudgetExceededError` where there is not a single answer."""
        if self._refusal and not self._results.queries:
            raise BudgetExceededError(self._refusal)


def questions(party: Party[QueryingSettings]) -> Questions:
    """Return what the settings say that the party asks."""
    campaign = party.settings.campaign
    return GivenQueries(party) if campaign is None else Campaign(party, campaign)
