"""What one party that is curious would see if something did not hide a message, and that with it there is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpc.ring import Words
from mpc.tensors.backends.replicated_mac import numbers
from mpc.tensors.backends.replicated_mac.backend import ReplicatedMacBackend
from mpc.tensors.backends.replicated_mac.guarded import Guarded, Part
from mpc.tensors.backends.replicated_mac.memory import in_memory
from tests.mpc.tensors.backends.replicated_mac.cheating import PARTIES
from tests.mpc.tensors.backends.session import run, transcript, words

X = words(np.random.default_rng(3).integers(-1000, 1000, 600))


def inverse(odd: Words) -> Words:
    """The inverses of odd numbers modulo 2^64, by Newton's steps."""
    found = odd.copy()
    for _ in range(6):
        found *= np.uint64(2) - odd * found
    return found


def input_of(backend: ReplicatedMacBackend, owner: str, value: Words) -> Any:
    return backend.input(owner, value if backend.me == owner else None, value.shape)


@pytest.mark.parametrize("defended", [True, False])
def test_a_share_of_a_product_shows_a_factor_without_the_words_of_a_key(
    defended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What p0 sends p1 of x y is x_0 y_1, whose y is p1's, but for what hides it. p1 has x_1, and x_2 is zero."""
    if not defended:
        hides = Guarded._hides

        def weak(trio: Guarded, prover: int, part: Part) -> Words | None:
            found = hides(trio, prover, part)
            return None if found is None else np.zeros_like(found)

        monkeypatch.setattr(Guarded, "_hides", weak)
    backends = in_memory(PARTIES, kept=True)

    def program(backend: ReplicatedMacBackend) -> tuple[Any, Any]:
        x, y = input_of(backend, "p0", X), input_of(backend, "p1", X)
        backend.multiply([(x, y)])
        return x.pair, y.pair

    x, y = run(backends, program)["p1"]
    (message,) = [
        np.frombuffer(body, dtype=np.uint64)
        for direction, label, body in transcript(backends["p1"], "p0")  # type: ignore[arg-type]
        if direction == "received" and label.startswith("share/products")
    ]
    odd = (y[0] & np.uint64(1)).astype(bool)
    found = (message * inverse(y[0] | np.uint64(1)) + x[0])[odd]
    assert 200 < odd.sum() < 400
    assert (found == X[odd]).sum() == (0 if defended else odd.sum())


class _Zeros:
    """A stream that hides nothing."""

    def words(self, shape: Any) -> Words:
        return np.zeros(shape, dtype=np.uint64)


SECRET = 777


@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.parametrize("purpose", ["left mask", "gram", "uppers"])
def test_a_proof_tests_a_guess_of_a_factor_without_what_hides_it(
    purpose: str, hidden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """p2 checks p1's proof of x x, whose x is p1's. It has x_2, and x_0 is zero, so that a guess of x is one of x_1.

    All that it gets is tried: what the left verifier sends, a product of rows, and the upper word of the products.
    """
    if not hidden:
        plain = Guarded.stream
        monkeypatch.setattr(
            Guarded,
            "stream",
            lambda trio, component, what, owner="": (
                _Zeros() if what == purpose else plain(trio, component, what, owner)
            ),
        )
    seen: list[tuple[numbers.Right, Words, Words]] = []
    holds = numbers.Right.holds

    def look(right: numbers.Right, of_prover: Words, of_left: Words) -> bool:
        if right._sums:  # only p2 has a proof to check
            seen.append((right, of_prover, of_left))
        return holds(right, of_prover, of_left)

    monkeypatch.setattr(numbers.Right, "holds", look)

    def program(backend: ReplicatedMacBackend) -> Any:
        x = input_of(backend, "p1", words([SECRET]))
        backend.open(backend.multiply([(x, x)]), ["p1"])
        return x.pair

    x_2 = int(run(in_memory(PARTIES), program)["p2"][0][0])
    ((right, of_prover, of_left),) = seen
    coin = int(right._coins[0][0][0])
    rho = [int(each) for each in right._blocks[0][0]]

    def fits(guess: int) -> bool:
        x_1 = (guess - x_2) % 2**64
        if purpose == "left mask":
            combined = (rho[0] + rho[1]) * (coin * x_1) % 2**128
            return int(of_left[0]) + (int(of_left[1]) << 64) == combined
        if purpose == "gram":
            low, high = of_prover[1:].reshape(2, numbers.ROWS + 1, numbers.ROWS + 1)[:, 1, 1]
            return int(low) + (int(high) << 64) == coin * x_1 * x_2 % 2**128
        upper = (2 * x_1 * x_2) >> 64
        return (upper - int(of_prover[0])) % 2**64 in (0, 1)  # one less where the lower words wrap

    assert fits(SECRET) == (not hidden)
    assert not fits(SECRET + 2**40)
