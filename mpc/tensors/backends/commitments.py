"""Values that all computing parties show each other at once: first a hash that fixes each, and then the value."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from mpc.tensors.network import Network


def commitment(name: str, value: bytes) -> bytes:
    """Return a hash that hides a value of at least 32 random bytes, and fits no other and no other party."""
    return hashlib.sha256(len(name).to_bytes(1, "big") + name.encode() + value).digest()


def swap_with_all(network: Network, others: Sequence[str], label: str, body: bytes) -> dict[str, bytes]:
    """Send the same to all others, and return what each of them has sent, which is as long, in one round."""
    found = network.swap(label, {peer: [body] for peer in others}, dict.fromkeys(others, len(body)))
    return {name: bytes(theirs) for name, theirs in found.items()}
