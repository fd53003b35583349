"""What a program has revealed to one party, and the file that the party keeps it in."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mpc.errors import ProtocolError
from mpc.tensors.network import Network
from mpc.tensors.reveals import Revealed
from mpc.tensors.tensor import PrivateTensor
from parties.frame.errors import PartyError
from parties.frame.private_files import write_private


class OutputsError(PartyError):
    """The outputs cannot be written."""


def outputs_of(returned: object) -> Mapping[str, Any]:
    """Return what a program returned, which are its outputs by name. Raises `OutputsError` for anything else."""
    if returned is None:
        return {}
    if not isinstance(returned, Mapping) or not all(isinstance(name, str) for name in returned):
        raise OutputsError(f"expected a program that returns its outputs by name, found {type(returned).__name__}")
    if hidden := [name for name, value in returned.items() if isinstance(value, PrivateTensor)]:
        raise OutputsError(f"expected outputs that are revealed, found the private {hidden[0]}: call reveal(to=...)")
    return returned


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


def own_outputs(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a program's outputs this party has learned, and what is public, by name."""
    learned = {}
    for name, value in found.items():
        if not isinstance(value, Revealed):
            learned[name] = np.asarray(value)
        elif value.readable:
            learned[name] = value.value
    return learned


def write_outputs(path: Path, outputs: Mapping[str, Any]) -> None:
    """Write arrays by name as `.npz`, for their owner alone. Raises `OutputsError`."""
    content = io.BytesIO()
    np.savez(content, **outputs)
    try:
        write_private(path, content.getvalue())
    except OSError as error:
        raise OutputsError(f"cannot write {path}: {error.strerror}") from error
