"""What passes between the two parties is listed, has the lengths that the job says, and nothing else is taken."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mpc._core import CkksParameters
from mpc.channels.memory import memory_pair, run_both_sides
from mpc.encrypted import parameters
from mpc.encrypted.programs.logistic import Logistic
from mpc.encrypted.release import Comparison
from mpc.encrypted.training import (
    Job,
    owner_encrypt,
    owner_foresee,
    owner_make_keys,
    owner_make_secret,
    owner_refresh,
    trainer_train,
)
from mpc.errors import ParameterError, ProtocolError
from parties.encrypted.wire import receive_parts, receive_weights, refresh, send_parts, send_refreshed

PAGE = Path(__file__).resolve().parents[3] / "docs" / "messages.md"


def listed() -> list[re.Pattern[str]]:
    """The labels of the page, with their placeholders."""
    text = PAGE.read_text().split("\n## Encrypted training\n")[1].split("\n## ")[0]
    labels = re.findall(r"`([\w-]+(?:/[\w-]+)+)`", text)
    return [re.compile(re.sub(r"STEP|TARGET|CHUNK|ITERATION", r"\\d+", label)) for label in labels]


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Job:
    def make() -> CkksParameters:
        return CkksParameters(256, [47] + [36] * 5, [47], 36, insecure=True)

    monkeypatch.setattr(parameters, "SETS", {"tiny": make})
    monkeypatch.setattr(parameters, "_made", {})
    return Job.of(100, 4, Logistic(0.5, 3, stretch=1), targets=2)


def test_every_message_is_on_the_page_and_arrives(job: Job) -> None:
    secret = owner_make_secret(job.parameters, bytes(32))
    records = [np.random.default_rng(target).normal(size=(100, 4)) for target in range(2)]
    keys, parts = owner_make_keys(job, secret), owner_encrypt(job, secret, records)
    foreseen = owner_foresee(job, records)
    to_trainer, to_owner = memory_pair("data-owner", "project-owner")
    sent: list[str] = []
    original = to_trainer.send
    to_trainer.send = lambda label, *body: (sent.append(label), original(label, *body))[1]  # type: ignore[method-assign]

    def trainer() -> dict[str, bytes]:
        found = receive_parts(to_owner, "keys", job.key_sizes())
        given = receive_parts(to_owner, "records", job.record_sizes())
        steps = trainer_train(job, found, given, partial(refresh, to_owner, job))
        weights = {f"weights {step.target}": step.weights for step in steps if step.weights}
        send_parts(to_owner, "weights", weights, job.weight_sizes())
        return found | given

    comparison = Comparison()

    def owner() -> dict[str, bytes]:
        send_parts(to_trainer, "keys", keys, job.key_sizes())
        send_parts(to_trainer, "records", parts, job.record_sizes())
        for target, iteration in job.refreshes:
            message = receive_weights(to_trainer, job, target, iteration)
            sent.append(f"refresh/{target}/{iteration}")
            again = owner_refresh(job, secret, message, foreseen[target].refreshed[iteration], comparison)
            send_refreshed(to_trainer, target, iteration, again)
        return receive_parts(to_trainer, "weights", job.weight_sizes())

    weights, seen = run_both_sides(owner, trainer)
    assert seen == keys | parts
    assert list(weights) == ["weights 0", "weights 1"]
    sent += [f"weights/{name.replace(' ', '-')}" for name in weights]
    patterns = listed()
    assert len(patterns) == 7
    assert all(any(pattern.fullmatch(label) for pattern in patterns) for label in sent)
    assert all(any(pattern.fullmatch(label) for label in sent) for pattern in patterns)


def test_other_lengths_are_neither_sent_nor_taken(job: Job) -> None:
    to_trainer, to_owner = memory_pair("data-owner", "project-owner")
    with pytest.raises(ParameterError, match="expected 2 parts of the job's lengths, found 1 others"):
        send_parts(to_trainer, "weights", {"weights 0": b""}, job.weight_sizes())
    to_trainer.send("weights/weights-0", b"short")
    with pytest.raises(ProtocolError, match="weights-0"):
        receive_parts(to_owner, "weights", job.weight_sizes())
