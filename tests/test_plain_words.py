"""Plain words: a measure of how dense the docstrings are, held by a test.

A sentence that needs a semicolon, or a colon in its middle, makes two claims. A reader who is new to the project, or
whose first language is another, reads it twice. In each package at most a fifth of the sentences in module docstrings
may be of that kind. The docstring of a public function, class or method holds at most one semicolon.

Displayed blocks, ladders, lists and tables are not prose and do not count. Neither do code spans, roles, addresses, a
colon that introduces a block, and headings such as ``Args:``.

The figures of each package, and its densest docstrings, come from::

    python -m tests.test_plain_words [folder of another clone]
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("mpc", "parties", "orchestrator")
LARGEST_SHARE = 0.20
MOST_SEMICOLONS = 1

_HEADINGS = re.compile(r"^(Args|Arguments|Attributes|Raises|Returns|Yields|Note|Example|Examples):$")
_BULLET = re.compile(r"^([-*+•|]|\d+[.)])\s")
_LADDER = re.compile(r"-{2,}>|<-{2,}|─|►|◄|<->|<-+>|<=+>|\s{3,}\S")
_NOT_PROSE = (
    (re.compile(r":[a-z]+:`[^`]*`"), "Code"),
    (re.compile(r"``.+?``", re.DOTALL), "Code"),
    (re.compile(r"`[^`]+`"), "Code"),
    (re.compile(r"\b[a-z]+://\S*[^\s.,;:)]"), "Address"),
    (re.compile(r"\b(e\.g|i\.e|et al|cf|vs|Sec|Fig|Alg|No|pp?)\.(?=\s)"), "abbreviation"),
)
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[A-Z0-9\"'(\[])")
_GLUE = re.compile(r";|:(?=\s+\S)")


@dataclass(frozen=True)
class Text:
    """One docstring and its place."""

    place: str
    docstring: str
    is_module: bool

    @property
    def sentences(self) -> list[str]:
        return [sentence for paragraph in prose(self.docstring) for sentence in _SENTENCE_ENDS.split(paragraph)]

    @property
    def dense(self) -> list[str]:
        return [sentence for sentence in self.sentences if _GLUE.search(sentence)]

    @property
    def semicolons(self) -> int:
        return sum(_without_code(text).count(";") for text in _paragraphs(self.docstring, with_sections=True))


def _without_code(text: str) -> str:
    for pattern, word in _NOT_PROSE:
        text = pattern.sub(word, text)
    return text


def prose(docstring: str) -> list[str]:
    """Return the paragraphs of a docstring that are prose, each on one line, with code and addresses blanked."""
    return [_without_code(paragraph) for paragraph in _paragraphs(docstring, with_sections=False)]


def _paragraphs(docstring: str, *, with_sections: bool) -> list[str]:
    """Return the prose of a cleaned docstring, one string a paragraph.

    ``with_sections`` adds the indented text below a heading such as ``Args:``.
    """
    paragraphs: list[list[str]] = [[]]
    in_section = in_list = False
    for line in docstring.splitlines():
        indented, text = line.startswith((" ", "\t")), line.strip()
        if not text:
            paragraphs.append([])
            in_list = False
            continue
        if not indented:
            in_list = bool(_BULLET.match(text))
            in_section = bool(_HEADINGS.match(text))
        # The lines of a list item, wherever they begin, and whatever is displayed.
        if in_section and indented and with_sections:
            paragraphs[-1].append(text)
        elif in_list or in_section or indented or _LADDER.search(text):
            paragraphs.append([])
        else:
            paragraphs[-1].append(text)
    return [" ".join(lines) for lines in paragraphs if lines]


def texts(root: Path, package: str) -> Iterator[Text]:
    """Yield every docstring of a package that the measure covers."""
    for path in sorted((root / package).rglob("*.py")):
        place = str(path.relative_to(root))
        yield from _texts_of(ast.parse(path.read_text()), place)


def _texts_of(node: ast.Module | ast.ClassDef, place: str) -> Iterator[Text]:
    """Yield the docstring of a module or a class, and those of all that is public in it."""
    if docstring := ast.get_docstring(node):
        yield Text(place, docstring, isinstance(node, ast.Module))
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or child.name.startswith("_"):
            continue
        inner = f"{place}::{child.name}"
        if isinstance(child, ast.ClassDef):
            yield from _texts_of(child, inner)
        elif docstring := ast.get_docstring(child):
            yield Text(inner, docstring, False)


def share_of_dense_sentences(modules: list[Text]) -> float:
    sentences = sum(len(text.sentences) for text in modules)
    return sum(len(text.dense) for text in modules) / max(1, sentences)


@pytest.mark.parametrize("package", PACKAGES)
def test_module_docstrings_make_one_claim_a_sentence(package: str) -> None:
    modules = [text for text in texts(ROOT, package) if text.is_module]
    assert modules
    share = share_of_dense_sentences(modules)
    densest = "\n".join(f"{len(text.dense)} of {len(text.sentences)} in {text.place}" for text in _densest(modules))
    assert share <= LARGEST_SHARE, f"{share:.0%} of the sentences hold ';' or ':', most of them in\n{densest}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_public_docstring_holds_one_semicolon_at_most(package: str) -> None:
    found = {text.place: text.semicolons for text in texts(ROOT, package) if not text.is_module}
    assert {place: count for place, count in found.items() if count > MOST_SEMICOLONS} == {}


@pytest.mark.parametrize(
    ("docstring", "sentences", "dense"),
    [
        ("Send a frame.", 1, 0),
        ("Send a frame; wait.", 1, 1),
        ("One thing: another thing. A third one.", 2, 1),
        ("See :mod:`mpc.ring`. Call ``a: int; b``, or `x: y`. Look at https://a.b/c:d.", 3, 0),
        ("The frame is::\n\n    magic: 2 B; version: 1 B\n\nIt ends there.", 2, 0),
        ("There are two:\n\n- one: first; and\n  more: of it\n- two\n\nThat is all.", 2, 0),
        ("Args:\n    a: one; two.\n\nThe end.", 1, 0),
        ("QP: x  ------>  AP: y\n\nFrom Roy et al. (CRYPTO 2022).", 1, 0),
    ],
)
def test_what_the_measure_counts(docstring: str, sentences: int, dense: int) -> None:
    text = Text("", docstring, True)
    assert (len(text.sentences), len(text.dense)) == (sentences, dense)


def test_semicolons_count_below_headings_but_not_in_code_or_blocks() -> None:
    docstring = "Do it; now.\n\nArgs:\n    a: one; two, not ``a; b``.\n\nAs in::\n\n    a; b; c"
    assert Text("", docstring, False).semicolons == 2


def _densest(found: list[Text], most: int = 10) -> list[Text]:
    return sorted(found, key=lambda text: (-len(text.dense), text.place))[:most]


def main(root: Path) -> None:
    """Print the figures of every package, and the ten docstrings with the most dense sentences in all of them."""
    everything = []
    for package in PACKAGES:
        found = list(texts(root, package))
        modules = [text for text in found if text.is_module]
        dense, sentences = sum(len(text.dense) for text in modules), sum(len(text.sentences) for text in modules)
        over = sum(text.semicolons > MOST_SEMICOLONS for text in found if not text.is_module)
        print(
            f"{package}: {dense} of {sentences} sentences in module docstrings hold ';' or ':' "
            f"({share_of_dense_sentences(modules):.0%}), and {over} public docstrings more than one ';'"
        )
        everything += found
    for text in _densest(everything):
        print(f"  {len(text.dense):2} of {len(text.sentences):2} sentences, {text.semicolons} ';'  {text.place}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT)
