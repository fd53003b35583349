"""Products of what one party knows with what the other one knows, under the encryption of ``mpc/core/bfv``.

::

    holder of the key                                     evaluator
    uploads   Enc(a)                      ---->
                                          <----           replies   Enc(a b + r), flooded with noise
    share     a b + r, decrypted                          share     -r

In each step both parties are the holder of one key and the evaluator under the other's, so that both compute at once.
The evaluator sees RLWE encryptions. The holder sees a b + r, which r hides, and flooded noise. Whatever an evaluator
gives in a session under one of five keys depends on more than that by a statistical distance of at most 2^-40, which is
2^-37 for all five together. A key serves for 2^32 results, after which the session ends. Each word is wrong with a
probability below 2^-53, which ``mpc/core/bfv/parameters.hpp`` and ``slots.hpp`` derive. log2 q is at most 214 for
N = 8192, which the lattice estimator puts at 128 bits. Keys cross once a session.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from mpc._core import RlweEvaluator, RlweParameters, RlweSecretKey
from mpc.randomness import RoleRandomness, core_seed
from mpc.ring import Words
from mpc.tensors.backends.kernels import SEED_BYTES, KeyStream
from mpc.tensors.network import Network

DEGREE = 8192
STATISTICAL_BITS = 40
RESULTS = 1 << 32  # that an evaluator gives in a session, each covered by the flood
TERMS = 1 << 14  # words behind one polynomial of a reply


class Keys:
    """One party's own key, and its evaluator under the peer's key, for one kind of plaintexts.

    Args:
        network: with a channel to the peer.
        peer: the other computing party.
        name: in the labels of messages.
        primes: of the plaintexts, each with a key of its own. Zero is 2^64.
        randomness: for known-answer tests.
    """

    def __init__(
        self, network: Network, peer: str, name: str, primes: Sequence[int], randomness: RoleRandomness
    ) -> None:
        self._network = network
        self._peer = peer
        self._name = name
        self._number = 0
        terms = [TERMS if prime == 0 else 2 * DEGREE for prime in primes]
        self.parameters = [
            RlweParameters.for_products(prime, count, RESULTS, STATISTICAL_BITS)
            for prime, count in zip(primes, terms, strict=True)
        ]
        seeds = [randomness.source(f"rlwe/{name}/{prime}") for prime in primes]
        self.own = [RlweSecretKey(each, core_seed(seed)) for each, seed in zip(self.parameters, seeds, strict=True)]
        sizes = [each.upload_bytes(1) for each in self.parameters]
        theirs = self._swap("key", [key.public_key() for key in self.own], sum(sizes))
        self.theirs = []
        with network.channel(peer).naming_peer():
            for each, seed, size in zip(self.parameters, seeds, sizes, strict=True):
                self.theirs.append(RlweEvaluator(each, theirs[:size], core_seed(seed)))
                theirs = theirs[size:]
        self._stream = KeyStream(randomness.source(f"rlwe/{name}/masks").bytes(SEED_BYTES))

    def uniform(self, count: int) -> Words:
        """Return fresh uniform words for masks."""
        return self._stream.words(count)

    def swap(self, kind: str, bodies: Sequence[bytes], size: int) -> memoryview:
        """Send a message to the peer and receive one of this size. One that is empty on both sides is not sent."""
        return self._swap(f"{self._number}/{kind}", bodies, size)

    def next_step(self) -> None:
        """Number the messages of the next step."""
        self._number += 1

    def _swap(self, kind: str, bodies: Sequence[bytes], size: int) -> memoryview:
        sent = {self._peer: list(bodies)} if any(map(len, bodies)) else {}
        received = self._network.swap(f"rlwe/{self._name}/{kind}", sent, {self._peer: size} if size else {})
        return received.get(self._peer, memoryview(b""))

    def naming_peer(self) -> AbstractContextManager[None]:
        """Add the peer to an error of what it sent."""
        return self._network.channel(self._peer).naming_peer()

    def __repr__(self) -> str:
        return f"Keys({self._name}, {len(self.own)})"
