"""All errors that the secure-computation layer raises on purpose.

    MpcError
    ├── ParameterError            an argument of the caller
    │   └── RangeError            a value or a model that does not fit its ring
    ├── BudgetExceededError       a charge beyond a privacy budget
    ├── OrderError                a step that this program called out of turn
    └── PeerError                 one peer, in one step
        ├── ProtocolError         a message of it is not what the protocol allows
        │   └── CheatingError     what somebody opened or sent is not what was shared
        └── TransportError        the connection to it
            ├── DeadlineError     it did not answer in time
            ├── RefusedError      one side does not accept the other, and says why
            ├── BusyError         the listening side serves another session now
            └── QuorumError       fewer parties came than must take part

The message of an error is one sentence. It says what was expected and what was found, and holds no secret. A
:class:`PeerError` also names the peer and the step.
"""

from __future__ import annotations


class MpcError(Exception):
    """Base of every error that this layer raises on purpose."""


class ParameterError(MpcError, ValueError):
    """An argument of the caller has an unusable shape, width, ring or range."""


class RangeError(ParameterError):
    """A value or a model does not fit the ring that was chosen for it."""


class BudgetExceededError(MpcError):
    """A charge would take an account over its privacy budget. Nothing was charged."""


class OrderError(MpcError):
    """This program called a step out of turn. That is a bug here, never the peer's fault."""


class PeerError(MpcError):
    """Base of errors that concern one peer in one protocol step.

    Attributes:
        peer: name of the peer, or empty where it is not known.
        step: the protocol's name of the step, or empty.
    """

    def __init__(self, message: str, *, peer: str = "", step: str = "") -> None:
        super().__init__(message)
        self.peer = peer
        self.step = step

    def __str__(self) -> str:
        place = " ".join(part for part in (f"step {self.step}" if self.step else "", self.peer) if part)
        message = super().__str__()
        return f"{place}: {message}" if place else message


class ProtocolError(PeerError):
    """A peer's message is not what the protocol allows at this point."""

    @classmethod
    def mismatch(cls, what: str, expected: object, found: object, *, peer: str = "", step: str = "") -> ProtocolError:
        """Return an error whose sentence says what was expected and what was found."""
        return cls(f"expected {what} {expected!s}, found {found!s}", peer=peer, step=step)


class CheatingError(ProtocolError):
    """What some party opened or sent is not what was shared. The sentence names a party only where that is proven."""


class TransportError(PeerError):
    """The connection to a peer could not be made, was refused or broke."""


class DeadlineError(TransportError):
    """A peer did not answer in time."""


class BusyError(TransportError):
    """The listening side serves another session now. Another attempt may be accepted."""


class QuorumError(TransportError):
    """Fewer parties came to a session than must take part in it. The sentence names those that are missing.

    Attributes:
        there: the names of those that came.
    """

    def __init__(self, message: str, *, there: tuple[str, ...] = (), peer: str = "", step: str = "") -> None:
        super().__init__(message, peer=peer, step=step)
        self.there = there


class RefusedError(TransportError):
    """One side does not accept the other. The sentence says why, so another attempt would end in the same way."""
