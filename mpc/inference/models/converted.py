"""Layers that a converter made, with the function of the model that they come from.

A converter reads a model's parts. Whether they were read as the model means them shows in figures only. The original is
therefore kept beside the layers and both are run on samples as soon as the shape and the range of queries are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from mpc.errors import ParameterError
from mpc.inference.models.bounds import up_to
from mpc.inference.models.endings import check_endings
from mpc.inference.models.floats import FloatLayer, Floats, run
from mpc.inference.models.floats.layer import first_line, rounding

SINGLE, DOUBLE = 2.0**-24, 2.0**-53  # unit roundoff of float32 and float64

# Sums in another order and fast convolutions (Winograd) lose a little more than the textbook's bound allows.
_SLACK = 8.0


class ConvertedLayers(list[FloatLayer]):
    """The layers, and the original to hold them to.

    Attributes:
        original: computes queries ``(n, *input shape)`` to the original's logits ``(n, outputs)``.
        source: the model in sentences.
        unit: the unit roundoff of the original's arithmetic.
        endings: what the model computes behind its logits and was dropped, in order (:mod:`.endings`).
        whole: the model with its endings, if it has some.
    """

    def __init__(
        self,
        layers: Iterable[FloatLayer],
        original: Callable[[Floats], Floats],
        source: str,
        unit: float,
        endings: Sequence[str] = (),
        whole: Callable[[Floats], Floats] | None = None,
    ) -> None:
        super().__init__(layers)
        self.original = original
        self.source = source
        self.unit = unit
        self.endings = tuple(endings)
        self.whole = whole

    def compare(self, samples: Floats) -> float:
        """Run layers and original on samples ``(n, *input shape)`` and return the largest difference of a logit.

        The first sample is also run alone, which shows a model that mixes the queries of a batch.

        Raises:
            ParameterError: the original does not run on the samples, has outputs of another shape, or differs by more
                than rounding explains, with the numbers.
        """
        mine, allowed = run(self, samples), _SLACK * rounding(self, samples, self.unit)
        batches = [slice(0, len(samples))] + ([slice(0, 1)] if len(samples) > 1 else [])
        worst = 0.0
        for batch in batches:
            expected = self._run(self.original, samples[batch])
            found = mine[batch]
            if expected.shape != found.shape:
                raise ParameterError(
                    f"expected layers with the outputs of {self.source}, {expected.shape} on {len(found)} queries, "
                    f"found {found.shape}"
                )
            if not np.isfinite(expected).all():
                raise ParameterError(f"expected finite outputs of {self.source}, found NaN or infinity")
            difference = np.abs(found - expected)
            worst = max(worst, float(difference.max()))
            if (difference > allowed[batch]).any():
                index = np.unravel_index(int((difference - allowed[batch]).argmax()), difference.shape)
                raise ParameterError(
                    f"expected the converted layers to compute what {self.source} computes, found logits that differ "
                    f"by up to {up_to(difference[index])} where rounding explains {up_to(allowed[batch][index])}"
                )
            if self.whole is not None and self.endings:
                outputs = self._run(self.whole, samples[batch])
                check_endings(self.endings, expected, outputs, allowed[batch], self.source)
        return worst

    def _run(self, model: Callable[[Floats], Floats], samples: Floats) -> Floats:
        try:
            return np.asarray(model(samples), np.float64)
        except ParameterError:
            raise
        except Exception as error:
            raise ParameterError(
                f"expected {self.source} to run on queries of shape {samples.shape[1:]}, found {type(error).__name__}: "
                f"{first_line(error)}"
            ) from error


def require(holds: bool, name: str, expected: str, found: object) -> None:
    """Refuse a part of a model, by name.

    Raises:
        ParameterError: always, if it does not hold.
    """
    if not holds:
        raise ParameterError(f"expected {expected} in {name}, found {found}")
