"""Whether a member of a federation reaches the others, and whether they were configured alike.

The member shakes hands with each service, says a hello in the role `CHECKING`, and hangs up. A service answers that at
its door, to whoever has a certificate. It takes no session.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from mpc.channels.doors import connect
from mpc.channels.hello import CHECKING, Hello, digest_of
from mpc.errors import PeerError
from parties.frame.connections import credentials
from parties.frame.settings import Peer


def complaint(peer: Peer, role: str, agreed: Mapping[str, str], folder: Path, within_s: float) -> str:
    """Say what keeps this party from reaching a service, or nothing. `folder` holds its key and certificate."""
    hello = Hello(CHECKING, secrets.token_hex(16), digest_of(agreed))
    try:
        connect(
            (peer.host, peer.port),
            peer.name,
            credentials(folder, federation=True),
            hello,
            role,
            agreed=agreed,
            deadline_s=within_s,
            connect_within_s=within_s,
        ).close()
    except PeerError as error:
        return str(error.args[0])
    return ""
