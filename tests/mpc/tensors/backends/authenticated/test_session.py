"""What the back-end refuses, what it says of itself, and what its steps cost."""

from __future__ import annotations

import numpy as np
import pytest

import mpc.tensors as pt
from mpc.channels.memory import memory_pair
from mpc.errors import DeadlineError, ParameterError, ProtocolError, RangeError, TransportError
from mpc.ring import Words
from mpc.tensors.backends.authenticated.backend import DealerMacBackend
from mpc.tensors.backends.authenticated.memory import in_memory
from mpc.tensors.backends.authenticated.picking import picking_of
from mpc.tensors.backends.authenticated.values import Value
from mpc.tensors.network import Network
from tests.mpc.tensors.backends.session import OUTSIDE, PROVIDER, names, outcomes, run, signed, transcript, words

X = np.arange(-6, 6).reshape(3, 4)


def input_of(backend: DealerMacBackend, owner: str = "p0", value: np.ndarray = X) -> Value:
    return backend.input(owner, words(value) if backend.me == owner else None, value.shape)


@pytest.mark.parametrize(("parties", "provider", "bits", "sentence"), [
    (("a", "b"), "b", 64, "expected a provider of correlations that does not compute, found b, who could open every"),
    (("a",), "c", 64, "expected at least 2 computing parties, found 1"),
    (("a", "b", "a"), "c", 64, "expected every party once, found a, b, a, c"),
    (("a", "b"), "c", 32, "expected a ring of 64 bits for dealer_mac, found 32 bits"),
    (("a", "b"), "c", 128, "found 128 bits"),
    (("d", "b"), "c", 64, "expected one of d, b, c, found a"),
])  # fmt: skip
def test_parties_and_rings_that_it_cannot_have(
    parties: tuple[str, ...], provider: str, bits: int, sentence: str
) -> None:
    network = Network("a", {name: memory_pair("a", name)[0] for name in {*parties, provider} - {"a"}})
    with pytest.raises(ParameterError, match=sentence):
        DealerMacBackend.join(network, computing=parties, provider=provider, ring_bits=bits)


def test_an_outside_party_needs_a_channel_to_the_provider() -> None:
    network = Network("o", {name: memory_pair("o", name)[0] for name in ("a", "b")})
    with pytest.raises(ParameterError, match=r"expected o to have channels to \['a', 'b', 'c'\], found \['a', 'b'\]"):
        DealerMacBackend.join(network, computing=("a", "b"), provider="c", outside=("o",))


def test_arguments_that_do_not_fit_are_refused_before_anything_is_sent() -> None:
    backends = in_memory(names(2), PROVIDER, kept=True)
    other = run(in_memory(names(2), PROVIDER), input_of)

    def program(backend: DealerMacBackend) -> tuple[int, int]:
        x = input_of(backend)
        sent = backend.cost.sent
        for call, kind, sentence in [
            (lambda: backend.add(x, backend.constant(words([1, 2, 3]))), ParameterError, "shapes that broadcast"),
            (lambda: backend.matmul([(x, x)]), ParameterError, "expected matrices"),
            (lambda: backend.keep_if([x], []), ParameterError, "expected a value for each of 1 bits, found 0"),
            (lambda: backend.constant(np.ones(3)), ParameterError, "found one of float64"),
            (lambda: backend.linear(np.negative, (2,)), ParameterError, "expected at least one value, found none"),
            (lambda: backend.negative([x], 2**63), RangeError, "found 9223372036854775808"),
            (lambda: backend.truncate([x], 2, 2**62, "floor"), RangeError, "found 4611686018427387904"),
            (lambda: backend.open([x], [PROVIDER]), ParameterError, "compute or are outside, found carol"),
            (lambda: backend.input(PROVIDER, None, (1,)), ParameterError, "owner that computes or is outside"),
            (lambda: backend.add(x, other[backend.me]), ParameterError, "in this session, found one of"),
            (lambda: backend.add(x, X), ParameterError, "expected a shared array of this back-end, found a ndarray"),
        ]:  # fmt: skip
            with pytest.raises(kind, match=sentence):
                call()
        return sent, backend.cost.sent

    for before, after in run(backends, program).values():
        assert before == after


def test_a_function_that_treats_shares_otherwise_than_public_arrays_is_refused() -> None:
    backends = in_memory(names(2), PROVIDER, deadline_s=60)

    def program(backend: DealerMacBackend) -> None:
        x = input_of(backend)
        if backend.me == PROVIDER:
            return
        calls = iter(range(10))
        with pytest.raises(ParameterError, match="does with every array what it did with another"):
            backend.linear(lambda a: -a if next(calls) == 0 else a, X.shape, x)

    outcomes(backends, program)


LINEAR = {
    "picks": (lambda a: a[::-1, 1:3], True),
    "repeats": (lambda a: np.repeat(a, 3, axis=1), True),
    "signs": (lambda a: np.where(np.arange(4) % 2 == 0, a, np.uint64(0) - a), True),
    "zeros": (lambda a: np.pad(a, 1), True),
    "scales": (lambda a: a * np.array([3, 2**63, 2**64 - 5, 0], dtype=np.uint64), True),
    "scales by broadcasting": (lambda a: a[None] * np.arange(1, 3, dtype=np.uint64).reshape(2, 1, 1), True),
    "sums": (lambda a: a.sum(axis=0), False),
    "products": (lambda a: a @ np.full((4, 2), 2**40 + 1, dtype=np.uint64), False),
    "1 + 1, which looks as 2": (lambda a: a[:1, :1] + a[:1, :1], False),
    "1 + 2, which looks as 3": (lambda a: a[:1, :1] + a[:1, 1:2], False),
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_functions_are_exact_whether_they_are_picked_or_dealt(name: str) -> None:
    """Of an input, of a product that has no mask yet, and of a bit, and in a product after that."""
    function, picked = LINEAR[name]
    shape = function(np.zeros(X.shape, dtype=np.uint64)).shape
    assert (picking_of(function, [X.shape], shape) is not None) == picked
    backends = in_memory(names(2), PROVIDER)

    def program(backend: DealerMacBackend) -> list[Words] | None:
        x = input_of(backend)
        (bit,) = backend.negative([x], 6)
        values = [x, *backend.multiply([(x, x)]), bit]
        results = [backend.linear(function, shape, value) for value in values]
        squares = backend.multiply([(result, result) for result in results])
        return backend.open([*results, *squares], ["p1"])

    found = run(backends, program)["p1"]
    assert found is not None
    results = [np.asarray(function(words(value))) for value in (X, X * X, X < 0)]
    for opened, wanted in zip(found, [*results, *(result * result for result in results)], strict=True):
        assert (opened == wanted).all()


def test_it_says_whom_to_trust_and_what_it_cost() -> None:
    backends = in_memory(names(3), PROVIDER, (OUTSIDE,))
    rounds: dict[str, list[int]] = {name: [] for name in backends}

    def program(backend: DealerMacBackend) -> None:
        x = input_of(backend, OUTSIDE)
        rounds[backend.me].append(backend.cost.rounds)
        (y,) = backend.multiply([(x, x)])
        rounds[backend.me].append(backend.cost.rounds)
        backend.negative([x], 7)
        rounds[backend.me].append(backend.cost.rounds)
        backend.truncate([y], 2, 36, "stochastic")
        rounds[backend.me].append(backend.cost.rounds)
        backend.open([x], [OUTSIDE])

    run(backends, program)
    assert backends["p0"].trust == (
        "dealer_mac: carol, who deals the correlations, follows the protocol and colludes with nobody; up to 2 of the "
        "3 computing parties may collude and cheat, which ends the session before anything wrong is revealed, but for "
        "a probability below 2^-45"
    )
    # An input is masked from the start. 3 low bits are one group, so the bit to the ring is all. y is opened once.
    assert rounds["p0"] == rounds["p2"] == [0, 0, 1, 2]
    # Before an output four rounds check, one opens, and four check it. An outside reader waits once.
    assert [backends[name].cost.rounds for name in ("p0", "p1", "p2", PROVIDER, OUTSIDE)] == [11, 11, 11, 0, 1]
    given = backends["p0"].cost.correlations
    assert given == backends[PROVIDER].cost.correlations
    assert given == {"input": 12, "multiply": 12, "compare": 8 * 12, "bits to ring": 12, "truncate": 24, "output": 12}
    assert backends[OUTSIDE].cost.correlations == {}
    costs = [backend.cost for backend in backends.values()]
    assert sum(cost.sent for cost in costs) == sum(cost.received for cost in costs)


def test_a_product_of_new_values_takes_what_the_page_says() -> None:
    backends = in_memory(names(2), PROVIDER, kept=True)

    def program(backend: DealerMacBackend) -> None:
        x = input_of(backend)
        first, second = backend.multiply([(x, x), (x, x)])
        backend.multiply([(first, second)])

    run(backends, program)
    opened = [body for direction, label, body in transcript(backends["p0"], "p1") if label.startswith("open/0/masked")
              and direction == "sent"]  # fmt: skip
    dealt = [body for _, label, body in transcript(backends["p1"], PROVIDER) if label.startswith("dealt/2/multiply")]
    assert [len(body) / X.size for body in opened] == [32]
    assert [len(body) / X.size for body in dealt] == [56]


def test_a_tensor_is_opened_once_for_all_products() -> None:
    backends = in_memory(names(2), PROVIDER)

    def program(backend: DealerMacBackend) -> list[int]:
        x = input_of(backend)
        y = input_of(backend, "p1")
        counts = []
        for _ in range(2):
            rounds = backend.cost.rounds
            part = backend.linear(lambda a: a[:2], (2, 4), x)
            turned = backend.linear(np.transpose, (4, 3), y)
            (forward,) = backend.matmul([(part, turned)])
            backend.matmul([(backend.linear(np.transpose, (4, 2), part), forward)])
            counts.append(backend.cost.rounds - rounds)
        return counts

    assert run(backends, program)["p0"] == [1, 1]  # forward, which is new


@pytest.mark.parametrize("at_once", [64, 1000])
def test_comparisons_in_parts_are_right(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from mpc.tensors.backends.authenticated import comparison

    monkeypatch.setattr(comparison, "LARGEST_PART", at_once * 100)
    value = np.random.default_rng(1).integers(-100, 100, 257)
    backends = in_memory(names(2), PROVIDER)

    def program(backend: DealerMacBackend) -> list[Words] | None:
        x = input_of(backend, "p0", value)
        return backend.open([*backend.negative([x], 100), *backend.truncate([x], 3, 100, "floor")], ["p0"])

    found = run(backends, program)["p0"]
    assert found is not None
    assert (signed(found[0]) == (value < 0)).all()
    assert (signed(found[1]) == value >> 3).all()


def test_a_party_that_dies_or_is_silent_ends_the_others() -> None:
    for dies, kind in ((True, TransportError), (False, DeadlineError)):
        backends = in_memory(names(3), PROVIDER, deadline_s=60 if dies else 2)

        def program(backend: DealerMacBackend, dies: bool = dies) -> object:
            x = input_of(backend)
            if backend.me == "p1":
                if dies:
                    raise KeyboardInterrupt
                return None
            (y,) = backend.multiply([(x, x)])
            return backend.open(backend.multiply([(y, y)]), ["p0"])

        found = outcomes(backends, program)  # type: ignore[arg-type]
        assert isinstance(found["p0"], kind), found["p0"]
        assert isinstance(found["p2"], TransportError), found["p2"]


@pytest.mark.parametrize("size", [0, 287, 289])
def test_a_correction_of_another_length_is_refused(size: int) -> None:
    backends = in_memory(names(2), PROVIDER, deadline_s=60)

    def program(backend: DealerMacBackend) -> None:
        x = input_of(backend)
        if backend.me == PROVIDER:
            backend._network.channel("p1").send("dealt/1/multiply/3x4", bytes(size))
        else:
            backend.multiply([(x, x)])

    error = outcomes(backends, program)["p1"]  # type: ignore[arg-type]
    assert isinstance(error, ProtocolError)
    assert "step multiply carol: expected bytes in 'dealt/1/multiply/3x4'" in str(error)


def test_a_whole_program_trains_and_is_as_exact_as_floats() -> None:
    rng = np.random.default_rng(1)
    records, labels = rng.normal(size=(20, 4)).clip(-4, 4), rng.integers(0, 3, 20)

    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("alice", lambda: records, shape=(20, 4), bound=4)
        y = s.input("bob", lambda: np.eye(3)[labels], shape=(20, 3), bound=(0, 1), whole=True)
        net = pt.nn.Sequential(pt.nn.Linear(4, 5), pt.nn.ReLU(limit=8), pt.nn.Linear(5, 3))
        optimiser = pt.optim.SGD(net.parameters(), lr=0.5)
        for _ in range(2):
            loss = pt.nn.cross_entropy(net(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return {
            "weights": net.weights().reveal(to=["alice", "olga"]),
            "classes": net(x).argmax(axis=1).reveal(to=["alice"]),
        }

    result = pt.simulate(program, ("alice", "bob"), backend="dealer_mac", dealer="carol", outside=("olga",), check=True)
    assert result.deviations["weights"] < 0.01
    assert (result.outputs["olga"]["weights"] == result.outputs["alice"]["weights"]).all()
    assert max(result.used_error.values()) <= 1
    assert result.trust.startswith("dealer_mac: carol, who deals the correlations, follows the protocol")


def test_what_a_program_costs_is_foreseen() -> None:
    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("olga", lambda: np.array([[1.5, -2], [3, 0.25]]), shape=(2, 2), bound=4)
        return {"shown": (x @ x).sigmoid().reveal(to=["alice", "olga"]), "sum": x.sum().reveal(to="bob")}

    where = {"parties": ("alice", "bob"), "backend": "dealer_mac", "dealer": "carol", "outside": ("olga",)}
    assert pt.cost(program, **where).costs == pt.simulate(program, **where).costs  # type: ignore[arg-type]


def test_a_simulation_without_a_dealer_is_refused() -> None:
    with pytest.raises(ParameterError, match="expected dealer=…, a party that provides correlations"):
        pt.simulate(lambda s: {}, backend="dealer_mac")
