"""The first message each way: who speaks, in which session, under which agreed parameters."""

from __future__ import annotations

import msgspec

from mpc.channels.frames import WIRE_VERSION, Channel
from mpc.errors import ProtocolError


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """First message each way: who speaks, in which session, under which public parameters."""

    role: str
    session: str
    parameters: str  # digest of the public parameters
    version: int = WIRE_VERSION


def exchange_hello(channel: Channel, mine: Hello, expected_role: str, *, speaks_first: bool) -> Hello:
    """Both sides introduce themselves; any difference ends the run with a sentence that says which."""
    if speaks_first:
        channel.send_message("hello", mine)
        theirs = channel.recv_message("hello", Hello)
    else:
        theirs = channel.recv_message("hello", Hello)
        channel.send_message("hello", mine)
    for what, expected, found in (
        ("wire version", mine.version, theirs.version),
        ("role", expected_role, theirs.role),
        ("session", mine.session, theirs.session),
        ("digest of public parameters", mine.parameters, theirs.parameters),
    ):
        if expected != found:
            raise ProtocolError.mismatch(what, expected, found, peer=channel.peer, step="hello")
    return theirs
