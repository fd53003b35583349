"""A computing party's share of the model, in memory and on the disk.

The share is a piece of each parameter (:mod:`mpc.tensors.delivery`). It is uniform on its own, and holds nothing of a
session. Every session takes the pieces as fresh inputs, with seeds, masks and correlations that its parties draw anew.
So a party that comes back with its share uses nothing for a second time.

The file is a line of JSON that says whose share of which model it is, then the pieces, and then the tickets. It is
replaced as a whole, and only its owner may read it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from mpc.channels.hello import digest_of
from mpc.errors import ProtocolError
from mpc.ring import Words
from mpc.tensors.delivery import read_piece
from mpc.tensors.network import to_wire, wire_size
from parties.frame.errors import PartyError
from parties.frame.private_files import write_private
from parties.tensors.serving.model import Model, Shape


class ShareError(PartyError):
    """The share on the disk cannot be read or written, or is another party's or another service's."""


@dataclass(frozen=True, repr=False)
class ModelShare:
    """One computing party's share of a model.

    Attributes:
        name: of the model, drawn by its owner.
        pieces: of its parameters, by name.
        tickets: with which sessions check the model, or nothing where no party cheats.
    """

    name: str
    pieces: Mapping[str, Words]
    tickets: bytes = b""

    def __repr__(self) -> str:
        return f"ModelShare(name={self.name}, parameters={len(self.pieces)})"


def keep_share(path: Path, share: ModelShare, party: str, agreed: Mapping[str, str], ring_bits: int) -> None:
    """Write the share, for its owner alone. Raises `ShareError`."""
    body = b"".join(bytes(to_wire(piece, ring_bits)) for piece in share.pieces.values()) + share.tickets
    header = {
        "party": party, "agreed": digest_of(agreed), "model": share.name, "sha256": hashlib.sha256(body).hexdigest(),
    }  # fmt: skip
    try:
        write_private(path, json.dumps(header).encode() + b"\n" + body)
    except OSError as error:
        raise ShareError(f"cannot write {path}: {error.strerror}") from error


def reload_share(
    path: Path, model: Model, party: str, agreed: Mapping[str, str], ring_bits: int, tickets: int = 0
) -> ModelShare | None:
    """Return the share that was kept, or None where there is none. Its tickets take so many bytes.

    Raises:
        ShareError: a file of another party or of another service, or one that was changed.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ShareError(f"cannot read {path}: {error.strerror}") from error
    line, _, body = content.partition(b"\n")
    try:
        header = {name: str(value) for name, value in dict(json.loads(line)).items()}
    except (ValueError, TypeError) as error:
        raise ShareError(f"expected a share of a model in {path}, found something else") from error
    for what, expected in (("party", party), ("agreed", digest_of(agreed)), ("sha256", _digest(body))):
        if header.get(what) != expected:
            words = {"party": "of this party", "agreed": "of this service", "sha256": "as it was written"}[what]
            raise ShareError(f"expected a share {words} in {path}, found another; remove it and give the model again")
    end = max(0, len(body) - tickets)
    pieces = pieces_in(memoryview(body)[:end], model, ring_bits, path)
    return ModelShare(header.get("model", ""), pieces, body[end:])


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def pieces_in(body: memoryview, model: Model, ring_bits: int, path: Path) -> dict[str, Words]:
    """Return the pieces of all parameters, one after the other. Raises `ShareError` for another length."""
    found, start = {}, 0
    try:
        for name, (shape, _) in model.parameters.items():
            end = start + _size(shape, ring_bits)
            found[name] = read_piece(body[start:end], shape, ring_bits)
            start = end
    except ProtocolError as error:
        raise ShareError(f"{path}: {error}") from error
    if start != len(body):
        raise ShareError(f"expected {start} bytes of pieces in {path}, found {len(body)}")
    return found


def _size(shape: Shape, ring_bits: int) -> int:
    return wire_size(prod(shape), ring_bits)
