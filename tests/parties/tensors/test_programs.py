"""A user's program is read as it was agreed on, and its mistakes are sentences with their line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.errors import ParameterError, RangeError, TransportError
from parties.frame.errors import ConfigError
from parties.frame.plan import Run, RunFolders
from parties.tensors.config import TensorsConfig
from parties.tensors.outputs import write_outputs
from parties.tensors.programs import Here, Program, ProgramError, built_in, digest, program_path
from parties.tensors.protocol import PROTOCOL
from parties.tensors.settings import TensorsSettings


def written(folder: Path, *lines: str) -> Path:
    path = folder / "own.py"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_program_takes_the_session_and_what_it_finds_here(tmp_path: Path) -> None:
    alone = Program(written(tmp_path, "def program(s):", "    return {'x': s}"))
    assert alone("session", Here()) == {"x": "session"}
    both = Program(written(tmp_path, "def program(s, here):", "    return {'x': here.arguments['steps']}"))
    assert both("session", Here({"steps": 3})) == {"x": 3}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("def program(s):", "    return nothing"), r"own\.py, line 2: NameError: name 'nothing' is not defined"),
        (("def program(s)", "    pass"), r"own\.py, line 1: expected ':'"),
        (("import no_such_package", "def program(s): pass"), r"own\.py, line 1: ModuleNotFoundError: No module named"),
        (("x = 1",), r"expected a function program\(s\), found none"),
        (("def program(s):", "    raise ValueError('secret 17')"), r"own\.py, line 2: ValueError$"),
        (
            ("def helper(s):", "    return s.input()", "def program(s):", "    return helper(s)"),
            r"own\.py, line 2: AttributeError: 'object' object has no attribute 'input'",
        ),
    ],
)
def test_a_mistake_is_a_sentence_with_its_line(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(ProgramError, match=words):
        Program(written(tmp_path, *lines))(object(), Here())


def test_a_refusal_of_the_computation_names_the_programs_line_and_a_lost_peer_none(tmp_path: Path) -> None:
    program = Program(written(tmp_path, "def program(s):", "    a = 1", "    s()"))

    def failing(error: Exception) -> Any:
        def fail() -> None:
            raise error

        return fail

    with pytest.raises(ProgramError, match=r"own\.py, line 3: needs 71 bits"):
        program(failing(RangeError("needs 71 bits")), Here())
    with pytest.raises(TransportError):
        program(failing(TransportError("the peer closed the connection", peer="carol")), Here())


def test_another_text_than_the_agreed_one_is_not_run(tmp_path: Path) -> None:
    path = written(tmp_path, "def program(s):", "    return {}")
    agreed = digest(path)
    Program(path, agreed)
    written(tmp_path, "open('was-run', 'w')", "def program(s):", "    return {}")
    with pytest.raises(ProgramError, match=r"expected the text of .* that was agreed on, found another"):
        Program(path, agreed)
    assert not Path("was-run").exists()


def test_a_party_finds_its_own_files_alone(tmp_path: Path) -> None:
    here = Here({}, {"measurements": tmp_path})
    assert here.file("measurements") == tmp_path
    with pytest.raises(ProgramError, match="expected a file named truth among this party's files, found measurements"):
        here.file("truth")


@pytest.mark.parametrize("name", ["nothing", "missing.py", "own.txt"])
def test_what_is_no_program_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "own.txt").write_text("")
    with pytest.raises(ProgramError, match=rf"expected a file of Python, or one of .*logistic.*, found {name}"):
        program_path(name, tmp_path)
    assert "logistic" in built_in()


# -- the plan ---------------------------------------------------------------------------------------------------------


def plan(tmp_path: Path, **choices: Any) -> dict[str, TensorsSettings]:
    folders = RunFolders(tmp_path / "files", tmp_path / "logs", "run")
    made = PROTOCOL.plan(TensorsConfig(**choices), Run(folders, "0" * 32, 40000))
    found = {}
    for process in made.processes:
        assert isinstance(process.settings, TensorsSettings)
        found[process.name] = process.settings
    return found


def test_each_party_is_told_what_is_its_own_and_all_agree(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("")
    path = written(tmp_path, "def program(s): return {}")
    told = plan(
        tmp_path, program=str(path), computing=("a", "b", "c"), provider="p", outside=("o",), reveal={"x": ("a", "o")},
        files={"a": {"x": tmp_path / "x.csv"}}, outputs={"o": tmp_path / "o.npz"},
    )  # fmt: skip
    assert len({tuple(sorted(settings.agreed().items())) for settings in told.values()}) == 1
    assert {name: {*settings.files} for name, settings in told.items() if settings.files} == {"a": {"x"}}
    assert {name for name, settings in told.items() if settings.outputs} == {"o"}
    dialled = {(name, peer.name) for name, settings in told.items() for peer in settings.dials}
    awaited = {(peer, name) for name, settings in told.items() for peer in settings.awaits}
    assert dialled == awaited
    assert {tuple(sorted(pair)) for pair in dialled} == {
        ("a", "b"), ("a", "c"), ("b", "c"), ("a", "p"), ("b", "p"), ("c", "p"), ("a", "o"), ("b", "o"), ("c", "o"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"computing": ("a",)}, "expected at least 2 computing parties, found 1"),
        ({"provider": "hospital"}, "a provider of correlations that does not compute, found hospital"),
        ({"outside": ("provider",)}, "found provider in two"),
        ({"files": {"provider": {"x": "x"}}}, "files: expected parties among hospital, laboratory, found provider"),
        ({"reveal": {"x": ("mallory",)}}, "found mallory"),
        ({"reveal": {"x": ("hospital",)}, "reveal_noise": {"y": 1.0}}, "reveal_noise: expected outputs .*, found y"),
        ({"reveal_noise": {"x": -1.0}}, "greater than or equal to 0"),
        ({"ring_bits": 72}, "less than or equal to 64"),
        ({"backend": "replicated"}, "expected exactly 3 computing parties for the back-end replicated, found 2"),
        ({"backend": "replicated", "computing": tuple("abcd")}, "found 4"),
        ({"backend": "dealer_mac", "ring_bits": 32}, "ring_bits: expected 64 for the back-end dealer_mac, found 32"),
        (
            {"backend": "replicated_mac", "computing": ("a", "b", "c"), "ring_bits": 32},
            "ring_bits: expected 64 for the back-end replicated_mac, found 32",
        ),
        (
            {"backend": "replicated", "computing": ("a", "b", "c"), "provider": "p"},
            "expected no provider of correlations for the back-end replicated, found p",
        ),
        ({"backend": "two_party", "computing": tuple("abc")}, "exactly 2 computing parties"),
        (
            {"backend": "two_party", "provider": "p"},
            "no provider of correlations for the back-end two_party, found p",
        ),
    ],
)
def test_roles_that_cannot_be_are_refused(choices: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TensorsConfig(**choices)


def test_three_parties_without_a_provider_are_told_so(tmp_path: Path) -> None:
    path = written(tmp_path, "def program(s): return {}")
    told = plan(
        tmp_path, program=str(path), backend="replicated", computing=("a", "b", "c"), outside=("o",),
        reveal={"x": ("o",)},
    )  # fmt: skip
    assert set(told) == {"a", "b", "c", "o"}
    assert {settings.provider for settings in told.values()} == {None}
    assert {settings.agreed()["provider of correlations"] for settings in told.values()} == {"none"}
    assert {settings.agreed()["back-end"] for settings in told.values()} == {"replicated"}


def test_outside_parties_connect_to_a_provider_that_deals_them_masks(tmp_path: Path) -> None:
    path = written(tmp_path, "def program(s): return {}")
    choices: dict[str, Any] = {"program": str(path), "computing": ("a", "b"), "provider": "p", "reveal": {"x": ("a",)}}
    for outside in ((), ("o",)):
        told = plan(tmp_path, backend="dealer_mac", outside=outside, **choices)
        assert (told["p"].listen is not None) == bool(outside)
        assert set(told["p"].awaits) == set(outside)
        dialled = {(name, peer.name) for name, settings in told.items() for peer in settings.dials}
        assert dialled == {(peer, name) for name, settings in told.items() for peer in settings.awaits}
        for name in outside:
            assert {peer.name for peer in told[name].dials} == {"a", "b", "p"}
    assert plan(tmp_path, outside=("o",), **choices)["p"].listen is None


def test_an_own_program_says_what_may_be_revealed(tmp_path: Path) -> None:
    path = written(tmp_path, "def program(s): return {}")
    with pytest.raises(ConfigError, match="reveal: expected which output may be revealed to whom"):
        plan(tmp_path, program=str(path))
    with pytest.raises(ConfigError, match="arguments: expected steps, learning_rate, found epochs"):
        plan(tmp_path, arguments={"epochs": 3})
    with pytest.raises(ConfigError, match="computing: expected hospital, laboratory for the program logistic"):
        plan(tmp_path, computing=("a", "b"))


def test_another_program_or_policy_is_another_agreement(tmp_path: Path) -> None:
    path = written(tmp_path, "def program(s): return {}")
    agreements = []
    for text, reveal in (("a", {"x": ("hospital",)}), ("b", {"x": ("hospital",)}), ("b", {"x": ("laboratory",)})):
        path.write_text(f"def program(s): return {{}}  # {text}\n")
        agreements.append(plan(tmp_path, program=str(path), reveal=reveal)["hospital"].agreed())
    assert agreements[0]["program"] != agreements[1]["program"] == agreements[2]["program"]
    assert agreements[1]["policy"] != agreements[2]["policy"]


def test_refusals_are_parameters_of_the_caller() -> None:
    assert issubclass(ProgramError, Exception)
    assert not issubclass(ProgramError, ParameterError)


def test_outputs_of_any_name_are_written_and_objects_are_not(tmp_path: Path) -> None:
    given = {"file": np.arange(3.0), "allow_pickle": np.array(2**60), "name": np.asarray("a word")}
    write_outputs(tmp_path / "own.npz", given)
    with np.load(tmp_path / "own.npz", allow_pickle=False) as found:
        assert {name: found[name].tolist() for name in found} == {name: value.tolist() for name, value in given.items()}
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_outputs(tmp_path / "own.npz", {"thing": np.array([object()])})
