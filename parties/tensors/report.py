"""What a run's result shows: what was revealed to whom, what it cost, and who has to be trusted for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mpc.tensors.reveals import readers
from parties.frame.charts import Headline, Section, Table

STEPS = {"0": "connect", "1": "set up the back-end", "2": "run the program"}

Report = Mapping[str, Any]


def lead(reports: Sequence[Report]) -> str:
    """Return the result in one sentence."""
    first, figures = reports[0], numbers(reports)
    shown = ", ".join(f"{name} {value:.4g}{_beside(first, name)}" for name, value in figures.items())
    computing = " and ".join(first["parties"]["computing"])
    return f"{computing} ran {first['program']}" + (f": {shown}" if shown else "")


def numbers(reports: Sequence[Report]) -> dict[str, float]:
    """Return the outputs that are single numbers, from whoever has learned them."""
    return {
        name: value for report in reports for name, value in report["outputs"].items() if isinstance(value, int | float)
    }


def _beside(first: Report, name: str) -> str:
    twin = first["twin"].get(name)
    return "" if twin is None else f" (in the clear {twin:.4g})"


def lines(reports: Sequence[Report]) -> tuple[tuple[str, str], ...]:
    """Return pairs of a name and a value for a terminal."""
    first = reports[0]
    shown = [(name, f"{value:.4g}{_beside(first, name)}") for name, value in numbers(reports).items()]
    for reveal in first["revealed"]:
        shown.append(
            (f"revealed {reveal['name']}", f"{_shape(reveal['shape'])} to {readers(reveal['to'], reveal['noise'])}")
        )
    for report in reports:
        shown.append(
            (
                report["party"],
                f"{report['seconds']:.2f} s, {report['rounds']} rounds, {_megabytes(report['sent'])} sent",
            )
        )
    return (*shown, ("trust", first["trust"]))


def unfinished(reports: Sequence[Report]) -> tuple[str, ...]:
    """Return who was lost before it had its outputs, while those who report have theirs."""
    return tuple(
        f"{name} was lost before it was done ({why}), and may lack its outputs"
        for report in reports
        for name, why in report["unfinished"].items()
    )


def headlines(reports: Sequence[Report]) -> tuple[Headline, ...]:
    """Return the figures that say the result at a glance."""
    first = reports[0]
    found = [
        Headline(name, f"{value:.4g}", _beside(first, name).strip(" ()")) for name, value in numbers(reports).items()
    ]
    return (
        *found,
        Headline("rounds", str(first["rounds"]), f"{first['seconds']:.2f} s"),
        Headline("sent", _megabytes(sum(report["sent"] for report in reports)), "by those who report"),
    )


def sections(reports: Sequence[Report]) -> tuple[Section, ...]:
    """Return what was revealed, what each party spent, and the trust."""
    first = reports[0]
    revealed = tuple(
        (reveal["name"], _shape(reveal["shape"]), readers(reveal["to"], reveal["noise"]), ", ".join(reveal["owners"]))
        for reveal in first["revealed"]
    )
    costs = tuple(
        (
            report["party"], report["role"], f"{report['seconds']:.2f}", str(report["rounds"]),
            _megabytes(report["sent"]), _megabytes(report["received"]),
        )
        for report in reports
    )  # fmt: skip
    correlations = tuple((kind, str(count)) for kind, count in sorted(first["correlations"].items()))
    dealt = (Table("Correlations", ("kind", "words"), correlations),) if correlations else ()
    headings = ("party", "role", "seconds", "rounds", "sent", "received")
    return (
        Section(
            "What was revealed",
            "Nothing else was opened to anybody.",
            (Table("", ("output", "shape", "to", "depends on"), revealed),),
        ),
        Section("What it cost", parts=(Table("", headings, costs), *dealt)),
        Section("Trust", first["trust"]),
    )


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) if shape else "a number"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"
