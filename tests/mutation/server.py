"""Start pytest again and again without the seconds that Python takes to import others' packages.

The process imports everything that is not the project's, and then forks for each line that it reads, which is a JSON
list of pytest's arguments and the file for its output. It answers with the child's process id and, at the child's end,
with its status. The child is the leader of a session of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys

PACKAGES = (
    "cryptography.x509", "gmpy2", "hypothesis", "libtmux", "loguru", "msgspec", "numpy", "OpenSSL", "phe", "pydantic",
    "pytest", "rich.live", "scipy.stats", "sklearn.linear_model", "sklearn.svm", "torch", "yaml",
)  # fmt: skip


def serve() -> None:
    for name in PACKAGES:
        with contextlib.suppress(ImportError):  # what is missing is imported by nobody, or the test says so
            importlib.import_module(name)
    for line in sys.stdin:
        arguments, output = json.loads(line)
        child = os.fork()
        if child == 0:
            _become_pytest(arguments, output)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become_pytest(arguments: list[str], output: str) -> None:
    status = 3  # as pytest says of an error of its own
    try:
        os.setsid()
        stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        pytest = importlib.import_module("pytest")
        status = int(pytest.main(arguments))
        sys.stdout.flush()
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve()
