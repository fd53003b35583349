"""What the back-ends without a provider have alike: how a party joins a session, what it has cost, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mpc.errors import ParameterError
from mpc.tensors.backends.arguments import check_channels, check_exact_parties, check_ring
from mpc.tensors.backends.interface import Cost
from mpc.tensors.backends.seeds import Agreement
from mpc.tensors.network import Network


class AgreedBackend:
    """One party's side of a session that begins with an agreement of the computing parties.

    Attributes:
        name: of the back-end.
        parties: how many compute.
        only_ring: the one ring that it has, or None for any.
        me, ring_bits, computing, outside: see :class:`~mpc.tensors.backends.interface.Backend`.
    """

    name: str
    parties: ClassVar[int]
    only_ring: ClassVar[int | None] = None

    def __init__(self, network: Network, agreement: Agreement) -> None:
        self.me = network.me
        self.ring_bits = agreement.ring_bits
        self.computing = agreement.computing
        self.outside = agreement.outside
        self._network = network

    @classmethod
    def agreement(cls, network: Network, computing: Sequence[str], outside: Sequence[str], ring_bits: int) -> Agreement:
        """Return what all parties of a session must have agreed on.

        Raises:
            ParameterError: parties, channels or a ring that this back-end cannot have.
        """
        computing, outside = tuple(computing), tuple(outside)
        check_exact_parties(cls.name, cls.parties, computing, outside)
        if cls.only_ring is None:
            check_ring(ring_bits)
        elif ring_bits != cls.only_ring:
            raise ParameterError(f"expected a ring of {cls.only_ring} bits for {cls.name}, found {ring_bits} bits")
        everybody = (*computing, *outside)
        check_channels(network, everybody, everybody if network.me in computing else computing)
        return Agreement(cls.name, ring_bits, computing, "", outside)

    @property
    def cost(self) -> Cost:
        sent, received = self._network.traffic()
        return Cost(self._network.rounds, sent, received)

    def close(self) -> None:
        """End the conversations with all others. They may be ended again."""
        self._network.close()
