"""The release by two shares: what is opened, what each side sees, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from mpc._core import CkksCiphertext, CkksPublicKey, CkksSecretKey
from mpc.channels.memory import MemoryChannel, memory_pair, run_both_sides
from mpc.dp.discrete_gaussian import discrete_gaussian
from mpc.encrypted.packing import Floats, Packing
from mpc.encrypted.parameters import parameters_of
from mpc.encrypted.programs.logistic import Logistic
from mpc.encrypted.ranges import read_of
from mpc.encrypted.shared_release import (
    SharedRelease,
    Shares,
    holder_decrypt,
    holder_open,
    holder_receive_masked,
    holder_shares,
    trainer_mask,
    trainer_open,
    trainer_send_masked,
)
from mpc.encrypted.training import (
    PUBLIC,
    Job,
    owner_encrypt,
    owner_foresee,
    owner_make_keys,
    owner_make_secret,
    trainer_train,
)
from mpc.errors import OrderError, ParameterError, ProtocolError, RangeError
from mpc.garbled.session import Evaluator, Garbler
from mpc.randomness import SYSTEM, Randomness, SeededRandomness
from mpc.use_once import UseOnce

SCALE = Fraction(2**36)


class Setting:
    """A key, and one release of a shape under it."""

    def __init__(self, tiny: str, features: int = 8, targets: int = 1, **more: object) -> None:
        core = parameters_of(tiny)
        packing = Packing.fit(1, features, core.slots)
        self.release = SharedRelease(tiny, packing, SCALE, targets, **more)  # type: ignore[arg-type]
        self.secret = CkksSecretKey(core, bytes(range(32)))
        self.public_key = self.secret.public_key()
        self.public = CkksPublicKey(core, self.public_key)

    def encrypted(self, weights: Floats) -> list[bytes]:
        """The messages of a trainer, which hold ``(targets, d')`` weights."""
        core, found = self.release.core, []
        for one in weights:
            message = self.public.encrypt(self.release.packing.repeat(one), self.release.level)
            found.append(CkksCiphertext.from_bytes(core, message.to_bytes()).to_bytes())
        return found

    def shares(self, weights: Floats, randomness: Randomness = SYSTEM) -> tuple[Shares, Shares]:
        masked, own = trainer_mask(self.release, self.public_key, self.encrypted(weights), randomness)
        return own, holder_shares(self.release, [holder_decrypt(self.release, self.secret, one) for one in masked])

    def opened(
        self, shares: tuple[Shares, Shares], sources: tuple[Randomness, Randomness] = (SYSTEM, SYSTEM)
    ) -> tuple[list[Floats] | None, list[Floats], MemoryChannel]:
        """What the trainer and the holder learn, and the holder's end of the channel."""
        one, other = memory_pair("trainer", "holder", 60)
        trainer, holder = run_both_sides(
            lambda: trainer_open(self.release, Garbler.open(one), shares[0], sources[0]),
            lambda: holder_open(self.release, Evaluator.open(other), shares[1], sources[1]),
        )
        return trainer, holder, other


def weights_of(targets: int, features: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).uniform(-7, 7, (targets, features))


def test_a_model_is_opened_with_both_noises_over_a_channel(tiny: str) -> None:
    setting = Setting(tiny, targets=2, to_trainer=True)
    release, weights = setting.release, weights_of(2, 8)
    one, other = memory_pair("trainer", "holder", 60)

    def trainer() -> list[Floats] | None:
        masked, shares = trainer_mask(release, setting.public_key, setting.encrypted(weights))
        trainer_send_masked(one, masked)
        return trainer_open(release, Garbler.open(one), shares)

    def holder() -> list[Floats]:
        masked = holder_receive_masked(other, release)
        decrypted = [holder_decrypt(release, setting.secret, message) for message in masked]
        return holder_open(release, Evaluator.open(other), holder_shares(release, decrypted))

    first, second = run_both_sides(trainer, holder)
    assert first is not None
    for found, also, expected in zip(first, second, weights, strict=True):
        assert np.array_equal(found, also)
        assert np.abs(found - expected).max() < 10 * 0.01 * math.sqrt(2)
        assert np.abs(found - expected).max() > 0


@pytest.mark.parametrize("level", [0, 1])
def test_what_is_opened_is_what_integers_of_python_give(tiny: str, level: int) -> None:
    """To the last bit, from the polynomial that only both sides together have, and from the noises that they drew."""
    setting = Setting(tiny, features=4, targets=2, level=level)
    release, reading = setting.release, setting.release.reading
    weights = weights_of(2, 4)
    messages = setting.encrypted(weights)
    masked, own = trainer_mask(release, setting.public_key, messages, SeededRandomness(b"masks"))
    decrypted = [holder_decrypt(release, setting.secret, one) for one in masked]
    # The same masks, drawn again: each coefficient of the difference is small.
    again, _ = trainer_mask(release, setting.public_key, messages, SeededRandomness(b"masks"))
    both = [setting.secret.decrypt_residues(CkksCiphertext.from_bytes(release.core, one)) for one in again]
    assert all(not np.array_equal(a, b) for a, b in zip(decrypted, both, strict=True))  # encrypted with fresh noise
    taken = own.take()
    noises = [discrete_gaussian(release.steps, (8,), SeededRandomness(side)).tolist() for side in (b"t", b"h")]
    expected = []
    for target, polynomial in enumerate(decrypted):
        for j, number in enumerate(reading.read(polynomial)):
            moved = (number + taken[target][j]) % reading.modulus
            value = (moved >> reading.shift) - (1 << (reading.range_bits - 1))
            place = 4 * target + j
            expected.append(value + noises[0][place] + noises[1][place])
    _, found, _ = setting.opened(
        (UseOnce(taken, "shares"), holder_shares(release, decrypted)), (SeededRandomness(b"t"), SeededRandomness(b"h"))
    )
    wanted = [reading.weights(np.array(one)) for one in (expected[:4], expected[4:])]
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
    without = np.array(expected) - np.array(noises[0]) - np.array(noises[1])
    assert np.abs(np.ldexp(without, -20).reshape(2, 4) - weights @ reading.matrix.T).max() < 1e-5


def test_what_is_read_after_training_is_within_the_bound_that_was_derived(tiny: str) -> None:
    """Of trained weights, whose noise is that of all operations, and of the mask's encryption."""
    ratios = []
    for seed in range(4):
        random = np.random.default_rng(seed)
        records = random.normal(size=(60, 7)) / 3
        job = Job.of(60, 7, Logistic(float(random.uniform(1, 3)), 3))
        secret = owner_make_secret(job.parameters, bytes([seed] * 32))
        keys = owner_make_keys(job, secret)
        steps = trainer_train(job, keys, owner_encrypt(job, secret, [records]))
        (message,) = [step.weights for step in steps if step.weights]
        release = SharedRelease(tiny, job.packing, job.weight_scale)
        reading = release.reading
        (foreseen,) = owner_foresee(job, [records], reading)
        (bound,) = read_of([foreseen])
        masked, own = trainer_mask(release, keys[PUBLIC], [message])
        both = holder_shares(release, [holder_decrypt(release, secret, masked[0])]).take()[0]
        middle = 1 << (reading.shift + reading.range_bits - 1)
        sums = [(a + b) % reading.modulus - middle for a, b in zip(own.take()[0], both, strict=True)]
        read = (np.array(sums) - (1 << (reading.shift - 1))) / 2.0 ** (reading.shift + 20)
        difference = np.abs(read - reading.matrix @ foreseen.weights)
        assert (difference <= bound).all()
        assert (bound >= foreseen.bound / 2).all()
        ratios.append(difference.max() / bound.max())
    assert max(ratios) > 0.02  # the bound is no wild one


def test_noise_has_the_variance_of_both_sides(tiny: str) -> None:
    setting = Setting(tiny, features=128, targets=16)
    weights = weights_of(16, 128)
    _, found, _ = setting.opened(setting.shares(weights))
    noise = (np.stack(found) - weights) @ setting.release.reading.matrix.T
    assert noise.size == 2048
    assert np.var(noise) == pytest.approx(2 * 0.01**2, rel=0.2)  # six deviations of that estimate
    assert abs(noise.mean()) < 6 * 0.01 * math.sqrt(2 / 2048)


def test_the_holder_sees_uniform_numbers_whatever_the_weights_are(tiny: str) -> None:
    setting = Setting(tiny, features=4)
    prime = setting.release.reading.modulus
    for weights in (np.zeros((1, 4)), np.full((1, 4), 7.0)):
        masked, _ = trainer_mask(setting.release, setting.public_key, setting.encrypted(weights))
        polynomial = holder_decrypt(setting.release, setting.secret, masked[0])[0]
        counts = np.bincount((polynomial.astype(object) * 16 // prime).astype(int), minlength=16)
        assert ((counts - 64) ** 2 / 64).sum() < 56.5  # chi square with 15 degrees of freedom, 1e-6
        shares = [setting.shares(weights) for _ in range(100)]
        for side in (0, 1):
            tops = [number * 8 // prime for pair in shares for number in pair[side].take()[0]]
            assert ((np.bincount(tops, minlength=8) - 50) ** 2 / 50).sum() < 40.5  # 7 degrees of freedom, 1e-6
    # Without the mask the same count finds the message.
    bare = setting.secret.decrypt_residues(
        CkksCiphertext.from_bytes(setting.release.core, setting.encrypted(np.zeros((1, 4)))[0])
    )[0]
    counts = np.bincount((bare.astype(object) * 16 // prime).astype(int), minlength=16)
    assert counts[1:15].sum() == 0


def test_lengths_do_not_depend_on_weights_or_noise(tiny: str) -> None:
    setting = Setting(tiny)
    seen = []
    for weights in (np.zeros((1, 8)), weights_of(1, 8)):
        shares = setting.shares(weights)
        _, _, channel = setting.opened(shares)
        seen.append([(way, label, len(body)) for way, label, body in channel.transcript])
    assert seen[0] == seen[1]


@pytest.mark.parametrize("edge", [7.999, -7.999])
def test_weights_within_the_limit_are_opened(tiny: str, edge: float) -> None:
    setting = Setting(tiny, features=4, level=1)
    weights = np.full((1, 4), edge)
    _, found, _ = setting.opened(setting.shares(weights))
    assert np.abs(found[0] - edge).max() < 0.2


@pytest.mark.parametrize("beyond", [8.001, -8.001, 12.0, -100.0])
@pytest.mark.parametrize("level", [0, 1])
def test_one_weight_beyond_the_limit_and_nothing_is_opened(tiny: str, beyond: float, level: int) -> None:
    setting = Setting(tiny, features=4, targets=2, level=level, to_trainer=True)
    weights = weights_of(2, 4) / 2
    if level == 0:
        beyond *= 1.05  # what is read is B w
    weights[1, 2] = beyond
    shares = setting.shares(weights)
    one, other = memory_pair("trainer", "holder", 60)

    def trainer() -> None:
        with pytest.raises(RangeError, match="nothing was opened"):
            trainer_open(setting.release, Garbler.open(one), shares[0])

    def holder() -> None:
        evaluator = Evaluator.open(other)
        with pytest.raises(RangeError, match=r"between -2\^3 and 2\^3"):
            holder_open(setting.release, evaluator, shares[1])

    run_both_sides(trainer, holder)


def test_shares_open_once(tiny: str) -> None:
    setting = Setting(tiny)
    shares = setting.shares(weights_of(1, 8))
    setting.opened(shares)
    one, other = memory_pair("trainer", "holder", 60)
    garbler, evaluator = run_both_sides(lambda: Garbler.open(one), lambda: Evaluator.open(other))
    with pytest.raises(OrderError, match="used before"):
        trainer_open(setting.release, garbler, shares[0])
    with pytest.raises(OrderError, match="used before"):
        holder_open(setting.release, evaluator, shares[1])


def test_who_changes_its_share_moves_the_weights_and_no_more(tiny: str) -> None:
    """As the module says: here by 1.5 in one weight, on either side."""
    setting = Setting(tiny, features=4, level=1)
    reading, weights = setting.release.reading, weights_of(1, 4) / 2
    for side in (0, 1):
        shares = list(setting.shares(weights))
        changed = shares[side].take()
        changed[0][2] = (changed[0][2] + (3 << (reading.shift + 19))) % reading.modulus
        shares[side] = UseOnce(changed, "shares")
        _, found, _ = setting.opened((shares[0], shares[1]))
        assert np.abs(found[0] - weights[0] - np.array([0, 0, 1.5, 0])).max() < 0.2


def test_the_leak_is_the_divergence_of_shifted_noise(tiny: str) -> None:
    release = replace(Setting(tiny).release, grid_bits=9, sigma=Fraction(1, 64))  # 8 steps
    x = np.arange(-400, 401)
    logs = -(x**2) / (2 * 8.0**2)
    logs -= np.log(np.exp(logs).sum())
    shifted = np.roll(logs, 3)
    by_hand = float((np.exp(logs) * (logs - shifted))[3:].sum())
    assert release.leak([np.full(1, 2 * 2.0**-9)]) == pytest.approx(by_hand, rel=1e-9)  # an error of 2 steps, and 1
    fine = replace(Setting(tiny).release, grid_bits=30)
    assert fine.leak([np.full(31, 1e-4)]) == pytest.approx(1.55e-3, rel=1e-4)
    assert fine.leak([np.full(20, 1e-4), np.full(11, 1e-4)]) == pytest.approx(1.55e-3, rel=1e-4)


def test_noise_that_leaks_too_much_is_refused_with_one_that_does_not(tiny: str) -> None:
    release = replace(Setting(tiny).release, sigma=Fraction(1, 1000))
    with pytest.raises(RangeError, match=r"at most 0.01 nats of the key, found 0\.\d+ at a deviation of 0\.001: raise"):
        release.check_leak([np.full(31, 1e-4)])
    assert replace(release, sigma=Fraction(6, 1000)).check_leak([np.full(31, 1e-4)]) < 0.01


def test_what_belongs_to_something_else_is_refused(tiny: str) -> None:
    setting = Setting(tiny, level=1)
    weights = setting.encrypted(weights_of(1, 8))
    stranger = CkksSecretKey(setting.release.core, bytes(32))
    masked, _ = trainer_mask(setting.release, setting.public_key, weights)
    with pytest.raises(ProtocolError, match="another key's"):
        holder_decrypt(setting.release, stranger, masked[0])
    lower = Setting(tiny).encrypted(weights_of(1, 8))
    with pytest.raises(ProtocolError, match=r"expected weights at level 1 .* found level 0"):
        trainer_mask(setting.release, setting.public_key, lower)
    with pytest.raises(ParameterError, match="1 targets, found 2"):
        trainer_mask(setting.release, setting.public_key, weights * 2)
    with pytest.raises(ParameterError, match="1 targets, found 0"):
        holder_shares(setting.release, [])
    with pytest.raises(ParameterError, match="1 to 4096 weights"):
        replace(setting.release, targets=1000)
    with pytest.raises(ParameterError, match="deviation between"):
        replace(setting.release, sigma=Fraction(1, 1 << 21))
    with pytest.raises(ParameterError, match="level of 0 to 9"):
        replace(setting.release, level=10)
    assert "1" not in repr(setting.shares(weights_of(1, 8)))
