"""The defences of privacy, one after another taken out, each of which a test must notice.

An entry is a file, a text that stands there once, and what stands in its place. An entry whose text has changed is
refused with its place, so that the lists cannot fall behind the code without a word. Each wing has a list of its own.
"""

from __future__ import annotations

import ast

from tests.copies import ROOT
from tests.mutation.mutants import Mutant
from tests.mutation.picked import capc, commons, encrypted, house, tensors

PICKED: dict[str, list[tuple[str, str]]] = {
    **capc.PICKED,
    **commons.PICKED,
    **encrypted.PICKED,
    **house.PICKED,
    **tensors.PICKED,
}


def picked_mutants() -> list[Mutant]:
    """Return the list as mutants, but for wings that are not there.

    Raises `ValueError` with the place of a text that does not stand there once.
    """
    there = {file: entries for file, entries in PICKED.items() if (ROOT / file).parent.is_dir()}
    return [_mutant(file, old, new) for file, entries in there.items() for old, new in entries]


def _mutant(file: str, old: str, new: str) -> Mutant:
    source = (ROOT / file).read_text()
    if source.count(old) != 1:
        raise ValueError(f"{file}: expected this text once, found it {source.count(old)} times: {old.strip()!r}")
    before = source[: source.index(old)]
    start, first = len(before.encode()), before.count("\n") + 1
    last = first + old.rstrip("\n").count("\n")
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    inside = any(node.body[0].lineno <= first <= (node.end_lineno or 0) for node in functions)
    lines = (first, last) if inside else (0, 0)
    return Mutant(file, first, start, start + len(old.encode()), "picked", new, *lines)
