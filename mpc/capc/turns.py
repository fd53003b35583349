"""Turns of the querying parties. The guardian tells each one when it may ask.

PG -- not yet ---->  QP                           any number of times, while another session of a service goes on
PG -- your turn -->  QP                           once, when the querying parties before it have done
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mpc.channels.frames import Channel


class YourTurn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Says that it is the querying party's turn to ask, or that it is not yet, and then another one follows."""

    now: bool = True


def guardian_give_turn(channel: Channel, *, now: bool = True) -> None:
    """PG: tell the QP that it is its turn, or that it is not yet."""
    channel.send_message("turn", YourTurn(now))


def querying_await_turn(channel: Channel, waiting: Callable[[], None] = lambda: None) -> None:
    """QP: wait until the querying parties before it have done. Each "not yet" calls `waiting`."""
    while not channel.recv_message("turn", YourTurn).now:
        waiting()
