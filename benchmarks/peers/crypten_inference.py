"""Inference with CrypTen over gloo and loopback.

``--protocol third-party`` or ``first-party`` names the one that provides the triples. Party 0 owns the model, party 1
the queries. A third process provides if it is the third party. Weights are shared once. A query's time runs from its
float input at party 1 to its float logits there.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from common import Model, arguments, peak_memory_mb, report, timed

OWNER, QUERYING = 0, 1
PROVIDERS = {"third-party": "TTP", "first-party": "TFP"}


def import_crypten() -> Any:
    """CrypTen 0.4.1 looks for a module of torch where older releases had it."""
    from torch.onnx._internal.torchscript_exporter import registration

    sys.modules["torch.onnx._internal.registration"] = registration
    import crypten

    return crypten


def party(rank: int, pipe: Connection | None, chosen: Any, rendezvous: str) -> None:
    """One party's process; the querying one sends its result through ``pipe``, the owner its memory."""
    os.environ.update(
        RANK=str(rank),
        WORLD_SIZE="2",
        RENDEZVOUS=rendezvous,
        DISTRIBUTED_BACKEND="gloo",
        GLOO_SOCKET_IFNAME="lo",
        OMP_NUM_THREADS="1",
    )
    crypten = import_crypten()
    import torch
    from crypten import communicator

    torch.set_num_threads(1)
    crypten.cfg.mpc.provider = PROVIDERS[chosen.protocol]
    crypten.init()
    if rank == 2:
        from crypten.mpc.provider.ttp_provider import TTPServer

        TTPServer()
        return
    model = Model.read(chosen.model, chosen.batch)
    inputs = torch.tensor(model.inputs)

    def shared(array: Any, owner: int) -> Any:
        return crypten.cryptensor(array if rank == owner else torch.zeros_like(array), src=owner)

    weights = []
    for kind, numbers in model.layers:
        if kind in ("Conv2d", "Linear"):
            weight, bias = (torch.tensor(numbers[name]).float() for name in ("weight", "bias"))
            images = kind == "Conv2d"
            weights.append(shared(weight if images else weight.t().contiguous(), OWNER))
            weights.append(shared(bias.view(1, -1, 1, 1) if images else bias, OWNER))

    def query() -> np.ndarray:
        values, remaining = shared(inputs, QUERYING), iter(weights)
        for kind, numbers in model.layers:
            if kind == "Conv2d":
                rows, _, columns, _ = numbers["padding"].tolist()
                stride = tuple(numbers["stride"].tolist())
                values = values.conv2d(next(remaining), stride=stride, padding=(rows, columns)) + next(remaining)
            elif kind == "Linear":
                values = values.matmul(next(remaining)) + next(remaining)
            elif kind == "ReLU":
                values = values.relu()
            else:
                values = values.reshape(values.size(0), -1)
        opened = values.get_plain_text(dst=QUERYING)
        communicator.get().barrier()
        return np.asarray(opened) if rank == QUERYING else model.logits

    communicator.get().barrier()
    measured = timed(query, model.logits, chosen.runs)
    if pipe is not None:
        pipe.send({"peer": "CrypTen 0.4.1", **measured} if rank == QUERYING else peak_memory_mb())
    os._exit(0)  # its threads do not end by themselves


def main() -> None:
    chosen = arguments(list(PROVIDERS))
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = f"file://{folder}/rendezvous"
        processes = []
        for rank in range(3 if chosen.protocol == "third-party" else 2):
            pipe = pipes[rank][1] if rank < 2 else None
            processes.append(context.Process(target=party, args=(rank, pipe, chosen, rendezvous)))
            processes[-1].start()
        for _, sending in pipes:
            sending.close()
        try:
            owner_memory = pipes[OWNER][0].recv()
            report({**pipes[QUERYING][0].recv(), "other_memory_mb": [owner_memory]})
        except EOFError:
            sys.exit(1)  # the party that ended has said why
        finally:
            for process in processes[:2]:
                process.join(10)
            for process in processes:
                process.kill()


if __name__ == "__main__":
    main()
