"""What the process of any party has to know to start.

A protocol adds in subclasses what its own roles may know. The launcher writes each party's own settings as JSON, for
its owner alone. In a run the party's certificate, its key and the authority's certificate lie beside
`settings.json` in its private folder.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A part of a party's settings. It cannot be changed once read, and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Address(Strict):
    """Where a party listens."""

    host: str
    port: int


class Peer(Address):
    """A party to connect to, whose certificate must carry this name."""

    name: str


class Supervisor(Strict):
    """The party exits when this process exits. `started` tells the process from a later one with the same number."""

    pid: int
    started: str | None


class Place(Strict):
    """The place of one process in a service, which has a process for each session.

    Attributes:
        descriptor: number of the socket that listens, which the process inherits.
        door, session: files of the locks in `parties.frame.turnstile`.
    """

    descriptor: int
    door: Path
    session: Path


class PartySettings(Strict):
    """What every party knows, whatever the protocol.

    Attributes:
        name: the party's own name, as in its certificate.
        session: fresh for every run. A peer of another run is refused. A service has none before a peer brings one,
            unless it goes on and on in one session, whose name all members know.
        log: the file that the party logs to, which anybody may read.
        supervisor: the process that started the party, or None for a party that was started by hand.
        connect_deadline_s: how long all peers may take to appear.
        message_deadline_s: how long one message may take.
        run_deadline_s: how long the run may take in all.
        credentials: the member's folder with certificate, key, authority and the list of revoked certificates, in a
            federation. None in a run, where they lie beside the settings and nothing is revoked.
        place: None where the process is no service's.
    """

    name: str
    session: str
    log: Path
    supervisor: Supervisor | None
    connect_deadline_s: float
    message_deadline_s: float
    run_deadline_s: float
    credentials: Path | None = None
    place: Place | None = None
