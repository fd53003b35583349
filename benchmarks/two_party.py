"""Two processes on two cores, joined by loopback TCP or TLS, each running one side of a protocol step."""

from __future__ import annotations

import multiprocessing
import os
import resource
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from mpc.channels.credentials import Credentials
from mpc.channels.doors import Listener, connect
from mpc.channels.frames import Channel
from mpc.channels.hello import Hello
from mpc.channels.sockets import SocketChannel
from tests.authority import issue

Transport = Literal["tcp", "tls"]
Side = Callable[[Channel], Any]
Sides = Callable[[list[Channel]], Any]


HELLO = Hello("side", "benchmark", "")


def _listen(credentials: Credentials) -> Listener:
    return Listener(("127.0.0.1", 0), credentials, HELLO, deadline_s=300)


def _accept(listener: Listener, peer: str) -> Channel:
    return listener.accept({peer: HELLO.role}, within_s=30)


def _dial(port: int, peer: str, own: Credentials) -> Channel:
    return connect(("127.0.0.1", port), peer, own, HELLO, HELLO.role, deadline_s=300, connect_within_s=30)


def run_two_party(garbler: Side, evaluator: Side, transport: Transport) -> tuple[Any, ...]:
    """What ``garbler(channel)`` and ``evaluator(channel)`` return, each in a process pinned to a core of its own."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        credentials = issue(Path(folder), "garbler", "evaluator")
        if transport == "tls":
            with _listen(credentials["garbler"]) as listener:

                def meet_garbler() -> Channel:
                    return _accept(listener, "evaluator")

                def meet_evaluator() -> Channel:
                    return _dial(listener.port, "garbler", credentials["evaluator"])

                return _both(context, (garbler, meet_garbler), (evaluator, meet_evaluator))
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]

            def accept_garbler() -> Channel:
                return SocketChannel("evaluator", 300, server.accept()[0])

            def dial_evaluator() -> Channel:
                return SocketChannel("garbler", 300, socket.create_connection(("127.0.0.1", port)))

            return _both(context, (garbler, accept_garbler), (evaluator, dial_evaluator))


def run_many(garbler: Sides, evaluator: Sides, connections: int) -> tuple[Any, ...]:
    """As :func:`run_two_party`, with so many TLS connections between the two processes, which may use all cores."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        credentials = issue(Path(folder), "garbler", "evaluator")
        with _listen(credentials["garbler"]) as listener:

            def meet_garbler() -> list[Channel]:
                return [_accept(listener, "evaluator") for _ in range(connections)]

            def meet_evaluator() -> list[Channel]:
                return [_dial(listener.port, "garbler", credentials["evaluator"]) for _ in range(connections)]

            return _both(context, (garbler, meet_garbler), (evaluator, meet_evaluator), pinned=connections == 1)


def run_with_dealer(dealer: Sides, garbler: Sides, evaluator: Sides) -> tuple[Any, ...]:
    """As :func:`run_many`, with a third process that each of the two is connected to.

    The garbler gets ``[evaluator, dealer]``, the evaluator ``[garbler, dealer]``, the dealer ``[evaluator, garbler]``.
    """
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        credentials = issue(Path(folder), "dealer", "garbler", "evaluator")
        with _listen(credentials["dealer"]) as dealers, _listen(credentials["garbler"]) as garblers:
            ports = {"dealer": dealers.port, "garbler": garblers.port}

            def dial(own: str, peer: str) -> Channel:
                return _dial(ports[peer], peer, credentials[own])

            def meet_dealer() -> list[Channel]:
                return [_accept(dealers, peer) for peer in ("evaluator", "garbler")]

            def meet_garbler() -> list[Channel]:
                evaluators = _accept(garblers, "evaluator")
                return [evaluators, dial("garbler", "dealer")]

            def meet_evaluator() -> list[Channel]:
                dealt = dial("evaluator", "dealer")
                return [dial("evaluator", "garbler"), dealt]

            sides = ((dealer, meet_dealer), (garbler, meet_garbler), (evaluator, meet_evaluator))
            return _both(context, *sides, pinned=False)


def peak_memory_mb() -> float:
    """Largest resident size of this process so far, in 10^6 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _both(context: Any, *sides: tuple[Callable[[Any], Any], Callable[[], Any]], pinned: bool = True) -> tuple[Any, ...]:
    results: list[Any] = [None] * len(sides)
    cores = sorted(os.sched_getaffinity(0))
    processes = []
    readers = []
    for index, (side, meet) in enumerate(sides):
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(
            target=_play, args=(side, meet, sending, {cores[index % len(cores)]} if pinned else set(cores))
        )
        process.start()
        sending.close()

        def read(slot: int = index, pipe: Any = receiving) -> None:
            try:
                results[slot] = pipe.recv()
            except EOFError:
                results[slot] = RuntimeError("the process ended without a result")

        reader = threading.Thread(target=read)
        reader.start()
        processes.append(process)
        readers.append(reader)
    for reader, process in zip(readers, processes, strict=True):
        reader.join()
        process.join()
    failed = [str(result) for result in results if isinstance(result, BaseException)]
    if failed:
        raise RuntimeError("; ".join(failed))
    return tuple(results)


def _play(side: Callable[[Any], Any], meet: Callable[[], Any], pipe: Any, cores: set[int]) -> None:
    os.sched_setaffinity(0, cores)
    try:
        met = meet()
        pipe.send(side(met))
        for channel in met if isinstance(met, list) else [met]:
            channel.close()
    except Exception as error:  # noqa: BLE001 - handed to the parent, which raises it
        pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))
