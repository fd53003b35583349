"""What passes between the two parties of an online run, both sides of each step.

    data owner                                              project owner, the trainer
      runs the twin, makes keys, encrypts
      keys/...       public key, products, rotations  ---->
      records/...    records, and the first weights   ---->
                                                              trains
      at each refresh: compares with the twin         <----   refresh/...
      refreshed/...  the twin's weights, encrypted    ---->
      compares with the twin                          <----   weights/...
      only now: stops if any comparison failed

The owner learns the model. The trainer learns the job's shape, which both were told, and holds no secret. All names and
lengths follow from the job. The keys are made for one run and end with it, so that they release one result.
"""

from __future__ import annotations

from collections.abc import Mapping

from mpc.channels.frames import Channel
from mpc.encrypted.training import Job
from mpc.errors import ParameterError


def send_parts(channel: Channel, what: str, parts: Mapping[str, bytes], sizes: Mapping[str, int]) -> None:
    """Send each part, in the order of the sizes. Raises `ParameterError` for others than those."""
    if {name: len(part) for name, part in parts.items()} != sizes:
        raise ParameterError(f"expected {len(sizes)} parts of the job's lengths, found {len(parts)} others")
    for name in sizes:
        channel.send(label(what, name), parts[name])


def receive_parts(channel: Channel, what: str, sizes: Mapping[str, int]) -> dict[str, bytes]:
    """Receive each part at its exact length, in the order of the sizes."""
    return {name: bytes(channel.recv(label(what, name), size)) for name, size in sizes.items()}


def refresh(channel: Channel, job: Job, target: int, iteration: int, weights: bytes) -> bytes:
    """Send encrypted weights to the owner, and return them as it has encrypted them anew."""
    channel.send(f"refresh/{target}/{iteration}", weights)
    return bytes(channel.recv(f"refreshed/{target}/{iteration}", job.refreshed_bytes))


def receive_weights(channel: Channel, job: Job, target: int, iteration: int) -> bytes:
    """Receive the encrypted weights that are to be refreshed, as their owner."""
    return bytes(channel.recv(f"refresh/{target}/{iteration}", job.weight_bytes))


def send_refreshed(channel: Channel, target: int, iteration: int, weights: bytes) -> None:
    """Send weights that were encrypted anew, as their owner."""
    channel.send(f"refreshed/{target}/{iteration}", weights)


def label(what: str, name: str) -> str:
    """Return a part's label on the wire."""
    return f"{what}/{name.replace(' ', '-')}"
