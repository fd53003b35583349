"""Every class of choices or settings refuses unknown names and cannot be changed once it was checked."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from pydantic import BaseModel

import orchestrator
import parties

PACKAGES = (orchestrator, parties)
APART = {"orchestrator.teardown"}  # a program that runs by itself


def models() -> list[type[BaseModel]]:
    """Return the project's own kinds of settings, each of which was defined by a module of these packages."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name not in APART:
                importlib.import_module(module.name)
    names = tuple(f"{package.__name__}." for package in PACKAGES)
    found, kinds = [*BaseModel.__subclasses__()], set()
    while found:
        kind = found.pop()
        found += kind.__subclasses__()
        kinds.add(kind)
    return sorted((kind for kind in kinds if kind.__module__.startswith(names)), key=lambda kind: kind.__qualname__)


MODELS = models()


def test_there_are_settings_to_look_at() -> None:
    assert {"CapcConfig", "RunOptions", "QueryingSettings"} <= {kind.__name__ for kind in MODELS}


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__qualname__)
def test_settings_are_frozen_and_refuse_what_they_do_not_know(kind: type[BaseModel]) -> None:
    if any(issubclass(other, kind) for other in MODELS if other is not kind):
        return  # a part that only its whole is made of
    assert kind.model_config.get("frozen") is True
    assert kind.model_config.get("extra") == "forbid"
