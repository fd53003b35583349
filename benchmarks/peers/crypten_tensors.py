"""CrypTen doing the works of ``benchmarks.tensors``, over gloo. Each rank is a process of its own.

``--protocol third-party`` or ``first-party`` names the one that provides the triples. Rank 2 is the third party. The
first two own the inputs in turn. A network is trained without CrypTen's own layers, in the same steps as the project's.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import numpy as np
from orders import Order, Orders, Prepared, RefusedError
from works import RATE, SINGLE, TRAINING, first_weights, images, records, rows_of, train_logistic, train_network

PROVIDERS = {"third-party": "TTP", "first-party": "TFP"}


def import_crypten() -> Any:
    """CrypTen 0.4.1 looks for a module of torch where older releases had it."""
    from torch.onnx._internal.torchscript_exporter import registration

    sys.modules["torch.onnx._internal.registration"] = registration
    import crypten

    return crypten


class Works:
    """One rank's side of every work."""

    def __init__(self, crypten: Any, torch: Any, rank: int) -> None:
        self.crypten, self.torch, self.rank = crypten, torch, rank

    def shared(self, array: np.ndarray, owner: int) -> Any:
        values = self.torch.tensor(array, dtype=self.torch.float32)
        return self.crypten.cryptensor(values if self.rank == owner else self.torch.zeros_like(values), src=owner)

    def opened(self, tensor: Any) -> np.ndarray:
        return np.asarray(tensor.get_plain_text(dst=0))

    def errors(self, tensors: list[Any], expected: list[np.ndarray]) -> dict[str, float]:
        found = [self.opened(tensor) for tensor in tensors]
        if self.rank != 0:
            return {}
        return {"error": max(float(np.abs(mine - his).max()) for mine, his in zip(found, expected, strict=True))}

    def prepare(self, order: Order) -> Prepared:
        if order["work"] in SINGLE:
            return self.single(order)
        if order["work"] not in TRAINING:
            raise RefusedError(f"CrypTen has no {order['work']} here")
        return self.logistic(order) if order["work"] == "logistic" else self.network(order)

    def single(self, order: Order) -> Prepared:
        work = SINGLE[order["work"]]
        values = work.inputs(order["size"])
        tensors = [self.shared(array, place % 2) for place, array in enumerate(values)]
        run = {
            "multiply": lambda: tensors[0] * tensors[1],
            "matmul": lambda: tensors[0].matmul(tensors[1]),
            "relu": tensors[0].relu,
            "argmax": lambda: tensors[0].argmax(dim=1, one_hot=False),
        }[order["work"]]
        return run, lambda result: self.errors([result], [work.reference(*values).reshape(tuple(result.size()))])

    def logistic(self, order: Order) -> Prepared:
        x, y = records()
        values, labels = self.shared(x, 0), self.shared(y, 1)
        state = [self.shared(np.zeros((x.shape[1], 1)), 0), self.shared(np.zeros(1), 0)]

        def run() -> list[Any]:
            weight, bias = state
            for _ in range(order["steps"]):
                error = (values.matmul(weight) + bias).sigmoid() - labels
                weight = weight - values.t().matmul(error) * (RATE / len(x))
                bias = bias - error.sum(0) * (RATE / len(x))
            return [weight, bias]

        return run, lambda result: self.errors(result, list(train_logistic(x, y, order["steps"])))

    def network(self, order: Order) -> Prepared:
        batch, steps, rate, sizes = order["batch"], order["steps"], order["rate"], tuple(order["sizes"])
        x, y = images(batch * min(steps, 62))
        values, classes = self.shared(x, 0), self.shared(y, 1)
        first = [self.shared(weight, 0) for weight in first_weights(sizes)]

        def run() -> list[Any]:
            weights = list(first)
            for step in range(steps):
                rows = rows_of(step, batch, len(x))
                hidden, kept = [values[rows]], [None]
                for weight in weights[:-1]:
                    z = hidden[-1].matmul(weight)
                    kept.append(z._gtz() if hasattr(z, "_gtz") else z > 0)
                    hidden.append(z * kept[-1])
                error = (hidden[-1].matmul(weights[-1]).softmax(1) - classes[rows]) * (1 / batch)
                moved = []
                for place in reversed(range(len(weights))):
                    moved.append(weights[place] - hidden[place].t().matmul(error) * rate)
                    if place:
                        error = error.matmul(weights[place].t()) * kept[place]
                weights = moved[::-1]
            return weights

        return run, lambda result: self.errors(result, train_network(sizes, x, y, batch, steps, rate))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocol", choices=PROVIDERS, required=True)
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--orders", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--hosts", nargs="+", required=True)
    parser.add_argument("--ports", nargs="+", required=True)
    chosen = parser.parse_args()
    os.environ.update(
        RANK=str(chosen.rank),
        WORLD_SIZE="2",
        RENDEZVOUS=f"file://{chosen.folder}/rendezvous",
        DISTRIBUTED_BACKEND="gloo",
        OMP_NUM_THREADS="1",
    )
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    crypten = import_crypten()
    import torch

    torch.set_num_threads(1)
    crypten.cfg.mpc.provider = PROVIDERS[chosen.protocol]
    name = f"rank{chosen.rank}"
    if chosen.rank == 2:
        from crypten.mpc.provider.ttp_provider import TTPServer

        Orders(chosen.orders, name, works=False)
        crypten.init()
        TTPServer()
        return
    crypten.init()
    Orders(chosen.orders, name).take_all(Works(crypten, torch, chosen.rank).prepare)
    os._exit(0)  # its threads do not end by themselves


if __name__ == "__main__":
    main()
