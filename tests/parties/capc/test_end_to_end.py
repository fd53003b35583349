"""The real party programs over TLS, one process each, without a launcher: labels, account, failures."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import msgspec
import pytest

from mpc.inference import TRUST, Architecture
from mpc.inference.linear.dealt import SEED_BYTES
from orchestrator.events import Event
from parties.frame.errors import ConfigError
from tests.parties.capc import overheard
from tests.parties.capc.runs import expected_labels, running


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for several runs, so that the later ones find the earlier ones' models in the cache."""
    return tmp_path_factory.mktemp("runs")


CHOICES = {"models": "mlp,cnn-avgpool", "n_queries": 5, "batch_size": 2, "first_query": 40}


def test_without_noise_the_labels_are_the_majority_of_different_models(top: Path) -> None:
    with running(top, "encrypted", **CHOICES) as run:
        result = run.finish()
        labels = [query["predicted"] for query in result["queries"]]
        assert labels == expected_labels(run)
    assert [query["index"] for query in result["queries"]] == [40, 41, 42, 43, 44]
    assert result["epsilon"] is None
    assert TRUST["he"] in result["trust"]
    events = [json.loads(line) for line in run.folders.events("client").read_text().splitlines()]
    costs = {(event["step"], event.get("peer")) for event in events if event["event"] == "step_finished"}
    assert {("1a", "server-0"), ("1c", "server-1"), ("3", "privacy-guardian")} <= costs
    assert set.union(*(set(event) for event in events)) <= set(Event.__struct_fields__)
    for name in ("server-0", "privacy-guardian"):
        listening = [json.loads(line) for line in run.folders.events(name).read_text().splitlines()]
        assert any(event["event"] == "listening" for event in listening)


def test_dealt_correlations_give_the_same_labels_and_the_guardian_sees_shapes_and_masks(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERHEARD", str(tmp_path))
    with running(
        top, "dealt", wrapper="tests.parties.capc.overheard", preprocessing="dealer", aggregation="direct", **CHOICES
    ) as run:
        result = run.finish()
        assert [query["predicted"] for query in result["queries"]] == expected_labels(run)
    assert TRUST["dealer"] in result["trust"]
    seen = overheard.read(tmp_path, "privacy-guardian")
    for server in ("server-0", "server-1"):
        received = [(label, body) for peer, label, body in seen if peer == server]
        assert [label for label, _ in received if label == "hello"] == ["hello"] * 2  # two connections
        (shapes,) = [body for label, body in received if label == "dealer/architecture"]
        assert msgspec.msgpack.decode(shapes, type=Architecture).input_shape == (1, 8, 8)
        requests = [msgspec.msgpack.decode(body) for label, body in received if label == "dealer/request"]
        assert requests == [{"batch": 2}, {"batch": 2}, {"batch": 1}, {"batch": 0}]
        masks = [len(body) for label, body in received if label == "masks/plain"]
        assert {label for label, _ in received} == {"hello", "dealer/architecture", "dealer/request", "masks/plain"}
        assert len(masks) == 3
    labels = {label for peer, label, _ in seen if peer == "client"}
    assert {label.partition("/")[0] for label in labels} == {"hello", "budget", "garbled", "release"}
    received = {(peer, label): body for peer, label, body in overheard.read(tmp_path, "client")}
    assert len(received["privacy-guardian", "dealer/seeds"]) == 2 * SEED_BYTES
    assert ("privacy-guardian", "paillier/key") not in received
    assert not any(label.endswith("/reply") for _, label in received)


def test_the_second_run_is_charged_on_top_and_one_over_budget_is_refused(tmp_path: Path) -> None:
    spending = {"dp_noise_scale": "2", "epsilon_budget": 4.5, "n_parties": 1}
    with running(tmp_path, "first", **spending) as run:
        first = run.finish()
    assert first["epsilon"] == pytest.approx(2.95, abs=0.05)
    with running(tmp_path, "second", **spending) as run:
        second = run.finish()
    assert first["epsilon"] < second["epsilon_total"] < 2 * first["epsilon"]
    with (
        pytest.raises(ConfigError, match=r"would get a label.* at most epsilon 4\.5 for party-0-of-2/.*files_dir"),
        running(tmp_path, "third", **spending),
    ):
        pass


def test_a_killed_party_ends_the_others_with_its_name(top: Path) -> None:
    with running(top, "killed", models="mlp,cnn-avgpool", n_queries=300) as run:
        run.wait_for_event("client", '"step": "3"')
        run.processes["server-1"].send_signal(signal.SIGKILL)
        for name in ("client", "server-0", "privacy-guardian"):
            assert run.processes[name].wait(60) == 1
        status = json.loads(run.folders.status("client").read_text())
    assert status["ok"] is False
    assert status["peer"] == "server-1"
    assert "Traceback" not in run.folders.log("client").read_text()


def test_a_model_that_does_not_fit_the_ring_fails_before_anybody_is_asked(tmp_path: Path) -> None:
    with running(tmp_path, n_parties=1, ring_bits=28) as run:
        assert run.processes["server-0"].wait(600) == 1
        status = json.loads(run.folders.status("server-0").read_text())
        events = run.folders.events("server-0").read_text()
    assert "layer" in status["error"]
    assert "listening" not in events


def test_weights_beyond_public_bounds_are_refused_at_their_owner_or_scaled_down(tmp_path: Path) -> None:
    with running(
        tmp_path, "refused", n_parties=1, models="logistic-regression", weight_norm=1, beyond_bounds="refuse"
    ) as run:
        assert run.processes["server-0"].wait(600) == 1
        status = json.loads(run.folders.status("server-0").read_text())
        events = run.folders.events("server-0").read_text()
    assert re.search(
        r"norm up to 2\^\d+ in layer \d \(Linear\), the public bound, found a norm that needs", status["error"]
    )
    assert not re.search(r"\d\.\d|\d{3}", status["error"])
    assert "listening" not in events
    with running(tmp_path, "scaled", n_parties=1, models="logistic-regression", weight_norm=1, dp_noise_scale=0) as run:
        result = run.finish()
        assert [query["predicted"] for query in result["queries"]] == expected_labels(run)
