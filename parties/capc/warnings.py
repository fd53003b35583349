"""What a person must be told about the privacy that a run has spent, in plain words."""

from __future__ import annotations

import math

_NO_PRIVACY = 10.0  # an epsilon beyond which a record can practically be told from its absence
_MANY = 50  # answering parties, from which on there is noise that hides a record and leaves the majority


def warnings(spent_epsilon: float, parties: int) -> tuple[str, ...]:
    """What a person must be told about this epsilon, in plain words."""
    if math.isinf(spent_epsilon):
        return (
            "The votes carry no noise (dp_noise_scale 0): the labels give no differential privacy to anybody's "
            "training records.",
        )
    if spent_epsilon <= _NO_PRIVACY:
        return ()
    remedy = "A larger dp_noise_scale or fewer queries would give some."
    if parties < _MANY:
        remedy = (
            f"With {parties} answering {'party' if parties == 1 else 'parties'}, noise that hides them would drown "
            "the votes; meaningful privacy takes dozens of parties (50 with dp_noise_scale 7, or 250 with 40)."
        )
    return (
        f"Epsilon {spent_epsilon:.3g} is no privacy to speak of: the noise hides next to nothing about single "
        f"training records. {remedy}",
    )
