"""The benchmarks' tables stand on their page as they would be written, and new figures take the place of old ones."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import engine, speed_report
from benchmarks.speed_report import PAGE, TABLES, Table, write
from mpc._core import Circuit
from mpc.garbled.batch import Projection


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
    assert all(row[3].endswith(speed_report.processor()) for row in rows[1:])
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
        "batch": 2, "ms": 3.0, "online_ms": 1.0, "mb": 4.0, "error": 0.2, "memory_mb": 5.0,
        "server": {"memory_mb": 6.0},
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
        [work, "Cheetah (SPU)", "0.50", "0.1000", "8"],
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


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("aes vaes avx512f", "AMD EPYC, VAES-512"), ("aes vaes avx2", "AMD EPYC, VAES-256"), ("aes", "AMD EPYC, no VAES")],
)
def test_a_row_names_the_processor(tmp_path: Path, flags: str, expected: str) -> None:
    about = tmp_path / "cpuinfo"
    about.write_text(f"processor\t: 0\nmodel name\t: AMD EPYC 7000\nflags\t\t: fpu {flags} sse\n")
    assert speed_report.processor(about) == expected
    assert speed_report.processor(tmp_path / "none") == "unknown, no VAES"


def test_the_engines_figures_can_be_taken() -> None:
    ot = engine.measure_ot_extension(count=128, times=1)
    assert ot["ots"] == 128
    assert ot["bytes_each"] < 40
    row = engine.measure_circuit(Circuit.relu(8, 0), 64, "tcp", "prepared", Projection(8), times=1)
    assert row["and_gates"] == 64 * Circuit.relu(8, 0).and_gates
