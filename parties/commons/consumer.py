"""The data consumer asks for aggregates, hands on what the trustees release, and gets the results alone.

It learns the results that it was granted. It learns no single measurement.

Run: ``python -m parties.commons.consumer --settings PATH``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mpc.commons.access import State, sentence, task_of
from mpc.commons.attachments import MemoryAttachments
from mpc.commons.encoding import decode
from mpc.commons.entries import Entry, Grant, Reason, Refuse
from mpc.commons.identities import Identity
from mpc.commons.merkle import leaf_hash
from mpc.commons.prio import TooManyLiesError
from mpc.commons.roles.consumer import Consumer
from mpc.commons.summing import Result
from mpc.errors import ProtocolError
from parties.commons.asking import Line, rounds
from parties.commons.auditor import audited
from parties.commons.batches import Batch, chosen, counting, left_out, ranges_of, without
from parties.commons.reading import LogReader
from parties.commons.results import shown
from parties.commons.settings import AGGREGATOR, CONSUMER, SEED, ConsumerSettings
from parties.commons.units import in_units, in_words, in_words_of, question_of
from parties.commons.ways import Ways, home, ways
from parties.frame.errors import PartyError
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party
from parties.frame.progress import Progress

FOREVER = 1 << 40  # an index that no log reaches
_GRACE_S = 10.0  # for parties beyond those that suffice, when it sees who is there


def consumer(party: Party[ConsumerSettings]) -> None:
    """Play the data consumer. A member of a federation copies and audits the log, too."""
    settings, progress = party.settings, party.progress
    identity = Identity((home(party) / SEED).read_bytes())
    role = Consumer(settings.founding, settings.name, identity, MemoryAttachments())
    names = [one.name for one in settings.trustees]
    with ways(party, CONSUMER) as way:
        reader = way.reader(role.log)
        aggregators = [way.line(peer, AGGREGATOR) for peer in settings.aggregators]
        absent = {} if settings.home is None else roll_call(way, aggregators)
        with progress.step("0", "register", awaits=names[:1]):
            if settings.home is not None:
                reader.catch_up()
            reader.write([(role.register(), None)], "the registration")
        asking = Asking(settings, role, reader, aggregators, progress)
        with progress.step("1", "wait for the reports", awaits=names[:1]):
            asking.wait_for_reports()
        asking.choose()
        answers = [asking.ask(function) for function in settings.functions]
        if settings.revoker is not None:
            with progress.step("7", f"wait for a revocation by {settings.revoker}", awaits=[settings.revoker]):
                reader.until(lambda state: state.revoked or None, f"a revocation by {settings.revoker}")
            answers.append(asking.ask(settings.functions[-1]))
    result = {
        "role": CONSUMER, "log": settings.founding.origin, "answers": answers, "privacy": settings.privacy,
        "absent": absent, "left_out": asking.left_out,
    }  # fmt: skip
    if settings.copy_to is not None:
        with progress.step("7", "copy the log, and audit the copy"):
            result = {"reports": [result, audited(role.log, settings.copy_to, settings.names)]}
    write_private(party.folder / "result.json", json.dumps(result).encode())


def roll_call(way: Ways, aggregators: Sequence[Line]) -> dict[str, str]:
    """Return which trustees and aggregators are not there, each with the sentence that says why.

    Raises:
        PartyError: the sequencer is not there, or more of the others than may be faulty.
    """
    settings, founding = way.settings, way.settings.founding
    task, first = founding.task(settings.task), founding.trustees[0].name
    groups = [("trustees", way.trustees, founding.faulty)]
    groups.append(("aggregators", tuple(aggregators), task.faulty if task else 0))
    found: dict[str, str] = {}
    with way.progress.step(
        "0", "see who is there", awaits=[line.peer.name for _, lines, _ in groups for line in lines]
    ):
        for group, lines, faulty in groups:
            least = len(lines) - faulty
            absent = way.absent(lines, settings.connect_deadline_s, _GRACE_S, least)
            if first in absent or len(absent) > faulty:
                sentences = "; ".join(f"{name}: {why}" for name, why in sorted(absent.items()))
                and_first = f" and {first} among them" if group == "trustees" else ""
                raise PartyError(
                    f"expected at least {least} of {len(lines)} {group}{and_first}, found missing: {sentences}"
                )
            found |= absent
    for name, why in found.items():
        way.progress.note(f"goes on without {name}: {why}")
    return found


class Asking:
    """How the consumer gets one aggregate after the other, all of the same reports.

    Attributes:
        left_out: how many reports of whom are in no result, or not in all, each with the reason.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        role: Consumer,
        reader: LogReader,
        aggregators: list[Line],
        progress: Progress,
    ) -> None:
        self._settings, self._role, self._reader, self._progress = settings, role, reader, progress
        self._aggregators = aggregators
        self._batch = Batch((), {})
        self.left_out: list[dict[str, str | int]] = []

    def wait_for_reports(self) -> None:
        """Return when all reports are in the log, or after a while with those that are."""
        settings = self._settings
        count, since = 0, time.monotonic()

        def are_there(_: State) -> bool | None:
            nonlocal count, since
            found = len(self._counting())
            if found != count:
                count, since = found, time.monotonic()
            return (count >= settings.reports and time.monotonic() - since >= settings.still_s) or None

        try:
            self._reader.until(are_there, "all reports", settings.reports_within_s)
        except PartyError:
            within = f"within {settings.reports_within_s:g} s"
            self._progress.note(
                f"{count} of {settings.reports} reports were there {within}"
                if count < settings.reports
                else f"further reports came until the end {within}, so that some may be missing"
            )

    def choose(self) -> None:
        """Fix the reports that all questions cover.

        In a federation those are left out that no provider has reported, or that a policy bars.
        """
        state, settings, reports = self._reader.state, self._settings, self._counting()
        if settings.authors is None:
            self._batch = Batch(tuple(reports), {})
            return
        if strangers := len(state.of_task[settings.task]) - len(reports):
            self._progress.note(f"leaves out {strangers} reports whose authors are no providers of the federation")
        key = self._role.identity.key
        self._batch = chosen(state, self._next, settings.functions, key, reports, self._smallest)
        self.left_out = left_out(state, self._batch.barred, settings.names)
        for one in self.left_out:
            self._progress.note(f"leaves out {one['reports']} reports of {one['name']}: {one['why']}")

    def ask(self, function: str) -> dict[str, Any]:
        """Ask for a function of the reports, and return the result or the refusal, as it is written down."""
        role, reader, awaits = self._role, self._reader, [self._settings.trustees[0].name]
        with self._progress.step("2", f"ask for {function}", awaits=awaits):
            leaf, answer, grant = self._settled(function)
        asked = {"function": function, "request": reader.state.requests[leaf].index}
        question = question_of(self._settings.questions, function)
        if question is not None:
            asked |= {"about": in_words_of([question], function), "question": question.agreed()}
        if isinstance(answer, Refuse):
            self._progress.note(f"{function} is refused: {sentence(answer)}")
            return {**asked, "refused": sentence(answer), "entry": answer.subject}
        lied = self._hand_on(grant)
        with self._progress.step("5", "wait for the verdict"):
            reader.until(lambda state: state.verdicts.get(grant), "a verdict", self._settings.log_deadline_s)
        result = self._result(grant)
        with self._progress.step("6", "say that the result is there", awaits=awaits):
            reader.write([(role.delivered(grant), None)], "the delivery")
        found = told(reader.state, result, lied, self._settings.names)
        if question is not None:
            found["in_units"] = in_units(question, found["value"], found["reports"])
            found["words"] = in_words(question, found["in_units"])
        return {**asked, "grant": reader.state.grants[grant].index, **found}

    def _settled(self, function: str) -> tuple[bytes, Grant | Refuse, bytes]:
        """Ask until there is a grant, or a refusal that it cannot help, and return as :meth:`_answer`."""
        leaf, answer, grant = self._answer(function)
        while isinstance(answer, Refuse) and self._goes_on_without(function, answer):
            leaf, answer, grant = self._answer(function)
        return leaf, answer, grant

    def _answer(self, function: str) -> tuple[bytes, Grant | Refuse, bytes]:
        """Ask once, and return the request's leaf hash, the answer, and the answer's leaf hash."""
        role, reader, task = self._role, self._reader, self._settings.task
        entry = role.sign(role.request(task, function, ranges_of(reader.state, task, self._batch.reports), FOREVER))
        leaf = leaf_hash(entry)
        reader.write([(entry, None)], "the request")
        reader.until(lambda state: state.requests[leaf].answer, "an answer to the request")
        return leaf, *role.answer(leaf)

    def _goes_on_without(self, function: str, refusal: Refuse) -> bool:
        """Leave out whoever has barred a request since the batch was chosen, and return whether it can be."""
        state, settings = self._reader.state, self._settings
        entry = refusal.found if refusal.reason in (Reason.REPORT_REVOKED, Reason.POLICY_REVOKED) else refusal.subject
        culprit = decode(Entry, self._role.log.copy.entries[entry]).author
        if settings.authors is None or culprit not in settings.names:
            return False
        left = without(state, self._next, function, self._role.identity.key, self._batch, culprit, self._smallest)
        if left is None or len(left.reports) == len(self._batch.reports):
            return False
        count, name = len(self._batch.reports) - len(left.reports), settings.names[culprit]
        why = f"from {function} on, as it was refused: {sentence(refusal)}"
        self._progress.note(f"goes on without {count} reports, those of {name} among them, {why}")
        self.left_out.append({"name": name, "reports": count, "why": why})
        self._batch = left
        return True

    @property
    def _next(self) -> int:
        """The index at which a request that is made now is answered at the earliest."""
        return self._role.log.size + 1

    @property
    def _smallest(self) -> int:
        return task_of(self._reader.state, self._settings.task).smallest_batch

    def _counting(self) -> list[int]:
        """Return the entries of all reports so far, in a federation of its providers alone."""
        authors = self._settings.authors
        known = None if authors is None else {bytes.fromhex(key) for key in authors}
        return counting(self._reader.state, self._settings.task, known)

    def _hand_on(self, grant: bytes) -> dict[str, str]:
        """Let the trustees release to this consumer, hand the batch on, and return the trustees that have lied."""
        role, reader, founding = self._role, self._reader, self._settings.founding
        places = {one.name: place for place, one in enumerate(founding.trustees)}
        lines = {places[line.peer.name]: line for line in reader.lines}
        shares: dict[int, bytes] = {}
        with self._progress.step("3", "open the trustees' layer of the batch", awaits=list(places)):
            reader.fetch(lambda: role.wants(grant), role.attachments)
            expires = time.monotonic() + self._settings.log_deadline_s
            for failed in rounds(
                lines,
                lambda line: line.ask("release", grant),
                shares,
                least=len(places) - founding.faulty,
                expires=expires,
                grace_s=self._settings.sums_patience_s,
            ):
                try:
                    entry, key, lied = role.hand_on(grant, shares)
                except ProtocolError:
                    if time.monotonic() > expires:
                        raise
                    continue
                for place, reason in failed.items():
                    self._progress.note(f"{lines[place].peer.name} gave no share of the release: {reason}")
                break
            names = {founding.trustees[place].name: why for place, why in lied.items()}
            for name, why in names.items():
                self._progress.note(f"{name} gave no share of the release: {why}")
            reader.write([(entry, key)], "the batch that is handed on")
        return names

    def _result(self, grant: bytes) -> Result:
        """Return the result, from the sums of all aggregators that send theirs in time."""
        lines, task = dict(enumerate(self._aggregators)), self._settings.founding.task(self._settings.task)
        sums: dict[int, bytes] = {}
        expires = time.monotonic() + self._settings.log_deadline_s
        with self._progress.step("6", "gather the sums", awaits=[line.peer.name for line in lines.values()]):
            for failed in rounds(
                lines,
                lambda line: line.ask("sum", grant),
                sums,
                least=len(lines) - (task.faulty if task else 0),
                expires=expires,
                grace_s=self._settings.sums_patience_s,
            ):
                try:
                    result = self._role.result(grant, sums)
                except TooManyLiesError:
                    if time.monotonic() > expires or len(sums) == len(lines):
                        raise
                    continue
                for place, why in failed.items():
                    self._progress.note(f"{lines[place].peer.name} sent no sum: {why}")
                break
            for name in result.liars:
                self._progress.note(f"{name} has lied")
        return result


def told(state: State, result: Result, lied: Mapping[str, str], names: Mapping[bytes, str]) -> dict[str, Any]:
    """Return a result as it is written down.

    Args:
        names: of a federation's members by their keys, whatever names were registered. Empty in a run, whose launcher
            has made all keys.
    """
    rejected: dict[str, int] = {}
    for report in result.rejected:
        author = state.reports[report].author
        name = names[author] if names else state.members[author].name
        rejected[name] = rejected.get(name, 0) + 1
    return {
        "value": shown(result.value),
        "reports": len(result.reports),
        "rejected": rejected,
        "aggregators_lied": list(result.liars),
        "aggregators_silent": list(result.silent),
        "trustees_lied": dict(lied),
    }


if __name__ == "__main__":
    sys.exit(run_party(ConsumerSettings, consumer))
