"""A release rule is one of the forms that a theorem covers, and states no smaller cost than the theorem."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from parties.capc.casting import load_data, public_parameters
from parties.capc.config import CapcConfig
from parties.capc.forms import FORMS
from parties.capc.releases import release_agreed, with_release
from parties.frame.errors import ConfigError
from parties.learning.parts import Dataset
from tests.parties.learning.extensions.own_code import write_code


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_code(tmp_path_factory.mktemp("code"))


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data(CapcConfig())


def config(code: Path, name: str, **keys: Any) -> CapcConfig:
    return CapcConfig(release=name, code_dir=code, **{"n_parties": 20, "num_classes": 10} | keys)


def test_a_rule_says_noise_and_threshold_by_the_number_of_parties(code: Path, digits: Dataset) -> None:
    chosen = with_release(config(code, "researchers:four_fifths", seed=3), digits)
    assert (chosen.sigma, chosen.threshold, chosen.threshold_sigma, chosen.seed) == (4, 16, 3, 3)
    parameters = public_parameters(chosen, digits)
    assert (parameters.release.title, parameters.threshold) == ("noisy argmax where enough parties agree", 16)
    assert [(cost.what, Fraction(cost.sigma), cost.sensitivity) for cost in parameters.costs] == [
        ("check", 3, 1),
        ("answer", 4, 2),
    ]
    plain = with_release(config(code, "researchers:plain"), digits)
    assert (plain.sigma, plain.threshold) == (Fraction(5, 2), 0)


def test_the_parties_agree_on_the_name_and_on_what_it_says(code: Path, digits: Dataset) -> None:
    few, many = (with_release(config(code, "researchers:four_fifths", n_parties=n), digits) for n in (20, 40))
    first, second = (release_agreed(one, digits.labelling) for one in (few, many))
    assert first.partition(" ")[0] == "researchers:four_fifths"
    assert first != second
    assert release_agreed(CapcConfig(), digits.labelling) == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("understated", r"expected zcdp of at least 0\.16 a query, which the theorem gives, found 0\.159"),
        ("counts", r"expected releases \['label'\], which is all that a theorem covers of argmax, found \['counts'\]"),
        ("gap", "expected form as one of argmax, confident-argmax, majority, which are what .*, found 'gap'"),
        ("noiseless", "expected dp_noise_scale as a number above 0, found 0"),
        ("silent", "expected dp_noise_scale, form, releases, zcdp, found dp_noise_scale, form"),
        (
            "contradicts",
            "expected form argmax, which follows from its threshold and the labels, found confident-argmax",
        ),
    ],
)
def test_what_no_theorem_covers_is_refused(code: Path, digits: Dataset, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^release researchers:{name}: {words}"):
        with_release(config(code, f"researchers:{name}"), digits)


def test_a_rule_stands_alone(code: Path, digits: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"dp_noise_scale: expected none beside release researchers:plain, .*found 2"):
        with_release(config(code, "researchers:plain", dp_noise_scale=2), digits)


def test_the_built_in_names_are_held_against_the_keys(digits: Dataset) -> None:
    for keys, form in (({}, "argmax"), ({"threshold": 1, "dp_noise_scale": 1}, "confident-argmax")):
        for name in FORMS:
            chosen = CapcConfig(release=name, **keys)
            if name == form:
                assert with_release(chosen, digits) is chosen
            else:
                with pytest.raises(ConfigError, match=f"release: expected {form}, which follows .*, found {name}"):
                    with_release(chosen, digits)
    with pytest.raises(ValidationError, match="expected one of argmax, confident-argmax, majority, or a function"):
        CapcConfig(release="gap")


def test_the_help_lists_what_is_built_in_and_says_what_else_may_be_named() -> None:
    for key, names in (
        ("dataset", "digits breast-cancer digit-traits mnist"),
        ("strategy", "random entropy margin k-center"),
        ("release", "argmax confident-argmax majority"),
        ("models", "linear mlp cryptonets-relu cnn-avgpool logistic-regression linear-svm sklearn-mlp"),
    ):
        text = CapcConfig.model_fields[key].description or ""
        assert [name for name in names.split() if name not in text] == []
        assert "a function as package.module:function" in text
