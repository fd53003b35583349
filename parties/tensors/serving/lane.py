"""A lane: one session of the back-end, in which batches of one size are computed one after the other.

Every batch of a lane has the same number of rows, whether or not there is a request for each. So the provider knows
what the next batch needs before anybody asks, and prepares it ahead. A row without a request is of zeros. Its answer
stays closed, because each party draws its piece of that row's mask itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Words
from mpc.tensors.backends.interface import Backend
from mpc.tensors.backends.kinds import join
from mpc.tensors.delivery import Piece, open_masked, put_together
from mpc.tensors.network import Network, to_wire
from mpc.tensors.reveals import Policy
from mpc.tensors.session import Session
from mpc.tensors.tensor import PrivateTensor
from parties.tensors.outputs import check_public_numbers
from parties.tensors.serving.model import Model
from parties.tensors.serving.settings import ServingSettings

CLIENTS = "the clients"
"""Whose the records of a batch are, in the words of a private tensor."""


@dataclass(frozen=True, repr=False)
class Answers:
    """The masked answers of a batch, a body for each request, and the fraction bits of their words."""

    bodies: tuple[bytes, ...]
    fraction_bits: int

    def __repr__(self) -> str:
        return f"Answers(requests={len(self.bodies)})"


def join_backend(settings: ServingSettings, network: Network) -> Backend:
    """Begin a session of the back-end. All of its seeds are fresh."""
    return join(
        network,
        backend=settings.backend,
        computing=settings.computing,
        provider=settings.provider,
        ring_bits=settings.ring_bits,
    )


class Lane:
    """One party's side of a lane. Its thread makes it, and is the only one that uses it.

    Args:
        settings, model: of the party.
        size: records of a batch.
        network: channels to all others of the session, for this lane alone.
        pieces: a computing party's share of the model, or None.
    """

    def __init__(
        self,
        settings: ServingSettings,
        model: Model,
        size: int,
        network: Network,
        pieces: Mapping[str, Words] | None,
        randomness: Randomness = SYSTEM,
    ) -> None:
        self._settings = settings
        self._model = model
        self._size = size
        self._network = network
        self._randomness = randomness
        self.backend = join_backend(settings, network)
        self._session = Session(
            self.backend,
            fraction_bits=settings.fraction_bits,
            rounding=settings.rounding,
            policy=Policy({}),  # nothing is opened but answers, under their masks
            seed=settings.seed,
        )
        self._weights: dict[str, PrivateTensor] = {}
        for name, (shape, bound) in model.parameters.items():
            own = None if pieces is None else pieces[name]
            self._weights[name] = put_together(self._session, own, shape, bound, settings.owner)

    def prepare(self) -> None:
        """Go through one batch as a party that holds no share, which deals what the batch will need."""
        self._compute(None, ())

    def answers(self, pieces: Sequence[Piece], names: Sequence[str]) -> Answers:
        """Return the answers to a batch, under their masks.

        Args:
            pieces: of this party, one for each request.
            names: of the requests, which all parties must have in the same order.

        Raises:
            ProtocolError: another computing party has gone through other operations, other public numbers or a batch
                of other requests.
        """
        batch = Piece.filled(pieces, self._size, self._settings.ring_bits, self._randomness)
        opened, fraction_bits = self._compute(batch, names)
        if opened is None:
            raise RuntimeError("expected a computing party, found one without shares")
        bodies, start = [], 0
        for piece in pieces:
            end = start + len(piece.records)
            bodies.append(bytes(to_wire(opened[start:end], self._settings.ring_bits)))
            start = end
        return Answers(tuple(bodies), fraction_bits)

    def _compute(self, batch: Piece | None, names: Sequence[str]) -> tuple[Words | None, int]:
        session, shape = self._session, (self._size, *self._model.input)
        with session:
            x = put_together(session, None if batch is None else batch.records, shape, self._model.bound, CLIENTS)
            y = self._model.answer(session, self._weights, x)
            done = hashlib.sha256("\0".join((session.public_digest, *names)).encode()).hexdigest()
            check_public_numbers(self._network, self._settings.computing, done)
            return open_masked(session, y, None if batch is None else batch.mask), y.fraction_bits
