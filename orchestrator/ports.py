"""Whether the ports that a plan wants are free, asked before anything is started."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from parties.frame.errors import ConfigError


def check_free(host: str, ports: Iterable[int]) -> None:
    """Raise `ConfigError` when one of the ports does not exist or is in use."""
    wanted = sorted(ports)
    if not wanted:
        return
    span = f"ports {wanted[0]} to {wanted[-1]}" if len(wanted) > 1 else f"port {wanted[0]}"
    if wanted[-1] > 65535:
        raise ConfigError(f"start_port: expected {span} to be at most 65535, found {wanted[-1]}.")
    for port in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the party will bind it
            try:
                probe.bind((host, port))
                probe.listen(1)  # two sockets may share an address until one of them listens
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise ConfigError(
                        f"start_port: expected {span} to be free on {host}, found {port} in use."
                    ) from error
                raise ConfigError(
                    f"start_port: expected to bind {span} on {host}, found {port} refused ({error.strerror})."
                ) from error
