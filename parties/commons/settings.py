"""What each role is told, and the names of the roles.

Everything here is public. A party's own keys and measurements lie in its private folder.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pydantic import Field

from mpc.commons.encoding import decode
from mpc.commons.founding import Founding
from parties.commons.faults import FaultKind
from parties.commons.questions import Question
from parties.frame.settings import Address, PartySettings, Peer

PROVIDER, TRUSTEE, AGGREGATOR, CONSUMER, AUDITOR = "data provider", "trustee", "aggregator", "data consumer", "auditor"
EVERYBODY = (PROVIDER, TRUSTEE, AGGREGATOR, CONSUMER, AUDITOR)
SEED, POINT, MEASUREMENTS = "identity.key", "boxes.key", "measurements.json"  # in a party's private folder


class CommonsSettings(PartySettings):
    """What every party knows.

    Attributes:
        founding_record: of the log, encoded, in hex.
        task: the one that this run is about.
        trustees: to connect to, in the order of the founding record.
        roles: of all parties, by name.
        consumers: the keys that sign consumers' requests, in hex, by name.
        log_deadline_s: how long the log may stand still while this party waits for an entry.
        fault: what this party does in place of its part in a grant, or nothing.
        home: the folder of a member with its keys and what outlives its processes. None stands for the private folder.
        public_keys: the lines of all members' keys by name, in a federation.
        meanings: what the numbers in reports mean, and what else the founding record does not say, as text by name, in
            a federation.
    """

    founding_record: str
    task: str
    trustees: tuple[Peer, ...]
    roles: dict[str, str]
    consumers: dict[str, str]
    log_deadline_s: float
    fault: FaultKind = ""
    home: Path | None = None
    public_keys: dict[str, str] = Field({})
    meanings: dict[str, str] = Field({})

    @cached_property
    def founding(self) -> Founding:
        """The founding record of the log."""
        return decode(Founding, bytes.fromhex(self.founding_record))

    @cached_property
    def names(self) -> dict[bytes, str]:
        """All members' names, by the keys in their lines that sign their entries. Empty outside of a federation."""
        return {bytes.fromhex(line.split("/")[1]): name for name, line in self.public_keys.items()}

    def agreed(self) -> dict[str, str]:
        """Return what all parties must agree on, as text by name. It is public."""
        roles = ", ".join(f"{name}: {role}" for name, role in sorted(self.roles.items()))
        agreed = {"protocol": "commons", "log": self.founding.origin, "task": self.task, "roles": roles}
        if not self.public_keys:
            return agreed
        agreed |= self.meanings | {f"keys of {name}": line for name, line in self.public_keys.items()}
        agreed["faulty trustees"] = str(self.founding.faulty)
        for (
            task
        ) in self.founding.tasks:  # the log's name has a digest of all this, and a person wants to know what differs
            agreed[f"functions of {task.name}"] = ", ".join(task.functions)
            agreed[f"smallest batch of {task.name}"] = str(task.smallest_batch)
            agreed[f"faulty aggregators of {task.name}"] = str(task.faulty)
        return agreed


class TrusteeSettings(CommonsSettings):
    """What a trustee knows.

    Attributes:
        key_patience_s: how long a phase of making the key may last before this trustee says that it is over.
        words_patience_s: how long aggregators may take for their words, before this trustee closes the step.
    """

    listen: Address
    key_patience_s: float
    words_patience_s: float


class AggregatorSettings(CommonsSettings):
    """What an aggregator knows."""

    listen: Address


class ProviderSettings(CommonsSettings):
    """What a data provider knows.

    Attributes:
        uses: how many aggregates each of its reports may enter.
        revokes_after: it revokes its policy once so many results were delivered. None stands for never.
        listen: where a member that serves on listens. None stands for a provider that ends once it has reported.
    """

    uses: int
    revokes_after: int | None
    listen: Address | None = None


class ConsumerSettings(CommonsSettings):
    """What the data consumer knows.

    Attributes:
        aggregators: to connect to, in the order of the founding record.
        functions: to ask for, one after the other.
        questions: that the functions answer, where they are about own records. They say in which units.
        reports: how many there will be if every provider reports.
        reports_within_s: how long it waits for all of them before it asks for those that are there.
        still_s: for how long no further one must have come once they are there.
        revoker: the provider whose revocation it waits for, to ask once more. None stands for no second request.
        sums_patience_s: how long to wait for aggregators beyond those that suffice.
        privacy: what noisy results cost, in sentences. Without noise there are none.
        authors: the keys of the providers whose reports count, in hex. None stands for all who have registered.
        copy_to: the folder that a member copies the log to, and audits it there. None stands for no copy.
    """

    aggregators: tuple[Peer, ...]
    functions: tuple[str, ...]
    questions: tuple[Question, ...] = ()
    reports: int
    reports_within_s: float
    still_s: float = 0.0
    revoker: str | None
    sums_patience_s: float
    privacy: tuple[str, ...]
    authors: tuple[str, ...] | None = None
    copy_to: Path | None = None


class AuditorSettings(CommonsSettings):
    """What the auditor knows.

    Attributes:
        requests: how many requests it waits for, until each is refused or its result delivered.
        copy_to: the folder that it copies the log to, for audits by anybody.
    """

    requests: int
    copy_to: Path
