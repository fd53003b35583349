"""The owner of the model. It gives every computing party a share of the model, and leaves.

    python -m parties.tensors.serving.owner --settings PATH

    model/offer, one message a parameter, and tickets where parties may cheat  --->  each computing party
    <---  model/held, once the share has come as a whole
    model/commit, once all have said so  ------->
    <---  model/kept, once the share is on the disk

An owner that is killed before the commit leaves nothing behind, and gives the model again.

Shares are uniform. All computing parties together could put the model together again, and fewer of them could not.
"""

from __future__ import annotations

import json
import secrets
import sys
import time

import numpy as np

from mpc.channels.tls import TlsChannel
from mpc.ring import Words
from mpc.tensors.delivery import split, words_of
from mpc.tensors.fingerprints import tickets_of
from mpc.tensors.network import to_wire
from parties.frame.connections import Connections
from parties.frame.errors import PartyError
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party
from parties.frame.progress import Progress
from parties.tensors.programs import Here
from parties.tensors.serving.messages import Commit, Held, Kept, Offer
from parties.tensors.serving.model import Model
from parties.tensors.serving.settings import COMPUTING, ServingSettings
from parties.tensors.serving.tickets import TICKETS

_AT_ONCE = TICKETS // 4  # tickets between two reports


def party(party: Party[ServingSettings]) -> None:
    """Play the owner."""
    settings, progress = party.settings, party.progress
    model = Model(settings.model, settings.model_digest)
    with progress.step("0", "load the model"):
        parameters = model.load(Here(settings.arguments, settings.files))
        parties, format = len(settings.computing), settings.format
        words = [words_of(name, parameters[name], shape, bound, format)
                 for name, (shape, bound) in model.parameters.items()]  # fmt: skip
        messages = [[bytes(to_wire(piece, format.ring_bits)) for piece in split(each, parties, format.ring_bits)]
                    for each in words]  # fmt: skip
        tickets = [b""] * parties
        if settings.pads:
            tickets = _tickets(np.concatenate([each.reshape(-1) for each in words]), settings, progress)
    began = time.perf_counter()
    with Connections(settings, party.folder, settings.role, settings.agreed(), progress.note) as connections:
        with progress.step("1", "connect", awaits=settings.computing):
            channels = [connections.dial(peer, COMPUTING) for peer in settings.dials]
        connections.begin()
        with progress.step("2", "give a share of the model to each computing party"):
            offer = Offer(secrets.token_hex(16), tuple(model.parameters))
            for place, channel in enumerate(channels):
                _give(channel, offer, [pieces[place] for pieces in messages], tickets[place])
            for channel in channels:
                _refused(channel, channel.recv_message("model/held", Held).refused)
            for channel in channels:
                channel.send_message("model/commit", Commit())
            for channel in channels:
                _refused(channel, channel.recv_message("model/kept", Kept).refused)
        sent = sum(step.sent for channel in channels for step in channel.traffic.values())
    result = {
        "party": settings.name, "role": settings.role, "parameters": sum(value.size for value in parameters.values()),
        "sent": sent, "seconds": time.perf_counter() - began,
    }  # fmt: skip
    write_private(party.folder / "result.json", json.dumps(result).encode())


def _tickets(words: Words, settings: ServingSettings, progress: Progress) -> list[bytes]:
    """Return each computing party's tickets for all lanes, and report how many are made. Large models take a while."""
    count, parties = len(settings.lanes) * TICKETS, len(settings.computing)
    found = [b""] * parties
    for done in range(_AT_ONCE, count + 1, _AT_ONCE):
        found = [held + more for held, more in zip(found, tickets_of(words, parties, _AT_ONCE), strict=True)]
        progress.advance(done, count, "tickets")
    return found


def _refused(channel: TlsChannel, why: str) -> None:
    """Raise `PartyError` where a computing party says why it does not take the model."""
    if why:
        raise PartyError(f"{channel.peer} does not take the model: {why}")


def _give(channel: TlsChannel, offer: Offer, pieces: list[bytes], tickets: bytes) -> None:
    """Send one computing party its pieces and tickets, facing :mod:`parties.tensors.serving.computing`."""
    channel.send_message("model/offer", offer)
    for number, piece in enumerate(pieces):
        channel.send(f"model/{number}", piece)
    if tickets:
        channel.send("model/tickets", tickets)


if __name__ == "__main__":
    sys.exit(run_party(ServingSettings, party))
