"""Every official vector of Prio3, of draft-irtf-cfrg-vdaf-20. Negative ones fail at the very call that they name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.commons.prio import Messages, OutShare, Prio3, ReportError, VerifyState
from tests.mpc.commons.instances import instance_of

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "vdaf"
FILES = sorted(path.stem for path in FOLDER.glob("Prio3*.json"))


def loaded(name: str) -> tuple[Prio3[Any, Any], dict[str, Any]]:
    vector = json.loads((FOLDER / f"{name}.json").read_text())
    return instance_of(name, vector), vector


class Replay:
    """Calls the operations of a vector in their order, on what the vector says that was sent."""

    def __init__(self, prio3: Prio3[Any, Any], vector: dict[str, Any]) -> None:
        self.prio3, self.vector = prio3, vector
        self.ctx, self.key = bytes.fromhex(vector["ctx"]), bytes.fromhex(vector["verify_key"])
        self.states: dict[tuple[int, int], VerifyState] = {}
        self.out: dict[tuple[int, int], OutShare] = {}

    def run(self, operation: dict[str, Any]) -> None:
        getattr(self, operation["operation"])(operation)

    def report(self, operation: dict[str, Any]) -> dict[str, Any]:
        return self.vector["reports"][operation["report_index"]]

    def shard(self, operation: dict[str, Any]) -> None:
        report = self.report(operation)
        nonce, rand = bytes.fromhex(report["nonce"]), bytes.fromhex(report["rand"])
        public, shares = self.prio3.shard(self.ctx, report["measurement"], nonce, rand)
        assert public.hex() == report["public_share"]
        assert [share.hex() for share in shares] == report["input_shares"]

    def verify_init(self, operation: dict[str, Any]) -> None:
        report, agg_id = self.report(operation), operation["aggregator_id"]
        nonce, public = bytes.fromhex(report["nonce"]), bytes.fromhex(report["public_share"])
        share = bytes.fromhex(report["input_shares"][agg_id])
        state, verifier = self.prio3.verify_init(self.key, self.ctx, agg_id, nonce, public, share)
        assert verifier.hex() == report["verifier_shares"][0][agg_id]
        self.states[operation["report_index"], agg_id] = state

    def verifier_shares_to_message(self, operation: dict[str, Any]) -> None:
        report = self.report(operation)
        shares = [bytes.fromhex(share) for share in report["verifier_shares"][operation["round"]]]
        message = self.prio3.verifier_shares_to_message(self.ctx, shares)
        assert message.hex() == report["verifier_messages"][operation["round"]]

    def verify_next(self, operation: dict[str, Any]) -> None:
        report, place = self.report(operation), (operation["report_index"], operation["aggregator_id"])
        message = bytes.fromhex(report["verifier_messages"][operation["round"] - 1])
        self.out[place] = self.prio3.verify_next(self.ctx, self.states[place], message)
        assert self.out[place].encoded.hex() == report["out_shares"][place[1]]

    def aggregate(self, operation: dict[str, Any]) -> None:
        agg_id, share = operation["aggregator_id"], self.prio3.agg_init()
        for report in range(len(self.vector["reports"])):
            share = self.prio3.agg_update(share, self.out[report, agg_id])
        assert share.hex() == self.vector["agg_shares"][agg_id]

    def unshard(self, operation: dict[str, Any]) -> None:
        shares = [bytes.fromhex(share) for share in self.vector["agg_shares"]]
        assert self.prio3.unshard(shares, len(self.vector["reports"])) == self.vector["agg_result"]


def test_all_files_are_there() -> None:
    assert len(FILES) == 25
    assert sum("_bad_" in name for name in FILES) == 8


@pytest.mark.parametrize("name", FILES)
def test_a_vector_holds_and_fails_where_it_says(name: str) -> None:
    prio3, vector = loaded(name)
    replay = Replay(prio3, vector)
    failed = 0
    for operation in vector["operations"]:
        if operation["success"]:
            replay.run(operation)
        else:
            failed += 1
            with pytest.raises(ReportError):
                replay.run(operation)
    assert failed == ("_bad_" in name)


@pytest.mark.parametrize("name", [name for name in FILES if "_bad_" not in name])
@pytest.mark.parametrize("copies", [1, 3, 6])
def test_a_batch_gives_the_bytes_of_single_reports(name: str, copies: int) -> None:
    """Each report of the vector several times, so that lanes are full, and not."""
    prio3, vector = loaded(name)
    ctx, key = bytes.fromhex(vector["ctx"]), bytes.fromhex(vector["verify_key"])
    reports = vector["reports"] * copies

    def table(values: list[str]) -> Any:
        return np.array([list(bytes.fromhex(value)) for value in values], np.uint8).reshape(len(values), -1)

    nonces, rand = table([r["nonce"] for r in reports]), table([r["rand"] for r in reports])
    made = prio3.shard_batch(ctx, [r["measurement"] for r in reports], nonces, rand)
    assert (made.public_shares == table([r["public_share"] for r in reports])).all()
    states, verifiers = [], []
    for agg_id in range(prio3.SHARES):
        shares = table([r["input_shares"][agg_id] for r in reports])
        assert (made.input_shares[agg_id] == shares).all()
        state, verifier = prio3.verify_init_batch(key, ctx, agg_id, nonces, made.public_shares, shares)
        assert (verifier == table([r["verifier_shares"][0][agg_id] for r in reports])).all()
        assert state.valid.all()
        states.append(state)
        verifiers.append(verifier)
    messages = prio3.verifier_shares_to_message_batch(ctx, verifiers)
    assert isinstance(messages, Messages)
    assert messages.valid.all()
    assert (messages.rows == table([r["verifier_messages"][0] for r in reports])).all()
    for agg_id, state in enumerate(states):
        out = prio3.verify_next_batch(ctx, state, messages)
        assert out.valid.all()
        assert (out.rows == table([r["out_shares"][agg_id] for r in reports])).all()
        if copies == 1:
            assert prio3.aggregate(out).hex() == vector["agg_shares"][agg_id]
