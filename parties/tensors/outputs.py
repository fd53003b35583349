"""What comes before the outputs of a program are opened, and the file that a party keeps its own in."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mpc.errors import ProtocolError
from mpc.tensors.network import Network
from parties.frame.errors import PartyError
from parties.frame.private_files import write_private


class OutputsError(PartyError):
    """The outputs cannot be written."""


def check_public_numbers(network: Network, computing: Sequence[str], digest: str) -> None:
    """Refuse to open anything where computing parties went through other operations or other public numbers.

    Shares of different computations mean nothing when they are added up.

    Raises:
        ProtocolError: another digest at a peer.
    """
    if network.me not in computing:
        return
    own = bytes.fromhex(digest)
    others = [name for name in computing if name != network.me]
    for name, theirs in network.swap("public", dict.fromkeys(others, (own,)), dict.fromkeys(others, len(own))).items():
        if bytes(theirs) != own:
            raise ProtocolError(
                "expected the same operations on the same public numbers as here, found others", peer=name
            )


def write_outputs(path: Path, outputs: Mapping[str, Any]) -> None:
    """Write arrays by name as `.npz`, for their owner alone. Raises `OutputsError`."""
    content = io.BytesIO()
    np.savez(content, **outputs)
    try:
        write_private(path, content.getvalue())
    except OSError as error:
        raise OutputsError(f"cannot write {path}: {error.strerror}") from error
