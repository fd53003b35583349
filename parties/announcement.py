"""How large the next batch is: the querying party tells every answering party, which cannot know what was granted."""

from __future__ import annotations

import msgspec

from mpc.channel import Channel
from mpc.errors import ProtocolError


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many queries come next; 0 when there are no more."""

    queries: int


def querying_announce(channel: Channel, queries: int) -> None:
    """QP, to an AP: so many queries come next."""
    channel.send_message("batch", Batch(queries))


def answering_await(channel: Channel, most: int) -> int:
    """AP: how many queries come next, at most `most`; 0 is the end."""
    queries = channel.recv_message("batch", Batch).queries
    if not 0 <= queries <= most:
        raise ProtocolError.mismatch("queries of a batch, at most", most, queries, peer=channel.peer, step="0'")
    return queries
