"""The first message each way, by which two parties see that they are in the same run.

dialling side                                             listening side
role, session, digest, wire version  ------------------>
                                     <------------------  role, session, digest, wire version
"""

from __future__ import annotations

import msgspec

from mpc.channels.frames import WIRE_VERSION, Channel
from mpc.errors import ProtocolError


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a party says of itself.

    Attributes:
        role: its part in the protocol.
        session: the run that it is in.
        parameters: digest of the public parameters that all parties must agree on.
        version: of the frames.
    """

    role: str
    session: str
    parameters: str
    version: int = WIRE_VERSION


def exchange_hello(channel: Channel, own: Hello, expected_role: str, *, speaks_first: bool) -> Hello:
    """Send this side's hello, and return the other side's.

    Raises:
        ProtocolError: the other side has another role than expected, or the two differ in anything else.
    """
    if speaks_first:
        channel.send_message("hello", own)
        other = channel.recv_message("hello", Hello)
    else:
        other = channel.recv_message("hello", Hello)
        channel.send_message("hello", own)
    for what, expected, found in (
        ("wire version", own.version, other.version),
        ("role", expected_role, other.role),
        ("session", own.session, other.session),
        ("digest of public parameters", own.parameters, other.parameters),
    ):
        if expected != found:
            raise ProtocolError.mismatch(what, expected, found, peer=channel.peer, step="hello")
    return other
