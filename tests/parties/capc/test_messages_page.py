"""The page of messages is true: what is sent is listed, and what is listed is sent."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
import pytest

from mpc.capc.batches import answering_receive_name, guardian_await_ready, querying_name_batch, querying_say_ready
from mpc.capc.budget import (
    GuardiansAccount,
    querying_end,
    querying_request_batch,
)
from mpc.capc.odometer import OwnersAccount, answering_send_account, querying_receive_account
from mpc.capc.protocol import run_capc
from mpc.capc.quorum import (
    answering_receive_number,
    guardian_name_voters,
    guardian_number_voters,
    querying_receive_voters,
)
from mpc.capc.turns import guardian_give_turn, querying_await_turn
from mpc.channels.memory import MemoryChannel, memory_pair, run_both_sides
from mpc.inference import AnsweringPool, QueryingPool
from parties.ledger import Ledger
from tests.mpc.capc.test_protocol import network, parameters, queries
from tests.parties.capc.test_pages import ROOT, table_under

Sent = dict[str, dict[str, list[int]]]  # label, then sender: lengths


def as_pattern(label: str) -> str:
    """A label of the page, with its placeholders, as a regular expression."""
    parts = {"N": r"\d+", "B": r"\d+", "CIRCUIT": r"\w+\([^/]*\)", "n": r"\d+(?:/(?:signed )?shares of \d+ bits)?"}
    return "/".join(parts.get(part, re.escape(part)) for part in label.split("/"))


def role(name: str) -> str:
    return {"client": "QP", "privacy-guardian": "PG"}.get(name, "AP")


def rows_of(heading: str) -> dict[str, tuple[set[str], str]]:
    """By label: who sends it, and its length in words."""
    rows = {}
    for row in table_under("messages.md", heading):
        label, senders = row[0].strip("`"), row[1].partition("→")[0]
        rows[label] = ({name.strip() for name in senders.split(",")}, row[4] if len(row) > 4 else "")
    return rows


def steps_of_the_parties(folder: Path) -> Iterator[tuple[str, MemoryChannel]]:
    """What parties say to each other around the protocol, from the functions that they call."""
    client, guardian = memory_pair("client", "privacy-guardian")
    run_both_sides(lambda: querying_await_turn(client), lambda: guardian_give_turn(guardian))
    guardian_name_voters(guardian, ["server-0"])
    querying_receive_voters(client, ["server-0"], 1)
    near, far = memory_pair("privacy-guardian", "server-0")
    guardian_number_voters(near, 1)
    answering_receive_number(far, 1, 1)
    yield "privacy-guardian", near
    asking_end, answering_end = memory_pair("client", "server-0")
    querying_name_batch(asking_end, bytes(16))
    answering_receive_name(answering_end)
    answering_send_account(answering_end, OwnersAccount("", 1, 0.5))
    querying_receive_account(asking_end, 1)
    yield "client", asking_end
    yield "server-0", answering_end
    account = GuardiansAccount(
        channel=guardian,
        ledger=Ledger(folder / "ledger", lambda costs: float(sum(cost.count for cost in costs)), None),
        account="account",
        session="session",
        query_costs=parameters(2, "1", threshold=1, threshold_sigma="1").costs,
        max_queries=2,
        openings=None,
        epsilon_of=lambda costs: 0.0,
        budget=None,
    )

    def ask() -> None:
        querying_request_batch(client, 2, bytes(16))
        querying_say_ready(client)
        querying_end(client)

    def grant() -> None:
        account.charge()
        guardian_await_ready(guardian)
        account.charge()

    run_both_sides(ask, grant)
    yield "client", client
    yield "privacy-guardian", guardian

    client, server = memory_pair("client", "server-0")

    def use() -> None:
        pool: QueryingPool[int] = QueryingPool(client, lambda batch: batch, 1)
        pool.take(1)
        pool.end()

    def serve() -> None:
        pool: AnsweringPool[int] = AnsweringPool(server, lambda batch: batch, 1)
        while pool.next():
            pass

    run_both_sides(use, serve)
    yield "client", client
    yield "server-0", server


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """Every message of runs that together use every choice: by label and the sender's role, its lengths."""
    usual = parameters(2, "1")
    choices: list[dict[str, object]] = [
        {},
        {"preprocessing": "dealer", "aggregation": "direct"},
        {"threshold": 2, "threshold_sigma": "1"},
        {"circuits": "streamed", "garbling": "three-halves", "labelling": "labels"},
    ]
    ends = list(steps_of_the_parties(tmp_path_factory.mktemp("ledger")))
    for choice in choices:
        run = run_capc(queries(2), [network(0), network(1)], msgspec.structs.replace(usual, **choice))
        ends += [(name, channel) for name, channels in run.views.items() for channel in channels]
    found: Sent = defaultdict(lambda: defaultdict(list))
    for name, channel in ends:
        for direction, label, body in channel.transcript:
            if direction == "sent":
                found[label][role(name)].append(len(body))
    return found


def test_every_message_that_is_sent_has_a_row_with_its_sender_and_length(sent: Sent) -> None:
    rows = rows_of("Rows")
    for label, senders in sent.items():
        fitting = [row for row in rows if re.fullmatch(as_pattern(row), label)]
        assert len(fitting) == 1, f"{label} has rows {fitting}"
        allowed, length = rows[fitting[0]]
        assert allowed == {"each"} or set(senders) <= allowed, f"{label} is sent by {set(senders)}"
        if exact := re.fullmatch(r"(\d+) B", length):
            assert {size for sizes in senders.values() for size in sizes} == {int(exact[1])}, label


def test_every_row_is_really_sent_by_everybody_it_names(sent: Sent) -> None:
    for row, (senders, _) in rows_of("Rows").items():
        found = {name for label in sent if re.fullmatch(as_pattern(row), label) for name in sent[label]}
        assert found == ({"QP", "AP", "PG"} if senders == {"each"} else senders), row


def test_what_is_said_not_to_be_sent_is_not(sent: Sent) -> None:
    for row in rows_of("Not sent in a run that goes on"):
        assert not [label for label in sent if re.fullmatch(as_pattern(row), label)]


def test_every_label_in_the_code_has_a_row() -> None:
    sections = (ROOT / "docs" / "messages.md").read_text().split("\n## ")[1:]  # also those of other protocols
    headings = [section.partition("\n")[0] for section in sections if "\n| label |" in section]
    assert {"Rows", "Not sent in a run that goes on"} < set(headings)
    rows = {label: row for heading in headings for label, row in rows_of(heading).items()}
    speaking = {"send", "recv", "recv_into", "send_words", "recv_words", "send_message", "recv_message"}
    written = set()
    for path in [*(ROOT / "mpc").rglob("*.py"), *(ROOT / "parties").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in speaking:
                written |= {label for argument in node.args[:2] if (label := label_in(argument))}
    assert len(written) > 20
    assert [label for label in written if not any(fnmatchcase(row, label) for row in rows)] == []


def label_in(argument: ast.expr) -> str:
    """A label as it is written in the code, with * for what is filled in; empty for anything else."""
    if isinstance(argument, ast.Constant):
        return argument.value if isinstance(argument.value, str) else ""
    if isinstance(argument, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "*" for part in argument.values)  # type: ignore[misc]
    return ""
