"""A party that also writes down every secret it draws: `python -m tests.parties.capc.recorded MODULE --settings PATH`.

For the test that no secret reaches a log or a shared file. Secrets go to the folder `SECRETS`, one hex string a line:
every block of operating-system randomness, every ring element of 32 bits or more, and the Paillier primes.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import phe.paillier

from mpc import randomness

SMALLEST_BITS = 32  # shorter secrets would be found by chance


def record() -> None:
    """Wrap the places where secrets come from."""
    folder = Path(os.environ["SECRETS"])
    file = (folder / f"{os.getpid()}").open("w", buffering=1)
    system_bytes, uniform_words, private_key = (
        os.urandom,
        randomness.uniform_words,
        phe.paillier.PaillierPrivateKey,
    )

    def recorded_bytes(count: int) -> bytes:
        drawn = system_bytes(count)
        if 8 * count >= SMALLEST_BITS:
            file.write(drawn[:64].hex() + "\n")
        return drawn

    def recorded_words(shape: Any, bits: int, *rest: Any) -> Any:
        words = uniform_words(shape, bits, *rest)
        if bits >= SMALLEST_BITS:
            file.writelines(f"{int(word):x}\n" for word in np.unique(words) if int(word) >= 1 << (SMALLEST_BITS - 1))
        return words

    def recorded_key(public: Any, p: int, q: int) -> Any:
        file.writelines(f"{prime:x}\n" for prime in (p, q))
        return private_key(public, p, q)

    os.urandom = recorded_bytes
    randomness.uniform_words = recorded_words
    phe.paillier.PaillierPrivateKey = recorded_key


if __name__ == "__main__":
    record()
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
