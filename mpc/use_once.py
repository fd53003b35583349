"""Values that may be used only once, such as a mask. A mask that is used twice opens the difference of two secrets."""

from __future__ import annotations

from typing import Generic, TypeVar

from mpc.errors import OrderError

T = TypeVar("T")


class UseOnce(Generic[T]):
    """A value that can be taken once. Afterwards this holds no reference to it.

    Args:
        name: of the value, with its article, for sentences.
    """

    def __init__(self, value: T, name: str) -> None:
        self._held: list[T] = [value]
        self._name = name

    @property
    def used(self) -> bool:
        """Whether the value has been taken."""
        return not self._held

    def take(self) -> T:
        """Return the value, the first time.

        Raises:
            OrderError: the second time.
        """
        try:
            return self._held.pop()  # one step: two threads cannot both have it
        except IndexError:
            raise OrderError(f"expected {self._name} that is fresh, found one that was used before") from None

    def __repr__(self) -> str:
        return f"UseOnce({self._name}, {'used' if self.used else 'fresh'})"
