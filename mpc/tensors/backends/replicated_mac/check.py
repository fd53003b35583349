"""The check of all that was shared, before anything that depends on it is revealed.

Until then a party that cheats has changed values by what it chose, and learned nothing, because all that it received is
uniform. The check has four rounds::

    1  each sends a hash of a seed, and one of all that both must have got alike        which must be its own
    2  each sends its seed, and the hash that it has got of the third party             which must be alike
       all seeds together give the coins
    3  each sends its proof to the party after, and what it has as a left verifier to the party before
    4  each says that the proof of the party before was right

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

import numpy as np

from mpc.errors import CheatingError
from mpc.ring import Words
from mpc.tensors.backends.kernels import SEED_BYTES, KeyStream
from mpc.tensors.backends.replicated_mac import bits, numbers
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
        master = _toss(trio, label)
        _prove(trio, label, KeyStream(master))
        _confirm(trio, label, master)
    trio.pending.forget()


def _toss(trio: Guarded, label: str) -> bytes:
    """Return a seed that nobody knew, and that all have alike."""
    me, before, after = (trio.computing[place] for place in (trio.me, trio.before, trio.after))
    seed = trio.randomness.bytes(SEED_BYTES)
    mine = _commitment(me, seed)
    own = {before: trio.digest(trio.me), after: trio.digest(trio.after)}
    hidden = _swap(trio, f"{label}/seeds hidden", {peer: mine + digest for peer, digest in own.items()}, 2 * _DIGEST)
    for peer, digest in own.items():
        if hidden[peer][_DIGEST:] != digest:
            raise CheatingError(
                f"expected to have got the same as {peer}, found that somebody has told both different things, which "
                "need not be that party"
            )
    shown = {peer: seed + hidden[other][:_DIGEST] for peer, other in ((before, after), (after, before))}
    opened = _swap(trio, f"{label}/seeds", shown, SEED_BYTES + _DIGEST)
    for peer, other in ((before, after), (after, before)):
        if hidden[peer][:_DIGEST] != _commitment(peer, opened[peer][:SEED_BYTES]):
            raise CheatingError(
                "expected what the party had committed to, found another value", peer=peer, step=f"{label}/seeds"
            )
        if opened[peer][SEED_BYTES:] != hidden[other][:_DIGEST]:
            raise CheatingError(
                f"expected {peer} to have the same commitment of {other}, found another one, which one of both has "
                "brought about"
            )
    seeds = {peer: body[:SEED_BYTES] for peer, body in opened.items()} | {me: seed}
    return hashlib.sha256(b"".join(value for _, value in sorted(seeds.items()))).digest()


def _prove(trio: Guarded, label: str, coins: KeyStream) -> None:
    rows = coins.words(bits.ROWS)
    provers = numbers.Prover(trio), bits.Prover(trio)
    lefts = numbers.Left(trio), bits.Left(trio, rows)
    rights = numbers.Right(trio), bits.Right(trio, rows)
    for gate in trio.pending.numbers:
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


def _commitment(name: str, seed: bytes) -> bytes:
    """Return a hash that hides a seed, and fits no other seed and no other party."""
    return hashlib.sha256(len(name).to_bytes(1, "big") + name.encode() + seed).digest()


def _swap(trio: Guarded, label: str, bodies: dict[str, bytes], size: int) -> dict[str, bytes]:
    found = trio.network.swap(label, {peer: [body] for peer, body in bodies.items()}, dict.fromkeys(bodies, size))
    return {name: bytes(theirs) for name, theirs in found.items()}
