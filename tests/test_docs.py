"""The pages are true: what they name exists, what is sent is listed, and what is listed is sent."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from benchmarks import speed_report
from benchmarks.speed_report import PAGE, TABLES, Table, write
from mpc.capc.budget import (
    GuardiansAccount,
    querying_end,
    querying_request_batch,
)
from mpc.capc.odometer import OwnersAccount, answering_send_account, querying_receive_account
from mpc.capc.protocol import run_capc
from mpc.capc.turns import guardian_give_turn, querying_await_turn
from mpc.channels.memory import MemoryChannel, memory_pair, run_both_sides
from mpc.inference import AnsweringPool, QueryingPool
from orchestrator.config import RunOptions
from parties.capc.config import CapcConfig
from parties.capc.settings import ANSWERING, GUARDIAN, QUERYING
from parties.ledger import Ledger
from tests.mpc.capc.test_protocol import network, parameters, queries

ROOT = Path(__file__).resolve().parents[1]
WHERE_PAGES_LIE = ("*.md", "docs/*.md", "files/README.md", "logs/README.md", "benchmarks/peers/*.md")
PAGES = sorted(page for pattern in WHERE_PAGES_LIE for page in ROOT.glob(pattern))
OTHER_PROGRAMS = re.compile(r"\b(cmake|ctest|docker|pip|git)\b[^`\n]*")  # their flags are not ours
OLD_PAGES = {"CHANGELOG.md"}  # what was true once may name what has gone
PAGES_WITH_FILES = {"adding-a-protocol.md"}  # what it names it brings along; a test of its own runs it
README_LINES = 120

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The names that a page's headings have as targets of links."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table_under(page: str, heading: str) -> list[list[str]]:
    """The rows, without the head, of the table under a heading."""
    text = (ROOT / "docs" / page).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [cells(line) for line in text.splitlines() if line.startswith("|")][2:]


# --- what pages name ------------------------------------------------------------------------------------------------


def test_the_readme_is_a_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in anchors(found.read_text())):
            broken.append(target)
    assert broken == []


@pages
def test_every_path_exists(page: Path) -> None:
    if page.name in OLD_PAGES | PAGES_WITH_FILES:
        return
    tops = "mpc|parties|orchestrator|tests|docs|configs|benchmarks|notebooks"
    named = re.findall(rf"(?<![\w/.-])((?:{tops})/[\w./-]*)", page.read_text())
    named += re.findall(r"`(\w+\.(?:py|toml))`(?!\])", page.read_text()) if page.parent == ROOT else []
    assert [path for path in named if not (ROOT / path.rstrip(".")).exists()] == []


@pages
def test_every_module_that_one_may_run_is_there(page: Path) -> None:
    if page.name in PAGES_WITH_FILES:
        return
    modules = re.findall(r"python[\d.]* -m ([\w.]+\w)", page.read_text())
    assert [name for name in modules if find_spec(name) is None] == []


@pages
def test_every_test_that_is_named_is_there(page: Path) -> None:
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", page.read_text())
    assert [pair for pair in named if f"def {pair[1]}(" not in (ROOT / pair[0]).read_text()] == []


@pytest.fixture(scope="module")
def flags() -> set[str]:
    """Of `run_protocol.py`, and of every other program of the project."""
    command = [sys.executable, "run_protocol.py", "--help"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tops = ("benchmarks", "orchestrator", "parties", "tests/vectors")
    sources = [path for top in tops for path in (ROOT / top).rglob("*.py")]
    text += "".join(path.read_text() for path in sources)
    return set(re.findall(r"(?<![\w-])--\w+", text))


@pages
def test_every_flag_is_one(page: Path, flags: set[str]) -> None:
    if page.name not in OLD_PAGES:
        text = OTHER_PROGRAMS.sub("", page.read_text().replace("\\\n", " "))
        assert set(re.findall(r"(?<![\w<!-])--[a-z]\w*", text)) - flags == set()


def test_every_key_of_the_choices_is_a_key() -> None:
    keys = set(CapcConfig.model_fields) | set(RunOptions.model_fields)
    first = [cells(line)[0] for line in (ROOT / "docs" / "choices.md").read_text().splitlines() if line[:3] == "| `"]
    named = {name for cell in first for name in re.findall(r"`(\w+)`", cell)}
    assert len(named) > 20
    assert named - keys == set()


@pages
def test_every_configuration_is_there(page: Path) -> None:
    named = re.findall(r"`([\w-]+\.yaml)`", page.read_text())
    assert [name for name in named if not (ROOT / "configs" / name).exists()] == []


def test_the_glossary_names_every_role_that_the_code_names() -> None:
    rows = table_under("glossary.md", "Roles")
    assert {QUERYING, ANSWERING, GUARDIAN} <= {row[0].partition(",")[0] for row in rows}


def test_the_glossary_has_every_word_once() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()
    words = [cells(line)[0] for line in text.splitlines() if line.startswith("|")]
    words = [word for word in words if word not in ("word", "---")]
    assert sorted(words) == sorted(set(words))


# --- messages -------------------------------------------------------------------------------------------------------

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
    asking_end, answering_end = memory_pair("client", "server-0")
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
        epsilon_of=lambda costs: 0.0,
        budget=None,
    )

    def ask() -> None:
        querying_request_batch(client, 2)
        querying_end(client)

    def grant() -> None:
        account.charge()
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
    for row in rows_of("Not sent by CaPC"):
        assert not [label for label in sent if re.fullmatch(as_pattern(row), label)]


def test_every_label_in_the_code_has_a_row() -> None:
    rows = {**rows_of("Rows"), **rows_of("Not sent by CaPC")}
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


# --- tables that the benchmarks write -------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_benchmarks_table_stands_on_the_page_as_it_would_be_written(table: Table) -> None:
    page = PAGE.read_text()
    assert find_spec(f"benchmarks.{table.module}")
    assert table.rows(page)
    assert table.replace(page, [], "never") == page


def test_new_figures_take_the_place_of_old_ones_and_others_stay(tmp_path: Path) -> None:
    table = Table("speeds", "engine", ("work", "TCP", "TLS"))
    page = tmp_path / "page.md"
    text = f"before\n{table.begin}\n{table.end}\nafter\n"
    page.write_text(table.replace(text, [["a", "1", "2"], ["b", "3", ""]], "2000-01-01"))
    write(table, [["b", "4", "5"], ["c", "6", "7"]], page)
    rows = table.rows(page.read_text())
    assert [row[:3] for row in rows] == [("a", "1", "2"), ("b", "4", "5"), ("c", "6", "7")]
    assert [row[3] == "2000-01-01" for row in rows] == [True, False, False]
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("\nafter\n")


@pytest.mark.parametrize("spoil", [lambda text: "", lambda text: text + text], ids=["none", "twice"])
def test_a_page_without_the_one_place_is_refused(spoil: Callable[[str], str]) -> None:
    table = Table("speeds", "engine", ("work", "TCP", "TLS"))
    with pytest.raises(ValueError, match="expected one table between the marks of speeds"):
        table.replace(spoil(f"{table.begin}\n{table.end}\n"), [], "today")


def test_every_benchmarks_results_become_rows_of_its_table() -> None:
    peer = {"ms": 9.0, "mb": 1.0, "error": 0.1, "memory_mb": 7.0, "other_memory_mb": [8.0]}
    inference = {
        "ms": 3.0, "online_ms": 1.0, "mb": 2.0, "error": 0.2, "memory_mb": 5.0, "server": {"memory_mb": 6.0},
        "peers": {
            "spu cheetah": {"ratio": 3.0, "ratio_range": [2.0, 4.0], "ms": 9.0, "runs": [peer]},
            "spu semi2k": {"missing": "no environment"},
        },
    }  # fmt: skip
    results = {"rows": {"cn-relu-1": inference, "mlp-1": inference | {"peers": {}}}}
    work, other = "CN-ReLU, 1 query, nobody trusted", "digits MLP, 1 query, nobody trusted"
    assert speed_report.inference_rows(results) == [
        [work, "Cheetah (SPU)", "3.0 [2.0-4.0]", "3.0", "1.0"],
        [other, "none beside it", "", "3.0", "1.0"],
    ]
    assert speed_report.size_rows(results) == [
        [work, "ours", "2.00", "0.2000", "6"],
        [work, "Cheetah (SPU)", "1.00", "0.1000", "8"],
        [other, "ours", "2.00", "0.2000", "6"],
    ]
    kernel = {"level": "vaes512", "relu(41, 12) x 64": {"garble_of_aes": 0.7, "evaluate_of_aes": 0.6}}
    kernel |= {"argmax(10, 41) x 256": {"garble_of_aes": 0.8, "evaluate_of_aes": 0.5}}
    kernel |= {"relu(41, 12) x 4": {"garble_of_aes": 0.1, "evaluate_of_aes": 0.1}}  # not a whole tile
    kernel |= {"relu(41, 12) x 1024, three halves": {"garble_of_aes": 0.9, "evaluate_of_aes": 0.9}}
    assert speed_report.kernel_rows({"kernel": kernel}) == [["vaes512", "70-80%", "50-60%"]]
    links = [{"transport": name, "bytes_per_s": 2e9} for name in ("tcp", "tls")]
    engine = {"links": links, "gates": [{"transport": "tls", "and_per_s": 5e7}], "relus": [], "argmax": []}
    assert speed_report.engine_rows(engine) == [
        ["what the link carries", "2.0 GB/s", "2.0 GB/s"],
        ["gates alone, two processes", "", "50 M AND/s"],
    ]
    taken = {"seconds": 0.002, "min_s": 0.001, "max_s": 0.003}
    formats = {"TCP": {"relus": 2000, "half-gates": taken, "three-halves": taken, "gain": 1.0}}
    assert speed_report.format_rows(formats) == [["TCP", "2,000", "2.0 [1.0-3.0]", "2.0 [1.0-3.0]", "1.00"]]
    cell = {"parties": 5, "batch": 16, "aggregation": "direct", "circuits": "ahead", "labels_a_minute": 1234.5}
    assert speed_report.throughput_rows([cell]) == [["5", "16", "direct", "ahead", "1,234"]]
    campaign = {"before": 0.5, "after": 0.75, "clear_after": [0.6, 0.8], "labels": 20, "epsilon": 9.0}
    rows = [campaign | {"seconds_a_query": 0.1}, campaign | {"seconds_a_query": 0.3, "epsilon": 9.5, "before": 0.7}]
    expected = ["clinics.yaml", "2", "0.60", "0.75", "0.70", "20", "9.5", "0.20"]
    assert speed_report.campaign_row("clinics.yaml", rows) == expected


def test_a_row_of_another_width_is_refused() -> None:
    table = Table("speeds", "engine", ("work", "TCP", "TLS"))
    with pytest.raises(ValueError, match="expected 3 cells"):
        table.replace(f"{table.begin}\n{table.end}\n", [["a", "1"]], "today")
