"""A querying party that asks about all its records, however many were agreed on and whatever the owners will answer.

`python -m tests.parties.capc.greedy MODULE --settings PATH` plays any other party as it is.
"""

from __future__ import annotations

import runpy
import sys

import msgspec

from mpc.capc import odometer
from mpc.capc.odometer import OwnersAccount
from mpc.channels.frames import Channel

_receive = odometer.querying_receive_account


def ever_more(channel: Channel, most: int) -> OwnersAccount:
    """Take an owner for one that answers without end."""
    return msgspec.structs.replace(_receive(channel, most), queries=1000)


if __name__ == "__main__":
    odometer.querying_receive_account = ever_more  # before the program imports it
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
