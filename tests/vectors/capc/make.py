"""Write the vectors anew: `python -m tests.vectors.capc.make [--force]`.

It refuses to overwrite without `--force`, because vectors change only where the protocol is meant to change.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from mpc.channels.hello import Hello
from mpc.errors import PeerError, ProtocolError
from mpc.paillier.scheme import SecretKey
from mpc.randomness import SeededRandomness
from tests.vectors.capc.inputs import KEY_BITS, SCENARIOS, scenario
from tests.vectors.capc.messages import STRUCTS, body_of, receive
from tests.vectors.capc.scenario import (
    FOLDER,
    MESSAGES,
    REFUSED,
    Vector,
    Wiring,
    described,
    parameters_of,
    play,
    randomness_of,
    read,
    refusal,
)


def complete(name: str) -> Vector:
    """A scenario with its run."""
    vector, wiring = scenario(name), Wiring()
    return vector | described(vector, play(vector, wiring), wiring)


# Refusals within a run.


def refused(scenarios: dict[str, Vector]) -> list[Vector]:
    """Every altered message, run once here: it must be refused in the step that is written here by hand."""
    usual, dealt, confident = "argmax-paillier-he", "argmax-paillier-dealer-three-halves", "confident-paillier-he"
    plain = "argmax-parts-direct-dealer-streamed"
    client, server, guardian = "client", "server-0", "privacy-guardian"
    role = Hello("privacy guardian", "in memory", parameters_of(scenarios[usual]).digest())
    architecture = scenarios[usual]["networks"][0]["architecture"]
    huge = msgspec.msgpack.encode(architecture | {"input_shape": [1 << 17]})
    other = msgspec.msgpack.encode(
        architecture | {"layers": [*architecture["layers"][:-1], architecture["layers"][-1] | {"outputs": 6}]}
    )
    no_queries = msgspec.msgpack.encode(architecture | {"session_queries": 0})
    rows: list[tuple[str, str, str, str, str, dict[str, Any], str]] = [
        ("hello of a wrong role", usual, server, client, "hello", {"body": _hex(role)}, "hello"),
        (
            "hello of another session",
            usual,
            client,
            guardian,
            "hello",
            {"body": _hex(Hello("querying party", "yesterday", role.parameters))},
            "hello",
        ),
        (
            "hello under other public parameters",
            usual,
            server,
            guardian,
            "hello",
            {"body": _hex(Hello("answering party", "in memory", "0" * 64))},
            "hello",
        ),
        ("frame of another version", usual, client, server, "hello", {"version": 2}, "hello"),
        ("even Paillier modulus", usual, guardian, client, "paillier/key", {"flip_bit": _lowest_bit_of_modulus()}, "0"),
        ("base OT: no point of the curve", usual, client, server, "garbled/base/1", {"fill": 0xFF}, "0"),
        ("base OT: a reply that is too short", usual, server, client, "garbled/base/2", {"cut": 1}, "0"),
        ("architecture beyond the limits", usual, server, client, "network/architecture", {"body": huge.hex()}, "0"),
        ("architecture for no queries", usual, server, client, "network/architecture", {"body": no_queries.hex()}, "0"),
        ("architecture with another class", usual, server, client, "network/architecture", {"body": other.hex()}, "0"),
        ("architecture with bytes left over", usual, server, client, "network/architecture", {"append": "c0"}, "0"),
        ("architecture beyond the limits, to the dealer", dealt, server, guardian, "dealer/architecture",
         {"body": huge.hex()}, "0"),
        ("encryption key with residues beyond the prime", usual, client, server, "network/key", {"fill": 0xFF}, "0"),
        ("dealer's seeds too long", dealt, guardian, client, "dealer/seeds", {"append": "00"}, "0"),
        ("masked weights with a padding bit set", dealt, server, client, "linear/1/masked", {"flip_bit": -1}, "0"),
        ("upload with residues beyond the prime", usual, client, server, "linear/0/upload", {"fill": 0xFF}, "0'"),
        ("reply too short", usual, server, client, "linear/1/reply", {"cut": 8}, "0'"),
        ("dealt shares too short", dealt, guardian, server, "linear/0/dealt", {"cut": 1}, "0'"),
        ("request of a batch beyond the limits", dealt, server, guardian, "dealer/request",
         {"body": msgspec.msgpack.encode({"batch": 1 << 13}).hex()}, "0'"),
        ("choices with a padding bit set", usual, client, server, "garbled/1/*/choices", {"flip_bit": -1}, "0'"),
        ("tables too short", usual, server, client, "garbled/0/*/tables", {"cut": 1}, "0'"),
        ("tables of another batch", usual, server, client, "garbled/1/*/tables", {"replay": "garbled/0/*/tables"},
         "0'"),
        ("three-halves tables too short", dealt, server, client, "garbled/0/*/three-halves", {"cut": 24}, "0'"),
        ("masked query with a padding bit set", usual, client, server, "inference/input", {"flip_bit": -1}, "1a"),
        ("masked query with a used frame number", usual, client, server, "inference/input", {"sequence": -1}, "1a"),
        ("masked activations: the masked query again", usual, client, server, "inference/masked",
         {"replay": "inference/input"}, "1a"),
        ("wire labels of another batch", usual, server, client, "garbled/1/*/labels", {"replay": "garbled/0/*/labels"},
         "1c"),
        ("wire labels too short", usual, server, client, "garbled/1/*/labels", {"cut": 16}, "1c"),
        ("ciphertext that is no unit", usual, server, client, "masks/encrypted", {"fill": 0}, "2"),
        ("ciphertext that is divisible by the modulus", usual, server, client, "masks/encrypted",
         {"body": _multiple_of_modulus(scenarios[usual]).hex()}, "2"),
        ("ciphertext too short", usual, server, client, "masks/encrypted", {"cut": 1}, "2"),
        ("sum that is no unit", usual, client, guardian, "masks/sum", {"fill": 0}, "2"),
        ("sum larger than its slots", usual, client, guardian, "masks/sum",
         {"body": _beyond_slots(scenarios[usual]).hex()}, "2"),
        ("mask in the clear with a padding bit set", plain, server, guardian, "masks/plain", {"flip_bit": -1}, "2"),
        ("choices of step 3 too long", usual, client, guardian, "garbled/0/*/choices", {"append": "00"}, "3"),
        ("tables of step 3 too long", usual, guardian, client, "garbled/0/*/tables", {"append": "00"}, "3"),
        ("decoding with a padding bit set", usual, guardian, client, "garbled/0/*/decoding", {"flip_bit": -1}, "3"),
        ("index that no class has", usual, guardian, client, "garbled/0/*/decoding", {"search": True}, "3"),
        ("index that no class has, behind a threshold", confident, guardian, client, "garbled/2/*/decoding",
         {"search": True}, "3"),
        ("bit flipped in a table", usual, guardian, client, "garbled/0/*/tables", {"search": True}, "3"),
    ]  # fmt: skip
    return [_refusal(scenarios, *row) for row in rows]


def _hex(message: msgspec.Struct) -> str:
    return msgspec.msgpack.encode(message).hex()


def _lowest_bit_of_modulus() -> int:
    """Its place in the key's message, a map whose first entry is the modulus with the highest byte first."""
    return 8 * len(msgspec.msgpack.encode({"modulus": bytes(KEY_BITS // 8)})) - 8


def _multiple_of_modulus(vector: Vector) -> bytes:
    public = SecretKey(KEY_BITS, randomness_of(vector).guardian.source("paillier")).public
    return public.to_bytes([public.modulus])


def _beyond_slots(vector: Vector) -> bytes:
    packing = parameters_of(vector).packing
    public = SecretKey(KEY_BITS, randomness_of(vector).guardian.source("paillier")).public
    other = type(public)(public.modulus, public.base, KEY_BITS, SeededRandomness(b"beyond"))
    return other.to_bytes(other.encrypt([1 << packing.slots * packing.slot_bits]))


def _refusal(
    scenarios: dict[str, Vector],
    name: str,
    scenario_name: str,
    sender: str,
    receiver: str,
    pattern: str,
    change: dict[str, Any],
    step: str,
) -> Vector:
    vector = scenarios[scenario_name]
    label, size = _message(vector, sender, receiver, pattern)
    if "replay" in change:
        change = {"replay": _message(vector, sender, receiver, change["replay"])[0]}
    if change.get("flip_bit") == -1:
        change = {"flip_bit": 8 * size - 1}
    bits = range(8 * size) if "search" in change else [None]
    for bit in bits:
        chosen = (
            change if bit is None else {"flip_bit": 8 * size - 1 - 61 * bit % (8 * size) if "table" in name else bit}
        )
        row = {
            "name": name,
            "scenario": scenario_name,
            "from": sender,
            "to": receiver,
            "message": label,
            "change": chosen,
            "step": step,
            "error": ProtocolError.__name__,
        }
        try:
            error, _ = refusal(vector, row)
        except AssertionError:
            if bit is None:
                raise
            continue
        if (error.step, error.peer, type(error)) != (step, sender, ProtocolError):
            raise AssertionError(f"'{name}' was refused with: {error!r} {error}")
        print(f"{name}: {error}")
        return row
    raise AssertionError(f"'{name}': no bit has this effect")


def _message(vector: Vector, sender: str, receiver: str, pattern: str) -> tuple[str, int]:
    """Label and length of the first message of a run that fits the pattern."""
    start, _, end = pattern.partition("*")
    for channel in vector["channels"]:
        if set(channel["between"]) == {sender, receiver}:
            for _, by, label, size, _ in channel["messages"]:
                if (
                    by == sender
                    and label.startswith(start)
                    and label.endswith(end)
                    and ("*" in pattern or label == start)
                ):
                    return label, size
    raise AssertionError(f"no message {pattern} from {sender} to {receiver}")


# Single messages.


def messages() -> list[Vector]:
    """Bodies that are taken, and bodies that are refused."""
    client, server, guardian = "client", "server-0", "privacy-guardian"
    own = {"role": "answering party", "session": "s", "parameters": "ab" * 32, "version": 1}
    known = {"own": own, "expected_role": "querying party"}
    hello = own | {"role": "querying party"}
    spent = {"refusal": "", "queries": 2, "run": 0.5, "total": 1.5, "budget": 4.0, "state": "open"}
    owner = {"refusal": "", "queries": 2, "total": 1.5, "budget": 4.0}
    name = base64.b64encode(bytes(range(16))).decode()
    batch, pool = {"max_queries": 4}, {"pool": 2, "max_queries": 4}
    taken: list[tuple[str, str, str, str, Vector, Vector]] = [
        ("hello", client, server, "hello", known, hello),
        ("turn", guardian, client, "0", {}, {}),
        ("pool/order", client, server, "0'", pool, {"kind": "end", "batch": 0}),
        ("batch/name", client, server, "0", {"first": True}, {"batch": ""}),
        ("batch/name", client, server, "0'", {"first": False}, {"batch": name}),
        ("release/ready", client, guardian, "3", {}, {}),
        ("budget/request", client, guardian, "0", batch, {"queries": 4, "batch": name}),
        ("budget/request", client, guardian, "0", batch, {"queries": 0, "batch": ""}),
        ("budget/spent", guardian, client, "0", {"requested": 3}, spent),
        ("budget/spent", guardian, client, "0", {"requested": 3}, spent | {"refusal": "no budget", "queries": 0}),
        ("owner/account", server, client, "0", {"most": 2}, owner),
        ("owner/account", server, client, "2", {"most": 2}, owner | {"refusal": "no budget", "queries": 1}),
    ]
    bad: list[tuple[str, str, str, str, str, Vector, Any]] = [
        ("a wrong role", "hello", client, server, "hello", known, hello | {"role": "privacy guardian"}),
        ("another session", "hello", client, server, "hello", known, hello | {"session": "t"}),
        ("other parameters", "hello", client, server, "hello", known, hello | {"parameters": "cd" * 32}),
        ("another wire version", "hello", client, server, "hello", known, hello | {"version": 2}),
        ("a field that nobody knows", "turn", guardian, client, "0", {}, {"next": 1}),
        ("a batch beyond the limit", "pool/order", client, server, "0'", pool, {"kind": "prepare", "batch": 5}),
        ("a correlation never prepared", "pool/order", client, server, "0'", pool, {"kind": "use", "batch": 2}),
        ("an order that nobody knows", "pool/order", client, server, "0'", pool, {"kind": "reuse", "batch": 2}),
        ("an end with queries", "pool/order", client, server, "0'", pool, {"kind": "end", "batch": 2}),
        (
            "more than a batch may have",
            "budget/request",
            client,
            guardian,
            "0",
            batch,
            {"queries": 5, "batch": bytes(16)},
        ),
        ("a batch without a name", "budget/request", client, guardian, "0", batch, {"queries": 2}),
        ("a short name", "budget/request", client, guardian, "0", batch, {"queries": 2, "batch": bytes(8)}),
        ("no name", "batch/name", client, server, "0'", {"first": False}, {"batch": b""}),
        ("a long name", "batch/name", client, server, "0", {"first": True}, {"batch": bytes(17)}),
        ("a field that nobody knows", "release/ready", client, guardian, "3", {}, {"share": 1}),
        ("fewer than none", "budget/request", client, guardian, "0", batch, {"queries": -1}),
        ("half a query", "budget/request", client, guardian, "0", batch, {"queries": 0.5}),
        (
            "bytes left over",
            "budget/request",
            client,
            guardian,
            "0",
            batch,
            msgspec.msgpack.encode({"queries": 4, "batch": bytes(16)}) + b"\xc0",
        ),
        ("nothing", "budget/request", client, guardian, "0", batch, b""),
        ("a field missing", "budget/request", client, guardian, "0", batch, {}),
        ("more than was asked for", "budget/spent", guardian, client, "0", {"requested": 1}, spent),
        ("none and no reason", "budget/spent", guardian, client, "0", {"requested": 3}, spent | {"queries": 0}),
        ("some and a reason", "budget/spent", guardian, client, "0", {"requested": 3}, spent | {"refusal": "no"}),
        ("more than are left", "owner/account", server, client, "2", {"most": 1}, owner),
        ("fewer than none", "owner/account", server, client, "2", {"most": 2}, owner | {"queries": -1}),
        ("fewer and no reason", "owner/account", server, client, "0", {"most": 3}, owner),
        (
            "a state that nobody knows",
            "budget/spent",
            guardian,
            client,
            "0",
            {"requested": 3},
            spent | {"state": "ajar"},
        ),
        ("words for a number", "budget/spent", guardian, client, "0", {"requested": 3}, spent | {"run": "0.5"}),
    ]
    rows: list[Vector] = []
    for message, sender, receiver, step, state, fields in taken:
        row = {"message": message, "from": sender, "to": receiver, "step": step, "state": state}
        rows.append(row | {"fields": fields, "body": body_of(message, fields).hex()})
        receive(rows[-1])
    rows.append(
        {"name": "a message of another name", "message": "budget/request", "from": client, "to": guardian, "step": "0"}
        | {"state": batch, "named": "budget/spent", "body": body_of("budget/request", {"queries": 1}).hex()}
        | {"error": ProtocolError.__name__}
    )
    for name, message, sender, receiver, step, state, content in bad:
        body = content if isinstance(content, bytes) else msgspec.msgpack.encode(content)
        row = {"name": name, "message": message, "from": sender, "to": receiver, "step": step, "state": state}
        rows.append(row | {"body": body.hex(), "error": ProtocolError.__name__})
    for row in rows:
        if "error" in row:
            try:
                receive(row)
            except PeerError as error:
                if (error.step, error.peer, type(error)) != (row["step"], row["from"], ProtocolError):
                    raise AssertionError(f"'{row['name']}' was refused with: {error!r} {error}") from error
                print(f"{row['message']}, {row['name']}: {error}")
            else:
                raise AssertionError(f"'{row['name']}' was accepted")
    assert {row["message"] for row in rows} == set(STRUCTS)
    return rows


# Files.


def text(value: Any, indent: str = "") -> str:
    """JSON that a reader can follow: lists of plain values, and what fits a line, on one."""
    flat = json.dumps(value)
    if not isinstance(value, dict | list) or len(flat) + len(indent) <= 150:
        return flat
    deeper = indent + " "
    if isinstance(value, dict):
        parts = [f"{deeper}{json.dumps(key)}: {text(content, deeper)}" for key, content in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    if not any(isinstance(content, dict | list) for content in value):
        return flat
    return "[\n" + ",\n".join(deeper + text(content, deeper) for content in value) + f"\n{indent}]"


def write(path: Path, content: Any, force: bool) -> None:
    if path.exists() and not force:
        raise FileExistsError(f"{path} is there; --force overwrites it")
    path.write_text(text(content) + "\n")
    print(f"wrote {path.name}, {path.stat().st_size} B")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vectors.capc.make", description=__doc__)
    parser.add_argument("--force", action="store_true", help="overwrite the files that are there")
    force = parser.parse_args(arguments).force
    files = {name: FOLDER / f"{name}.json" for name in SCENARIOS}
    try:
        if not force and (there := [path for path in (*files.values(), REFUSED, MESSAGES) if path.exists()]):
            raise FileExistsError(f"{there[0]} is there, and {len(there) - 1} more; --force overwrites them")
        for name, path in files.items():
            write(path, complete(name), force)
        write(REFUSED, refused({name: read(path) for name, path in files.items()}), force)
        write(MESSAGES, messages(), force)
    except FileExistsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
