"""Turns of the querying parties. The guardian tells each one when it may ask.

PG -- your turn -->  QP                           once, when the querying parties before it have done
"""

from __future__ import annotations

import msgspec

from mpc.channels.frames import Channel


class YourTurn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says that it is the querying party's turn to ask."""


def guardian_give_turn(channel: Channel) -> None:
    """PG: tell the QP that it is its turn."""
    channel.send_message("turn", YourTurn())


def querying_await_turn(channel: Channel) -> None:
    """QP: wait until the querying parties before it have done."""
    channel.recv_message("turn", YourTurn)
