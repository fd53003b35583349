"""What a run of a service shows: answers beside the model in the clear, their speed, and who saw what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from parties.frame.charts import Headline, Section, Table
from parties.frame.plan import Summary
from parties.tensors.serving.settings import CLIENT, COMPUTING, OWNER, PROVIDER

STEPS = {"0": "load", "1": "meet, or ask", "2": "share the model"}

Report = Mapping[str, Any]


def summary(reports: Sequence[Report]) -> Summary:
    """Return all of it, from the reports of all parties."""
    clients, computing = _of(reports, CLIENT), _of(reports, COMPUTING)
    leader = computing[0]
    answered = sum(client["records"] for client in clients)
    seconds = max(client["seconds"] for client in clients)
    names = " and ".join(each["party"] for each in computing)
    lead = f"{names} answered {answered} records of {', '.join(client['party'] for client in clients)}"
    twin = _beside(clients)
    lines = [(client["party"], _client_line(client)) for client in clients]
    lines += [
        (each["party"], f"{each['batches']} batches, {each['rounds']} rounds, {_megabytes(each['sent'])} sent")
        for each in computing
    ]
    return Summary(
        (*lines, ("trust", leader["trust"])),
        headlines=(
            Headline("answers", str(answered), twin),
            Headline("records a second", f"{answered / seconds:.0f}", "of all clients together"),
            Headline("median", f"{clients[0]['median_ms']:.1f} ms", f"for {clients[0]['at_once']} at once"),
        ),
        sections=tuple(_sections(reports)),
        lead=lead + (f": {twin}" if twin else ""),
    )


def own_summary(report: Report) -> Summary:
    """Return what a member of a federation is shown of what it has asked, or given."""
    if report["role"] == OWNER:
        given = f"{report['parameters']} numbers, {_megabytes(report['sent'])} sent, in {report['seconds']:.2f} s"
        return Summary(((report["party"], given),), lead=f"{report['party']} gave its model in shares")
    twin = _beside([report])
    lead = f"{report['records']} records of {report['party']} were answered"
    sections = [
        Section("First answers", "Nobody else has learned them.", (Table("", _ANSWERS, tuple(_answers(report))),))
    ]
    return Summary(
        ((report["party"], _client_line(report)),),
        headlines=(Headline("answers", str(report["records"]), twin),),
        sections=tuple(sections),
        lead=lead + (f": {twin}" if twin else ""),
    )


def _of(reports: Sequence[Report], role: str) -> list[Report]:
    return [report for report in reports if report["role"] == role]


def _beside(clients: Sequence[Report]) -> str:
    """Say how near the answers are to the model in the clear, where that is known."""
    known = [client for client in clients if "twin" in client]
    if not known:
        return ""
    farthest = max(client["farthest"] for client in known)
    same = sum(client["same_largest"] * client["records"] for client in known) / sum(c["records"] for c in known)
    return f"at most {farthest:.2g} from the model in the clear, the same largest score for {100 * same:.4g} %"


def _client_line(client: Report) -> str:
    again = "".join(f", asked again {count} times ({kind})" for kind, count in sorted(client["again"].items()))
    return f"{client['records']} answers, median {client['median_ms']:.1f} ms for {client['at_once']} at once{again}"


def _sections(reports: Sequence[Report]) -> Iterator[Section]:
    clients, computing = _of(reports, CLIENT), _of(reports, COMPUTING)
    headings = ("client", "records", "at once", "first ms", "median ms", "slowest ms", "a second", "sent", "received")
    speed = tuple(
        (
            c["party"], str(c["records"]), str(c["at_once"]), f"{c['first_ms']:.1f}", f"{c['median_ms']:.1f}",
            f"{c['slowest_ms']:.1f}", f"{c['records'] / c['seconds']:.0f}", _megabytes(c["sent"]),
            _megabytes(c["received"]),
        )
        for c in clients
    )  # fmt: skip
    yield Section("How fast", "Of one client, from a request to its answer.", (Table("", headings, speed),))
    rows = tuple(row for client in clients for row in _answers(client))
    yield Section("First answers", "Only the client that asked has learned them.", (Table("", _ANSWERS, rows),))
    costs = tuple(
        (
            each["party"], each["role"], str(each["batches"]), _filled(each), str(each["rounds"]),
            _megabytes(each["sent"]), _megabytes(each["received"]), _megabytes(each["pool_bytes"]),
            str(each["sessions"]),
        )
        for each in (*computing, *_of(reports, PROVIDER))
    )  # fmt: skip
    headings = ("party", "role", "batches", "rows used", "rounds", "sent", "received", "prepared ahead", "sessions")
    yield Section("What it cost", parts=(Table("", headings, costs),))
    yield Section("Who saw what", parts=(Table("", ("party", "what it saw", "turned away"), tuple(_seen(reports))),))
    yield Section("Trust", computing[0]["trust"])


_ANSWERS = ("client", "answer", "in the clear")


def _answers(client: Report) -> Iterator[tuple[str, str, str]]:
    twins = client.get("twin", [[]] * len(client["answers"]))
    for found, twin in zip(client["answers"], twins, strict=True):
        yield client["party"], _numbers(found), _numbers(twin)


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values[:10]) + (" …" if len(values) > 10 else "")


def _filled(report: Report) -> str:
    """Return the share of rows that held a record."""
    answered = sum(report["answers"].values())
    return f"{answered} of {report['rows']}" if answered else "-"


def _seen(reports: Sequence[Report]) -> Iterator[tuple[str, str, str]]:
    for report in reports:
        role, turned = report["role"], report.get("turned_away", {})
        if role == CLIENT:
            saw = "its own records and their answers"
        elif role == OWNER:
            saw = "its own model, and no record"
        elif role == PROVIDER:
            saw = "shapes, and how many batches there were"
        else:
            asked = ", ".join(f"{client} {count}" for client, count in sorted(report["answers"].items()))
            saw = f"a share of the model and of each record; who asked about how many: {asked or 'nobody'}"
        yield report["party"], saw, ", ".join(f"{count} {kind}" for kind, count in sorted(turned.items())) or "-"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"
