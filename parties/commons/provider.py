"""A data provider sets a policy of its own, reports its measurements under it, and may revoke it.

It learns the log. It learns no measurement of others and no result.

Run: ``python -m parties.commons.provider --settings PATH``.
"""

from __future__ import annotations

import json
import sys

from mpc.commons.access import task_of
from mpc.commons.entries import Rules
from mpc.commons.identities import Identity
from mpc.commons.merkle import leaf_hash
from mpc.commons.prio import MeasurementError
from mpc.commons.roles.provider import DataProvider
from parties.commons.asking import gather
from parties.commons.faults import Fault
from parties.commons.settings import MEASUREMENTS, PROVIDER, SEED, ProviderSettings
from parties.commons.ways import ways
from parties.frame.errors import PartyError
from parties.frame.process import Party, run_party

FOREVER = 1 << 40  # an index that no log reaches


def provider(party: Party[ProviderSettings]) -> None:
    """Play a data provider."""
    settings, progress, founding = party.settings, party.progress, party.settings.founding
    role = DataProvider(founding, settings.name, Identity((party.folder / SEED).read_bytes()))
    fault = Fault(settings.fault)
    measurements = json.loads((party.folder / MEASUREMENTS).read_bytes())
    names = [one.name for one in settings.trustees]
    with ways(party, PROVIDER) as way:
        reader = way.reader(role.log)
        with progress.step("0", "register, and wait for the trustees' key", awaits=names[:1]):
            reader.write([(role.register(), None)], "the registration")
            reader.until(lambda state: state.trustees_key or None, "a key of a quorum of trustees")
        with progress.step("1", "set a policy and report", awaits=names[:1]):
            consumers = tuple(sorted(bytes.fromhex(key) for key in settings.consumers.values()))
            rules = Rules(task_of(reader.state, settings.task).functions, consumers, 1, settings.uses, FOREVER)
            policy = role.policy(settings.task, rules)
            reader.write([(policy, None)], "the policy")
            reports = []
            for number, measured in enumerate(measurements):
                try:
                    entry, sealed = role.report(settings.task, leaf_hash(policy), measured)
                except MeasurementError:  # whose message may hold the measurement
                    raise PartyError(f"expected measurements that fit task {settings.task}, found record {number} "
                                     "that does not") from None  # fmt: skip
                reports.append((fault.of_report(role.identity, founding.origin, entry), sealed))
            reader.write(reports, "the reports")
        progress.advance(len(reports), len(reports), "reports")
        if settings.revokes_after is None:
            return
        wanted = settings.revokes_after
        with progress.step("7", "wait for the results and revoke the policy", awaits=list(settings.consumers)):
            reader.until(lambda state: len(state.deliveries) >= wanted or None, f"{wanted} delivered results")
            revocation = role.revoke(leaf_hash(policy))
            answers = {line.peer.name: line.ask("hand-in", revocation) for line in reader.lines}
            missing = gather(answers, settings.message_deadline_s, take=lambda name, answer: None)
            for name, why in missing.items():
                progress.note(f"{name} was not handed the revocation: {why}")
            reader.write([(revocation, None)], "the revocation")


if __name__ == "__main__":
    sys.exit(run_party(ProviderSettings, provider))
