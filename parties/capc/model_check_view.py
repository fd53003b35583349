"""The command `model check`: its flags, and what the check found as lines for a person or as one JSON document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from parties.capc.config import CapcConfig
from parties.capc.model_check import check_model
from parties.frame.errors import ConfigError
from parties.frame.plan import Summary
from parties.learning.model_files.source import PICKLE_WARNING, RUN_CODE, model_source


def _flag(unit: str) -> dict[str, Any]:
    return {"flag": True, "unit": unit}


class ModelCheckOptions(BaseModel):
    """The flags of the command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path = Field(
        description="the model: .onnx, .pt, .skops, .pt2, .joblib or .pkl",
        json_schema_extra=_flag("path") | {"place": True},
    )
    input: str = Field(
        pattern=r"^\d+(,\d+,\d+)?$",
        description="shape of one record, as channels,height,width or as the number of values in a row",
        json_schema_extra=_flag("numbers, comma-separated"),
    )
    range: str = Field(
        "0,1",
        pattern=r"^-?[\d.]+(e-?\d+)?,-?[\d.]+(e-?\d+)?$",
        description="smallest and largest value of an input",
        json_schema_extra=_flag("numbers, comma-separated"),
    )
    factory: str | None = Field(
        None,
        description="the function that makes the module of a state dict, as package.module:function",
        json_schema_extra=_flag("import path"),
    )
    path: Path | None = Field(None, description="folder of the factory's package", json_schema_extra=_flag("path"))
    samples: Path | None = Field(
        None, description="NPZ file with an array of inputs, and one of labels if there are any",
        json_schema_extra=_flag("path"),
    )  # fmt: skip
    labelling: Literal["class", "labels"] = Field(
        "class", description="one class, or a yes or no for each of several labels", json_schema_extra=_flag("name")
    )


def model_check_command(config: CapcConfig, _: Path, options: ModelCheckOptions) -> Summary:
    """Return what the check found. Raises `ConfigError` for a model that cannot be used, with what to change."""
    shape = tuple(int(number) for number in options.input.split(","))
    low, high = (float(number) for number in options.range.split(","))
    if not low < high or min(shape) < 1:
        raise ConfigError(
            f"range, input: expected a range and sizes above zero, found {options.range}, {options.input}"
        )
    source = model_source(options.file, options.factory, options.path, config.trust_pickle, ())
    found = check_model(source, shape, (low, high), config, options.samples, options.labelling)
    if found["refusal"] is not None:
        raise ConfigError(f"model {options.file}: {refusal_text(found)}")
    warned = (PICKLE_WARNING,) if source.kind in RUN_CODE else ()
    return Summary(tuple(check_lines(found)), warned, document=found)


def refusal_text(found: Mapping[str, Any]) -> str:
    """Return why a model cannot be used, and what would have to change."""
    words = [found["refusal"]]
    words += [f"{one['layer']} ({one['kind']}): use {one['instead']}" for one in found["unsupported"]]
    if found.get("would_fit"):
        words.append(found["would_fit"])
    return ". ".join(words)


def check_lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what was found as names and values."""
    for place, word in enumerate(found["words"], 1):
        yield f"note {place}", word
    for place, layer in enumerate(found["layers"]):
        yield f"layer {place}", f"{layer['layer']} gives {' x '.join(map(str, layer['output']))}"
    yield "comparisons", f"{found['relus']:,} values go through a ReLU or a maximum"
    bits = ", ".join(map(str, found["weight_bits"]))
    yield "fraction bits", f"{found['fraction_bits']}, and {bits} of the weights"
    yield "ring", f"{found['ring_bits']} bits, of which {found['ring_bits_needed']} are needed"
    yield "bytes a query", " and ".join(f"{found['bytes'][part]:,} {part}" for part in ("ahead", "online"))
    yield "round trips", " and ".join(f"{found['round_trips'][part]} {part}" for part in ("ahead", "online"))
    here = found["seconds_here"]
    yield "seconds, measured here", f"{here['ahead']:.3g} ahead and {here['online']:.3g} online"
    for link, seconds in found["seconds_computed"].items():
        yield f"seconds at {link}", f"{seconds['ahead']:.3g} ahead and {seconds['online']:.3g} online (computed)"
    yield "formula", found["formula"]
    exact = found["accuracy"]
    yield (
        "fixed point",
        (
            f"{exact['same_label']} of {exact['queries']} labels as in floats, largest error of a logit "
            f"{exact['largest_logit_error']:.3g}"
        ),
    )
    if "right_in_floats" in exact:
        yield "right", f"{exact['right_in_floats']} in floats, {exact['right_in_fixed_point']} in fixed point"
