"""What a model may compute behind its logits, such as a softmax, and how that is dropped.

The protocol votes by the largest logit, or by the sign of each. A softmax, its logarithm, a sigmoid or an arg max
behind the logits changes neither. A converter drops them if it is asked to. What was dropped is computed again from the
logits of samples and held to the whole model, so that a softmax over another axis is found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpc.errors import ParameterError
from mpc.inference.models.bounds import up_to
from mpc.inference.models.floats import Floats

_ROUNDING = 2.0**-16  # of an exponential in float32, with room for cheap approximations


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _log_sigmoid(logits: Floats) -> Floats:
    return np.asarray(-np.logaddexp(0, -logits))


ENDINGS: dict[str, Callable[[Floats], Floats]] = {
    "softmax": lambda logits: np.exp(_log_softmax(logits)),
    "log softmax": _log_softmax,
    "sigmoid": lambda logits: np.exp(_log_sigmoid(logits)),
    "log sigmoid": _log_sigmoid,
    "arg max": lambda values: values.argmax(axis=1).astype(np.float64),
}
"""The endings by name, as functions of ``(n, outputs)``."""

SPELLINGS = {
    "softmax": "softmax",
    "logsoftmax": "log softmax",
    "sigmoid": "sigmoid",
    "logsigmoid": "log sigmoid",
    "argmax": "arg max",
}
"""How libraries spell them, in lower case without underscores."""


def ending_of(spelling: str) -> str | None:
    """Return the ending that a library's operator, class or function is, or None."""
    return SPELLINGS.get(spelling.replace("_", "").lower())


def check_endings(endings: Sequence[str], logits: Floats, outputs: Floats, allowed: Floats, source: str) -> None:
    """Refuse a model whose outputs do not follow from its logits by these endings.

    Args:
        logits: of samples, ``(n, outputs)``.
        outputs: of the whole model on the same samples.
        allowed: what rounding may change in a logit, of the logits' shape.

    Raises:
        ParameterError: they do not, with the numbers.
    """
    expected = logits
    for ending in endings:
        expected = ENDINGS[ending](expected)
    found = outputs.reshape(expected.shape) if outputs.size == expected.size else outputs
    words = ", then ".join(endings)
    if found.shape != expected.shape:
        raise ParameterError(
            f"expected outputs of shape {expected.shape} behind the {words} of {source}, found {found.shape}"
        )
    slack = allowed.max(axis=1)
    if endings[-1] == "arg max":  # two values that rounding may order either way are a tie
        ordered = np.sort(logits, axis=1)
        wrong = (found != expected) & (ordered[:, -1] - ordered[:, -2] > 2 * slack + _ROUNDING)
        difference = float(wrong.sum())
    else:
        excess = np.abs(found - expected) - 2 * slack[:, None] - _ROUNDING * (1 + np.abs(expected))
        wrong, difference = excess > 0, float(np.abs(found - expected).max())
    if wrong.any():
        raise ParameterError(
            f"expected the {words} over the classes at the end of {source}, found outputs that differ from it by "
            f"up to {up_to(difference)}"
        )
