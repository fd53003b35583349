"""Training on real data, and what more parties and larger batches cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.peers.works import SHALLOW
from benchmarks.tensors.data import has_mnist
from benchmarks.tensors.groups import GroupError
from benchmarks.tensors.parties import Cast, cast
from benchmarks.tensors.rows import ROWS, Sides, compare, network, our_side

Keep = Callable[[str, Any], None]

ACCURACY_LIMIT_S = 180.0
COUNTS = (2, 3, 5, 10)
SHARED_BY_MORE = ("relu", "logistic", "mlp")
BATCHES = (16, 64, 128, 512)


def accuracy_works() -> dict[str, dict[str, Any]]:
    """Return orders by title."""
    images = "MNIST" if has_mnist() else "scikit-learn's digits"
    return {
        f"logistic regression, breast cancer, {steps} steps": {"work": "logistic", "steps": steps, "real": True}
        for steps in (10, 50)
    } | {f"MLP, {images}, {steps} batches": network(SHALLOW, steps) | {"real": True} for steps in (20, 62)}


def measure_accuracy(casts: Sequence[Cast], keep: Keep) -> None:
    """Train on real data with each back-end, once. The same training in floats stands beside it."""
    with Sides(ACCURACY_LIMIT_S) as sides:
        for title, order in accuracy_works().items():
            found: dict[str, Any] = {}
            for each in casts:
                try:
                    once = sides.once(our_side(each), order, check=True)
                    found[each.backend] = {"ms": [once.ms], **once.said}
                except GroupError as error:
                    found[each.backend] = {"missing": str(error)}
            keep(title, found)


def measure_parties(backends: Sequence[str], rounds: int, keep: Keep) -> None:
    """Do some of the work with more computing parties, for the back-ends that can have them."""
    for backend in backends:
        for count in COUNTS:
            found = cast(backend, count)
            if found is None:
                continue
            with Sides() as sides:
                for row in ROWS:
                    if row.name in SHARED_BY_MORE:
                        measured = compare(sides, [our_side(found)], row.order, rounds)
                        keep(f"{backend}, {count} parties, {row.name}", measured[backend] | {"count": count})


def measure_batches(casts: Sequence[Cast], rounds: int, keep: Keep) -> None:
    """Do a step of training with small and large batches."""
    with Sides() as sides:
        for batch in BATCHES:
            keep(f"{batch}", compare(sides, [our_side(each) for each in casts], network(SHALLOW, 1, batch), rounds))
