"""What is measured beside the networks: works with their peers, training on real data, more parties, larger batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.peers.works import SHALLOW
from benchmarks.tensors.data import has_mnist
from benchmarks.tensors.groups import GroupError
from benchmarks.tensors.parties import Cast, cast
from benchmarks.tensors.rows import (
    ROWS,
    Found,
    Row,
    Sides,
    compare,
    logistic,
    network,
    our_side,
    peer_side,
    peers_of,
    too_long,
)  # fmt: skip

Todo = Callable[[str, str], bool]
Keep = Callable[[str, str, Any], None]

ACCURACY_LIMIT_S = 180.0
COUNTS = (2, 3, 5, 10)
SHARED_BY_MORE = ("relu", "logistic", "mlp")
BATCHES = (16, 64, 128, 512)


def accuracy_works() -> dict[str, dict[str, Any]]:
    """Return orders by title."""
    images = "MNIST" if has_mnist() else "scikit-learn's digits"
    return {
        f"logistic regression, breast cancer, {steps} steps": logistic(steps) | {"real": True} for steps in (10, 50)
    } | {f"MLP, {images}, {steps} batches": network(SHALLOW, steps) | {"real": True} for steps in (20, 62)}


def measure_rows(
    rows: Sequence[Row], casts: Sequence[Cast], pythons: Mapping[str, str], rounds: int, results: Found, keep: Keep
) -> None:
    """Do each piece of work with every back-end and every peer that can do it, in turn."""
    with Sides() as sides:
        for row in rows:
            wanted = [*map(our_side, casts)]
            wanted += [peer_side(peer, pythons[peer.environment]) for peer in peers_of(row.peers, pythons)]
            reasons = {side.name: too_long(row, results.get("rows", {}), side) for side in wanted}
            found = compare(sides, [side for side in wanted if not reasons[side.name]], row.order, rounds)
            left = {
                side.name: {"ours": side.ours, "missing": reasons[side.name]} for side in wanted if reasons[side.name]
            }
            keep("rows", row.name, found | left)


def measure_accuracy(casts: Sequence[Cast], todo: Todo, keep: Keep) -> None:
    """Train on real data with each back-end, once. The same training in floats stands beside it."""
    with Sides(ACCURACY_LIMIT_S) as sides:
        for title, order in accuracy_works().items():
            if not todo("accuracy", title):
                continue
            found: Found = {}
            for each in casts:
                try:
                    once = sides.once(our_side(each), order, check=True)
                    found[each.backend] = {"ms": [once.ms], **once.said}
                except GroupError as error:
                    found[each.backend] = {"missing": str(error)}
            keep("accuracy", title, found)


def measure_parties(backends: Sequence[str], rounds: int, todo: Todo, keep: Keep) -> None:
    """Do some of the work with more computing parties, for the back-ends that can have several numbers of them."""
    for backend in backends:
        casts = [found for count in COUNTS if (found := cast(backend, count)) is not None]
        for found in casts if len(casts) > 1 else []:
            with Sides() as sides:
                for row in ROWS:
                    title = f"{backend}, {found.computing} parties, {row.name}"
                    if row.name in SHARED_BY_MORE and todo("parties", title):
                        measured = compare(sides, [our_side(found)], row.order, rounds)[backend]
                        keep("parties", title, measured | {"count": found.computing})


def measure_batches(casts: Sequence[Cast], rounds: int, todo: Todo, keep: Keep) -> None:
    """Do a step of training with small and large batches."""
    with Sides() as sides:
        for batch in BATCHES:
            if todo("batches", f"{batch}"):
                wanted = [our_side(each) for each in casts]
                keep("batches", f"{batch}", compare(sides, wanted, network(SHALLOW, 1, batch), rounds))
