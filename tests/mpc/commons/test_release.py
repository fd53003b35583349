"""Reports, boxes, re-encryption and coins: what is opened to whom, and who is named when something is wrong."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mpc._core import GroupPoints
from mpc.commons import release, reports
from mpc.commons.admission import toss_of
from mpc.commons.boxes import OVERHEAD, BoxKey, Place, judge, seal
from mpc.commons.coin import Toss
from mpc.commons.encoding import decode, encode
from mpc.commons.entries import Coin, CoinShare, Report
from mpc.commons.group import IDENTITY, PROOF_BYTES, challenge, generator, generator_table, random_scalars, scalar
from mpc.commons.release import Batch, ConsumerKey, Release, check_request, split_points
from mpc.commons.reports import Boxes, Ciphertext, decrypt, encrypt, valid_ones
from mpc.errors import ProtocolError
from mpc.randomness import SeededRandomness
from tests.mpc.commons.setting import Log, key_shares

SHARES = key_shares(4, 1)
KEY = SHARES[0].key
GRANT = b"g" * 32
RANDOM = SeededRandomness(b"release")


def place_of(number: int, **changes: object) -> Place:
    usual: dict[str, object] = {
        "origin": "example.org/clinics",
        "task": "heights",
        "policy": b"p" * 32,
        "author": b"a" * 32,
        "report_id": number.to_bytes(16, "big"),
    }
    return Place(**(usual | changes))  # type: ignore[arg-type]


def written(count: int) -> tuple[list[Place], list[bytes]]:
    places = [place_of(number) for number in range(count)]
    return places, [encrypt(KEY, place, (b"box %d" % at, b"other"), RANDOM) for at, place in enumerate(places)]


def broken(module: ModuleType, line: str, instead: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a copy of a module with one line changed."""
    source = inspect.getsource(module)
    assert source.count(line) == 1
    copy = ModuleType(f"broken_{module.__name__.rsplit('.', 1)[-1]}")
    monkeypatch.setitem(sys.modules, copy.__name__, copy)
    exec(compile(source.replace(line, instead), copy.__name__, "exec"), copy.__dict__)  # noqa: S102
    return copy


def test_a_granted_batch_opens_to_the_consumer() -> None:
    places, ciphertexts = written(5)
    valid = valid_ones(places, ciphertexts)
    consumer = ConsumerKey.fresh(RANDOM)
    batch = Batch(KEY, GRANT, consumer.public, valid)
    assert batch.positions == (0, 1, 2, 3, 4)
    for pair in ((0, 1), (1, 3), (2, 3)):
        points, liars = batch.combine({place: batch.release(SHARES[place], RANDOM) for place in pair})
        assert liars == ()
        opened = split_points(consumer.remove(KEY, points))
        assert [decrypt(places[at], valid[at], opened[at]) for at in range(5)] == [
            (b"box %d" % at, b"other") for at in range(5)
        ]


def test_nobody_but_the_consumer_opens_it() -> None:
    """Neither all shares without the consumer's secret, nor another consumer, nor t trustees."""
    places, ciphertexts = written(1)
    valid = valid_ones(places, ciphertexts)
    consumer, other = ConsumerKey.fresh(RANDOM), ConsumerKey.fresh(RANDOM)
    batch = Batch(KEY, GRANT, consumer.public, valid)
    releases = {place: batch.release(SHARES[place], RANDOM) for place in range(4)}
    points, _ = batch.combine(releases)
    for shared in (points, other.remove(KEY, points)):
        with pytest.raises(ProtocolError, match="expected a report that opens with its key"):
            decrypt(places[0], valid[0], shared.encode())
    with pytest.raises(ProtocolError, match="expected releases of 2 trustees, found 1 right, and wrong ones of none"):
        batch.combine({1: releases[1]})


@pytest.mark.parametrize("lie", ["share", "share of all", "proof", "another's", "another grant", "too few", "no point"])
def test_a_wrong_release_is_named_and_t_plus_1_right_ones_suffice(lie: str) -> None:
    places, ciphertexts = written(3)
    consumer = ConsumerKey.fresh(RANDOM)
    batch = Batch(KEY, GRANT, consumer.public, valid_ones(places, ciphertexts))
    releases = {place: batch.release(SHARES[place], RANDOM) for place in range(4)}
    right = decode(Release, releases[2])
    points = GroupPoints.decode(right.points)
    more = points.part(0, 1) + GroupPoints.generator()
    releases[2] = {
        "share": lambda: encode(dataclasses.replace(right, points=more.encode() + right.points[32:])),
        "share of all": lambda: encode(dataclasses.replace(right, points=(points + GroupPoints.generator()).encode())),
        "proof": lambda: encode(dataclasses.replace(right, proof=bytes(64))),
        "another's": lambda: releases[1],
        "another grant": lambda: encode(dataclasses.replace(right, grant=bytes(32))),
        "too few": lambda: encode(dataclasses.replace(right, points=right.points[:64])),
        "no point": lambda: encode(dataclasses.replace(right, points=IDENTITY + right.points[32:])),
    }[lie]()
    with pytest.raises(ProtocolError, match="of trustee 2"):
        batch.check(2, releases[2])
    found, liars = batch.combine({place: releases[place] for place in (1, 2, 3)})
    assert liars == (2,)
    assert split_points(consumer.remove(KEY, found)) == split_points(
        consumer.remove(KEY, batch.combine({0: releases[0], 1: releases[1]})[0])
    )
    with pytest.raises(ProtocolError, match="found 1 right, and wrong ones of 2"):
        batch.combine({1: releases[1], 2: releases[2]})


def test_two_wrong_shares_that_cancel_are_noticed() -> None:
    """A sum without random weights would hold: one share is too large by what another is too small."""
    places, ciphertexts = written(2)
    batch = Batch(KEY, GRANT, ConsumerKey.fresh(RANDOM).public, valid_ones(places, ciphertexts))
    right = decode(Release, batch.release(SHARES[0], RANDOM))
    points = GroupPoints.decode(right.points)
    one, two = points.part(0, 1) + generator(), points.part(1, 2) - generator()
    with pytest.raises(ProtocolError, match="proof for the shares of trustee 0"):
        batch.check(0, encode(dataclasses.replace(right, points=one.encode() + two.encode())))


@pytest.mark.parametrize("change", [*Place.__dataclass_fields__, *Ciphertext.__dataclass_fields__])
def test_a_ciphertext_is_valid_at_its_place_alone(change: str) -> None:
    places, ciphertexts = written(2)
    place, one = places[0], decode(Ciphertext, ciphertexts[0])
    other = decode(Ciphertext, ciphertexts[1])
    assert sorted(valid_ones(places, ciphertexts)) == [0, 1]
    if change in Place.__dataclass_fields__:
        value = getattr(place, change)
        places[0] = dataclasses.replace(
            place, **{change: value + "x" if isinstance(value, str) else b"\7" * len(value)}
        )
    else:
        ciphertexts[0] = encode(dataclasses.replace(one, **{change: getattr(other, change)}))
    assert sorted(valid_ones(places, ciphertexts)) == [1]


def test_what_is_no_ciphertext_is_left_out() -> None:
    places, ciphertexts = written(4)
    one = decode(Ciphertext, ciphertexts[1])
    two = decode(Ciphertext, ciphertexts[2])
    ciphertexts[0] = b"nothing"
    ciphertexts[1] = encode(dataclasses.replace(one, point=IDENTITY))
    ciphertexts[2] = encode(dataclasses.replace(two, proof=b"\xff" * PROOF_BYTES))
    assert sorted(valid_ones(places, ciphertexts)) == [3]
    assert valid_ones(places[:1], [b""]) == {}


@pytest.mark.parametrize(
    "point", [IDENTITY, b"\xff" * 32, (2).to_bytes(32, "little")], ids=["identity", "not canonical", "on no point"]
)
def test_a_proof_for_what_is_no_element_is_left_out(point: bytes) -> None:
    """Where a refused point counts as the identity, anybody can make a proof that fits. It would stop a whole batch."""
    places, ciphertexts = written(2)
    one = decode(Ciphertext, ciphertexts[0])
    answer = random_scalars(1, RANDOM)
    commitments = generator().joined(reports._twin_generator()).multiply(answer).encode()
    bases = generator().encode() + reports._twin_generator().encode()
    context = reports._context(reports._label(places[0], one.boxes), one.sealed)
    proof = challenge(context, bases, point + point, commitments) + answer
    ciphertexts[0] = encode(dataclasses.replace(one, point=point, twin=point, proof=proof))
    assert sorted(valid_ones(places, ciphertexts)) == [1]


def test_without_the_label_a_report_could_be_moved_under_another_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody takes another provider's ciphertext for a report of its own, under a policy that allows everything."""
    copy = broken(reports, 'return b"commons report v1\\n" + encode(place) + boxes', 'return b"the same"', monkeypatch)
    theirs, mine = place_of(1), place_of(9, policy=b"m" * 32, author=b"m" * 32)
    consumer = ConsumerKey.fresh(RANDOM)

    def opened(module: ModuleType) -> tuple[bytes, ...]:
        stolen = module.encrypt(KEY, theirs, (b"secret",), RANDOM)
        valid = module.valid_ones([mine], [stolen])
        batch = Batch(KEY, GRANT, consumer.public, valid)
        points, _ = batch.combine({place: batch.release(SHARES[place], RANDOM) for place in (0, 1)})
        found: tuple[bytes, ...] = module.decrypt(mine, valid[0], consumer.remove(KEY, points).encode())
        return found

    assert opened(copy) == (b"secret",)
    with pytest.raises(ProtocolError, match="expected at least one valid report"):
        opened(reports)


def test_without_the_proof_of_the_consumers_key_one_grant_opens_another_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The consumer may open report 0, and asks with the key Q = U_1 - U_0."""
    places, ciphertexts = written(2)
    valid = valid_ones(places, ciphertexts)
    points = [GroupPoints.decode(valid[at].point) for at in (0, 1)]
    chosen = (points[1] - points[0]).encode()
    log = Log()
    log.ready()
    forged = dataclasses.replace(log.request(), consumer_key=chosen)
    with pytest.raises(ProtocolError, match="knows the secret of its key"):
        check_request(log.origin, log.consumer.key, forged)
    copy = broken(
        release, "    if not is_proof(_request_context(origin, author, bare), request.proof, generator(), point):",
        "    if False:", monkeypatch,
    )  # fmt: skip
    copy.check_request(log.origin, log.consumer.key, forged)
    batch = Batch(KEY, GRANT, chosen, {0: valid[0]})
    found, _ = batch.combine({place: batch.release(SHARES[place], RANDOM) for place in (0, 1)})
    assert decrypt(places[1], valid[1], found.encode()) == (b"box 1", b"other")  # which nobody has granted


def test_a_report_against_the_consumers_key_stops_no_batch() -> None:
    """A provider that knows the consumer's secret makes U = -Q, whose re-encryption is the identity."""
    secret = random_scalars(1, RANDOM)
    consumer = ConsumerKey(secret)
    places, ciphertexts = written(2)
    valid = valid_ones(places, ciphertexts)
    opposite = generator_table().multiples(scalar(-int.from_bytes(secret, "little"))).encode()
    valid[0] = dataclasses.replace(valid[0], point=opposite)
    batch = Batch(KEY, GRANT, consumer.public, valid)
    assert batch.positions == (1,)
    points, _ = batch.combine({place: batch.release(SHARES[place], RANDOM) for place in (0, 3)})
    assert decrypt(places[1], valid[1], consumer.remove(KEY, points).encode())[0] == b"box 1"


def test_a_provider_is_bound_to_its_boxes() -> None:
    """What is inside must have the digest that everybody sees."""
    place = place_of(1)
    right = decode(Ciphertext, encrypt(KEY, place, (b"box",), SeededRandomness(b"one")))
    secret = random_scalars(1, SeededRandomness(b"one"))
    shared = GroupPoints.decode(KEY.public).multiply(secret).encode()
    assert decrypt(place, right, shared) == (b"box",)
    label = reports._label(place, bytes(32))  # as a provider writes it that shows the digest of other boxes
    key = reports._key(label, right.point, shared)
    sealed = ChaCha20Poly1305(key).encrypt(bytes(12), encode(Boxes((b"box",))), label)
    with pytest.raises(ProtocolError, match="expected the boxes whose digest goes with the report"):
        decrypt(place, dataclasses.replace(right, boxes=bytes(32), sealed=sealed), shared)


def test_a_box_opens_to_its_aggregator_at_its_place_alone() -> None:
    one, two = BoxKey.fresh(RANDOM), BoxKey.fresh(RANDOM)
    box = seal(place_of(1), 0, one.public, b"share", RANDOM)
    assert len(box) == len(b"share") + OVERHEAD
    assert one.open(place_of(1), 0, box) == b"share"
    for key, place, index, data in (
        (two, place_of(1), 0, box),
        (one, place_of(2), 0, box),
        (one, place_of(1), 1, box),
        (one, place_of(1), 0, box[:-1]),
        (one, place_of(1), 0, IDENTITY + box[32:]),
        (one, place_of(1), 0, box[:40]),
    ):
        with pytest.raises(ProtocolError, match="expected"):
            key.open(place, index, data)
    with pytest.raises(ProtocolError, match="point of prime order"):
        seal(place_of(1), 0, IDENTITY, b"share")


def test_an_exposed_box_is_judged_by_everybody() -> None:
    key, other, place = BoxKey.fresh(RANDOM), BoxKey.fresh(RANDOM), place_of(1)
    good = seal(place, 0, key.public, b"share", RANDOM)
    bad = good[:-1] + bytes([good[-1] ^ 1])
    for box, found in ((good, b"share"), (bad, None)):
        point, proof = key.expose(place, 0, box, RANDOM)
        assert judge(place, 0, key.public, box, point, proof) == found
        with pytest.raises(ProtocolError, match="exposed box of aggregator 0"):  # a lying aggregator
            judge(place, 0, key.public, box, *other.expose(place, 0, box, RANDOM))
        with pytest.raises(ProtocolError, match="exposed box of aggregator 0"):
            judge(place_of(2), 0, key.public, box, point, proof)
    assert judge(place, 0, key.public, IDENTITY + good[32:], IDENTITY, bytes(64)) is None
    with pytest.raises(ProtocolError):  # no element of the group as K
        judge(place, 0, key.public, good, IDENTITY, bytes(64))


def test_exposing_one_box_opens_no_other() -> None:
    key, place = BoxKey.fresh(RANDOM), place_of(1)
    one, two = (seal(place, 0, key.public, b"share", RANDOM) for _ in range(2))
    point, proof = key.expose(place, 0, one, RANDOM)
    with pytest.raises(ProtocolError):
        judge(place, 0, key.public, two, point, proof)
    assert one != two


def toss(**changes: object) -> Toss:
    usual: dict[str, object] = {"key": KEY, "origin": "o", "task": "heights", "root": bytes(32), "grant": GRANT}
    return Toss(**(usual | changes))  # type: ignore[arg-type]


def test_any_t_plus_1_shares_give_one_coin() -> None:
    shares = {place: toss().share(SHARES[place], RANDOM) for place in range(4)}
    coins = {toss().value((shares[one], shares[two])) for one in range(4) for two in range(one + 1, 4)}
    assert len(coins) == 1


def test_a_coin_depends_on_all_that_it_is_about() -> None:
    changes: list[dict[str, object]] = [
        {}, {"origin": "p"}, {"task": "weights"}, {"root": b"\1" * 32}, {"grant": bytes(32)},
        {"key": key_shares(4, 1, b"2" * 32)[0].key},
    ]  # fmt: skip
    coins = set()
    for change in changes:
        one = toss(**change)
        some = key_shares(4, 1, b"2" * 32) if "key" in change else SHARES
        coins.add(one.value(tuple(one.share(some[place], RANDOM) for place in (0, 1))))
    assert len(coins) == len(changes)


@pytest.mark.parametrize("lie", ["point", "proof", "another's", "another coin", "no trustee"])
def test_a_wrong_coin_share_is_named(lie: str) -> None:
    shares = {place: toss().share(SHARES[place], RANDOM) for place in range(4)}
    shares[1] = {
        "point": dataclasses.replace(shares[1], point=shares[0].point),
        "proof": dataclasses.replace(shares[1], proof=bytes(64)),
        "another's": shares[0],
        "another coin": toss(task="weights").share(SHARES[1], RANDOM),
        "no trustee": CoinShare(9, shares[1].point, shares[1].proof),
    }[lie]
    chosen, liars = toss().choose({place: shares[place] for place in (0, 1, 3)})
    assert liars == (1,)
    assert [share.trustee for share in chosen] == [0, 3]
    with pytest.raises(ProtocolError, match="coin shares of 2 trustees, found 1"):
        toss().choose({place: shares[place] for place in (0, 1)})


def test_secret_keys_are_not_printed() -> None:
    secret = random_scalars(1, RANDOM)
    for found in (BoxKey(secret), ConsumerKey(secret)):
        assert secret.hex()[:12] not in repr(found)


def test_from_the_log_to_the_boxes_and_the_coin() -> None:
    """All steps of one aggregate up to what the aggregators get, with everything taken from the log."""
    log = Log()
    policy = log.ready(0)
    texts: dict[bytes, bytes] = {}
    for number, provider in enumerate((log.provider, log.other_provider)):
        place = Place(log.origin, "heights", policy, provider.key, number.to_bytes(16, "big"))
        box = seal(place, 0, log.box_key.public, b"share %d" % number, RANDOM)
        text = encrypt(KEY, place, (box,), RANDOM)
        digest = reports.digest_of(text)
        texts[digest] = text
        log.submit(provider, Report("heights", policy, place.report_id, digest, b""))
    log.step()
    log.submit(log.consumer, log.request())
    log.step()
    (grant,) = log.copy.state.grants
    releases, coins = {}, {}
    for trustee in log.trustees[1:]:
        granted = trustee.check_release(grant)
        state = trustee.copy.state
        entries = [state.reports[index] for index in granted.reports]
        places = [Place(log.origin, one.task, one.policy, one.author, one.report_id) for one in entries]
        valid = valid_ones(places, [texts[one.digest] for one in entries])
        request = state.requests[granted.request].request
        batch = Batch(log.shares[0].key, grant, request.consumer_key, valid)
        releases[trustee.place] = batch.release(log.shares[trustee.place], RANDOM)
        coins[trustee.place] = toss_of(state, grant).share(log.shares[trustee.place], RANDOM)
    points, _ = batch.combine(releases)
    opened = split_points(log.consumer_key.remove(log.shares[0].key, points))
    found = [decrypt(places[at], valid[at], opened[at])[0] for at in range(2)]
    assert [log.box_key.open(places[at], 0, found[at]) for at in range(2)] == [b"share 0", b"share 1"]
    chosen, _ = toss_of(log.copy.state, grant).choose(coins)
    log.submit(log.keys[3].identity, Coin(grant, chosen))
    assert log.step()
    assert log.copy.state.coins[grant] == log.copy.size - 1
