"""What one party tells another about the course of a run: whose turn it is, and how large the next batch is.

PG -- your turn -->  QP                           once, when the querying parties before it have done
QP -- so many queries -->  every AP               every batch: an AP cannot know what the budget granted
"""

from __future__ import annotations

import msgspec

from mpc.channel import Channel
from mpc.errors import ProtocolError


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many queries come next; 0 when there are no more."""

    queries: int


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """It is the querying party's turn to ask."""


def guardian_give_turn(channel: Channel) -> None:
    """PG, to the QP whose turn it is."""
    channel.send_message("turn", Turn())


def querying_await_turn(channel: Channel) -> None:
    """QP: wait until the querying parties before it have done."""
    channel.recv_message("turn", Turn)


def querying_announce(channel: Channel, queries: int) -> None:
    """QP, to an AP: so many queries come next."""
    channel.send_message("batch", Batch(queries))


def answering_await(channel: Channel, most: int) -> int:
    """AP: how many queries come next, at most `most`; 0 is the end."""
    queries = channel.recv_message("batch", Batch).queries
    if not 0 <= queries <= most:
        raise ProtocolError.mismatch("queries of a batch, at most", most, queries, peer=channel.peer, step="0'")
    return queries
