"""PySyft's words for secret sharing among workers, for programs that were written with them (PySyft 0.2).

Workers are threads of this process. A tensor is shared additively among them, and a crypto provider deals correlations.
Values leave this program as shares, and come back by `get`. As in PySyft, `share` alone takes whole numbers, and
`fix_precision` before it takes fractions. Other than there, numbers have a bound, and what overflows is refused.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpc.errors import ParameterError
from mpc.tensors.backends.kinds import kind_of
from mpc.tensors.eager import Group, Remote
from mpc.tensors.tensor import PrivateTensor

BOUND = 2.0**10
WHOLE_BOUND = 2**20
_GROUPS: dict[tuple[tuple[str, ...], str | None, str], Group] = {}


class VirtualWorker:
    """A party in this process.

    Attributes:
        id: its name.
    """

    def __init__(self, hook: object = None, id: str = "") -> None:
        if not id:
            raise ParameterError("VirtualWorker: expected a name, as in VirtualWorker(hook, id='alice'), found none")
        self.id = id

    def __repr__(self) -> str:
        return f"VirtualWorker(id={self.id!r})"


class TorchHook:
    """Gives torch's tensors the methods `share`, `fix_precision` and `fix_prec`."""

    def __init__(self, torch: ModuleType) -> None:
        tensor: Any = torch.Tensor
        tensor.share = lambda x, *workers, **options: Local(x, torch).share(*workers, **options)
        tensor.fix_precision = lambda x, **options: Local(x, torch).fix_precision(**options)
        tensor.fix_prec = tensor.fix_precision


class Local:
    """Plain numbers with PySyft's methods, for those who have no torch. With torch the hook does the same."""

    def __init__(self, values: ArrayLike, torch: ModuleType | None = None) -> None:
        self.values = np.asarray(values)
        self._torch = torch

    def fix_precision(self, bound: float = BOUND) -> FixedPrecision:
        """Return the numbers as fixed-point ones of at most `bound`."""
        return FixedPrecision(self.values.astype(np.float64), bound, self._torch)

    def share(
        self, *workers: VirtualWorker, crypto_provider: VirtualWorker | None = None, bound: int = WHOLE_BOUND,
        backend: str = "dealer",
    ) -> SharedTensor:  # fmt: skip
        """Share whole numbers of at most `bound` among workers."""
        if self.values.dtype.kind not in "biu":
            raise ParameterError("share: expected whole numbers, found fractions: call fix_precision() first")
        group = _group(workers, crypto_provider, backend)
        return SharedTensor.of(group.share(self.values, bound, whole=True), self._torch, fixed=False)


def tensor(values: ArrayLike) -> Local:
    """Return numbers with PySyft's methods."""
    return Local(values)


class FixedPrecision:
    """Fixed-point numbers in this program, before they are shared and after they were got."""

    def __init__(self, values: NDArray[np.float64], bound: float, torch: ModuleType | None) -> None:
        self._values = values
        self._bound = bound
        self._torch = torch

    def share(
        self, *workers: VirtualWorker, crypto_provider: VirtualWorker | None = None, backend: str = "dealer"
    ) -> SharedTensor:
        """Share the numbers among workers."""
        group = _group(workers, crypto_provider, backend)
        return SharedTensor.of(group.share(self._values, self._bound, whole=False), self._torch, fixed=True)

    def float_precision(self) -> Any:
        """Return the numbers as floats, in a torch tensor where torch was hooked."""
        return self._torch.tensor(self._values) if self._torch else self._values

    float_prec = float_precision


class SharedTensor(Remote):
    """A tensor that is shared among workers. `get` brings it back."""

    _torch: ModuleType | None = None
    _fixed = True

    @classmethod
    def of(cls, remote: Remote, torch: ModuleType | None, fixed: bool) -> SharedTensor:
        shared = cls(remote.group, remote._parts)
        shared._torch, shared._fixed = torch, fixed
        return shared

    def apply(self, function: Any, *others: object) -> SharedTensor:
        """Return a function of shared tensors, which is fixed-point where its numbers have fractions."""
        result = super().apply(function, *others)
        some: PrivateTensor = next(iter(result._parts.values()))
        return SharedTensor.of(result, self._torch, fixed=some.fraction_bits > 0)

    def get(self) -> Any:
        """Return the opened numbers, whole ones as they are and others for `float_precision`."""
        values = self.reveal()
        if self._fixed:
            return FixedPrecision(values, BOUND, self._torch)
        whole = np.rint(values).astype(np.int64)
        return self._torch.tensor(whole) if self._torch else whole

    def matmul(self, other: object) -> Remote:
        return self @ other

    mm = matmul
    dot = matmul


def close() -> None:
    """End all workers that have been used so far."""
    for group in _GROUPS.values():
        group.close()
    _GROUPS.clear()


def _group(workers: tuple[VirtualWorker, ...], provider: VirtualWorker | None, backend: str) -> Group:
    """Return the group of these workers, which is the same one for all tensors among them."""
    if provider is None and kind_of(backend).dealt:
        raise ParameterError("share: expected crypto_provider=…, a worker that holds no share, found none")
    key = (tuple(worker.id for worker in workers), provider.id if provider else None, backend)
    if key not in _GROUPS or _GROUPS[key].closed:
        _GROUPS[key] = Group(*key)
    return _GROUPS[key]


__all__ = ["FixedPrecision", "Local", "SharedTensor", "TorchHook", "VirtualWorker", "close", "tensor"]
