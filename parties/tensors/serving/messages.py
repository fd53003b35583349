"""What the parties of a service tell each other, all of it public but the bodies of pieces and answers.

    owner      model/offer, a piece of each parameter    --->  each computing party
               model/tickets, where parties may cheat
               <---  model/held, model/commit, model/kept
    follower   purpose "notices", ready                  --->  leader
    follower   purpose "orders"                          --->  leader
    provider   purpose "credits"                         --->  leader
               <---  begin, in the three conversations that the leader is in
    each       purpose "lane"                            --->  each earlier computing party
    client     ask, a piece of its records and its mask  --->  each computing party
    follower   notice                                    --->  leader
               <---  order                                     to each follower
               <---  deal                                      to the provider
               <---  outcome, the masked answer                to the client, from each computing party

Of two parties that hold shares the later one dials. The provider dials them all. `beat` in place of a notice, an order
or a deal says that its sender is still there.
"""

from __future__ import annotations

from typing import Literal

import msgspec

BEAT_S = 2.0
"""Seconds between two signs of life."""


class Purpose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a connection between parties of the service is for.

    Attributes:
        kind: which conversation.
        session: of the service, in which a lane is. It is empty for the others, which come before it is known.
        lane: the number of the lane, or -1.
    """

    kind: Literal["notices", "orders", "credits", "lane"]
    session: str = ""
    lane: int = -1


class Ready(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A follower holds its share of the model that has this name."""

    model: str


class Begin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All are there. A session of this fresh name begins."""

    session: str


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model's owner sends a share of a model of this fresh name, one message for each of the named parameters."""

    model: str
    parameters: tuple[str, ...]


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The share has come as a whole and is in memory, unless a reason says why it is refused."""

    refused: str = ""


class Commit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All computing parties hold their shares, so that each is to keep its own."""


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The share is on the disk, unless a reason says why it is refused."""

    refused: str = ""


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client asks about so many records. Every asking has a fresh name, the same at all computing parties."""

    name: str
    records: int


class Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request has arrived at a follower, or ends there for the reason that is given."""

    request: str = ""
    records: int = 0
    refused: str = ""
    beat: bool = False


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """These requests are the next batch of a lane, in this order. Without a lane they end for the reason given."""

    lane: int = -1
    requests: tuple[str, ...] = ()
    kind: Literal["busy", "refused"] = "refused"
    why: str = ""
    beat: bool = False


class Deal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The provider shall prepare so many batches of a lane."""

    lane: int = -1
    batches: int = 0
    beat: bool = False


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a request ended.

    Attributes:
        kind: `answer`, whose body follows. `busy`, to be asked again later. `again`, to be asked again because a party
            was lost meanwhile. `refused`, for good.
        why: in one sentence, where there is no answer.
        fraction_bits: of the answer's raw words.
        coins: of the answer's fingerprint, in hexadecimal digits, or nothing where no party cheats.
    """

    kind: Literal["answer", "busy", "again", "refused"]
    why: str = ""
    fraction_bits: int = 0
    coins: str = ""
