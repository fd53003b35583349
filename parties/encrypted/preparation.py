"""What an owner does to features before they are encrypted, and to those that the model is asked about later.

    (x - mean) / deviation, times a matrix ``(d, k)``, cut at ``clip`` on both sides, and the constant 1 behind,
    and a record whose norm is above ``norm`` is scaled down to it, the constant with it

The matrix holds the k directions of the largest variance. With whitening w each is divided by sqrt(variance + w), so
that all directions have a similar variance, and a small w keeps those with hardly any from being blown up. Whitened
records make the first step of training nearly linear discriminant analysis.

Scaling a whole record changes no prediction, because the sign and the order of its scores stay. But a record far from
the others no longer decides how far training may go before some z leaves the polynomial's range. And the norm bounds
the eigenvalues of second moments, also for records that nobody has seen.

All of it is computed from the owner's records and stays with the owner. It goes into the model that the owner keeps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parties.encrypted.records import LabelledTable
from parties.learning.records import DataError

Floats = NDArray[np.float64]
LARGEST = 1e6
"""The largest magnitude of a prepared number, far above any use, so that nothing later on overflows."""


@dataclass(frozen=True, repr=False)
class Preparation:
    """The constants: mean and deviation ``(d,)``, the matrix ``(d, k)``, the clip, and the largest norm or None.

    Attributes:
        extractor: the digest of the extractor whose features are prepared, in hex, or nothing for records as they are.
    """

    mean: Floats
    deviation: Floats
    matrix: Floats
    clip: float
    norm: float | None = None
    extractor: str = ""

    def __post_init__(self) -> None:
        d = len(self.mean)
        if self.mean.shape != (d,) or self.deviation.shape != (d,) or self.matrix.ndim != 2 or len(self.matrix) != d:
            raise DataError(
                f"expected a mean and a deviation (d,) and a matrix (d, k), found {self.mean.shape}, "
                f"{self.deviation.shape} and {self.matrix.shape}"
            )
        finite = all(np.isfinite(one).all() for one in (self.mean, self.deviation, self.matrix))
        bounded = self.clip > 0 and (self.norm is None or 0 < self.norm < np.inf)
        if not (bounded and finite and (self.deviation > 0).all()):
            raise DataError(
                "expected finite constants of preparation, and deviations, a clip and a norm above 0, found others"
            )

    def __repr__(self) -> str:
        return f"Preparation({self.matrix.shape[0]} -> {self.matrix.shape[1]})"

    @classmethod
    def of(
        cls,
        features: Floats,
        components: int | None,
        whiten: float | None,
        clip: float,
        norm: float | None = None,
        extractor: str = "",
    ) -> Preparation:
        """Return the preparation of an owner's records ``(n, d)``, or of the features that an extractor has made.

        A feature that never changes is left at 0. Without whitening the directions keep their variance. Without
        components and whitening the features stay as they are, scaled.

        Raises:
            DataError: there are fewer features than components, or too few records.
        """
        n, d = features.shape
        if n < 2:
            raise DataError(f"expected at least 2 records, found {n}")
        kept = d if components is None else components
        if not 1 <= kept <= d:
            raise DataError(f"components: expected 1 to {d}, as many as there are features, found {kept}")
        mean = features.mean(axis=0)
        deviation = features.std(axis=0)
        constant = deviation <= 1e-12 * np.maximum(1.0, np.abs(mean))
        deviation = np.where(constant, 1.0, deviation)
        if components is None and whiten is None:
            return cls(mean, deviation, np.eye(d), clip, norm, extractor)
        scaled = (features - mean) / deviation
        variances, directions = np.linalg.eigh(scaled.T @ scaled / n)
        order = np.argsort(-variances)[:kept]
        variances, directions = np.maximum(variances[order], 0.0), directions[:, order]
        directions = directions * np.where(directions.sum(axis=0) < 0, -1.0, 1.0)  # one of the two signs
        matrix = directions if whiten is None else directions / np.sqrt(variances + whiten)
        return cls(mean, deviation, matrix, clip, norm, extractor)

    @property
    def outputs(self) -> int:
        """How many numbers a record becomes, the constant 1 among them."""
        return int(self.matrix.shape[1]) + 1

    def check_extractor(self, table: LabelledTable) -> None:
        """Raise `DataError` for features that another extractor has made than those that this was computed from."""
        if table.extractor != self.extractor:
            raise DataError(f"expected {_made_by(self.extractor)}, found {_made_by(table.extractor)}")

    def prepare(self, table: LabelledTable) -> tuple[Floats, int]:
        """Return the prepared records ``(n, outputs)`` of a table, and how many numbers were cut.

        Raises:
            DataError: another extractor has made the features, there are more or fewer of them, or one is too large.
        """
        self.check_extractor(table)
        return self.apply(table.features)

    def apply(self, features: Floats) -> tuple[Floats, int]:
        """Return the prepared records ``(n, outputs)``, and how many numbers were cut.

        Raises:
            DataError: there are more or fewer features than those of the owner's records, or a number is too large.
        """
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise DataError(f"expected records of {len(self.mean)} features, found shape {features.shape}")
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number is refused below
            turned = ((features - self.mean) / self.deviation) @ self.matrix
        cut = int((np.abs(turned) > self.clip).sum())
        found = np.clip(turned, -self.clip, self.clip)
        if not (np.abs(found) <= LARGEST).all():
            raise DataError(f"expected prepared numbers of at most {LARGEST:g}, found larger ones or no number")
        whole = np.hstack([found, np.ones((len(found), 1))])
        if self.norm is not None:
            whole *= np.minimum(1.0, self.norm / np.linalg.norm(whole, axis=1, keepdims=True))
        return whole, cut


def _made_by(extractor: str) -> str:
    if not extractor:
        return "records as they are, without an extractor"
    return f"features of the extractor {extractor[:16]} (its file, layers and the shape of records as they come)"
