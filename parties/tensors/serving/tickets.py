"""The tickets of a computing party, with which the parties check the model of an owner who has left.

Each lane has tickets of its own. A session takes the next one in each lane. It is noted on the disk before anything of
it is shown, so that no ticket is used for a second time, even where this party is killed in between. Parties may have
used different numbers. All then take the highest one. It may be :data:`AHEAD` above this party's own and no more, so
that one message cannot use up all tickets.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mpc.errors import ProtocolError
from mpc.tensors.fingerprints import Ticket
from mpc.tensors.network import Network
from parties.frame.journal import FoldedJournal, JournalError

TICKETS = 64
"""How many sessions an owner lets each lane have, the first one included."""
AHEAD = 4
"""How far another party may be ahead. An honest one gets ahead by one where a session breaks before this one's note."""
USED = "tickets.jsonl"
"""The file with what was used, beside the share."""
_NUMBER = 8  # bytes
_ANEW = "to go on, stop all hosts, remove their shares and give the model again"


class Tickets:
    """The tickets of all lanes at one party.

    Args:
        path: of the file with what was used.
        model: the fresh name of the model.
        body: all tickets of the first lane, then those of the next one.
    """

    def __init__(self, path: Path, model: str, body: bytes) -> None:
        self._journal = FoldedJournal(path, Counter[str], _fold)
        self._lock = threading.Lock()  # lanes have threads of their own
        self._model = model
        self._body = body

    def take(self, network: Network, computing: Sequence[str], lane: int) -> Ticket:
        """Return the next ticket of a lane, which all computing parties take.

        Raises:
            ProtocolError: there is none any more, or another party is too far ahead. Nothing is noted then. A party is
                named only where it states more than there are, because this one's own file may have lost count.
        """
        key = f"{self._model}/{lane}"
        with self._lock, self._journal.locked() as journal:
            own = journal.state[key]
        others = [name for name in computing if name != network.me]
        body = own.to_bytes(_NUMBER, "big")
        found = network.swap("model/ticket", dict.fromkeys(others, (body,)), dict.fromkeys(others, _NUMBER))
        stated = {name: int.from_bytes(bytes(theirs), "big") for name, theirs in found.items()}
        for name, theirs in stated.items():
            if theirs > TICKETS:
                raise ProtocolError.mismatch(
                    f"tickets of lane {lane} that are used, at most", TICKETS, theirs, peer=name, step="model/ticket"
                )
        ahead = {name: theirs for name, theirs in stated.items() if theirs > own + AHEAD}
        if ahead:
            raise ProtocolError(
                f"expected one of the tickets up to {own + AHEAD} for a session of lane {lane}, found "
                f"{' and '.join(f'{theirs} of {name}' for name, theirs in ahead.items())}; this party cannot tell "
                f"whether that is too many or its own file lacks some that were used; {_ANEW}",
                step="model/ticket",
            )
        number = max(own, *stated.values())
        if number >= TICKETS:
            raise ProtocolError(
                f"expected one of {TICKETS} tickets of the model's owner for sessions of lane {lane}, found that all "
                f"are used; {_ANEW}"
            )
        with self._lock, self._journal.locked() as journal:
            if journal.state[key] > number:
                raise ProtocolError(f"expected ticket {number} of lane {lane} unused, found that it was used meanwhile")
            journal.append(json.dumps({key: number + 1}).encode())
        start = (lane * TICKETS + number) * Ticket.SIZE
        return Ticket.read(self._body[start : start + Ticket.SIZE])

    def __repr__(self) -> str:
        return f"Tickets(model={self._model})"


def _fold(used: Counter[str], number: int, line: bytes) -> None:
    try:
        for key, count in dict(json.loads(line)).items():
            used[str(key)] = int(count)
    except (ValueError, TypeError) as error:
        raise JournalError(
            f"expected tickets by lane in line {number} of those that were used, found {line[:60]!r}"
        ) from error
