"""The stand-alone programs `mpc/bin/argmax` and `mpc/bin/sum_histogram`: results, bytes on the wire, refusals."""

from __future__ import annotations

import hashlib
import random
import shlex
import shutil
import socket
import stat
import struct
import subprocess
import threading
from pathlib import Path

import pytest

import mpc
from mpc._core import Circuit
from tests.ports import free_ports

PROGRAMS = Path(mpc.__file__).parent / "bin"
MODULUS = 2**64
Frames = dict[str, list[bytes]]
UNSHARE = ("unshare", "--net", "--user", "--map-root-user")


@pytest.fixture(autouse=True)
def _built() -> None:
    if not (PROGRAMS / "argmax").exists():
        pytest.fail(f"{PROGRAMS}/argmax is not built: cmake -S mpc -B build/mpc && cmake --build build/mpc")


def can_unshare() -> bool:
    """Whether a network namespace can be made here."""
    tools = shutil.which("unshare") and shutil.which("ip")
    return bool(tools) and subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


def shares_of(values: list[int], bits: int = 64, seed: int | None = None) -> tuple[list[int], list[int]]:
    source = random.Random(seed)
    first = [source.randrange(2**bits) for _ in values]
    return first, [(value - share) % 2**bits for value, share in zip(values, first, strict=True)]


def start(program: str, party: int, port: int, folder: Path, *options: str) -> subprocess.Popen[str]:
    arguments = [
        str(PROGRAMS / program),
        str(party),
        str(port),
        str(folder / f"in{party}"),
        str(folder / f"out{party}"),
    ]
    return subprocess.Popen([*arguments, *options], stderr=subprocess.PIPE, text=True)


def write(folder: Path, shares: tuple[list[int], list[int]]) -> None:
    for party, share in enumerate(shares, 1):
        (folder / f"in{party}").write_text(",".join(map(str, share)) + "\n")


def run(program: str, folder: Path, *options: str, ports: tuple[int, int] | None = None) -> list[str]:
    """Both parties; returns what each said."""
    listen, dial = ports or (free_ports(1),) * 2
    parties = [start(program, 1, listen, folder, *options), start(program, 2, dial, folder, *options)]
    said = [party.communicate(timeout=60)[1] for party in parties]
    assert [party.returncode for party in parties] == [0, 0], said
    return said


def read(path: Path) -> list[int]:
    return [int(field) for field in path.read_text().split(",")]


@pytest.mark.parametrize(
    ("values", "largest"),
    [
        ([5, -7, 123456, 2**62, 3], 3),
        ([-5, -7, -1, -(2**63), -1], 2),
        ([0, 0], 0),
        ([1] * 9 + [2], 9),
    ],
)
def test_argmax_writes_fresh_shares_to_both(tmp_path: Path, values: list[int], largest: int) -> None:
    write(tmp_path, shares_of(values))
    earlier: list[list[int]] = []
    for _ in range(2):
        run("argmax", tmp_path)
        outputs = [read(tmp_path / f"out{party}") for party in (1, 2)]
        total = [(left + right) % MODULUS for left, right in zip(*outputs, strict=True)]
        assert total == [int(index == largest) for index in range(len(values))]
        assert outputs[0] not in earlier
        earlier += outputs
    for party in (1, 2):
        assert stat.S_IMODE((tmp_path / f"out{party}").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in1", "in2", "out1", "out2"]


def test_narrow_rings(tmp_path: Path) -> None:
    write(tmp_path, shares_of([3, -4, 7, 0], bits=5))
    run("argmax", tmp_path, "--bits", "5", "--share-bits", "3")
    outputs = [read(tmp_path / f"out{party}") for party in (1, 2)]
    assert [(left + right) % 8 for left, right in zip(*outputs, strict=True)] == [0, 0, 1, 0]
    assert max(map(max, outputs)) < 8


def test_sum_histogram_tells_party_1_alone(tmp_path: Path) -> None:
    write(tmp_path, ([10, -3, 4], [-5, 9, -4]))
    said = run("sum_histogram", tmp_path)
    assert (tmp_path / "out1").read_text() == "1\n"
    assert stat.S_IMODE((tmp_path / "out1").stat().st_mode) == 0o600
    assert not (tmp_path / "out2").exists()
    assert "party 1's alone" in said[1]


# -- on the wire ------------------------------------------------------------------------------------------------------


def capture(folder: Path) -> Frames:
    """Runs argmax through a proxy and returns the bodies of the frames of each party."""
    listen = free_ports(1)
    streams: dict[str, bytearray] = {"evaluator": bytearray(), "garbler": bytearray()}

    def pump(name: str, source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(1 << 16):
            streams[name] += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(30)
        parties = [start("argmax", 1, listen, folder), start("argmax", 2, proxy.getsockname()[1], folder)]
        inner, _ = proxy.accept()
        outer = dial(listen)
        pumps = [
            threading.Thread(target=pump, args=("garbler", inner, outer)),
            threading.Thread(target=pump, args=("evaluator", outer, inner)),
        ]
        for thread in pumps:
            thread.start()
        assert [party.wait(timeout=60) for party in parties] == [0, 0]
        for thread in pumps:
            thread.join(timeout=30)
        inner.close()
        outer.close()
    for party in parties:
        assert party.stderr is not None
        party.stderr.close()
    return {name: split(bytes(stream)) for name, stream in streams.items()}


def dial(port: int) -> socket.socket:
    for _ in range(12_000):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=60)
        except ConnectionRefusedError:
            threading.Event().wait(0.005)
    raise AssertionError("party 1 never listened")


def split(stream: bytes) -> list[bytes]:
    bodies = []
    while stream:
        magic, number, length = struct.unpack_from("<4sIQ", stream)
        assert (magic, number) == (b"CMP1", len(bodies))
        bodies.append(stream[16 : 16 + length])
        stream = stream[16 + length :]
    return bodies


def distance(left: bytes, right: bytes) -> int:
    return sum((a ^ b).bit_count() for a, b in zip(left, right, strict=True))


def test_no_share_crosses_the_wire(tmp_path: Path) -> None:
    """The reference demo's OT pads were zero (a buffer resized, not refilled): its share went in clear."""
    shares = shares_of([5, -7, 123456, 2**62, 3, 1, 2, 3, 4, 5], seed=1)
    write(tmp_path, shares)
    plain = struct.pack("<10Q", *shares[0])
    runs = [capture(tmp_path) for _ in range(2)]
    corrections = [frames["evaluator"][-1][-80:] for frames in runs]
    circuit = Circuit.argmax(10, 64)
    tables = circuit.table_bytes(1)
    # 640 fair coins: 320 differ, 8 standard deviations are 101.
    for sent in corrections:
        assert 219 < distance(sent, plain) < 421
    assert 219 < distance(*corrections) < 421
    for frames in runs:  # of the garbler's input the evaluator gets tables and a seed, which is too short to hold it
        assert len(frames["garbler"][-1]) == tables + 16 + circuit.projection_bytes(1, 64)
    seeds = [frames["garbler"][-1][tables : tables + 16] for frames in runs]
    assert 20 < distance(*seeds) < 108  # 128 fair coins
    # Whole streams: the two runs agree in nothing but the public hello, and no share appears in either.
    for name in ("evaluator", "garbler"):
        for first, second in zip(*(frames[name] for frames in runs), strict=True):
            assert len(first) == len(second)
            assert first == second if len(first) == 20 else first[20:] != second[20:]
    for frames in runs:
        everything = b"".join(frames["evaluator"] + frames["garbler"])
        for share in shares[0] + shares[1]:
            assert share.to_bytes(8, "little") not in everything
            assert str(share).encode() not in everything


def test_frames_are_those_of_the_baseline(tmp_path: Path) -> None:
    """The programs draw their own randomness: the digest is over the hello, whole, and the length of every frame."""
    write(tmp_path, shares_of([1, 2, 3]))
    frames = capture(tmp_path)
    digests = {}
    for name, bodies in frames.items():
        shape = b"".join(len(body).to_bytes(8, "little") for body in bodies)
        digests[name] = hashlib.sha256(shape + bodies[0][:20]).hexdigest()
    assert digests == {
        "evaluator": "9d5069781426d0c394e40b70400463a87be248331c7a081d6b4d010d72931c30",
        "garbler": "d97e52838893b1597376e0af52c590a398c12a0666e6376a743ffdab746e0b4e",
    }


def test_lengths_on_the_wire_do_not_depend_on_values(tmp_path: Path) -> None:
    lengths = set()
    for values in ([0] * 4, [-1, 2**63 - 1, 5, -(2**63)]):
        write(tmp_path, shares_of(values))
        frames = capture(tmp_path)
        lengths.add(tuple(len(body) for name in ("evaluator", "garbler") for body in frames[name]))
    assert len(lengths) == 1


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        ("1,x", (), "in1, value 2: expected an integer"),
        ("1,,2", (), "value 2: expected an integer"),
        ("", (), "value 1: expected an integer"),
        ("1", (), "expected 2 to 65536 values, found 1"),
        (f"1,{2**64}", (), "value 2: the value does not fit 64 bits"),
        (f"1,{-(2**63) - 1}", (), "value 2: the value does not fit 64 bits"),
        ("1,16", ("--bits", "4"), "value 2: the value does not fit 4 bits"),
        ("1,2", ("--bits", "65"), "expected a width from 1 to 64, found '65'"),
        ("1,2", ("--colour", "red"), "unknown option --colour"),
        ("1,2", ("--bits",), "expected a value behind --bits"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    tmp_path: Path, content: str, options: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "in1").write_text(content)
    party = start("argmax", 1, free_ports(1), tmp_path, *options)
    said = party.communicate(timeout=60)[1]
    assert party.returncode == 2
    assert sentence in said.splitlines()[0]
    assert not (tmp_path / "out1").exists()


def test_differing_parameters_are_named_by_both(tmp_path: Path) -> None:
    write(tmp_path, ([1, 2, 3], [1, 2]))
    port = free_ports(1)
    parties = [start("argmax", 1, port, tmp_path), start("argmax", 2, port, tmp_path)]
    said = [party.communicate(timeout=60)[1] for party in parties]
    assert [party.returncode for party in parties] == [1, 1]
    assert "differ in number of values: 3 here, 2 at the peer" in said[0]
    assert "differ in number of values: 2 here, 3 at the peer" in said[1]
    assert not (tmp_path / "out1").exists()


@pytest.mark.parametrize("party", [1, 2])
def test_an_absent_peer_ends_the_wait(tmp_path: Path, party: int) -> None:
    write(tmp_path, ([1, 2], [1, 2]))
    waiting = start("sum_histogram", party, free_ports(1), tmp_path, "--deadline", "1")
    said = waiting.communicate(timeout=60)[1]
    assert waiting.returncode == 1
    assert "before the deadline" in said


@pytest.mark.skipif(not can_unshare(), reason="no network namespace may be made")
def test_a_port_that_is_connected_to_itself_is_not_a_peer(tmp_path: Path) -> None:
    """Here the system has a single port to choose from for the dialling end, which is the dialled one."""
    write(tmp_path, ([1, 2], [1, 2]))
    places = (str(tmp_path / "in2"), str(tmp_path / "out2"))
    command = shlex.join([str(PROGRAMS / "argmax"), "2", "40000", *places, "--deadline", "1"])
    only = "ip link set lo up && echo '40000 40000' > /proc/sys/net/ipv4/ip_local_port_range"
    ended = subprocess.run([*UNSHARE, "sh", "-c", f"{only} && exec {command}"], capture_output=True, check=False)
    assert b"nobody listened on 127.0.0.1:40000 before the deadline" in ended.stderr
    assert ended.returncode == 1


def test_a_peer_that_talks_nonsense_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ([1, 2], [1, 2]))
    for answer in (b"GET / HTTP/1.0\r\n\r\n" * 10, struct.pack("<4sIQ", b"CMP1", 0, 1 << 40), b""):
        port = free_ports(1)
        party = start("argmax", 1, port, tmp_path)
        with dial(port) as peer:
            peer.sendall(answer)
            peer.shutdown(socket.SHUT_WR)
            said = party.communicate(timeout=60)[1]
        assert party.returncode == 1
        assert said.startswith("hello: ")
        assert not (tmp_path / "out1").exists()


@pytest.mark.parametrize("program", ["argmax", "sum_histogram"])
@pytest.mark.parametrize("asked", [["--help"], ["1", "-h"]])
def test_help_prints_the_usage_and_is_no_error(program: str, asked: list[str]) -> None:
    ended = subprocess.run([str(PROGRAMS / program), *asked], check=False, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"usage: {program} PARTY PORT INPUT OUTPUT")
