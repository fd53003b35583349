"""The folders of the C++ core include each other one way only, as the table below says."""

from __future__ import annotations

import re
from pathlib import Path

import mpc

CORE = Path(mpc.__file__).parent / "core"
INCLUDE = re.compile(r'^#include "core/([a-z0-9_]+)/([a-z0-9_]+\.hpp)"', re.MULTILINE)

# Each folder, and the others that its files may include: only such as stand above it.
MAY_INCLUDE: dict[str, set[str]] = {
    "base": set(),
    "aes": {"base"},
    "curve": {"base"},
    "circuits": {"base"},
    "ot": {"base", "aes", "curve"},
    "garbling": {"base", "aes", "circuits", "ot"},
    "lattice": {"base", "aes"},  # random polynomials come from AES in counter mode
    "bfv": {"base", "aes", "lattice"},
    "ckks": {"base", "aes", "lattice"},
    "tensor": {"base", "aes"},  # key streams
    "prio": {"base"},
}


def includes() -> dict[str, set[str]]:
    """By folder, the folders that its files include, itself left out."""
    found: dict[str, set[str]] = {}
    for file in sorted(CORE.rglob("*.[ch]pp")):
        text = file.read_text()
        named = INCLUDE.findall(text)
        assert len(named) == text.count('#include "'), f"{file.name} includes something else than a file of core/"
        for folder, name in named:
            assert (CORE / folder / name).is_file(), f"{file.name} includes core/{folder}/{name}, which is not there"
        room = file.relative_to(CORE).parts[0]
        found.setdefault(room, set()).update(folder for folder, _ in named if folder != room)
    return found


def test_the_table_names_every_folder_and_goes_one_way() -> None:
    assert set(MAY_INCLUDE) == {entry.name for entry in CORE.iterdir()}
    above: set[str] = set()
    for folder, allowed in MAY_INCLUDE.items():
        assert allowed <= above, f"{folder} may include only what stands above it"
        above.add(folder)


def test_includes_are_those_of_the_table() -> None:
    assert includes() == MAY_INCLUDE
