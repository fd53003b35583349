"""What all layers have in common: parameters with declared bounds, and a name for the sentences of refusals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError, RangeError
from mpc.tensors.arithmetic import as_fixed
from mpc.tensors.ranges import raw_range
from mpc.tensors.shaping import concatenate
from mpc.tensors.tensor import PrivateTensor


class Parameter(PrivateTensor):
    """A tensor that training changes, within a declared bound.

    Attributes:
        declared: the range that an optimiser keeps it in.
    """

    def __init__(self, value: PrivateTensor, bound: object) -> None:
        value = as_fixed(value)
        super().__init__(value.session, value.shared, value.range, value.fraction_bits, value.owners)
        self.declared = raw_range(bound, value.fraction_bits)
        self.requires_grad = True
        self.twin = value.twin
        if value.range.low < self.declared.low or value.range.high > self.declared.high:
            raise RangeError(
                f"parameter: expected initial values within its bound {bound}, found values up to {value.real_bound:g}"
            )
        self.range = self.declared

    @property
    def gradient(self) -> tuple[PrivateTensor, float] | None:
        """The gradient since `zero_grad` and a public factor that is not multiplied out yet."""
        return self._gradient

    def assign(self, value: PrivateTensor) -> None:
        """Take a new value of the same shape, with its range."""
        self.shared, self.range, self.owners, self.twin = value.shared, value.range, value.owners, value.twin


class Module:
    """A layer, or several. A layer's parameters belong to the session in which it was made."""

    name = ""

    def forward(self, x: PrivateTensor) -> PrivateTensor:
        """Return what the layer makes of a batch."""
        raise NotImplementedError

    def __call__(self, x: PrivateTensor) -> PrivateTensor:
        with x.session.scope(self.name or type(self).__name__.lower()):
            return self.forward(x)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield all parameters with their names, in the order in which they were set."""
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield name, value

    def parameters(self) -> list[Parameter]:
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        for parameter in self.parameters():
            parameter.zero_grad()

    def weights(self) -> PrivateTensor:
        """Return all parameters as one vector, in the order of `named_parameters`, for example to reveal them."""
        parts = [parameter.detach().reshape(-1) for parameter in self.parameters()]
        if not parts:
            raise ParameterError("weights: expected a module with parameters, found none")
        return concatenate(parts)

    def split(self, vector: Sequence[float] | NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return the arrays of a vector that `weights` gave, by the parameters' names."""
        flat, found, place = np.asarray(vector, dtype=np.float64), {}, 0
        sizes = sum(parameter.size for parameter in self.parameters())
        if flat.shape != (sizes,):
            raise ParameterError(f"split: expected a vector of {sizes} numbers, found shape {flat.shape}")
        for name, parameter in self.named_parameters():
            found[name] = flat[place : place + parameter.size].reshape(parameter.shape)
            place += parameter.size
        return found
