"""An owner that is killed while it gives its model leaves no half of it behind, and two models are no end of a host."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mpc.channels.memory import memory_pair
from mpc.errors import ProtocolError, TransportError
from mpc.tensors.delivery import pieces_of
from mpc.tensors.ranges import Format
from parties.frame.errors import AbsentError
from parties.tensors.serving.computing import Service
from parties.tensors.serving.meeting import Mailbox, Meeter
from parties.tensors.serving.messages import Commit, Held, Kept, Offer, Ready

DEADLINE_S = 60.0


class Host:
    """A computing party that waits for the model. Each conversation with an owner has a thread."""

    def __init__(self, name: str, folder: Path) -> None:
        self.path = folder / name
        self.service = Service.__new__(Service)
        self.service.settings = SimpleNamespace(  # type: ignore[assignment]  # what the conversation needs of them
            name=name, message_deadline_s=DEADLINE_S, ring_bits=64, share=self.path, agreed=dict, ticket_bytes=0
        )
        self.service.model = SimpleNamespace(parameters={"w": ((2,), 4)})  # type: ignore[assignment]
        self.service.progress = SimpleNamespace(note=lambda _: None)  # type: ignore[assignment]
        self.service._changed, self.service._share = threading.Condition(), None

    def offered(self, offer: Offer, piece: bytes, *, commit: bool) -> str:
        """What an owner hears that offers a share, and commits it or is killed before."""
        owner, own = memory_pair("owner", "host", DEADLINE_S)

        def converse() -> None:
            with suppress(TransportError, ProtocolError):
                self.service._take_model(own)  # type: ignore[arg-type]  # a channel in memory

        thread = threading.Thread(target=converse)
        thread.start()
        owner.send_message("model/offer", offer)
        owner.send("model/0", piece)
        refused = owner.recv_message("model/held", Held).refused
        if commit and not refused:
            owner.send_message("model/commit", Commit())
            refused = owner.recv_message("model/kept", Kept).refused
        owner.close()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
        return refused


def offer() -> tuple[Offer, list[bytes]]:
    return Offer(secrets.token_hex(16), ("w",)), pieces_of("w", np.ones(2), (2,), 4, Format(64, 16), 2)


def test_an_offer_that_was_not_committed_leaves_room_for_another_one(tmp_path: Path) -> None:
    hosts = [Host("a", tmp_path), Host("b", tmp_path)]
    first, pieces = offer()
    assert hosts[0].offered(first, pieces[0], commit=False) == ""  # and then its owner is killed
    assert not hosts[0].path.exists()
    second, pieces = offer()
    for host, piece in zip(hosts, pieces, strict=True):
        assert host.offered(second, piece, commit=True) == ""
        assert host.path.exists()
    for host in hosts:
        assert host.service._share is not None
        assert host.service._share.name == second.model
    third, pieces = offer()
    assert hosts[0].offered(third, pieces[0], commit=True) == "this service has a model already"


def test_a_leader_that_meets_another_model_goes_on_and_says_what_to_remove() -> None:
    leader, follower = memory_pair("leader", "follower", DEADLINE_S)
    meeter = Meeter.__new__(Meeter)
    meeter._settings = SimpleNamespace(provider=None)  # type: ignore[assignment]
    meeter._connections = SimpleNamespace(hang_up=lambda _: None)  # type: ignore[assignment]
    meeter._mailbox = SimpleNamespace(fetch=lambda *_: [leader, leader])  # type: ignore[assignment]
    meeter._followers = ("follower",)
    follower.send_message("ready", Ready("one model"))
    words = r"follower holds a share of another model than the leader.*remove the file of the share at each"
    with pytest.raises(TransportError, match=words) as caught:
        meeter.lead("another model", 1e18)
    assert caught.value.peer == ""  # the leader's may be the wrong one


def test_whoever_has_not_come_to_meet_is_awaited_and_not_blamed() -> None:
    """A host that waits for one that is lost does not come either."""
    nobody: Any = None
    places = [(name, "lane", "s", 0) for name in ("host-b", "dora")]
    with pytest.raises(AbsentError, match="no connection from dora, host-b in time") as caught:
        Mailbox(nobody).fetch(places, time.monotonic() - 1)  # type: ignore[arg-type]
    assert (caught.value.awaits, caught.value.peer) == (("dora", "host-b"), "")
