"""Models: shapes, agreement with the training framework, determinism, and the cache that spares torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from parties.frame import child
from parties.frame.errors import ConfigError
from parties.frame.lifetime import process_started
from parties.learning.datasets import load_dataset
from parties.learning.models import SKLEARN, TORCH, Model, architecture
from parties.learning.records import DataError, Records
from parties.learning.training import TrainingError, _turn, model_path, train, trained_model
from parties.learning.training_settings import TrainingSettings

DIGITS, MNIST = (1, 8, 8), (1, 28, 28)


def settings(**changes: object) -> TrainingSettings:
    values = {
        "architecture": "mlp",
        "image_shape": DIGITS,
        "classes": 10,
        "seed": 5,
        "epochs": 3,
        "learning_rate": 0.005,
        "weight_decay": 0.2,
        "batch": 32,
    }
    return TrainingSettings.model_validate(values | changes)


@pytest.fixture(scope="module")
def records() -> Records:
    return load_dataset("digits", None).pool.take(slice(200))


@pytest.mark.parametrize(
    ("name", "shape", "hidden"),
    [
        ("linear", DIGITS, []),
        ("mlp", DIGITS, [32]),
        ("mlp", MNIST, [32]),
        ("cryptonets-relu", DIGITS, [80, 32]),
        ("cryptonets-relu", MNIST, [980, 100]),
        ("cnn-avgpool", DIGITS, [320, 80]),
        ("cnn-avgpool", MNIST, [980, 245]),
    ],
)
def test_the_architectures_have_the_sizes_that_they_are_known_for(
    name: str, shape: tuple[int, int, int], hidden: list[int]
) -> None:
    sizes, current = [], shape
    for layer in architecture(name, shape, 10):
        current = layer.output_shape(current)
        sizes.append(int(np.prod(current)))
    assert sizes[-1] == 10
    changes = [size for size, before in zip(sizes, [int(np.prod(shape)), *sizes], strict=False) if size != before]
    assert changes == [*hidden, 10]


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(ConfigError, match="'resnet' is not known; there are linear, mlp"):
        architecture("resnet", DIGITS, 10)


@pytest.mark.parametrize("shape", [DIGITS, MNIST])
@pytest.mark.parametrize("name", TORCH)
def test_the_exported_model_gives_the_frameworks_logits(name: str, shape: tuple[int, int, int]) -> None:
    import torch

    from parties.learning.training_torch import module_of

    layers = architecture(name, shape, 10)
    torch.manual_seed(1)
    network = module_of(layers)
    arrays = [parameter.detach().double().numpy() for parameter in network.parameters()]
    model = Model.filled(shape, layers, zip(arrays[::2], arrays[1::2], strict=True))
    images = np.random.default_rng(2).random((5, *shape), dtype=np.float32)
    expected = network(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(model.logits(images), expected, atol=1e-5)


def test_training_learns_and_repeats_exactly(records: Records) -> None:
    test = load_dataset("digits", None).test
    model, again = train(settings(epochs=20), records), train(settings(epochs=20), records)
    for pair, same in zip(model.weights, again.weights, strict=True):
        assert all(np.array_equal(left, right) for left, right in zip(pair, same, strict=True))
    assert (model.logits(test.images).argmax(1) == test.labels).mean() > 0.7
    other = train(settings(seed=6), records)
    assert not np.array_equal(model.weights[0][0], other.weights[0][0])


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("mlp", {"seed": 6, "epochs": 2, "learning_rate": 0.01, "weight_decay": 0.1, "batch": 16}),
        ("sklearn-mlp", {"seed": 6, "epochs": 1, "learning_rate": 0.01}),
    ],
)
def test_every_setting_of_a_training_changes_the_model(name: str, changes: dict[str, float], records: Records) -> None:
    usual = train(settings(architecture=name), records).weights[0][0]
    for setting, value in changes.items():
        other = train(settings(architecture=name, **{setting: value}), records).weights[0][0]
        assert not np.array_equal(usual, other), setting


def test_parties_take_turns_in_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    with _turn(tmp_path / "nobody" / "was" / "here" / "slot"):
        assert (tmp_path / "nobody" / "was" / "here" / "slot").exists()


def test_the_second_time_the_model_comes_from_the_cache_without_torch(records: Records, tmp_path: Path) -> None:
    own, cache, slot = tmp_path / "records.npz", tmp_path / "cache", tmp_path / "slot"
    records.write(own)
    cache.mkdir()
    model, cached = trained_model(settings(), own, cache, slot)
    assert not cached
    assert [path.stat().st_mode & 0o777 for path in cache.iterdir()] == [0o600]
    script = f"""
import sys
from pathlib import Path
from parties.learning.training import trained_model
from parties.learning.training_settings import TrainingSettings
settings = TrainingSettings.model_validate_json({settings().model_dump_json()!r})
model, cached = trained_model(settings, Path({str(own)!r}), Path({str(cache)!r}), Path({str(slot)!r}))
assert cached
assert "torch" not in sys.modules and "sklearn" not in sys.modules
print(model.weights[0][0].sum())
"""
    second = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(second.stdout) == pytest.approx(model.weights[0][0].sum(), abs=1e-12)


def test_the_cache_is_of_exactly_these_records_and_settings(records: Records, tmp_path: Path) -> None:
    changes = (
        {},
        {"seed": 6},
        {"epochs": 4},
        {"architecture": "linear"},
        {"weight_decay": 0.1},
        {"batch": 16},
        {"learning_rate": 0.006},
    )
    paths = {model_path(settings(**change), records, tmp_path) for change in changes}
    paths.add(model_path(settings(), records.take(slice(199)), tmp_path))
    assert len(paths) == len(changes) + 1


def test_a_damaged_cache_is_trained_anew(records: Records, tmp_path: Path) -> None:
    own = tmp_path / "records.npz"
    records.write(own)
    path = model_path(settings(), records, tmp_path)
    path.write_bytes(b"half a file")
    model, cached = trained_model(settings(), own, tmp_path, tmp_path / "slot")
    assert not cached
    assert np.array_equal(Model.read(path, DIGITS, settings().layers).weights[0][0], model.weights[0][0])


def test_a_training_that_fails_is_one_sentence(records: Records, tmp_path: Path) -> None:
    own = tmp_path / "records.npz"
    Records(records.images, records.labels + 10).write(own)  # labels that no output stands for
    with pytest.raises(TrainingError, match=r"training the model failed: \S+"):
        trained_model(settings(), own, tmp_path, tmp_path / "slot")
    assert not list(tmp_path.glob("model-*"))


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "its process was ended by SIGKILL"),
        ("import sys; sys.exit(3)", "its process ended with status 3 and no message"),
    ],
)
def test_a_training_that_is_cut_off_says_how(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
    monkeypatch.setattr(child, "python_command", lambda _: (sys.executable, "-c", program))
    records.write(tmp_path / "records.npz")
    with pytest.raises(TrainingError, match=f"training the model failed: {words}"):
        trained_model(settings(), tmp_path / "records.npz", tmp_path, tmp_path / "slot")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the child in /proc")
@pytest.mark.parametrize("hit", ["child", "party"])
def test_a_child_that_is_told_to_end_and_one_whose_party_dies_leave_nothing(
    records: Records, tmp_path: Path, hit: str
) -> None:
    own, cache = tmp_path / "records.npz", tmp_path / "cache"
    records.write(own)
    cache.mkdir()
    script = f"""
from pathlib import Path
from parties.learning.training import TrainingError, trained_model
from parties.learning.training_settings import TrainingSettings
settings = TrainingSettings.model_validate_json({settings(epochs=100_000).model_dump_json()!r})
try:
    trained_model(settings, Path({str(own)!r}), Path({str(cache)!r}), Path({str(tmp_path / "slot")!r}))
except TrainingError as error:
    print(error)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as party:
        children = Path(f"/proc/{party.pid}/task/{party.pid}/children")
        expires = time.monotonic() + 120
        while not (found := children.read_text().split()) or not heeds(int(found[0])):
            assert time.monotonic() < expires
            time.sleep(0.05)
        child = int(found[0])
        os.kill(child if hit == "child" else party.pid, signal.SIGTERM if hit == "child" else signal.SIGKILL)
        said, _ = party.communicate(timeout=60)
    while process_started(child) is not None:
        assert time.monotonic() < expires
        time.sleep(0.05)
    assert said == ("training the model failed: told to end by SIGTERM\n" if hit == "child" else "")
    assert list(cache.iterdir()) == []


def heeds(pid: int) -> bool:
    """Whether a process has a handler for SIGTERM, by the mask of the signals that it catches (proc(5))."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt")]
    return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_a_model_file_of_other_shapes_or_values_is_refused(records: Records, tmp_path: Path) -> None:
    model = train(settings(epochs=1), records)
    model.write(tmp_path / "model.npz")
    with pytest.raises(DataError, match="expected weights of shapes"):
        Model.read(tmp_path / "model.npz", DIGITS, architecture("linear", DIGITS, 10))
    layers = architecture("linear", DIGITS, 10)
    ((weights, bias),) = Model(DIGITS, layers).weights
    with pytest.raises(DataError, match="finite"):
        Model.filled(DIGITS, layers, [(weights + np.nan, bias)])


def test_a_models_file_holds_weights_and_biases_by_number(tmp_path: Path) -> None:
    layers, rng = architecture("mlp", DIGITS, 10), np.random.default_rng(0)
    arrays = {
        "w0": rng.normal(size=(32, 64)),
        "b0": rng.normal(size=32),
        "w1": rng.normal(size=(10, 32)),
        "b1": rng.normal(size=10),
    }
    np.savez(tmp_path / "earlier.npz", **arrays)
    model = Model.read(tmp_path / "earlier.npz", DIGITS, layers)
    images = rng.uniform(0, 1, (3, *DIGITS))
    hidden = np.maximum(images.reshape(3, -1) @ arrays["w0"].T + arrays["b0"], 0)
    np.testing.assert_allclose(model.features(images), hidden)
    np.testing.assert_allclose(model.logits(images), hidden @ arrays["w1"].T + arrays["b1"])
    model.write(tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz") as again:
        assert {name: again[name].tolist() for name in again.files} == {n: a.tolist() for n, a in arrays.items()}


def test_records_and_models_print_no_values(records: Records) -> None:
    model = train(settings(epochs=1), records)
    assert "array" not in repr(model) + repr(records)


@pytest.mark.parametrize("name", SKLEARN)
def test_an_exported_sklearn_model_learns_repeats_and_never_names_an_absent_class(name: str, records: Records) -> None:
    test = load_dataset("digits", None).test
    known = records.take(np.flatnonzero(records.labels < 7))
    model, again = (train(settings(architecture=name, epochs=20), known) for _ in range(2))
    assert all(np.array_equal(left, right) for left, right in zip(model.weights[-1], again.weights[-1], strict=True))
    asked = test.labels < 7
    logits = model.logits(test.images)
    assert (logits.argmax(1)[asked] == test.labels[asked]).mean() > 0.8
    assert logits.argmax(1).max() < 7
    extreme = np.random.default_rng(1).integers(0, 2, (200, *DIGITS)).astype(np.float32)
    assert model.logits(extreme).argmax(1).max() < 7


@pytest.mark.parametrize("name", SKLEARN)
def test_two_classes_and_one_class_are_models_too(name: str) -> None:
    biopsies = load_dataset("breast-cancer", None)
    shape = biopsies.image_shape
    model = train(settings(architecture=name, image_shape=shape, classes=2, epochs=20), biopsies.pool)
    assert (model.logits(biopsies.test.images).argmax(1) == biopsies.test.labels).mean() > 0.85
    benign = biopsies.pool.take(np.flatnonzero(biopsies.pool.labels == 1))
    single = train(settings(architecture=name, image_shape=shape, classes=2), benign)
    assert single.logits(biopsies.test.images).argmax(1).min() == 1


def test_a_label_that_all_records_share_has_a_constant_logit_of_one() -> None:
    traits = load_dataset("digit-traits", None)
    labels = traits.pool.labels.copy()
    labels[:, 0], labels[:, 1] = 1, 0
    records = Records(traits.pool.images, labels)
    changes = {"architecture": "logistic-regression", "image_shape": traits.image_shape, "classes": labels.shape[1]}
    weights, bias = train(settings(labelling="labels", **changes), records).weights[-1]
    assert not weights[:2].any()
    assert bias[:2].tolist() == [1.0, -1.0]


def test_measurements_are_no_images() -> None:
    with pytest.raises(ConfigError, match="no convolution for records of shape"):
        architecture("cnn-avgpool", (1, 1, 30), 2)


def test_a_torch_training_does_not_import_the_compiler(records: Records, tmp_path: Path) -> None:
    records.write(tmp_path / "records.npz")
    program = (
        "import sys; from pathlib import Path; from parties.learning.records import Records; "
        "from parties.learning.training import train; "
        "from parties.learning.training_settings import TrainingSettings as T; "
        "train(T.model_validate_json(sys.argv[1]), Records.read(Path(sys.argv[2]))); "
        "print([name for name in ('torch', 'torch._dynamo', 'torch._inductor') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program, settings(epochs=1).model_dump_json(), str(tmp_path / "records.npz")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "['torch']\n"


def test_the_optimiser_is_torchs_own_to_the_last_bit() -> None:
    import torch

    from parties.learning.training_torch import _AdamW

    torch.manual_seed(1)
    inputs, labels = torch.randn(8, 4), torch.arange(8) % 3
    networks = [torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)]
    networks[1].load_state_dict(networks[0].state_dict())
    mine = _AdamW(list(networks[0].parameters()), learning_rate=0.01, weight_decay=0.2)
    theirs = torch.optim.AdamW(networks[1].parameters(), lr=0.01, weight_decay=0.2)
    for _ in range(5):
        mine.step(torch.nn.functional.cross_entropy(networks[0](inputs), labels))
        theirs.zero_grad()
        torch.nn.functional.cross_entropy(networks[1](inputs), labels).backward()
        theirs.step()
    for ours, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(ours, other)
