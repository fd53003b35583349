"""Every small change (mutant) that this project's mutation tests know, for one file of Python.

A mutant is a piece of source text and what stands in its place. Docstrings, strings, type hints, log calls and the
wording of errors are left alone, because no test should fail when they change.
"""

from __future__ import annotations

import ast
import copy
import difflib
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr, ast.MatMult: ast.Mult,
}  # fmt: skip
_LOGS = {"debug", "info", "warning", "exception", "success", "trace"}
_EMPTY = ("None", "[]", "()", "{}", "''", '""', "0", "False")


@dataclass(frozen=True, order=True)
class Mutant:
    """One change of one file.

    Attributes:
        file: relative to the project's folder.
        line: where the changed text begins.
        start, end: the changed text, in bytes of the file.
        operator: what kind of change.
        new: the text in its place.
        first, last: the lines of the statement that the text stands in. They are 0 where it runs at import.
    """

    file: str
    line: int
    start: int
    end: int
    operator: str
    new: str
    first: int
    last: int

    def applied(self, source: str) -> str:
        """Return the file's text with the change."""
        raw = source.encode()
        return (raw[: self.start] + self.new.encode() + raw[self.end :]).decode()

    def diff(self, source: str) -> str:
        """Return the changed lines in unified form, without context."""
        return difference(source, self.applied(source))


def difference(before: str, after: str) -> str:
    """Return the lines in which two texts differ, in unified form without context."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))
    return "\n".join(line for line in lines[2:] if not line.startswith("@@"))


def mutants_of(file: str, source: str) -> list[Mutant]:
    """Return all mutants of a file, in the order of its text."""
    found = _Finder(file, source)
    found.visit(ast.parse(source))
    return sorted(set(found.mutants))


class _Finder(ast.NodeVisitor):
    def __init__(self, file: str, source: str) -> None:
        self.mutants: list[Mutant] = []
        self._file = file
        self._raw = source.encode()
        self._source = source
        self._lines = [0]
        for line in source.encode().splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._range = (0, 0)  # of the statement whose run shows that a mutant was reached
        self._depth = 0  # of functions

    # -- what is left alone ------------------------------------------------------------------------------------------

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None: ...

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name in ("__repr__", "__str__"):
            return
        outside, self._range = self._range, (0, 0) if not self._depth else self._range
        for part in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                self.visit(part)
        self._depth += 1
        self._body(node.body)
        self._depth -= 1
        self._range = outside

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any(ast.unparse(base).endswith("Protocol") for base in node.bases):
            return
        for part in node.decorator_list:
            self.visit(part)
        self._body(node.body)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None: ...

    def visit_Raise(self, node: ast.Raise) -> None:
        if node.exc is not None:
            self._add(node, "removed raise", "pass")

    def visit_Assert(self, node: ast.Assert) -> None: ...

    def visit_Import(self, node: ast.Import) -> None: ...

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None: ...

    # -- statements --------------------------------------------------------------------------------------------------

    def _body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.visit(statement)

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt) and self._depth:
            outside = self._range
            last = node.end_lineno or node.lineno
            blocks = [child.lineno for name in ("body", "handlers", "cases") for child in getattr(node, name, ())[:1]]
            self._range = (node.lineno, max(node.lineno, min(blocks) - 1) if blocks else last)
            super().visit(node)
            self._range = outside
        else:
            super().visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Call) or _is_log(node.value):
            return
        self._add(node, "removed call", "pass")
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._add(node, "removed assignment", "pass")
        self._change(node, "arithmetic", op=_ARITHMETIC[type(node.op)]())
        self.visit(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            return
        if ast.unparse(node.value) not in _EMPTY:
            self._add(node, "returned nothing", "return None")
        self.visit(node.value)

    def visit_Break(self, node: ast.Break) -> None:
        self._add(node, "break", "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add(node, "continue", "pass")

    def _negated(self, node: ast.If | ast.While | ast.IfExp) -> None:
        if "TYPE_CHECKING" in ast.unparse(node.test) or ast.unparse(node.test) == "__name__ == '__main__'":
            return
        if not isinstance(node.test, ast.Compare | ast.Constant):  # a comparison is swapped, which negates or sharpens
            self._add(node.test, "negated condition", f"(not ({self._text(node.test)}))")
        self.generic_visit(node)

    visit_If = visit_While = visit_IfExp = _negated

    # -- expressions -------------------------------------------------------------------------------------------------

    def visit_Compare(self, node: ast.Compare) -> None:
        for position, operator in enumerate(node.ops):
            ops = [*node.ops]
            ops[position] = _COMPARISONS[type(operator)]()
            self._change(node, "comparison", ops=ops)
            if isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
                ops = [*node.ops]
                ops[position] = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt}[type(operator)]()
                self._change(node, "comparison", ops=ops)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._change(node, "and/or", op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.BitOr) and not self._depth:  # a type
            return
        self._change(node, "arithmetic", op=_ARITHMETIC[type(node.op)]())
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self._add(node, "removed sign", f"({self._text(node.operand)})")
        if not isinstance(node.operand, ast.Constant):
            self.visit(node.operand)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._add(node, "constant", str(not node.value))
        elif isinstance(node.value, int):
            self._add(node, "constant", str(node.value + 1))
            if node.value > 1:
                self._add(node, "constant", str(node.value - 1))
        elif isinstance(node.value, float):
            self._add(node, "constant", repr(node.value * 2 if node.value else 1.0))

    def visit_Call(self, node: ast.Call) -> None:
        if _is_log(node):
            return
        for keyword in node.keywords:
            if keyword.arg is not None and len(node.args) + len(node.keywords) > 1:
                self._change(node, "removed argument", keywords=[other for other in node.keywords if other != keyword])
        self.generic_visit(node)

    # -- text --------------------------------------------------------------------------------------------------------

    def _text(self, node: ast.expr) -> str:
        return ast.get_source_segment(self._source, node) or ast.unparse(node)

    def _change(self, node: ast.expr | ast.AugAssign, operator: str, **fields: object) -> None:
        changed = copy.copy(node)
        for name, value in fields.items():
            setattr(changed, name, value)
        text = ast.unparse(changed)
        self._add(node, operator, text if isinstance(node, ast.stmt | ast.Call) else f"({text})")

    def _add(self, node: ast.expr | ast.stmt, operator: str, new: str) -> None:
        start = self._lines[node.lineno - 1] + node.col_offset
        end = self._lines[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        self.mutants.append(Mutant(self._file, node.lineno, start, end, operator, new, *self._range))


def _is_log(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr in _LOGS


def all_mutants(files: dict[str, str]) -> Iterator[Mutant]:
    """Return the mutants of many files, by name and text, in the order of the names."""
    for file in sorted(files):
        yield from mutants_of(file, files[file])
