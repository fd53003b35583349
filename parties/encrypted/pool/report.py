"""What a pooled training shows of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parties.encrypted.words import megabytes
from parties.frame.charts import Headline, Section, Table
from parties.frame.plan import Summary


@dataclass(frozen=True)
class _Words:
    """What differs between the algorithms: how sure the numbers are, the sigmoid's range, and warnings."""

    about: str
    over: str
    warnings: tuple[str, ...]
    range: tuple[tuple[str, str], ...] = ()
    more: str = ""


def _ridge(opener: Mapping[str, Any], trainer: Mapping[str, Any]) -> _Words:
    warning = (
        f"{trainer['party']} and {opener['party']} together could open the result without noise, and learn of the "
        f"other owners' secrets: their masks hide {max(0.0, opener['hidden_bits']):.1f} bits from the two."
    )
    return _Words("at most", "on average", (warning,))


def _logistic(owners: Sequence[Mapping[str, Any]], trainer: Mapping[str, Any]) -> _Words:
    opener, allowed = owners[0], owners[0]["range"]
    warnings = [
        f"{trainer['party']} and {opener['party']} together could open the weights without noise, and with the "
        "encryption's error, which tells of the other owners' secrets."
    ]
    if left := [one["party"] for one in owners if not one["largest_z"] <= allowed]:
        warnings.append(
            f"records of {', '.join(left)} are outside of the sigmoid's range of {allowed:g}: the model may be far "
            "from logistic regression. Train anew with a lower learning_rate, norm or fewer iterations."
        )
    found = ", ".join(f"{one['party']} {one['largest_z']:.2f}" for one in owners)
    told = (
        f"each owner's own records reach {found} with the opened model, of {allowed:g}. Iterations before were not seen"
    )
    return _Words(
        "about",
        "by an estimate on made-up records",
        tuple(warnings),
        (("sigmoid's range", told),),
        " but their number",
    )


def summary(reports: Sequence[Mapping[str, Any]]) -> Summary:
    """Return what the model is worth beside its twin, what its noise leaves, what was sent, and who saw what."""
    *owners, trainer = reports
    opener, names = owners[0], ", ".join(one["party"] for one in owners)
    words = _ridge(opener, trainer) if opener["algorithm"] == "ridge" else _logistic(owners, trainer)
    twin, accuracy = opener["twin"], opener["accuracy"]
    rows = [(one["party"], megabytes(one["sent"]), megabytes(one["received"])) for one in (*owners, trainer)]
    return Summary(
        (
            ("accuracy", f"{accuracy:.4f} on {opener['held_out']} records that were held out"),
            ("the same in the clear", f"{twin['accuracy']:.4f} without noise, {twin['alone']:.4f} with the records of "
             f"{opener['party']} alone (scikit-learn on all: {twin['scikit-learn']:.4f}), which no party knows"),
            ("noise", f"{trainer['party']} and {opener['party']} have each added a deviation of {opener['sigma']:g} to "
             f"every weight, beside which the encryption's own is {words.about} {opener['deviation']:.2g}"),
            ("leak", f"{words.about} {opener['leak']:.2g} nats of the encryption's error {words.over}, which depends "
             "on the key. It is small, and not 2^-40"),
            *words.range,
            ("time", f"{opener['seconds']:.1f} s for {opener['party']}, of which training "
             f"{trainer['training_seconds']:.2f} s on ciphertexts"),
            ("sent", ", ".join(f"{name} {sent}" for name, sent, _ in rows)),
            (f"{trainer['party']} saw", ", ".join(f"{name} {value}" for name, value in trainer["seen"].items())),
            (f"{names} saw", f"the model with noise, and of each other's records nothing beyond it{words.more}"),
        ),
        warnings=words.warnings,
        headlines=(
            Headline("accuracy", f"{accuracy:.4f}", f"in the clear {twin['accuracy']:.4f}"),
            Headline("training", f"{trainer['training_seconds']:.2f} s", "on ciphertexts"),
            Headline("leak", f"{opener['leak']:.2g} nats", f"of the encryption's error, {words.over}"),
        ),
        sections=(
            Section("What was sent", parts=(Table("bytes of each party", ("party", "sent", "received"), tuple(rows)),)),
        ),
    )  # fmt: skip
