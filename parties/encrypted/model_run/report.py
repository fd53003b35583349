"""What a run in which the model is encrypted shows of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parties.encrypted.settings import OWNER, TRAINER
from parties.encrypted.words import PRIVATE_WARNING, megabytes
from parties.frame.charts import Headline
from parties.frame.plan import Summary


def summary(project_owner: Mapping[str, Any], data_owner: Mapping[str, Any]) -> Summary:
    """Return what the model is worth beside its twin, what was sent, and what each party saw."""
    flood, sent, seen = data_owner["flood"], project_owner["sent"], data_owner["seen"]
    accuracy, before, twin = project_owner["accuracy"], project_owner["before"], project_owner["twin"]
    held_out = project_owner["held_out"]
    return Summary(
        (
            ("accuracy", f"{accuracy:.4f} on {held_out} records that were held out, before training {before:.4f}"),
            ("the same in the clear", f"{twin['accuracy']:.4f} (scikit-learn on the data owner's records: "
             f"{twin['scikit-learn']:.4f}), which neither party knows"),
            ("trained", f"{data_owner['iterations']} steps of the squared loss at rate {data_owner['rate']:.3g}, "
             f"{data_owner['cut']} of {data_owner['numbers']} numbers cut"),
            ("training", f"{data_owner['training_seconds']:.2f} s under encryption"),
            ("sent", f"keys {megabytes(sent['keys'])}, model {megabytes(sent['model'])}, trained model "
             f"{megabytes(sent['result'])}"),
            (f"{OWNER} saw", f"how features are prepared, and {', '.join(f'{k} {v}' for k, v in seen.items())}, but "
             "no weight"),
            (f"{TRAINER} saw", "the trained model, and nothing of the records beyond it: what is decrypted is within a "
             f"statistical distance of 2^-{flood['bits']:.1f} of noise around the model as computed, whose numbers are "
             f"rounded by up to {flood['rounding']:.1g} times the largest weight"),
            ("these records have answered", f"{data_owner['answered']['results']} result(s) in "
             f"{data_owner['answered']['trainings']} training(s); {data_owner['weights']} tell their second moments"),
            ("flood", f"changes each weight by a deviation of {flood['deviation']:.1g}"),
        ),
        warnings=(PRIVATE_WARNING,),
        headlines=(
            Headline("accuracy", f"{accuracy:.4f}", f"before {before:.4f}, in the clear {twin['accuracy']:.4f}"),
            Headline("training", f"{data_owner['training_seconds']:.2f} s", "under encryption"),
        ),
    )  # fmt: skip
