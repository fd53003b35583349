"""One of three parties cheats in the check itself: in coins, commitments, proofs and what is said of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpc.errors import CheatingError
from mpc.tensors.backends.replicated_mac import bits, check, numbers
from mpc.tensors.backends.replicated_mac.backend import ReplicatedMacBackend
from mpc.tensors.backends.replicated_mac.guarded import Guarded
from mpc.tensors.backends.replicated_mac.memory import in_memory
from tests.mpc.tensors.backends.replicated_mac.cheating import (
    MULTIPLY,
    PARTIES,
    RELU,
    Steps,
    X,
    assert_aborted,
    sends_otherwise,
    session,
    shares_with,
)
from tests.mpc.tensors.backends.session import outcomes, words


@pytest.mark.parametrize("cheater", PARTIES)
def test_a_party_that_shows_something_else_than_it_committed_to_is_named(cheater: str) -> None:
    for receiver in (name for name in PARTIES if name != cheater):
        for step, place in (("seeds", 0), ("seeds", 31), ("coins", 0), ("coins", 31)):
            cheat = sends_otherwise(f"check/0/{step}", receiver, place)
            found, _ = session(MULTIPLY, {cheater: only(step, cheat)})
            error = found[receiver]
            assert isinstance(error, CheatingError)
            assert error.peer == cheater
            assert "expected what the party had committed to, found another value" in str(error)


def only(step: str, cheat: Any) -> Any:
    """Let a cheat change messages of a check with exactly this step."""

    def cheats(backend: ReplicatedMacBackend) -> None:
        plain = backend._network.swap
        cheat(backend)
        changed = backend._network.swap

        def swap(label: str, *rest: Any) -> Any:
            return (changed if label == f"check/0/{step}" else plain)(label, *rest)

        backend._network.swap = swap  # type: ignore[method-assign]

    return cheats


@pytest.mark.parametrize("cheater", PARTIES)
def test_a_party_with_two_commitments_is_found(cheater: str) -> None:
    """It could give the others different coins, and choose by the end of the check what it learns."""
    others = [name for name in PARTIES if name != cheater]
    hidden = only("seeds hidden", sends_otherwise("check/0/seeds hidden", others[0]))
    found, _ = session(MULTIPLY, {cheater: hidden})
    assert_aborted(cheater, found, "")
    for place in (40, 90):
        echo = only("seeds", sends_otherwise("check/0/seeds", others[0], place))
        found, _ = session(MULTIPLY, {cheater: echo})
        assert_aborted(cheater, found, "found other ones, which one of both has brought about")


@pytest.mark.parametrize("late", [True, False])
def test_upper_words_that_were_chosen_after_the_coins_would_mend_errors(
    late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of 2^63 under an even coin is one of 2^64, which another element's upper word takes back.

    The copy without the defence shares upper words when the coins are known. A quarter of all cheats passes then.
    """
    share, prove, stream, words_of = check._share_uppers, check._prove, check.KeyStream, numbers.uppers
    masters: list[bytes] = []

    def recorded(master: bytes) -> Any:
        masters.append(master)
        return stream(master)

    def chosen(gates: Any, trio: Guarded) -> list[np.ndarray]:
        found = words_of(gates, trio)
        if trio.network.me == "p1":
            coins = stream(masters[-1])  # those of the last seeds that were opened
            coins.words(bits.ROWS)
            coin = [int(each) for each in coins.words(X.size)]
            odd = [place for place in range(1, X.size) if coin[place] & 1]
            if coin[0] % 2 == 0 and odd:
                found[0][odd[0]] -= np.uint64(coin[0] // 2 * pow(coin[odd[0]], -1, 2**64) % 2**64)
        return found

    def prove_late(trio: Guarded, label: str, gates: Any, _: Any, coins: Any) -> None:
        prove(trio, label, gates, share(trio, label, gates), coins)

    monkeypatch.setattr(check, "KeyStream", recorded)
    monkeypatch.setattr(numbers, "uppers", chosen)
    if late:
        monkeypatch.setattr(check, "_share_uppers", lambda *_: None)
        monkeypatch.setattr(check, "_prove", prove_late)
    steps: Steps = lambda b, x, y: b.multiply([(x, y)])  # noqa: E731
    passed = 0
    for _ in range(40 if late else 8):
        found, _ = session(steps, {"p1": shares_with(0, 0, 2**63)})
        if passed := passed + isinstance(found["p0"], list):
            break
    assert bool(passed) == late


@pytest.mark.parametrize("cheater", range(3))
@pytest.mark.parametrize("to", [1, 2])
def test_a_proof_that_is_changed_at_any_place_is_refused(cheater: int, to: int) -> None:
    """Towards the party after it is the prover's message, and towards the one before the left verifier's."""
    name, receiver = PARTIES[cheater], PARTIES[(cheater + to) % 3]
    sizes: list[int] = []

    def note(backend: ReplicatedMacBackend) -> None:
        swap = backend._network.swap

        def noted(label: str, bodies: Any, wanted: Any) -> Any:
            if label == "check/0/proofs":
                sizes.append(sum(len(bytes(part)) for part in bodies[receiver]))
            return swap(label, bodies, wanted)

        backend._network.swap = noted  # type: ignore[method-assign]

    session(RELU, {name: note})
    (size,) = sizes
    for place in sorted({0, 7, size // 3, size // 2, 2 * size // 3, size - 9, size - 1}):
        found, _ = session(RELU, {name: sends_otherwise("check/0/proofs", receiver, place)})
        assert_aborted(name, found)


def test_a_party_that_does_not_confirm_ends_the_session() -> None:
    found, _ = session(MULTIPLY, {"p1": sends_otherwise("check/0/right", "p0", 5)})
    error = found["p0"]
    assert isinstance(error, CheatingError)
    assert error.peer == "p1"
    assert "expected a party to say that a proof is right, found something else" in str(error)


@pytest.mark.parametrize("waits", [True, False])
def test_nobody_reveals_before_both_others_have_found_all_proofs_right(
    waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the party after a cheater sees a wrong proof. The one before must not send it an output meanwhile."""
    if not waits:
        monkeypatch.setattr(check, "_confirm", lambda *_: None)
    got: list[bytes] = []

    def listen(backend: ReplicatedMacBackend) -> None:
        shares_with(0, 0, 2**40)(backend)
        swap = backend._network.swap

        def listened(label: str, bodies: Any, sizes: Any) -> Any:
            if label.startswith("output/"):
                body = bytearray(sizes["p0"])
                backend._network.channel("p0").recv_into(label, memoryview(body))
                got.append(bytes(body))
            return swap(label, bodies, sizes)

        backend._network.swap = listened  # type: ignore[method-assign]

    plain = check._prove

    def prove(trio: Guarded, *rest: Any) -> None:
        try:
            plain(trio, *rest)
        except CheatingError:
            if trio.network.me == "p1":  # the cheater, who has no reason to end
                return
            raise

    monkeypatch.setattr(check, "_prove", prove)
    found, _ = session(MULTIPLY, {"p1": listen}, reader="p1", deadline_s=2)
    assert isinstance(found["p2"], CheatingError)
    assert bool(got) == (not waits)


class _Zeros:
    """A stream that masks nothing."""

    def words(self, shape: Any) -> np.ndarray:
        return np.zeros(shape, dtype=np.uint64)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("guess", [6, 7])
def test_whether_a_check_ends_tells_a_left_verifier_nothing(
    guess: int, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It adds one to what it sends, and what follows if its guess is right. Without the mask that tests the guess."""
    plain, message, secret = Guarded.stream, numbers.Left.message, 6
    if not masked:
        monkeypatch.setattr(
            Guarded, "stream",
            lambda trio, component, purpose, owner="": _Zeros() if purpose == "right mask"
            else plain(trio, component, purpose, owner),
        )  # fmt: skip
    held: list[int] = []

    def cheated(left: numbers.Left) -> list[np.ndarray]:
        if left._trio.network.me != "p0":
            return message(left)
        challenge, drawn = left._challenge, []

        class Noted:
            def words(self, shape: Any) -> np.ndarray:
                drawn.append(challenge.words(shape))
                return drawn[-1]

        left._challenge = Noted()  # type: ignore[assignment]
        low, high, form_low, form_high, total = message(left)  # of one block, with one column
        sent = int(low[0]) + (int(high[0]) << 64) + 1
        factor = (guess - held[0]) % 2**64  # component 2 of the secret, which is both factors
        form = int(form_low[0]) + (int(form_high[0]) << 64) + (int(drawn[1][0]) + int(drawn[1][1])) * factor
        return [*(np.array([n % 2**64], dtype=np.uint64) for n in (sent, sent >> 64, form, form >> 64)), total]

    monkeypatch.setattr(numbers.Left, "message", cheated)

    def program(backend: ReplicatedMacBackend) -> Any:
        x = backend.input("p1", words([secret]) if backend.me == "p1" else None, (1,))
        if backend.me == "p0":
            assert x.pair is not None
            held.append(int(x.pair[1][0]))  # component 1, and component 0 is zero
        return backend.open(backend.multiply([(x, x)]), ["p1"])

    found = outcomes(in_memory(PARTIES, deadline_s=60), program)  # type: ignore[arg-type]
    assert isinstance(found["p1"], list) == (not masked and guess == secret), found
