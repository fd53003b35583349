"""What a pooled training shows of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parties.encrypted.words import megabytes
from parties.frame.charts import Headline, Section, Table
from parties.frame.plan import Summary


def summary(reports: Sequence[Mapping[str, Any]]) -> Summary:
    """Return what the model is worth beside its twin, what its noise leaves, what was sent, and who saw what."""
    *owners, trainer = reports
    opener, names = owners[0], ", ".join(one["party"] for one in owners)
    twin, accuracy = opener["twin"], opener["accuracy"]
    rows = [(one["party"], megabytes(one["sent"]), megabytes(one["received"])) for one in (*owners, trainer)]
    return Summary(
        (
            ("accuracy", f"{accuracy:.4f} on {opener['held_out']} records that were held out"),
            ("the same in the clear", f"{twin['accuracy']:.4f} without noise, {twin['alone']:.4f} with the records of "
             f"{opener['party']} alone (scikit-learn on all: {twin['scikit-learn']:.4f}), which no party knows"),
            ("noise", f"{trainer['party']} and {opener['party']} have each added a deviation of {opener['sigma']:g} to "
             f"every weight, beside which the encryption's own is at most {opener['deviation']:.2g}"),
            ("leak", f"at most {opener['leak']:.2g} nats of the encryption's error on average, which depends on the "
             "key. It is small, and not 2^-40"),
            ("time", f"{opener['seconds']:.1f} s for {opener['party']}, of which training "
             f"{trainer['training_seconds']:.2f} s on ciphertexts"),
            ("sent", ", ".join(f"{name} {sent}" for name, sent, _ in rows)),
            (f"{trainer['party']} saw", ", ".join(f"{name} {value}" for name, value in trainer["seen"].items())),
            (f"{names} saw", "the model with noise, and of each other's records nothing beyond it"),
        ),
        warnings=(
            f"{trainer['party']} and {opener['party']} together could open the result without noise, and learn of the "
            f"other owners' secrets: their masks hide {max(0.0, opener['hidden_bits']):.1f} bits from the two.",
        ),
        headlines=(
            Headline("accuracy", f"{accuracy:.4f}", f"in the clear {twin['accuracy']:.4f}"),
            Headline("training", f"{trainer['training_seconds']:.2f} s", "on ciphertexts"),
            Headline("leak", f"{opener['leak']:.2g} nats", "of the encryption's error, on average"),
        ),
        sections=(
            Section("What was sent", parts=(Table("bytes of each party", ("party", "sent", "received"), tuple(rows)),)),
        ),
    )  # fmt: skip
