"""The place of a process of a service at a member of a federation."""

from __future__ import annotations

from parties.frame.connections import Connections
from parties.frame.process import Party
from parties.tensors.serving.settings import ServingSettings


def stand_by(party: Party[ServingSettings], connections: Connections) -> None:
    """At a member of a federation, wait until the process before this one has ended. In a run there is none.

    So a process that is killed has another one in its place at once, with what lies on the disk.
    """
    if party.settings.place is not None:
        connections.await_turn()
        party.progress.admitted(party.settings.name, party.settings.session)
