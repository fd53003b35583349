"""Imports run one way. One table says which wing may import which, and whoever adds an arrow changes the table."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

GROUND = ("mpc.errors", "mpc.extras", "mpc.lazy_names", "mpc.randomness", "mpc.ring", "mpc.use_once")
SHARED = ("mpc._core", "mpc.channels", "mpc.garbled", "mpc.paillier", "mpc.dp", "mpc.inference")  # by every protocol

# Who may import whom. A wing is a folder or a file; a file belongs to the longest name that fits.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "mpc": ("mpc.garbled", "mpc.lazy_names"),  # the public names
    "mpc._core": (),
    "mpc.errors": (),
    "mpc.extras": ("mpc.errors",),
    "mpc.lazy_names": (),
    "mpc.randomness": ("mpc.errors",),
    "mpc.ring": ("mpc._core", "mpc.errors", "mpc.randomness"),  # the core packs words, 15 to 35 times as fast as numpy
    "mpc.use_once": ("mpc.errors",),
    "mpc.channels": GROUND,
    "mpc.garbled": (*GROUND, "mpc._core", "mpc.channels"),
    "mpc.paillier": GROUND,
    "mpc.dp": GROUND,
    "mpc.inference": (*GROUND, "mpc._core", "mpc.channels", "mpc.garbled"),
    "mpc.capc": (*GROUND, *SHARED),
    "mpc.tensors": (*GROUND, "mpc._core", "mpc.channels", "mpc.garbled", "mpc.dp"),
    "mpc.commons": (*GROUND, "mpc._core", "mpc.dp"),
    "mpc.encrypted": (*GROUND, "mpc._core", "mpc.channels", "mpc.garbled", "mpc.dp"),
    "parties": (),
    "parties.frame": ("mpc.errors", "mpc.channels"),
    "parties.ledger": ("parties.frame", "mpc.errors", "mpc.dp"),
    "parties.learning": ("parties.frame", "mpc.errors", "mpc.extras", "mpc.inference"),
    "parties.capc": (*GROUND, *SHARED[1:], "mpc.capc", "parties.frame", "parties.learning", "parties.ledger"),
    "parties.commons": (*GROUND, "mpc.channels", "mpc.commons", "parties.frame", "parties.learning"),
    "parties.tensors": (*GROUND, "mpc.channels", "mpc.tensors", "parties.frame"),
    "parties.encrypted": (
        *GROUND,
        "mpc.channels",
        "mpc.encrypted",
        "mpc.garbled",
        "parties.frame",
        "parties.learning",
    ),
    "parties.protocols": ("parties.frame",),  # the wings by name, see there
    "orchestrator": ("parties.frame",),
    "capc": ("orchestrator", "parties.protocols"),  # the command
    "run_protocol": ("capc",),
}
PROTOCOL_WINGS = (
    "capc",
    "commons",
    "encrypted",
    "tensors",
)

# The same inside private inference: what a network is knows nothing of how its layers are computed in secret.
ROOMS_OF_INFERENCE: dict[str, tuple[str, ...]] = {
    "mpc.inference": (*GROUND, "models", "linear", "network", "nonlinear", "sessions", "pool"),  # the public names
    "mpc.inference.models": (*GROUND, "mpc._core"),
    "mpc.inference.linear": (*GROUND, "mpc._core", "mpc.channels", "models"),
    "mpc.inference.network": (*GROUND, "models", "linear"),
    "mpc.inference.nonlinear": (*GROUND, "mpc._core", "mpc.channels", "mpc.garbled", "models"),
    "mpc.inference.sessions": (*GROUND, "mpc.channels", "mpc.garbled", "models", "linear", "network", "nonlinear"),
    "mpc.inference.pool": (*GROUND, "mpc.channels", "models"),
}

# Of the frame the orchestrator needs only what a protocol tells its launcher.
TOLD_TO_THE_LAUNCHER = {
    "plan", "errors", "charts", "private_files", "start", "certificates", "journal", "members", "settings", "turnstile",
    "lifetime", "reach", "forks",
}  # fmt: skip

# Words of one protocol, of privacy and of cryptography beyond certificates.
FOREIGN = {
    "capc", "logit", "argmax", "guardian", "query", "queries", "querying", "answering", "label", "vote", "noise",
    "paillier", "garble", "epsilon", "dataset", "mnist", "classes", "neural", "train", "accuracy", "histogram",
    "n_parties", "tensor", "beaver", "triple",
}  # fmt: skip
NEUTRAL = ("orchestrator", "parties/frame")
NAMES_OF_LIBRARIES = ("HistogramMetricFamily",)  # which no other name can stand for

PROGRAM = re.compile(r"((?:capc|mpc|parties|orchestrator)(?:\.[a-z]\w*)+)(?::\w+)?")


def modules() -> dict[str, Path]:
    """Every module of the project by its name."""
    found = {"run_protocol": ROOT / "run_protocol.py"}
    for top in ("capc", "mpc", "parties", "orchestrator"):
        for path in sorted((ROOT / top).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = path
    return found


def imported(path: Path) -> set[str]:
    """What a file imports, and the modules that it names as programs."""
    names = programs_of(path)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def programs_of(path: Path) -> set[str]:
    """The project's modules that a file names in strings, which is how a program to start is named."""
    strings = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
    return {found[1] for text in strings if isinstance(text, str) and (found := PROGRAM.fullmatch(text))}


def wing_of(module: str, wings: tuple[str, ...] = tuple(MAY_IMPORT)) -> str:
    """The longest name in the table that the module's name begins with."""
    fitting = [wing for wing in wings if module == wing or module.startswith(f"{wing}.")]
    return max(fitting, key=len, default="")


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_what_its_wing_may(module: str) -> None:
    wing = wing_of(module)
    assert wing, f"{module} is in no wing of the table"
    targets = {
        name for name in imported(modules()[module]) if name.split(".")[0] in ("capc", "mpc", "parties", "orchestrator")
    }
    found = {wing_of(name) for name in targets} - {wing}
    assert found - set(MAY_IMPORT[wing]) == set()


def test_every_arrow_of_the_table_is_really_there() -> None:
    """Only the ground floor is free for all, whether or not a wing needs each of its rooms today."""
    found = {(wing_of(module), wing_of(name)) for module, path in modules().items() for name in imported(path)}
    there = {wing_of(module) for module in modules()}
    drawn = {(wing, other) for wing in there for other in MAY_IMPORT[wing] if other not in GROUND}
    assert drawn - found == set()


def test_every_program_that_is_started_is_there() -> None:
    started = {name for path in modules().values() for name in programs_of(path)}
    assert "orchestrator.dashboard" in started
    assert started - set(modules()) == set()


@pytest.mark.parametrize("module", [name for name in modules() if wing_of(name) == "mpc.inference"])
def test_a_module_of_inference_imports_only_what_its_room_may(module: str) -> None:
    known = (*MAY_IMPORT, *ROOMS_OF_INFERENCE)
    room = wing_of(module, known)
    targets = {name for name in imported(modules()[module]) if name.split(".")[0] == "mpc"}
    found = {wing_of(name, known).removeprefix("mpc.inference.") for name in targets if wing_of(name, known) != room}
    assert found - set(ROOMS_OF_INFERENCE[room]) == set()


@pytest.mark.parametrize("table", [MAY_IMPORT, ROOMS_OF_INFERENCE], ids=["wings", "rooms of inference"])
def test_the_table_itself_has_no_circle(table: dict[str, tuple[str, ...]]) -> None:
    below = {
        wing: [other for other in table if other in table[wing] or other.removeprefix("mpc.inference.") in table[wing]]
        for wing in table
    }
    floors: dict[str, int] = {}
    while len(floors) < len(table):
        ready = [wing for wing in table if wing not in floors and all(other in floors for other in below[wing])]
        assert ready, f"a circle among {set(table) - set(floors)}"
        floors |= {wing: 1 + max((floors[other] for other in below[wing]), default=0) for wing in ready}


def crossing(table: dict[str, tuple[str, ...]], protocols: tuple[str, ...]) -> set[tuple[str, str]]:
    """The arrows of a table from one protocol's wings to another's."""
    owner = {f"{side}.{protocol}": protocol for side in ("mpc", "parties") for protocol in protocols}
    return {
        (wing, other)
        for wing, others in table.items()
        for other in others
        if wing in owner and owner.get(other, owner[wing]) != owner[wing]
    }


def test_a_protocol_stands_on_no_other_protocol() -> None:
    assert crossing(MAY_IMPORT, PROTOCOL_WINGS) == set()
    second = MAY_IMPORT | {"mpc.second": ("mpc.ring", "mpc.capc"), "parties.second": ("mpc.second", "parties.frame")}
    assert crossing(second, (*PROTOCOL_WINGS, "second")) == {("mpc.second", "mpc.capc")}


@pytest.mark.parametrize("folder", NEUTRAL)
def test_no_word_of_a_protocol(folder: str) -> None:
    sources = [path for suffix in ("py", "conf") for path in sorted((ROOT / folder).rglob(f"*.{suffix}"))]
    assert sources
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in sources}
    for name in NAMES_OF_LIBRARIES:
        texts = {path: text.replace(name, "") for path, text in texts.items()}
    found = {
        path: words
        for path, text in texts.items()
        if (words := [word for word in FOREIGN if re.search(rf"(?<![a-z]){word}", text.lower())])
    }
    assert found == {}


def test_the_orchestrator_imports_only_what_a_protocol_tells_its_launcher() -> None:
    paths = list((ROOT / "orchestrator").rglob("*.py"))
    assert len(paths) > 10
    for path in paths:
        from_parties = {tuple(name.split(".")) for name in imported(path) if name.split(".")[0] == "parties"}
        assert {name[2] for name in from_parties if len(name) > 2} <= TOLD_TO_THE_LAUNCHER, path
        assert not any(name.split(".")[0] in ("mpc", "torch", "numpy") for name in imported(path)), path


@pytest.mark.parametrize("layer", ["parties", "mpc"])
def test_panes_are_the_orchestrators(layer: str) -> None:
    paths = list((ROOT / layer).rglob("*.py"))
    assert len(paths) > 10
    for path in paths:
        assert not any("tmux" in name for name in imported(path)), path


def test_the_guard_needs_only_the_standard_library() -> None:
    names = {name.split(".")[0] for name in imported(ROOT / "orchestrator" / "teardown.py")}
    assert names <= {
        "__future__", "contextlib", "json", "os", "shutil", "signal", "subprocess", "sys", "time", "collections",
        "dataclasses", "pathlib",
    }  # fmt: skip
