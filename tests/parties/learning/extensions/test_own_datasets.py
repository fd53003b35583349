"""A dataset by a function of the user's own: what it returns is checked, and it runs in a process of its own."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from parties.frame.errors import ConfigError
from parties.learning.datasets import DATASETS, load_dataset
from parties.learning.extensions import registry
from parties.learning.records import DataError
from tests.parties.learning.extensions.own_code import write_code


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_code(tmp_path_factory.mktemp("code"))


def test_its_arrays_are_the_records_and_all_agree_on_their_digest(code: Path) -> None:
    dataset = load_dataset("researchers:load", None, code)
    assert (dataset.classes, dataset.image_shape, dataset.class_values) == (2, (1, 1, 2), ())
    assert dataset.pool.images[:2].reshape(-1).tolist() == pytest.approx([0, 1 / 39, 2 / 39, 3 / 39])
    assert dataset.pool.labels.tolist() == [0] * 10 + [1] * 10
    assert dataset.test is not None
    assert len(dataset.test) == 10
    assert dataset.agreed["dataset"] == "researchers:load"
    assert dataset.agreed == load_dataset("researchers:load", None, code).agreed
    assert dataset.agreed["digest"] != load_dataset("researchers:named", None, code).agreed["digest"]


def test_classes_may_have_names_and_records_several_labels(code: Path) -> None:
    named = load_dataset("researchers:named", None, code)
    assert (named.classes, named.class_values, named.label_names) == (2, ("low", "high"), ())
    assert named.unlabelled is not None
    assert (len(named.unlabelled), named.unlabelled.labels) == (5, None)
    several = load_dataset("researchers:several", None, code)
    assert (several.classes, several.class_values, several.label_names) == (2, (), ("a", "b"))
    assert several.labelling == "labels"
    assert several.pool.labels[:7].tolist() == [[0, 0]] * 4 + [[0, 1]] * 3


def test_it_gets_the_folder_of_the_data(code: Path, tmp_path: Path) -> None:
    (tmp_path / "values.txt").write_text("0.25 0.5\n1 0\n")
    dataset = load_dataset("researchers:of_folder", tmp_path, code)
    assert dataset.pool.images.reshape(2, 2).tolist() == [[0.25, 0.5], [1, 0]]


def test_it_runs_in_another_process(code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    load_dataset("researchers:where", None, code)
    assert int((tmp_path / "where").read_text()) != os.getpid()
    assert "researchers" not in __import__("sys").modules


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("researchers:negative", r"expected inputs in 0\.\.1, found -1\.\.-?0"),
        ("researchers:undefined", "expected finite inputs, found 40 infinite or undefined ones"),
        ("researchers:shape", r"expected inputs \(n, values\) or \(n, channels, height, width\), .* found \(20,\)"),
        ("researchers:wide", r"expected test_inputs of shape \(1, 1, 2\) each, found \(1, 1, 3\)"),
        ("researchers:text", "expected an array of numbers as inputs, found <U1"),
        ("researchers:short", r"expected labels of shape \(20,\), found \(3,\)"),
        ("researchers:beyond", r"expected labels in 0\.\.1, found 2\.\.2"),
        ("researchers:halves", "expected whole numbers as labels, found float64"),
        ("researchers:unknown", "expected nothing but classes, inputs, .* found extra"),
        ("researchers:classless", "expected classes as a number of at least 2, or as a list .*, found None"),
        ("researchers:one", "expected classes as a number of at least 2, .*, found 1"),
        ("researchers:twice", r"expected classes .* a list of different names, found \['a', 'a'\]"),
        ("researchers:lacking", "expected test_labels, found none"),
        ("researchers:nothing", "expected names and values, found NoneType"),
        ("researchers:fails", r"KeyError: 'no such file' \(.*researchers\.py, line \d+\)"),
        ("researchers:leaves", "it ended its process"),
        ("researchers:dies", "its process ended with status 7 and no message"),
        ("researchers:absent", "expected a function absent in researchers, found NoneType"),
        ("researchers:value", "expected a function value in researchers, found int"),
        ("broken_code:load", r"SyntaxError: .*broken_code\.py, line 1\)"),
        (
            "lacking_code:load",
            r"ModuleNotFoundError: No module named 'no_such_thing_at_all' .*lacking_code\.py, line 1",
        ),
        ("absent_code:load", "expected the module absent_code, found none among the installed packages and in "),
    ],
)
def test_what_goes_wrong_is_one_sentence_that_names_the_function(code: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=f"^dataset {name}: {words}") as refused:
        load_dataset(name, None, code)
    assert "\n" not in str(refused.value)
    assert str(refused.value).count(name) == 1


def test_modules_in_the_current_folder_are_not_found(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(code)
    monkeypatch.setenv("PYTHONPATH", str(code))
    with pytest.raises(DataError, match=r"expected the module researchers, found none among the installed packages$"):
        load_dataset("researchers:load", None)
    with pytest.raises(DataError, match="code_dir: expected the folder of modules of your own, found nothing at "):
        load_dataset("researchers:load", None, code / "nowhere")


def test_one_that_takes_too_long_is_ended(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code / "slow_code.py").write_text("import time\ndef load(folder):\n    time.sleep(600)\n")
    monkeypatch.setattr("parties.learning.extensions.calling.DEADLINE_S", 1.5)
    with pytest.raises(DataError, match=r"expected it to return within 1\.5 s, found it still at work"):
        load_dataset("slow_code:load", None, code)


def test_installed_packages_name_theirs_by_entry_points(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("scans", "researchers:named", "capc.datasets"),
        EntryPoint("digits", "researchers:load", "capc.datasets"),
        EntryPoint("both", "researchers:load", "capc.datasets"),
        EntryPoint("both", "researchers:named", "capc.datasets"),
        EntryPoint("module", "researchers", "capc.datasets"),
    ]
    monkeypatch.setattr(registry, "_installed", lambda group: tuple(p for p in points if p.group == group))
    assert DATASETS.names == ("digits", "breast-cancer", "digit-traits", "mnist", "both", "module", "scans")
    assert load_dataset("scans", None, code).class_values == ("low", "high")
    assert load_dataset("digits", None, code).classes == 10  # what is built in keeps its name
    with pytest.raises(
        ConfigError, match=r"expected one entry point both .*, found researchers:load and researchers:n"
    ):
        load_dataset("both", None, code)
    with pytest.raises(ConfigError, match=r"expected package.module:function as entry point module, found researchers"):
        load_dataset("module", None, code)
    with pytest.raises(ConfigError, match=r"expected one entry point missing in the group capc.datasets, found none"):
        load_dataset("missing", None, code)


@pytest.mark.parametrize("name", DATASETS.built_in)
def test_what_is_built_in_goes_through_the_same_checks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from parties.learning import datasets

    bad = {
        "inputs": np.full((2, 2), 2.0),
        "labels": np.zeros(2),
        "test_inputs": np.zeros((2, 2)),
        "test_labels": np.zeros(2),
    }
    monkeypatch.setitem(datasets._BUILT_IN, name, lambda folder: ({"classes": 2}, bad))
    with pytest.raises(DataError, match=rf"^dataset {name}: expected inputs in 0\.\.1, found 2\.\.2"):
        load_dataset(name, None)


@pytest.mark.parametrize("name", ["digit", "", "a:b:c", ":load", "mod:", "../x:load", "pkg.:f"])
def test_names_that_mean_nothing_are_refused_with_those_that_do(name: str) -> None:
    with pytest.raises(ValueError, match="expected one of digits, breast-cancer, digit-traits, mnist, or a function"):
        DATASETS.check(name)
