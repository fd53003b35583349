"""The Merkle tree against the vectors of transparency-dev/merkle, and against the definition in the RFC."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc.commons.merkle import EMPTY_ROOT, Tree, check_consistency, check_inclusion, leaf_hash
from mpc.errors import ParameterError, ProtocolError

VECTORS = json.loads((Path(__file__).parent / "vectors" / "merkle.json").read_text())

# transparency-dev/merkle, testonly/constants.go (Apache-2.0): eight leaves, and the roots of the first 0 to 8.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def by_definition(entries: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    k = 1
    while 2 * k < len(entries):
        k *= 2
    return hashlib.sha256(b"\1" + by_definition(entries[:k]) + by_definition(entries[k:])).digest()


def tree_of(entries: list[bytes]) -> Tree:
    tree = Tree()
    for entry in entries:
        tree.append(leaf_hash(entry))
    return tree


def test_roots_of_the_eight_known_leaves() -> None:
    tree = tree_of([bytes.fromhex(leaf) for leaf in LEAVES])
    assert [tree.root(size).hex() for size in range(9)] == ROOTS
    assert EMPTY_ROOT.hex() == ROOTS[0]


def _decoded(vector: dict, name: str) -> list[bytes]:
    return [base64.b64decode(one) for one in vector[name] or []]


@pytest.mark.parametrize("vector", VECTORS["inclusion"], ids=lambda vector: vector["name"])
def test_inclusion_vectors(vector: dict) -> None:
    leaf, root = base64.b64decode(vector["leafHash"] or ""), base64.b64decode(vector["root"] or "")
    arguments = leaf, vector["leafIdx"], vector["treeSize"], root, _decoded(vector, "proof")
    if vector["wantErr"]:
        with pytest.raises(ProtocolError):
            check_inclusion(*arguments)
    else:
        check_inclusion(*arguments)


@pytest.mark.parametrize("vector", VECTORS["consistency"], ids=lambda vector: vector["name"])
def test_consistency_vectors(vector: dict) -> None:
    roots = [base64.b64decode(vector[name] or "") for name in ("root1", "root2")]
    arguments = vector["size1"], vector["size2"], *roots, _decoded(vector, "proof")
    if vector["wantErr"]:
        with pytest.raises(ProtocolError):
            check_consistency(*arguments)
    else:
        check_consistency(*arguments)


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=40), st.data())
def test_every_proof_holds_and_none_with_a_change(entries: list[bytes], data: st.DataObject) -> None:
    tree, size = tree_of(entries), len(entries)
    assert tree.root() == by_definition(entries)
    first, index = data.draw(st.integers(1, size)), data.draw(st.integers(0, size - 1))
    inclusion, consistency = tree.inclusion(index, size), tree.consistency(first, size)
    check_inclusion(leaf_hash(entries[index]), index, size, tree.root(), inclusion)
    check_consistency(first, size, tree.root(first), tree.root(), consistency)
    for proof in (inclusion, consistency):
        changed = [bytes([one[0] ^ 1]) + one[1:] if at == 0 else one for at, one in enumerate(proof)]
        for other in [changed] if proof else []:
            with pytest.raises(ProtocolError):
                if proof is inclusion:
                    check_inclusion(leaf_hash(entries[index]), index, size, tree.root(), other)
                else:
                    check_consistency(first, size, tree.root(first), tree.root(), other)


@given(st.integers(0, 40), st.integers(0, 40))
def test_what_is_taken_back_leaves_nothing(kept: int, more: int) -> None:
    entries = [bytes([one]) for one in range(kept + more)]
    tree = tree_of(entries)
    tree.truncate(kept)
    assert tree.root() == by_definition(entries[:kept])
    for entry in entries[kept:]:
        tree.append(leaf_hash(entry))
    assert tree.root() == by_definition(entries)


def test_proofs_of_what_is_not_there_are_refused() -> None:
    tree = tree_of([b"a", b"b"])
    for call in (lambda: tree.root(3), lambda: tree.inclusion(2, 2), lambda: tree.consistency(0, 2)):
        with pytest.raises(ParameterError):
            call()
    with pytest.raises(ProtocolError, match="32 bytes"):
        check_inclusion(leaf_hash(b"a"), 0, 2, tree.root(), [leaf_hash(b"b")[:31]])
