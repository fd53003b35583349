"""The odometer of a data owner, which counts what its records have lost to everybody who ever asked.

    AP (owner of records)                                QP
    opens its odometer
    how many queries it will still answer  ------------>  asks no more than the least of all APs allows
    ...                                                   a batch is asked, steps 1a to 1c
    charges its odometer; flushed to disk
    what it has lost, how many more  ----------------->
    its masks (step 2)                                    no label is possible before

The guardian's budget bounds what one querying party learns. An owner's odometer bounds what all of them learn together
about one of its records. The owner counts the queries itself and knows the public parameters, so it trusts nobody for
it. The figures depend on numbers of queries alone.
"""

from __future__ import annotations

import math

import msgspec

from mpc.channels.frames import Channel
from mpc.errors import ProtocolError


class OwnersAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a data owner has lost, and how many queries of this querying party it will still answer.

    Attributes:
        refusal: the reason why it will not answer all, in one sentence. It is empty if it will.
        queries: how many it will still answer.
        total: epsilon of all that it ever answered. It is infinite without noise.
        budget: epsilon that it may lose in all. It is infinite without a limit.
    """

    refusal: str
    queries: int
    total: float
    budget: float = math.inf


def answering_send_account(channel: Channel, account: OwnersAccount) -> None:
    """AP: send the state of its odometer."""
    channel.send_message("owner/account", account)


def querying_receive_account(channel: Channel, most: int) -> OwnersAccount:
    """QP: receive the state of an AP's odometer.

    Raises:
        ProtocolError: another number of queries than 0 to `most`, or fewer than these without a reason.
    """
    account = channel.recv_message("owner/account", OwnersAccount)
    if not 0 <= account.queries <= most:
        raise ProtocolError.mismatch(
            "queries that an owner will answer, at most", most, account.queries, peer=channel.peer, step=channel.step
        )
    if account.queries < most and not account.refusal:
        raise ProtocolError(
            f"expected a reason why {account.queries} of {most} queries are answered, found none",
            peer=channel.peer,
            step=channel.step,
        )
    return account
