"""HTML that no text can break, because every text and attribute is escaped where it becomes markup."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

LONG = 30  # rows of a table that is folded


class Markup(str):
    """Text that is HTML already. Everything else is escaped on its way into an element."""


def element(name: str, *content: str, **attributes: str | float) -> Markup:
    """Return `<name ...>content</name>`. Attributes are given with `_` for `-`, and `class_` for `class`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_number(value), quote=True)}"'
        for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>{''.join(map(escape, content))}</{name}>")


def escape(text: str) -> Markup:
    return text if isinstance(text, Markup) else Markup(html.escape(text, quote=True))


def joined(parts: Iterable[str]) -> Markup:
    return Markup("".join(map(escape, parts)))


def _number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> Markup:
    """Return a table. Columns of numbers stand to the right. A wide table scrolls by itself, a long one is folded."""
    body = [list(row) for row in rows]
    right = [bool(body) and all(_is_number(row[column]) for row in body) for column in range(len(headings))]

    def line(name: str, cells: Sequence[str], scope: dict[str, str]) -> Markup:
        made = [
            element(name, cell, **scope, **({"class_": "number"} if right[column] else {}))
            for column, cell in enumerate(cells)
        ]
        return element("tr", *made)

    folded = len(body) > LONG
    caption = [element("caption", title)] if title and not folded else []
    head = element("thead", line("th", headings, {"scope": "col"}))
    lines = element("tbody", *(line("td", row, {}) for row in body))
    made = element("div", element("table", *caption, head, lines), class_="wide")
    if not folded:
        return made
    return element("details", element("summary", f"{title or 'All rows'} ({len(body)})"), made)


def _is_number(cell: str) -> bool:
    """Tell whether a cell is a number, perhaps with a unit behind it, or empty."""
    first = cell.strip().split(" ", 1)[0].rstrip("%").replace(":", "").lstrip("+−-")
    return not cell.strip() or cell in ("–", "∞") or first.replace(".", "", 1).replace("e-", "", 1).isdigit()
