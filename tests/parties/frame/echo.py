"""A program that says all about its own process, or ends in some way. The way is an argument, or a job on its input."""

from __future__ import annotations

import atexit
import json
import os
import random
import secrets
import signal
import ssl
import sys
import threading
import time
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpc import _core
from mpc.randomness import SYSTEM
from tests.parties.frame import echo_state


def tell() -> None:
    echo_state.counted += 1
    words = Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    outside = Path("/proc/self/environ").read_bytes().split(b"\0")
    told = {
        "command": [word.decode() for word in words],
        "start": next((word.decode() for word in words if word.endswith(b"start.py")), ""),
        "arguments": sys.argv[1:],
        "variables": {key: value for key, value in os.environ.items() if key != "LC_CTYPE"},
        "outside": dict(text.decode().split("=", 1) for text in outside if text),
        "name": __name__,
        "session": os.getsid(0),
        "parent": os.getppid(),
        "files": [number for number in range(64) if Path(f"/proc/self/fd/{number}").exists()],
        "isolated": sys.flags.isolated,
        "default_handlers": [signal.getsignal(n) == signal.SIG_DFL for n in (signal.SIGCHLD, signal.SIGTERM)],
        "modules": sorted(sys.modules),
        "imported_by": echo_state.imported_by,
        "counted": echo_state.counted,
        "random": [
            SYSTEM.bytes(16).hex(),
            secrets.token_hex(16),
            random.random(),
            ssl.RAND_bytes(16).hex(),
            Ed25519PrivateKey.generate().private_bytes_raw().hex(),
            float(np.random.default_rng().random()),
        ],
    }
    print(json.dumps(told))


def compute_on() -> None:
    matrix = np.ones((64, 64), np.uint64)
    while True:
        _core.matmul_u64(matrix, matrix)


def main(how: str) -> None:
    if how == "tell":
        tell()
    elif how == "exit":
        sys.exit(7)
    elif how in ("compute", "compute and raise"):
        threading.Thread(target=compute_on, daemon=True).start()
        time.sleep(0.1)  # so that it is at it
        sys.exit(7) if how == "compute" else main("raise")
    elif how == "words":
        sys.exit("the ball is square")
    elif how == "last words":
        threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
        atexit.register(print, "registered")
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  nobody flushes it but the end
    elif how == "raise":
        raise ArithmeticError("the ball is square")
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600 if how == "sleep" else 0)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else json.load(sys.stdin)["how"])
