"""Inference with SPU, by ``--protocol cheetah``, ``semi2k`` or ``aby3``, in a process for each party over loopback TCP.

Party 0 owns the model, party 1 the queries. ABY3's party 2 owns nothing. Weights are shared once. A query's time runs
from its float input at party 1 to its float logits there. Values that one party owns stay with it, where the protocol
can make use of that (Cheetah).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import socket
import sys
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from common import Model, arguments, peak_memory_mb, report, timed

OWNER, QUERYING = 0, 1
# CheetahConfig.ot_kind = EMP_Ferret, the fastest here: field 72, which the Python binding of 0.9.5 does not show.
FERRET = bytes([0xC2, 0x04, 0x02, 0x18, 0x02])


def network(kinds: list[str], numbers: list[dict[str, Any]]) -> Any:
    """The float function of the input and all weights, images as (batch, height, width, channels)."""
    import jax.numpy as jnp
    from jax import lax

    def logits(values: Any, *weights: Any) -> Any:
        remaining = iter(weights)
        for kind, numbers_of_layer in zip(kinds, numbers, strict=True):
            if kind == "Conv2d":
                top, bottom, left, right = numbers_of_layer["padding"].tolist()
                kernel, bias = next(remaining), next(remaining)
                names = ("NHWC", "HWIO", "NHWC")
                values = lax.conv_general_dilated(
                    values,
                    kernel,
                    numbers_of_layer["stride"].tolist(),
                    ((top, bottom), (left, right)),
                    dimension_numbers=names,
                )
                values = values + bias
            elif kind == "Linear":
                matrix, bias = next(remaining), next(remaining)
                values = values @ matrix + bias
            elif kind == "ReLU":
                values = jnp.maximum(values, 0)
            elif values.ndim == 4:
                values = values.transpose(0, 3, 1, 2).reshape(values.shape[0], -1)
        return values

    return logits


def weights_of(model: Model) -> list[np.ndarray]:
    """As :func:`network` takes them."""
    taken = []
    for kind, numbers in model.layers:
        if kind in ("Conv2d", "Linear"):
            axes = (2, 3, 1, 0) if kind == "Conv2d" else (1, 0)
            taken += [numbers["weight"].transpose(axes).astype(np.float32).copy(), numbers["bias"].astype(np.float32)]
    return taken


def settings_of(protocol: str) -> Any:
    from spu import libspu

    kind = libspu.ProtocolKind.__members__[protocol.upper()]
    settings = libspu.RuntimeConfig(protocol=kind, field=libspu.FieldType.FM64)
    if protocol == "cheetah":
        settings.experimental_enable_colocated_optimization = True
        settings.ParseFromString(settings.SerializeToString() + FERRET)
    return settings


def packed(share: Any) -> tuple[bytes, list[bytes]]:
    return share.meta, list(share.share_chunks)


def unpacked(parts: tuple[bytes, list[bytes]]) -> Any:
    from spu import libspu

    share = libspu.Share()
    share.meta, share.share_chunks = parts
    return share


def party(rank: int, ports: list[int], pipes: dict[int, Connection], chosen: Any, result: Connection | None) -> None:
    """One party's process; ``pipes`` lead to the querying party, or from it to the others."""
    import spu
    from spu import libspu
    from spu.utils import frontend

    model = Model.read(chosen.model, chosen.batch)
    weights, inputs = weights_of(model), model.inputs
    if inputs.ndim == 4:
        inputs = inputs.transpose(0, 2, 3, 1).copy()
    names = ["x", *(f"w{index}" for index in range(len(weights)))]
    secret = libspu.Visibility.VIS_SECRET
    function = network([kind for kind, _ in model.layers], [numbers for _, numbers in model.layers])
    program, _ = frontend.compile(
        frontend.Kind.JAX, function, [inputs, *weights], {}, names, [secret] * len(names), lambda out: ["y"]
    )

    settings = settings_of(chosen.protocol)
    colocated = settings.experimental_enable_colocated_optimization
    link = libspu.link.Desc()
    link.recv_timeout_ms = 300_000
    for index, port in enumerate(ports):
        link.add_party(f"party{index}", f"127.0.0.1:{port}")
    runtime = spu.Runtime(libspu.link.create_brpc(link, rank), settings)
    parties = len(ports)
    shares_io = spu.Io(parties, settings)

    def shared(array: np.ndarray, owner: int) -> list[Any]:
        return list(shares_io.make_shares(array, secret, owner if colocated else -1))

    # The owner's weights, once: by way of the querying party, which every other party has a pipe to.
    if rank == OWNER:
        all_shares = [[packed(share) for share in shared(weight, OWNER)] for weight in weights]
        by_party = [[shares[index] for shares in all_shares] for index in range(parties)]
        pipes[QUERYING].send(by_party)
        mine = by_party[OWNER]
    elif rank == QUERYING:
        by_party = pipes[OWNER].recv()
        mine = by_party[QUERYING]
        for index in pipes.keys() - {OWNER}:
            pipes[index].send(by_party[index])
    else:
        mine = pipes[QUERYING].recv()
    for index, parts in enumerate(mine):
        runtime.set_var(f"w{index}", unpacked(parts))

    def query() -> np.ndarray:
        shares = shared(inputs, QUERYING)
        for index, pipe in pipes.items():
            pipe.send(packed(shares[index]))
        runtime.set_var("x", shares[QUERYING])
        runtime.run(program)
        results = {QUERYING: runtime.get_var("y"), **{index: unpacked(pipe.recv()) for index, pipe in pipes.items()}}
        return np.asarray(shares_io.reconstruct([results[index] for index in range(parties)]))

    if result is not None:
        measured = timed(query, model.logits, chosen.runs)
        memory = [pipe.recv() for pipe in pipes.values()]
        result.send({"peer": f"SPU {spu.__version__}", **measured, "other_memory_mb": memory})
    else:
        for _ in range(chosen.runs + 1):
            runtime.set_var("x", unpacked(pipes[QUERYING].recv()))
            runtime.run(program)
            pipes[QUERYING].send(packed(runtime.get_var("y")))
        pipes[QUERYING].send(peak_memory_mb())
    sys.stdout.flush()
    os._exit(0)  # its threads do not end by themselves


def free_ports(count: int) -> list[int]:
    """Below those that the system gives to outgoing connections: a party that dials early could take its peer's."""
    sockets: list[socket.socket] = []
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError):
            sockets.append(socket.create_server(("127.0.0.1", port)))
        if len(sockets) == count:
            break
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def main() -> None:
    chosen = arguments(["cheetah", "semi2k", "aby3"])
    context = multiprocessing.get_context("spawn")
    parties = 3 if chosen.protocol == "aby3" else 2
    ports = free_ports(parties)
    outer, inner = context.Pipe()
    ends = {index: context.Pipe() for index in range(parties) if index != QUERYING}
    processes = []
    for rank in range(parties):
        mine = {index: pipe[0] for index, pipe in ends.items()} if rank == QUERYING else {QUERYING: ends[rank][1]}
        given = (rank, ports, mine, chosen, inner if rank == QUERYING else None)
        processes.append(context.Process(target=party, args=given))
        processes[-1].start()
    inner.close()
    try:
        report(outer.recv())
    except EOFError:
        sys.exit(1)  # the party that ended has said why
    finally:
        for process in processes:
            process.join(10)
            process.kill()


if __name__ == "__main__":
    main()
