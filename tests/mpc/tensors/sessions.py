"""Sessions of one party in the clear, for tests of what stands above the back-ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mpc.ring import Ring
from mpc.tensors.backends.clear import ClearBackend
from mpc.tensors.checking import check_simulation
from mpc.tensors.session import Session
from mpc.tensors.tensor import PrivateTensor

OWNER = "alice"


def session(fraction_bits: int = 16, check: bool = True, ring_bits: int = 64, **options: object) -> Session:
    """Return a session of one party, whose every operation is compared with floats unless `check` is off."""
    backend = ClearBackend(OWNER, (OWNER,), ring_bits=ring_bits)
    made = Session(backend, fraction_bits=fraction_bits, **options)
    if check:
        check_simulation(made)
    return made


def private(s: Session, values: ArrayLike, bound: object, whole: bool = False) -> PrivateTensor:
    """Return the private tensor of an array."""
    array = np.asarray(values, dtype=np.float64)
    return s.input(OWNER, lambda: array, shape=array.shape, bound=bound, whole=whole)


def opened(x: PrivateTensor) -> np.ndarray:
    """Return the numbers of a tensor."""
    words = x.session.backend.open([x.shared], [OWNER])
    return Ring(x.session.format.ring_bits).decode(words[0], x.fraction_bits)
