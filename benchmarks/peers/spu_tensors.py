"""SPU doing the works of ``benchmarks.tensors``, by ``--protocol cheetah``, ``semi2k`` or ``aby3``, over brpc.

Each rank is a process of its own. The first two own the inputs in turn. An owner makes all shares of its input and
leaves them in a folder, from where the others take theirs. That does not count. In training, values that one party owns
stay with it where the protocol can make use of that (Cheetah). In single operations they are shared without an owner,
because their owner would compare them in the clear.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from orders import Order, Orders, Prepared, RefusedError
from works import RATE, SINGLE, TRAINING, first_weights, images, records, rows_of, train_logistic, train_network

# CheetahConfig.ot_kind = EMP_Ferret, the fastest here: field 72, which the Python binding of 0.9.5 does not show.
FERRET = bytes([0xC2, 0x04, 0x02, 0x18, 0x02])
WAIT_S = 60.0


def settings_of(protocol: str) -> Any:
    from spu import libspu

    kind = libspu.ProtocolKind.__members__[protocol.upper()]
    settings = libspu.RuntimeConfig(protocol=kind, field=libspu.FieldType.FM64)
    if protocol == "cheetah":
        settings.experimental_enable_colocated_optimization = True
        settings.ParseFromString(settings.SerializeToString() + FERRET)
    return settings


def functions(order: Order) -> Any:
    """Return the order's function of its arrays."""
    import jax
    import jax.numpy as jnp

    def logistic(x: Any, y: Any, weight: Any, bias: Any) -> Any:
        for _ in range(order["steps"]):
            error = jax.nn.sigmoid(x @ weight + bias) - y
            weight = weight - x.T @ error * (RATE / len(x))
            bias = bias - error.sum(axis=0) * (RATE / len(x))
        return weight, bias

    def network(x: Any, y: Any, *weights: Any) -> Any:
        batch = order["batch"]
        for step in range(order["steps"]):
            rows = rows_of(step, batch, len(x))
            hidden, kept = [x[rows]], [None]
            for weight in weights[:-1]:
                z = hidden[-1] @ weight
                kept.append(z > 0)
                hidden.append(z * kept[-1])
            error = (jax.nn.softmax(hidden[-1] @ weights[-1], axis=1) - y[rows]) * (1 / batch)
            moved = []
            for place in reversed(range(len(weights))):
                moved.append(weights[place] - hidden[place].T @ error * order["rate"])
                if place:
                    error = (error @ weights[place].T) * kept[place]
            weights = tuple(reversed(moved))
        return weights

    return {
        "multiply": lambda x, y: (x * y,),
        "matmul": lambda x, y: (x @ y,),
        "relu": lambda x: (jnp.maximum(x, 0),),
        "argmax": lambda x: (jnp.argmax(x, axis=1),),
        "logistic": logistic,
        "mlp": network,
    }[order["work"]]


def arrays_of(order: Order) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the order's inputs and what it must give."""
    if order["work"] in SINGLE:
        work = SINGLE[order["work"]]
        values = work.inputs(order["size"])
        return values, [work.reference(*values)]
    if order["work"] not in TRAINING:
        raise RefusedError(f"SPU has no {order['work']} here")
    if order["work"] == "logistic":
        x, y = records()
        zeros = [np.zeros((x.shape[1], 1)), np.zeros(1)]
        return [x, y, *zeros], list(train_logistic(x, y, order["steps"]))
    batch, steps, sizes = order["batch"], order["steps"], tuple(order["sizes"])
    x, y = images(batch * min(steps, 62))
    return [x, y, *first_weights(sizes)], train_network(sizes, x, y, batch, steps, order["rate"])


class Works:
    """One rank's side of every work."""

    def __init__(self, rank: int, runtime: Any, settings: Any, parties: int, folder: Path) -> None:
        import spu

        self.rank, self.runtime, self.parties, self.folder = rank, runtime, parties, folder
        self.colocated = settings.experimental_enable_colocated_optimization
        self.io = spu.Io(parties, settings)
        self.number = 0
        self.programs: dict[str, Any] = {}

    def compiled(self, order: Order, arrays: list[np.ndarray], outputs: int) -> Any:
        from spu import libspu
        from spu.utils import frontend

        key = repr(sorted((name, value) for name, value in order.items() if name != "do"))
        if key not in self.programs:
            names = [f"in{place}" for place in range(len(arrays))]
            secret = [libspu.Visibility.VIS_SECRET] * len(arrays)
            program, _ = frontend.compile(
                frontend.Kind.JAX,
                functions(order),
                arrays,
                {},
                names,
                secret,
                lambda out: [f"out{place}" for place in range(outputs)],
            )
            self.programs[key] = program
        return self.programs[key]

    def prepare(self, order: Order) -> Prepared:
        values, expected = arrays_of(order)
        arrays = [array.astype(np.float32) for array in values]
        program = self.compiled(order, arrays, len(expected))
        for place, array in enumerate(arrays):
            self.runtime.set_var(f"in{place}", self.share(array, place % 2, order["work"] in TRAINING))

        def run() -> None:
            self.runtime.run(program)

        def check(_: None) -> dict[str, float]:
            opened = [self.open(f"out{place}") for place in range(len(expected))]
            if self.rank != 0:
                return {}
            return {"error": max(float(np.abs(mine - his).max()) for mine, his in zip(opened, expected, strict=True))}

        return run, check

    def share(self, array: np.ndarray, owner: int, owned: bool) -> Any:
        """Return this rank's share of the owner's array. The owner leaves the others'. It may stay known to it."""
        from spu import libspu

        self.number += 1
        if self.rank != owner:
            return self.take(f"{self.number}-{self.rank}")
        shares = self.io.make_shares(array, libspu.Visibility.VIS_SECRET, owner if self.colocated and owned else -1)
        for rank, share in enumerate(shares):
            if rank != owner:
                self.leave(f"{self.number}-{rank}", share)
        return shares[owner]

    def open(self, name: str) -> Any:
        """Return the opened value at rank 0. The others leave their shares for it."""
        self.number += 1
        share = self.runtime.get_var(name)
        if self.rank != 0:
            return self.leave(f"{self.number}-{self.rank}", share)
        others = [self.take(f"{self.number}-{rank}") for rank in range(1, self.parties)]
        return np.asarray(self.io.reconstruct([share, *others]))

    def leave(self, name: str, share: Any) -> None:
        parts = {"meta": share.meta} | {str(place): chunk for place, chunk in enumerate(share.share_chunks)}
        unfinished = self.folder / f".{name}.npz"
        np.savez(unfinished, **{key: np.frombuffer(part, np.uint8) for key, part in parts.items()})
        unfinished.rename(self.folder / f"{name}.npz")

    def take(self, name: str) -> Any:
        from spu import libspu

        path, expires = self.folder / f"{name}.npz", time.monotonic() + WAIT_S
        while not path.exists():
            if time.monotonic() > expires:
                raise TimeoutError(f"no shares within {WAIT_S:g} s")
            time.sleep(0.002)
        share = libspu.Share()
        with np.load(path) as parts:
            share.meta = parts["meta"].tobytes()
            share.share_chunks = [parts[str(place)].tobytes() for place in range(len(parts.files) - 1)]
        path.unlink()
        return share


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocol", choices=("cheetah", "semi2k", "aby3"), required=True)
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--orders", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--hosts", nargs="+", required=True)
    parser.add_argument("--ports", nargs="+", required=True)
    chosen = parser.parse_args()
    import spu
    from spu import libspu

    link = libspu.link.Desc()
    link.recv_timeout_ms = 1_800_000
    for index, (host, port) in enumerate(zip(chosen.hosts, chosen.ports, strict=True)):
        link.add_party(f"party{index}", f"{host}:{port}")
    settings = settings_of(chosen.protocol)
    runtime = spu.Runtime(libspu.link.create_brpc(link, chosen.rank), settings)
    works = Works(chosen.rank, runtime, settings, len(chosen.hosts), chosen.folder)
    Orders(chosen.orders, f"rank{chosen.rank}").take_all(works.prepare)
    os._exit(0)  # its threads do not end by themselves


if __name__ == "__main__":
    main()
