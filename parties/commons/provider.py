"""A data provider sets a policy of its own, reports its measurements under it, and may revoke it.

It learns the log. It learns no measurement of others and no result.

Run: ``python -m parties.commons.provider --settings PATH``.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys

from mpc.commons.access import task_of
from mpc.commons.entries import Rules
from mpc.commons.identities import Identity
from mpc.commons.merkle import leaf_hash
from mpc.commons.prio import MeasurementError
from mpc.commons.roles.provider import DataProvider
from parties.commons.asking import gather
from parties.commons.faults import Fault
from parties.commons.reporting import KEPT, WISH, KeptReports, keep_reports, kept_reports, mark_withdrawn, withdrawn_by
from parties.commons.settings import MEASUREMENTS, PROVIDER, SEED, ProviderSettings
from parties.commons.ways import Ways, home, ways
from parties.frame.errors import PartyError
from parties.frame.lifetime import serving
from parties.frame.process import Party, run_party

FOREVER = 1 << 40  # an index that no log reaches


def provider(party: Party[ProviderSettings]) -> None:
    """Play a data provider. A member of a federation serves on, so that it can revoke."""
    settings, place = party.settings, home(party)
    with ways(party, PROVIDER) as way:
        way.stand_by()
        identity = Identity((place / SEED).read_bytes())
        providing = Providing(party, way, DataProvider(settings.founding, settings.name, identity))
        if settings.listen is None:
            providing.report()
            if settings.revokes_after is not None:
                providing.revoke_after(settings.revokes_after)
            return
        with way.desk(settings.listen, {}) as desk, serving():
            way.until_all_are_there(way.trustees[:1], desk.check)
            providing.await_key()
            if withdrawn_by(place) is None:
                providing.report()
            while True:
                desk.check()
                if withdrawn_by(place) is not None:
                    providing.withdraw()
                providing.reader.advance()


class Providing:
    """What a data provider does with its records and its policy."""

    def __init__(self, party: Party[ProviderSettings], way: Ways, role: DataProvider) -> None:
        self.reader = way.reader(role.log)
        self._settings, self._progress, self._role = party.settings, party.progress, role
        self._home, self._folder = home(party), party.folder
        self._policy = self._measurements = b""
        self._found_none = False

    def await_key(self) -> None:
        """Wait until members that start when they like have made the trustees' key, and see what the log has."""
        with self._progress.step("0", "wait for the trustees' key", awaits=[self._settings.trustees[0].name]):
            self.reader.until(lambda state: state.trustees_key or None, "a key of a quorum of trustees", math.inf)
            self.reader.catch_up(self._settings.founding.faulty + 1)

    def report(self) -> None:
        """Register, set the policy, and report each record once."""
        settings, role, reader = self._settings, self._role, self.reader
        self._measurements = (self._folder / MEASUREMENTS).read_bytes()
        awaits = [settings.trustees[0].name]
        with self._progress.step("0", "register, and wait for the trustees' key", awaits=awaits):
            reader.write([(role.register(), None)], "the registration")
            reader.until(lambda state: state.trustees_key or None, "a key of a quorum of trustees")
        with self._progress.step("1", "set a policy and report", awaits=awaits):
            consumers = tuple(sorted(bytes.fromhex(key) for key in settings.consumers.values()))
            rules = Rules(task_of(reader.state, settings.task).functions, consumers, 1, settings.uses, FOREVER)
            self._policy = role.policy(settings.task, rules)
            kept = kept_reports(self._home, self._policy, self._measurements)
            if kept is None:
                self._check_unreported()
            reader.write([(self._policy, None)], "the policy")
            if kept is None:
                kept = self._sealed()
                keep_reports(self._home, kept)
            reader.write(list(zip(kept.entries, kept.sealed, strict=True)), "the reports")
        self._progress.advance(len(kept.entries), len(kept.entries), "reports")

    def _check_unreported(self) -> None:
        """Raise `PartyError` where this provider has reported before, and its disk does not know that."""
        state, name = self.reader.state, self._settings.name
        author = self._role.identity.key
        found = [one for one in state.of_task[self._settings.task] if state.reports[one].author == author]
        if found:
            raise PartyError(
                f"expected in {self._home / KEPT} the {len(found)} records that {name} has in the log, the first in "
                f"entry {found[0]}, found none: they would count twice. Restore the file, or withdraw"
            )

    def _sealed(self) -> KeptReports:
        """Return the reports of all records. Raises `PartyError` for a record that does not fit the task."""
        settings, role, fault = self._settings, self._role, Fault(self._settings.fault)
        entries, sealed = list[bytes](), list[bytes]()
        for number, measured in enumerate(json.loads(self._measurements)):
            try:
                entry, encrypted = role.report(settings.task, leaf_hash(self._policy), measured)
            except MeasurementError:  # whose message may hold the measurement
                raise PartyError(f"expected measurements that fit task {settings.task}, found record {number} "
                                 "that does not") from None  # fmt: skip
            entries.append(fault.of_report(role.identity, settings.founding.origin, entry))
            sealed.append(encrypted)
        return KeptReports(self._policy, hashlib.sha256(self._measurements).digest(), tuple(entries), tuple(sealed))

    def revoke_after(self, results: int) -> None:
        """Revoke the policy once so many results were delivered."""
        with self._progress.step(
            "7", "wait for the results and revoke the policy", awaits=list(self._settings.consumers)
        ):
            self.reader.until(lambda state: len(state.deliveries) >= results or None, f"{results} delivered results")
            self._revoke(leaf_hash(self._policy))

    def withdraw(self) -> None:
        """Revoke all policies of this provider that the log has, and write down in which entries that is.

        It needs neither the records nor what was kept of them.
        """
        owner = self._role.identity.key
        own = [leaf for leaf, held in self.reader.state.policies.items() if held.policy.owner == owner]
        for leaf in [one for one in own if one not in self.reader.state.revoked]:
            with self._progress.step("7", "revoke the policy", awaits=[self._settings.trustees[0].name]):
                self._revoke(leaf)
            self._progress.note(
                f"entry {self.reader.state.revoked[leaf]} revokes the policy, and bars every grant behind it"
            )
        if own:
            mark_withdrawn(self._home, sorted(self.reader.state.revoked[leaf] for leaf in own))
        elif not self._found_none:
            self._found_none = True
            self._progress.note(
                f"the log has no policy to revoke. As long as {self._home / WISH} is there, nothing is reported"
            )

    def _revoke(self, policy: bytes) -> None:
        """Hand the revocation of a policy to every trustee, and see it logged."""
        revocation = self._role.revoke(policy)
        answers = {line.peer.name: line.ask("hand-in", revocation) for line in self.reader.lines}
        missing = gather(answers, self._settings.message_deadline_s, take=lambda name, answer: None)
        for name, why in missing.items():
            self._progress.note(f"{name} was not handed the revocation: {why}")
        self.reader.write([(revocation, None)], "the revocation")


if __name__ == "__main__":
    sys.exit(run_party(ProviderSettings, provider))
