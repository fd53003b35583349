"""A lane: one session of the back-end, in which batches of one size are computed one after the other.

Every batch of a lane has the same number of rows, whether or not there is a request for each. So the provider knows
what the next batch needs before anybody asks, and prepares it ahead. A row without a request is of zeros. Its answer
stays closed, because each party draws its piece of that row's mask itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Words
from mpc.tensors.backends.interface import Backend
from mpc.tensors.backends.kinds import join
from mpc.tensors.delivery import Piece, open_masked, put_together, sum_of_pieces
from mpc.tensors.fingerprints import check_model, pads_of, shared_fingerprint, toss
from mpc.tensors.network import Network, to_wire
from mpc.tensors.reveals import Policy
from mpc.tensors.session import Session
from mpc.tensors.tensor import PrivateTensor
from parties.tensors.outputs import check_public_numbers
from parties.tensors.serving.model import Model
from parties.tensors.serving.settings import ServingSettings
from parties.tensors.serving.share import ModelShare
from parties.tensors.serving.tickets import Tickets

CLIENTS = "the clients"
"""Whose the records of a batch are, in the words of a private tensor."""


@dataclass(frozen=True, repr=False)
class Answers:
    """The masked answers of a batch.

    Attributes:
        bodies: for each request its answers, and their fingerprints where there are any.
        fraction_bits: of the answers.
        coins: of the fingerprints, or nothing.
    """

    bodies: tuple[bytes, ...]
    fraction_bits: int
    coins: bytes

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
        share: a computing party's share of the model, or None.
        tickets: its tickets, where the back-end notices parties who cheat.
        number: of the lane, which has tickets of its own.
    """

    def __init__(
        self,
        settings: ServingSettings,
        model: Model,
        size: int,
        network: Network,
        share: ModelShare | None,
        tickets: Tickets | None = None,
        number: int = 0,
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
        self._pads = pads_of(self.backend)
        self._weights: dict[str, PrivateTensor] = {}
        for name, (shape, bound) in model.parameters.items():
            own = None if share is None else share.pieces[name]
            self._weights[name] = put_together(self._session, own, shape, bound, settings.owner)
        if self._pads:
            ticket = None if tickets is None else tickets.take(network, settings.computing, number)
            check_model(self._session, network, [each.shared for each in self._weights.values()], ticket)

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
        opened, fraction_bits, coins = self._compute(batch, names)
        if opened is None:
            raise RuntimeError("expected a computing party, found one without shares")
        bodies, start = [], 0
        for piece in pieces:
            rows = slice(start, start + len(piece.records))
            bodies.append(b"".join(bytes(to_wire(each[rows], self._settings.ring_bits)) for each in opened))
            start = rows.stop
        return Answers(tuple(bodies), fraction_bits, coins)

    def _compute(self, batch: Piece | None, names: Sequence[str]) -> tuple[list[Words] | None, int, bytes]:
        session, backend, size = self._session, self.backend, self._size
        with session:
            records, mask, pad = (None, None, None) if batch is None else (batch.records, batch.mask, batch.pad)
            x = put_together(session, records, (size, *self._model.input), self._model.bound, CLIENTS)
            masked = sum_of_pieces(session, mask, (size, *self._model.output))
            coins, fingerprint = b"", None
            if self._pads:
                pads = sum_of_pieces(session, pad, (size, self._pads))
                if batch is not None:  # from here on no piece can be changed
                    coins = toss(self._network, self._settings.computing, self._randomness)
                fingerprint = shared_fingerprint(backend, [x.shared, masked], pads, coins or None)
            y = self._model.answer(session, self._weights, x)
            done = "\0".join((session.public_digest, coins.hex(), *names))
            digest = hashlib.sha256(done.encode()).hexdigest()
            check_public_numbers(self._network, self._settings.computing, digest)
            return open_masked(session, y, masked, fingerprint), y.fraction_bits, coins
