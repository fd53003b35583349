"""The check of all that was shared, before anything that depends on it is revealed.

Until then a party that cheats has changed values by what it chose, and learned nothing, because all that it received is
uniform. The check has six rounds::

    1  each sends hashes of two seeds, and one of all that both must have got alike     which must be its own
    2  each sends its first seed, and the hashes that it has got of the third party     which must be alike
       all first seeds together give the coins that make matrices smaller
    3  each sends its share of the upper words of its claims to the party after
    4  each sends its second seed, and all of them together give all other coins
    5  each sends its proof to the party after, and what it has as a left verifier to the party before
    6  each says that the proof of the party before was right

No party opens a seed before it has got all that came before from the others. So the coins are unknown to a prover until
its right verifier has what they decide about.

Nobody reveals anything before both others have said so. The verifiers of a cheater are honest, since only one party
cheats, so that no honest party goes on. An honest prover's messages, and those of its verifiers, show nothing: each is
uniform to whom it reaches, or follows from what that one has already.

A cheat passes where the matrices that make products smaller hide it, with a probability of at most 2^-47, or one of the
two sums does (:mod:`.numbers`, :mod:`.bits`), with less than 2^-48 and 2^-62. Together that is less than 2^-46. A cheat
that does not pass ends the session, so that there is one attempt a session. Who has cheated is known only where a party
has committed to something else than it shows. Otherwise the prover or its left verifier may have sent what is wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from mpc.errors import CheatingError
from mpc.ring import Words
from mpc.tensors.backends.commitments import commitment
from mpc.tensors.backends.kernels import SEED_BYTES, KeyStream
from mpc.tensors.backends.replicated_mac import bits, numbers, pieces
from mpc.tensors.backends.replicated_mac.gates import Gate, MatrixGate
from mpc.tensors.backends.replicated_mac.guarded import Guarded
from mpc.tensors.network import from_wire, to_wire

_DIGEST = hashlib.sha256().digest_size


def check_all(trio: Guarded) -> None:
    """Check all that is pending, with both other computing parties. Nothing is sent where nothing is pending.

    Raises:
        CheatingError: somebody has shared something else than it should have.
    """
    if trio.place is None or trio.pending.checked:
        return
    label = f"check/{trio.checks}"
    trio.checks += 1
    with trio.network.in_step("check"), np.errstate(over="ignore"):
        toss = _Toss(trio, label)
        coins = KeyStream(toss.open(0, "seeds"))
        gates = [pieces.smaller(gate, coins) for gate in trio.pending.numbers]
        uppers = _share_uppers(trio, label, gates)
        master = toss.open(1, "coins")
        _prove(trio, label, gates, uppers, KeyStream(master))
        _confirm(trio, label, master)
    trio.pending.forget()


class _Toss:
    """Two seeds that nobody knows before they are opened, and that all have alike."""

    def __init__(self, trio: Guarded, label: str) -> None:
        self._trio, self._label = trio, label
        self._me, self._before, self._after = (trio.computing[place] for place in (trio.me, trio.before, trio.after))
        self._own = [trio.randomness.bytes(SEED_BYTES) for _ in range(2)]
        mine = b"".join(commitment(self._me, seed) for seed in self._own)
        digests = {self._before: trio.digest(trio.me), self._after: trio.digest(trio.after)}
        bodies = {peer: mine + digest for peer, digest in digests.items()}
        self._hidden = _swap(trio, f"{label}/seeds hidden", bodies, 3 * _DIGEST)
        for peer, digest in digests.items():
            if self._hidden[peer][2 * _DIGEST :] != digest:
                raise CheatingError(
                    f"expected to have got the same as {peer}, found that somebody has told both different things, "
                    "which need not be that party"
                )

    def open(self, number: int, step: str) -> bytes:
        """Return one of the two, after each party has shown what it had committed to."""
        trio, label = self._trio, f"{self._label}/{step}"
        pairs = ((self._before, self._after), (self._after, self._before))
        echo = {peer: self._hidden[other][: 2 * _DIGEST] if number == 0 else b"" for peer, other in pairs}
        bodies = {peer: self._own[number] + echo[peer] for peer, _ in pairs}
        opened = _swap(trio, label, bodies, len(bodies[self._before]))
        for peer, other in pairs:
            committed = self._hidden[peer][number * _DIGEST : (number + 1) * _DIGEST]
            if committed != commitment(peer, opened[peer][:SEED_BYTES]):
                raise CheatingError(
                    "expected what the party had committed to, found another value", peer=peer, step=label
                )
            if number == 0 and opened[peer][SEED_BYTES:] != self._hidden[other][: 2 * _DIGEST]:
                raise CheatingError(
                    f"expected {peer} to have the same commitments of {other}, found other ones, which one of both has "
                    "brought about"
                )
        seeds = {peer: body[:SEED_BYTES] for peer, body in opened.items()} | {self._me: self._own[number]}
        return hashlib.sha256(b"".join(value for _, value in sorted(seeds.items()))).digest()


def _share_uppers(trio: Guarded, label: str, gates: Sequence[Gate | MatrixGate]) -> Words:
    """Return the right verifier's share of the upper words of the party before."""
    before, after = trio.computing[trio.before], trio.computing[trio.after]
    mine = [to_wire(words, 64) for words in numbers.uppers(gates, trio)]
    size = 8 * sum(pieces.count_of_uppers(gate, trio.before) for gate in gates)
    if not mine and not size:
        return np.zeros(0, dtype=np.uint64)
    found = trio.network.swap(f"{label}/uppers", {after: mine} if mine else {}, {before: size} if size else {})
    return from_wire(found[before], 64) if size else np.zeros(0, dtype=np.uint64)


def _prove(trio: Guarded, label: str, gates: Sequence[Gate | MatrixGate], uppers: Words, coins: KeyStream) -> None:
    rows = coins.words(bits.ROWS)
    provers = numbers.Prover(trio), bits.Prover(trio)
    lefts = numbers.Left(trio), bits.Left(trio, rows)
    rights = numbers.Right(trio, uppers), bits.Right(trio, rows)
    for gate in gates:
        numbers.take(gate, trio, coins, provers[0], lefts[0], rights[0])
    for each in trio.pending.bits:
        bits.take(each, trio, coins, provers[1], lefts[1], rights[1])
    before, after = trio.computing[trio.before], trio.computing[trio.after]
    bodies = {
        after: [to_wire(words, 64) for side in provers for words in side.message()],
        before: [to_wire(words, 64) for side in lefts for words in side.message()],
    }
    sizes = [side.sizes() for side in rights]
    expected = {peer: 8 * sum(each[place] for each in sizes) for place, peer in enumerate((before, after))}
    found = trio.network.swap(
        f"{label}/proofs",
        {peer: parts for peer, parts in bodies.items() if any(map(len, parts))},
        {peer: size for peer, size in expected.items() if size},
    )
    received: list[Words] = [
        from_wire(found[peer], 64) if peer in found else np.zeros(0, dtype=np.uint64) for peer in (before, after)
    ]
    of_prover, of_left = sizes[0]
    if not (
        rights[0].holds(received[0][:of_prover], received[1][:of_left])
        and rights[1].holds(received[0][of_prover:], received[1][of_left:])
    ):
        raise CheatingError(
            f"expected products of {before} that are right, found others, or that {after} has checked something else; "
            "the check cannot tell which of both"
        )


def _confirm(trio: Guarded, label: str, master: bytes) -> None:
    """Tell both others that all was right, and wait until they say so."""
    peers = trio.computing[trio.before], trio.computing[trio.after]
    mine = _confirmation(trio.network.me, master)
    found = _swap(trio, f"{label}/right", dict.fromkeys(peers, mine), _DIGEST)
    for peer, body in found.items():
        if body != _confirmation(peer, master):
            raise CheatingError("expected a party to say that a proof is right, found something else", peer=peer)


def _confirmation(name: str, master: bytes) -> bytes:
    return hashlib.sha256(b"right/" + name.encode() + b"/" + master).digest()


def _swap(trio: Guarded, label: str, bodies: dict[str, bytes], size: int) -> dict[str, bytes]:
    found = trio.network.swap(label, {peer: [body] for peer, body in bodies.items()}, dict.fromkeys(bodies, size))
    return {name: bytes(theirs) for name, theirs in found.items()}
