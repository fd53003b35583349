"""What comes before the outputs of a program are opened, and the file that a party keeps its own in."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mpc.channels.frames import frame_size
from mpc.errors import ProtocolError
from mpc.tensors.forecast import Forecast
from mpc.tensors.network import Network
from parties.frame.errors import PartyError
from parties.frame.private_files import write_private

CHECK = "public"
"""The label of the messages in which computing parties compare what they computed with."""


class OutputsError(PartyError):
    """The outputs cannot be written."""


def check_public_numbers(network: Network, computing: Sequence[str], digest: str) -> None:
    """Refuse to open anything where computing parties went through other operations or other public numbers.

    Shares of different computations mean nothing when they are added up.

    Raises:
        ProtocolError: another digest at a peer. It names nobody, because the wrong one may be this party's own.
    """
    if network.me not in computing:
        return
    own = bytes.fromhex(digest)
    others = [name for name in computing if name != network.me]
    found = network.swap(CHECK, dict.fromkeys(others, (own,)), dict.fromkeys(others, len(own)))
    if different := [name for name, theirs in found.items() if bytes(theirs) != own]:
        raise ProtocolError(
            f"expected the same operations on the same public numbers as here, found others at {', '.join(different)}; "
            "this party cannot tell whose are wrong"
        )


def cost_of_check(forecast: Forecast, computing: Sequence[str]) -> Forecast:
    """Return a forecast with what :func:`check_public_numbers` costs as well."""
    label, size, times = CHECK, hashlib.sha256().digest_size, forecast.comparisons
    others = len(computing) - 1
    bytes_each = times * others * frame_size(label, size)
    costs = {
        name: replace(
            cost, rounds=cost.rounds + times, sent=cost.sent + bytes_each, received=cost.received + bytes_each
        ) if name in computing else cost
        for name, cost in forecast.costs.items()
    }  # fmt: skip
    return replace(forecast, costs=costs)


def write_outputs(path: Path, outputs: Mapping[str, Any]) -> None:
    """Write arrays by name as `.npz`, for their owner alone. Raises `OutputsError`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:  # savez has arguments of its own, which an output's name may be
        for name, value in outputs.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.asarray(value), allow_pickle=False)
    try:
        write_private(path, content.getvalue())
    except OSError as error:
        raise OutputsError(f"cannot write {path}: {error.strerror}") from error
