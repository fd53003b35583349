"""What the encrypted linear maps refuse, under threads and forks too, and what they show of themselves."""

from __future__ import annotations

import hashlib
import math
import os
import resource
import threading

import numpy as np
import pytest

from mpc._core import RlweEvaluator, RlweParameters, RlweSecretKey
from mpc.errors import OrderError, ParameterError, ProtocolError
from tests.mpc.core.test_rlwe_kernel import SEED, Weights, linear_map, random_words, upload_polynomials

# ---- refusals, threads, printing


@pytest.mark.parametrize("polynomials", [2, 1 << 24, 1 << 40, 1 << 63])
def test_sizes_beyond_all_limits_are_refused_before_anything_is_allocated(polynomials: int) -> None:
    parameters = RlweParameters(4096, 20, [(4, 1000)])
    key = RlweSecretKey(parameters)
    evaluator = RlweEvaluator(parameters, key.public_key())
    loaded = evaluator.load(ones(), 0)
    position, mask = np.array([7], dtype=np.int64), np.zeros(1, dtype=np.uint64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for make in (
        lambda: parameters.reply_bytes(position, polynomials),
        lambda: key.decrypt(b"", position, polynomials),
        lambda: evaluator.apply(loaded, b"", mask, position, polynomials),
    ):
        with pytest.raises(ParameterError, match="expected a result in every polynomial"):
            make()
    if polynomials > 1 << 24:
        with pytest.raises(ParameterError, match="at most 16777216 polynomials"):
            parameters.upload_bytes(polynomials)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # KiB


def test_an_evaluator_refuses_to_answer_in_a_fork() -> None:
    parameters = RlweParameters(4096, 20, [(4, 1)])
    key = RlweSecretKey(parameters)
    evaluator = RlweEvaluator(parameters, key.public_key())
    loaded, upload = evaluator.load(ones(), 0), key.encrypt(np.full((1, 4096), 9, dtype=np.uint64))
    position, mask = np.array([7], dtype=np.int64), np.zeros(1, dtype=np.uint64)
    child = os.fork()
    if child == 0:
        try:
            evaluator.apply(loaded, upload, mask, position)
        except OrderError as error:
            os._exit(0 if "after a fork" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    reply = evaluator.apply(loaded, upload, mask, position)
    assert key.decrypt(reply, position, 1) == [9]


@pytest.fixture
def small() -> tuple[RlweParameters, RlweSecretKey, RlweEvaluator]:
    parameters = RlweParameters(4096, 20, [(4, 1000)])
    key = RlweSecretKey(parameters)
    return parameters, key, RlweEvaluator(parameters, key.public_key())


def ones(outputs: int = 1, inputs: int = 1) -> Weights:
    weights = np.zeros((outputs, inputs, 4096), dtype=np.int64)
    weights[:, :, 0] = 1
    return weights


def test_malformed_messages_are_refused(small: tuple[RlweParameters, RlweSecretKey, RlweEvaluator]) -> None:
    parameters, key, evaluator = small
    weights = evaluator.load(ones(), 0)
    positions, masks = np.array([0, 5], dtype=np.int64), np.zeros(2, dtype=np.uint64)
    upload = key.encrypt(np.zeros((1, 4096), dtype=np.uint64))
    reply = evaluator.apply(weights, upload, masks, positions)
    for wrong in (b"", upload[:-1], upload + b"\0", reply):
        with pytest.raises(ProtocolError, match=f"upload in bytes: expected {len(upload)}, found {len(wrong)}"):
            evaluator.apply(weights, wrong, masks, positions)
        with pytest.raises(ProtocolError, match="public key in bytes"):
            RlweEvaluator(parameters, wrong)
    for wrong in (b"", reply[:-1], reply + b"\0", upload):
        with pytest.raises(ProtocolError, match=f"reply in bytes: expected {len(reply)}, found {len(wrong)}"):
            key.decrypt(wrong, positions, 1)
    with pytest.raises(ProtocolError, match="residues below their prime"):
        evaluator.apply(weights, upload[:16] + b"\xff" * (len(upload) - 16), masks, positions)
    with pytest.raises(ProtocolError, match="zero bits after the last word"):
        key.decrypt(reply[:-1] + b"\xf0", positions, 1)


def test_unusable_arguments_are_refused(small: tuple[RlweParameters, RlweSecretKey, RlweEvaluator]) -> None:
    _, key, evaluator = small
    weights = evaluator.load(ones(), 0)
    positions, masks = np.array([0, 5], dtype=np.int64), np.zeros(2, dtype=np.uint64)
    message = np.zeros((1, 4096), dtype=np.uint64)
    upload = key.encrypt(message)
    for wrong in (message[0], message.astype(np.int64), message[:, ::2], np.zeros((1, 8192), dtype=np.uint64)):
        with pytest.raises(ParameterError, match="messages"):
            key.encrypt(wrong)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="messages of 20 bits"):
        key.encrypt(message + np.uint64(1 << 20))
    with pytest.raises(ParameterError, match="one a position, 2, found 3"):
        evaluator.apply(weights, upload, np.zeros(3, dtype=np.uint64), positions)
    with pytest.raises(ParameterError, match="masks of 20 bits"):
        evaluator.apply(weights, upload, masks + np.uint64(1 << 20), positions)
    with pytest.raises(ParameterError, match="out of order"):
        evaluator.apply(weights, upload, masks, positions[::-1].copy())
    with pytest.raises(ParameterError, match="a result in every polynomial"):
        evaluator.apply(weights, upload, masks, positions, 2)
    with pytest.raises(ParameterError, match="exceed the bound of layer 0"):
        evaluator.load(3 * ones(), 0)
    with pytest.raises(ParameterError, match="no such layer: 1"):
        evaluator.load(ones(), 1)
    with pytest.raises(ParameterError, match="weights"):
        evaluator.load(ones().astype(np.int32), 0)
    with pytest.raises(ParameterError, match="seed of 32 bytes, found 16"):
        RlweSecretKey(RlweParameters(4096, 20, [(4, 10)]), bytes(16))


def test_an_evaluator_stops_at_the_results_that_its_flood_is_wide_enough_for() -> None:
    parameters = RlweParameters(4096, 20, [(4, 5), (4, 2)])
    key = RlweSecretKey(parameters)
    evaluator = RlweEvaluator(parameters, key.public_key())
    first, second = evaluator.load(ones(), 0), evaluator.load(ones(), 1)
    upload = key.encrypt(np.zeros((1, 4096), dtype=np.uint64))
    two = np.array([3, 9], dtype=np.int64), np.zeros(2, dtype=np.uint64)
    for weights in (first, first, second):
        evaluator.apply(weights, upload, two[1], two[0])
    for weights in (first, second):
        with pytest.raises(ProtocolError, match="2 more after"):
            evaluator.apply(weights, upload, two[1], two[0])
    evaluator.apply(first, upload, two[1][:1], two[0][:1])


def test_threads_may_share_a_key_and_an_evaluator() -> None:
    parameters = RlweParameters(4096, 30, [(600 * 100**2, 2 * 8 * 100)])
    key = RlweSecretKey(parameters)
    evaluator = RlweEvaluator(parameters, key.public_key())
    rng = np.random.default_rng(5)
    weights = np.zeros((1, 1, 4096), dtype=np.int64)
    weights[0, 0, :50] = rng.integers(-100, 101, 50)
    loaded = evaluator.load(weights, 0)
    positions = np.arange(100, dtype=np.int64)
    wrong: list[int] = []

    def query(number: int) -> None:
        own = np.random.default_rng(number)
        for _ in range(8):
            messages, masks = random_words(own, 30, (1, 4096)), random_words(own, 30, 100)
            reply = evaluator.apply(loaded, key.encrypt(messages), masks, positions)
            expected = (linear_map(weights, messages, 30)[0, 0, :100] + masks) & np.uint64((1 << 30) - 1)
            if (key.decrypt(reply, positions, 1) != expected).any():
                wrong.append(number)

    threads = [threading.Thread(target=query, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_the_server_sees_is_uniform_whatever_the_message() -> None:
    parameters = RlweParameters(8192, 41, [(1000, 1)])
    key = RlweSecretKey(parameters)
    for message in (0, (1 << 41) - 1):
        upload = key.encrypt(np.full((2, 8192), message, dtype=np.uint64))
        halves = upload_polynomials(parameters, upload)
        for index, prime in enumerate(parameters.primes):
            counts = np.bincount((halves[:, :, index] * np.uint64(64) // np.uint64(prime)).reshape(-1).astype(np.int64))
            expected = 4 * 8192 / 64
            assert ((counts - expected) ** 2 / expected).sum() < 63 + 6 * math.sqrt(2 * 63)


def test_the_bytes_under_an_injected_seed_are_the_known_ones() -> None:
    parameters = RlweParameters(4096, 39, [(980 * 12 * 2047**2, 100)])
    key = RlweSecretKey(parameters, SEED)
    evaluator = RlweEvaluator(parameters, key.public_key(), bytes(32))
    weights = np.arange(-2047, 2049, dtype=np.int64).reshape(1, 1, 4096) // 2
    upload = key.encrypt(np.arange(4096, dtype=np.uint64).reshape(1, -1) << np.uint64(27))
    positions = np.array([1, 2, 4095], dtype=np.int64)
    reply = evaluator.apply(evaluator.load(weights, 0), upload, positions.astype(np.uint64), positions)
    digests = [hashlib.sha256(m).hexdigest()[:16] for m in (key.public_key(), upload, reply)]
    assert digests == ["9faac9c66af1c26f", "a80d710b8d69eef6", "ae357caec1f0c7f2"]


def test_printing_shows_no_secret(small: tuple[RlweParameters, RlweSecretKey, RlweEvaluator]) -> None:
    parameters, key, evaluator = small
    assert repr(key) == "<RlweSecretKey>"
    assert repr(evaluator) == "<RlweEvaluator>"
    assert repr(evaluator.load(ones(), 0)) == "<RlweWeights of layer 0, 1 x 1>"
    assert repr(parameters).startswith("RlweParameters(degree=4096, plain_bits=20, modulus_bits=")
