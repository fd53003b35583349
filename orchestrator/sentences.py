"""One sentence for each way a configuration can be wrong, with the key, what was expected and what was found."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

NEAR = 0.72  # of the letters in common, or a word is no hint
SHORTEST_PART = 3

# What was expected, by pydantic's error type; `{}` names are in the error's context.
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} of them",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "missing": "a value",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
}


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for the known word nearest to `word`, or only the full stop.

    Dashes do not count. A word that is the beginning or a part of a known one, such as `port` of `start_port`, is near.
    """
    wanted = _bare(word)
    ranked = []
    for name in known:
        bare = _bare(name)
        ratio = difflib.SequenceMatcher(None, wanted, bare).ratio()
        part = len(wanted) >= SHORTEST_PART and (bare.startswith(wanted) or wanted in bare.split("_"))
        if part or ratio >= NEAR:
            ranked.append((part, ratio, name))
    return f", did you mean {max(ranked)[2]!r}?" if ranked else "."


def _bare(word: str) -> str:
    return word.lstrip("-").replace("-", "_").lower()


def unknown_key(key: str, known: Iterable[str], where: str) -> str:
    return f"{key}: unknown key in {where}{suggestion(key, known)}"


def validation_sentence(error: ValidationError, origins: Mapping[str, str], known: Iterable[str]) -> str:
    """Return the first of pydantic's complaints as a sentence. `origins` tells where a key was given."""
    complaints = error.errors(include_url=False)
    first = complaints[0]
    top, key = str(first["loc"][0]) if first["loc"] else "", ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        words = list(_keys_beside(first["loc"], known))
        unknown = unknown_key(str(first["loc"][-1]), words, origins.get(top, "the configuration"))
        return key.removesuffix(str(first["loc"][-1])) + unknown
    if first["type"] == "value_error":
        text = str(first.get("ctx", {}).get("error", first["msg"]))
        return f"{key}: {text.rstrip('.')}." if key and not text.startswith(key) else f"{text.rstrip('.')}."
    found = "nothing" if first["type"] == "missing" else _shown(first["input"])
    sentence = f"{key}: expected {_expected(first)}, found {found}"
    if top in origins:
        sentence += f" in {origins[top]}"
    others = sorted({str(complaint["loc"][0]) for complaint in complaints if complaint["loc"]} - {top})
    if others:
        sentence += f" (and {', '.join(others)} must change as well)"
    return f"{sentence}."


def _keys_beside(place: tuple[int | str, ...], known: Iterable[str]) -> Iterator[str]:
    """Yield the keys that would be known at the place of an unknown one, which may lie within others."""
    fields = known
    for part in place[:-1]:
        if isinstance(part, int) or not isinstance(fields, Mapping):
            continue
        field = fields.get(part)
        models = list(_models_in(getattr(field, "annotation", None)))
        fields = models[0].model_fields if models else ()
    yield from fields


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a field may hold, alone or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _expected(complaint: ErrorDetails) -> str:
    template = _EXPECTED.get(complaint["type"])
    if template is None:
        return complaint["msg"].removeprefix("Input should be ")
    context = complaint.get("ctx", {})
    return template.format_map({key: _exactly(value) for key, value in context.items()})


def _exactly(value: Any) -> Any:
    """Return a bound as short as it can be without being another number, or else it may look like what was found."""
    if not isinstance(value, float):
        return value
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
