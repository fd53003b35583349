"""Modules as users would write them, and an installed package that names its functions by entry points."""

from __future__ import annotations

from pathlib import Path

CODE = '''
import os
import numpy as np

GOOD = np.linspace(0, 1, 40).reshape(20, 2)

def load(folder):
    """Two values a record. The class is 1 where the first is the larger half."""
    labels = (GOOD[:, 0] > 0.5).astype(int)
    return {"inputs": GOOD, "labels": labels, "test_inputs": GOOD[::2], "test_labels": labels[::2], "classes": 2}

def named(folder):
    found = load(folder)
    return found | {"classes": ["low", "high"], "unlabelled_inputs": GOOD[:5]}

def several(folder):
    bits = np.stack([GOOD[:, 0] > 0.5, GOOD[:, 1] > 0.2], axis=1)
    return {"inputs": GOOD, "labels": bits, "test_inputs": GOOD, "test_labels": bits, "classes": ["a", "b"]}

def of_folder(folder):
    values = np.loadtxt(folder / "values.txt", ndmin=2)
    return {"inputs": values, "labels": [0, 1], "test_inputs": values, "test_labels": [0, 1], "classes": 2}

def bad(**changes):
    return lambda folder: load(folder) | changes

negative = bad(inputs=-GOOD)
undefined = bad(inputs=np.full((20, 2), np.nan))
shape = bad(inputs=np.zeros(20))
wide = bad(test_inputs=np.zeros((10, 3)))
text = bad(inputs=np.array([["a", "b"]]))
short = bad(labels=np.zeros(3, int))
beyond = bad(labels=np.full(20, 2))
halves = bad(labels=np.full(20, 0.5))
unknown = bad(extra=GOOD)
classless = bad(classes=None)
one = bad(classes=1)
twice = bad(classes=["a", "a"])
lacking = bad(test_labels=None)

def nothing(folder):
    return None

def fails(folder):
    raise KeyError("no such file")

def leaves(folder):
    raise SystemExit(3)

def dies(folder):
    os._exit(7)

value = 3

def where(folder):
    """Tell in which process it runs, by its number."""
    open(os.path.join(os.environ["TMPDIR"], "where"), "w").write(str(os.getpid()))
    return load(folder)

def mlp(input_shape, classes):
    from mpc.inference.models.floats import Flatten, Linear, ReLU
    values = int(np.prod(input_shape))
    first, last = Linear(np.ones((7, values)), np.ones(7)), Linear(np.ones((classes, 7)), np.ones(classes))
    return [Flatten(), first, ReLU(), last]

def torch_mlp(input_shape, classes):
    from torch import nn
    values = int(np.prod(input_shape))
    return nn.Sequential(nn.Flatten(), nn.Linear(values, 5), nn.ReLU(), nn.Linear(5, classes))

def conv(input_shape, classes):
    from torch import nn
    channels, height, width = input_shape
    return nn.Sequential(
        nn.Conv2d(channels, 3, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(3 * (height // 2) * (width // 2), classes),
    )

def normed(input_shape, classes):
    from torch import nn
    return nn.Sequential(nn.Conv2d(input_shape[0], 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(108, classes))

def narrow(input_shape, classes):
    return mlp(input_shape, classes - 1)

def relu_last(input_shape, classes):
    from mpc.inference.models.floats import ReLU
    return [*mlp(input_shape, classes), ReLU()]

def no_layers(input_shape, classes):
    return [1, 2]

def no_module(input_shape, classes):
    return 5

def tanh(input_shape, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), classes), nn.Tanh())

def brightest(candidates):
    return candidates.images.reshape(len(candidates.images), -1).sum(axis=1)

def least_sure(candidates):
    logits = np.sort(candidates.model.logits(candidates.images), axis=1)
    assert not hasattr(candidates, "labels") and len(candidates.own.labels)
    return logits[:, -2] - logits[:, -1]

def too_few(candidates):
    return np.zeros(2)

def infinite(candidates):
    return np.full(len(candidates.images), np.inf)

def four_fifths(parties, classes):
    """A label where about four fifths of the parties agree."""
    sigma, check = 4, 3
    return {
        "form": "confident-argmax", "dp_noise_scale": sigma, "threshold": 4 * parties // 5,
        "threshold_noise_scale": check, "releases": ["check", "label"], "zcdp": 1 / sigma**2 + 1 / (2 * check**2),
    }

def plain(parties, classes):
    return {"form": "argmax", "dp_noise_scale": "2.5", "releases": ["label"], "zcdp": 0.16}

def understated(parties, classes):
    return plain(parties, classes) | {"zcdp": 0.159}

def counts(parties, classes):
    return plain(parties, classes) | {"releases": ["counts"]}

def gap(parties, classes):
    return plain(parties, classes) | {"form": "gap"}

def noiseless(parties, classes):
    return plain(parties, classes) | {"dp_noise_scale": 0}

def silent(parties, classes):
    return {"form": "argmax", "dp_noise_scale": 2}

def contradicts(parties, classes):
    return four_fifths(parties, classes) | {"threshold": 0}
'''


def write_code(folder: Path) -> Path:
    """Write the module `researchers`, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "researchers.py").write_text(CODE)
    (folder / "broken_code.py").write_text("def load(:\n")
    (folder / "lacking_code.py").write_text("import no_such_thing_at_all\n")
    return folder
