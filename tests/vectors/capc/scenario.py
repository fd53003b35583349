"""Read a scenario, run it, and describe the run as a vector does. The generator and the test share this file."""

from __future__ import annotations

import hashlib
import json
import queue
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mpc.capc import CapcRandomness, CapcRun, PublicParameters, run_capc
from mpc.capc.confident import ConfidentArgmax
from mpc.channels.frames import Buffer
from mpc.channels.memory import MemoryChannel
from mpc.errors import PeerError
from mpc.inference import Architecture, Network
from mpc.inference.models.fixed import FixedWeights
from mpc.randomness import RoleRandomness
from mpc.ring import Ring

FOLDER = Path(__file__).parent
REFUSED, MESSAGES = FOLDER / "refused.json", FOLDER / "messages.json"

Vector = dict[str, Any]

_HEADER = struct.Struct("<2sBBIQ")


def scenario_files() -> list[Path]:
    """The files of whole runs."""
    return sorted(set(FOLDER.glob("*.json")) - {REFUSED, MESSAGES})


def read(path: Path) -> Vector:
    """What a file of vectors holds."""
    content: Vector = json.loads(path.read_text())
    return content


# What a vector gives.


def parameters_of(vector: Vector) -> PublicParameters:
    return msgspec.convert(vector["parameters"], PublicParameters)


def randomness_of(vector: Vector) -> CapcRandomness:
    roles = {name: RoleRandomness(bytes.fromhex(seed)) for name, seed in vector["seeds"].items()}
    answering = tuple(roles[f"server-{index}"] for index in range(vector["parameters"]["parties"]))
    return CapcRandomness(roles["client"], answering, roles["privacy-guardian"], roles["dealer"])


def queries_of(vector: Vector) -> NDArray[np.float64]:
    return np.ldexp(np.array(vector["queries"], dtype=np.float64), -vector["parameters"]["fraction_bits"])


def networks_of(vector: Vector) -> list[Network]:
    networks = []
    for content in vector["networks"]:
        architecture = msgspec.convert(content["architecture"], Architecture)
        weights = [
            FixedWeights(np.array(layer["weights"], np.int64), np.array(layer["bias"], np.int64))
            for layer in content["layers"]
        ]
        networks.append(Network.from_weights(architecture, weights))
    return networks


# A run, and a message that is altered on its way.


class VectorChannel(MemoryChannel):
    """A channel that notes the step of every message, and may alter one frame that leaves."""

    def __init__(self, own: str, peer: str, deadline_s: float, outbox: queue.Queue[bytes], inbox: queue.Queue[bytes]):
        super().__init__(peer, deadline_s, outbox, inbox)
        self.own = own
        self.steps: list[str] = []
        self.alteration: Vector | None = None
        self._frames: list[bytes] = []

    def send(self, label: str, *parts: Buffer) -> None:
        super().send(label, *parts)
        self.steps.append(self.step)

    def recv(self, label: str, *rest: Any, **limits: Any) -> memoryview:
        body = super().recv(label, *rest, **limits)
        self.steps.append(self.step)
        return body

    def recv_into(self, label: str, target: memoryview) -> None:
        super().recv_into(label, target)
        self.steps.append(self.step)

    def _write(self, parts: list[Buffer]) -> None:
        frame = b"".join(bytes(part) for part in parts)
        if not frame:  # the end of the conversation
            super()._write(parts)
            return
        earlier, change = self._frames, self.alteration
        self._frames = [*earlier, frame]
        if change is not None and _label(frame) == change["message"]:
            frame = altered(frame, earlier, change["change"])
        super()._write([frame])


def _label(frame: bytes) -> str:
    return frame[_HEADER.size : _HEADER.size + frame[3]].decode("ascii")


def altered(frame: bytes, earlier: Sequence[bytes], change: Vector) -> bytes:
    """The frame after one change; `earlier` are the frames that went the same way before it."""
    magic, version, length, sequence, _ = _HEADER.unpack_from(frame)
    label, body = frame[_HEADER.size :][:length], bytearray(frame[_HEADER.size + length :])
    (kind, value) = next(iter(change.items()))
    if kind == "replay":
        return next(old for old in earlier if _label(old) == value)
    if kind == "flip_bit":
        body[value // 8] ^= 1 << value % 8
    elif kind == "body":
        body = bytearray.fromhex(value)
    elif kind == "fill":
        body = bytearray([value]) * len(body)
    elif kind == "cut":
        body = body[:-value]
    elif kind == "append":
        body += bytes.fromhex(value)
    elif kind == "sequence":
        sequence += value
    elif kind == "version":
        version = value
    else:
        raise ValueError(f"no such change: {kind}")
    return _HEADER.pack(magic, version, length, sequence, len(body)) + label + body


class Wiring:
    """Makes the channels of one run and keeps the end of the party that connects, for each."""

    def __init__(self, alteration: Vector | None = None) -> None:
        self.alteration = alteration
        self.ends: dict[tuple[str, str], VectorChannel] = {}

    def connect(self, first: str, second: str, deadline_s: float) -> tuple[VectorChannel, VectorChannel]:
        forth: queue.Queue[bytes] = queue.Queue()
        back: queue.Queue[bytes] = queue.Queue()
        pair = (
            VectorChannel(first, second, deadline_s, forth, back),
            VectorChannel(second, first, deadline_s, back, forth),
        )
        for end in pair:
            self.ends[end.own, end.peer] = end
            change = self.alteration
            if change is not None and (change["from"], change["to"]) == (end.own, end.peer):
                end.alteration = change
        return pair


def play(vector: Vector, wiring: Wiring, deadline_s: float = 60.0) -> CapcRun:
    """Run the scenario under the seeds of its roles."""
    return run_capc(
        queries_of(vector),
        networks_of(vector),
        parameters_of(vector),
        randomness=randomness_of(vector),
        connect=wiring.connect,
        deadline_s=deadline_s,
    )


def refusal(vector: Vector, refused: Vector) -> tuple[PeerError, VectorChannel]:
    """Run the scenario with one message altered; the error, and the receiver's end of the channel."""
    wiring = Wiring(refused)
    try:
        play(vector, wiring, deadline_s=10.0)
    except PeerError as error:
        return error, wiring.ends[refused["to"], refused["from"]]
    raise AssertionError(f"'{refused['name']}' was accepted")


# How a vector describes a run.


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def words_digest(words: NDArray[np.generic]) -> str:
    """SHA-256 of the elements as 8 bytes each, lowest byte first, in C order."""
    return digest(np.ascontiguousarray(words).astype("<u8").tobytes())


def described(vector: Vector, run: CapcRun, wiring: Wiring) -> Vector:
    """All that a run under these seeds must reproduce."""
    parameters, networks, randomness = parameters_of(vector), networks_of(vector), randomness_of(vector)
    count = len(vector["queries"])
    ring = Ring(parameters.width)
    logits = [network.run_clear(network.encode_inputs(queries_of(vector))) for network in networks]
    counts = np.sum([parameters.voting_rule.votes(own) for own in logits], axis=0)
    noise = ring.signed(run.guardian_noise) + sum(ring.signed(party_run.noise) for party_run in run.party_runs)
    open_values = {
        "logits": [own.tolist() for own in logits],
        "counts": counts.tolist(),
        "noise": noise.tolist(),
    }
    if isinstance(parameters.release, ConfidentArgmax):
        limits = parameters.release.limits(count, randomness.guardian.source("threshold"))
        open_values["limits"] = limits.tolist()
    return {
        "parameters_sha256": parameters.digest(),
        "in_the_open": open_values,
        "channels": [_channel(end) for end in wiring.ends.values() if _connects(end)],
        "shares": _shares(run),
        "labels": run.labels.tolist(),
    }


def _connects(end: VectorChannel) -> bool:
    return end.own == "client" or (end.own.startswith("server") and end.peer == "privacy-guardian")


def _channel(end: VectorChannel) -> Vector:
    """Every message in order, as the party that connects sends and receives them."""
    messages = [
        [step, end.own if way == "sent" else end.peer, label, len(body), digest(body)]
        for step, (way, label, body) in zip(end.steps, end.transcript, strict=True)
    ]
    return {"between": [end.own, end.peer], "messages": messages}


def _shares(run: CapcRun) -> list[list[str]]:
    """The shares that end each step: step, holder, with whom it adds up, SHA-256."""
    rows = []
    for party_run in run.party_runs:
        name = party_run.name
        rows += [
            ["1b", "client", f"logits of {name}", words_digest(party_run.querying_logits)],
            ["1b", name, f"logits of {name}", words_digest(party_run.answering_logits)],
            ["1c", "client", f"vote of {name}", words_digest(party_run.querying_votes)],
            ["1c", name, f"vote of {name}", words_digest(party_run.masks)],
            ["2", name, "its part of the noise", words_digest(party_run.noise)],
        ]
    return [
        *rows,
        ["2", "privacy-guardian", "sum of what the answering parties sent", words_digest(run.mask_sums)],
        ["2", "privacy-guardian", "that sum and its noise", words_digest(run.guardian_share)],
    ]
