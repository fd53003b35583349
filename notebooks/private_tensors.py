# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Private tensors: one model on data that nobody shows
#
# A hospital has measurements of tumours. A laboratory has the diagnoses. Together they could train a model, but neither
# may show its data to the other. Here both train one all the same, on *private tensors*: arrays of which each party
# holds a share that alone is noise.
#
# You see what a share is, a training with its twin in the clear, what it costs, what is revealed, and whom one has to
# trust. At the end the same runs as processes over TLS.

# %%
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import mpc
import mpc.tensors as pt

# %% [markdown]
# ## A share is noise
#
# Numbers stand in a ring: 1.5 is the integer 1.5 · 2^16 modulo 2^64. It is shared as a sum of two random integers.

# %%
secret = np.array([1.5, -2.0, 1.5])
ring = mpc.ring.Ring(64)
words = ring.encode(secret, 16)
first, second = ring.share(words)
print("the first party holds ", first)
print("the second party holds", second)
print("their sum is          ", ring.decode(ring.add(first, second), 16))
assert (ring.decode(ring.add(first, second), 16) == secret).all()

# %% [markdown]
# ## One program for all parties
#
# Everybody runs the same program. A loader, such as `lambda: measurements`, is called at its owner alone. Nothing is
# opened but what `reveal` names.


# %%
def mean_product(s: pt.Session) -> dict[str, object]:
    x = s.input("hospital", lambda: np.array([1.5, -2.0, 4.0]), shape=(3,), bound=8)
    y = s.input("laboratory", lambda: np.array([0.5, 1.0, 0.25]), shape=(3,), bound=1)
    if s.me == "laboratory":
        print(f"what the laboratory has of x: {x}")
    return {"mean": (x * y).mean().reveal(to="hospital")}


result = pt.simulate(mean_product, parties=("hospital", "laboratory"), dealer="provider")
print(result.outputs)
print(result.trust)
assert abs(result["mean"] + 0.0833) < 0.001

# %% [markdown]
# What cannot be held is refused before anything is computed, with what would help:


# %%
def too_large(s: pt.Session) -> dict[str, object]:
    x = s.input("hospital", lambda: np.ones(3), shape=(3,), bound=10**6)
    return {"squares": (x * x).reveal(to="hospital")}


try:
    pt.simulate(too_large, parties=("hospital", "laboratory"), dealer="provider")
    raise AssertionError("it was not refused")
except pt.ProgramError as refused:
    print(refused)

# %% [markdown]
# ## Training
#
# Logistic regression on scikit-learn's breast cancer data. The hospital knows 30 measurements of 455 tumours, and the
# laboratory knows whether each was malign. The weights are opened to the hospital.

# %%
data = load_breast_cancer()
x_train, x_test, y_train, y_test = train_test_split(data.data, data.target, test_size=0.2, random_state=1)
mean, deviation = x_train.mean(0), x_train.std(0)
x_train, x_test = (np.clip((x - mean) / deviation, -4, 4) for x in (x_train, x_test))


def train(s: pt.Session) -> dict[str, object]:
    x = s.input("hospital", lambda: x_train, shape=x_train.shape, bound=4)
    y = s.input("laboratory", lambda: y_train.reshape(-1, 1), shape=(len(y_train), 1), bound=(0, 1), whole=True)
    linear = pt.nn.Linear(30, 1)
    net = pt.nn.Sequential(linear, pt.nn.Sigmoid())
    optimiser = pt.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(10):
        loss = pt.nn.binary_cross_entropy(net(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {"weight": linear.weight.reveal(to="hospital"), "bias": linear.bias.reveal(to="hospital")}


# %% [markdown]
# What will it cost, and what will it reveal? This follows the program without anybody's data.

# %%
policy = pt.Policy({"weight": "hospital", "bias": "hospital"})
options = {"parties": ("hospital", "laboratory"), "dealer": "provider", "policy": policy}
foreseen = pt.cost(train, **options)
print(f"{foreseen.rounds} rounds, {foreseen.sent / 1e6:.2f} MB by all parties")
for reveal, times in foreseen.counted:
    print(f"{reveal.name}, {reveal.shape}, is revealed to {reveal.who}, {times} time")

# %%
result = pt.simulate(train, **options)
assert foreseen.costs == result.costs  # to the byte


def accuracy(weight: np.ndarray, bias: np.ndarray) -> float:
    return float(((x_test @ weight.reshape(-1) + bias.reshape(-1) > 0) == y_test).mean())


found = accuracy(result["weight"], result["bias"])
print(f"accuracy on 114 tumours that nobody trained on: {found:.3f}")
assert found > 0.93

# %% [markdown]
# The same program in the clear is its twin. Shares and roundings change almost nothing:

# %%
twin = pt.simulate(train, parties=("hospital", "laboratory"), backend="clear")
difference = np.abs(twin["weight"] - result["weight"]).max()
in_the_clear = accuracy(twin["weight"], twin["bias"])
print(f"accuracy in the clear: {in_the_clear:.3f}, largest difference of a weight: {difference:.6f}")
assert difference < 0.01

# %% [markdown]
# ## Whom do you trust?
#
# The provider above sees no data, and must collude with nobody. Other back-ends need no such party, or stop those who
# cheat. The program stays the same.

# %%
for backend, parties, dealer in (
    ("replicated", ("hospital", "laboratory", "university"), None),
    ("two_party", ("hospital", "laboratory"), None),
    ("dealer_mac", ("hospital", "laboratory"), "provider"),
):
    result = pt.simulate(mean_product, parties=parties, backend=backend, dealer=dealer)
    print(f"{backend}: {float(result['mean']):.4f}. {result.trust}\n")
    assert abs(result["mean"] + 0.0833) < 0.001

# %% [markdown]
# ## Noise on what is revealed
#
# Weights tell something about the records. Each party can add noise before they are opened. What the noise is worth
# depends on how much one record can change them, which is yours to state.


# %%
def with_noise(s: pt.Session) -> dict[str, object]:
    x = s.input("hospital", lambda: np.full(1000, 0.25), shape=(1000,), bound=1)
    return {"total": x.sum().reveal(to="laboratory", noise=8)}


result = pt.simulate(with_noise, parties=("hospital", "laboratory"), dealer="provider")
print(f"the sum of 1,000 numbers between -1 and 1 is about {float(result.outputs['laboratory']['total']):.1f}")
print(
    f"epsilon is {pt.epsilon(noise=8, sensitivity=2, delta=1e-6):.2f}, because one number changes the sum by 2 at most"
)

# %% [markdown]
# ## The same as processes
#
# So far all parties were threads of this notebook. With a file of settings each is a process of its own, and they talk
# over TLS.

# %%
project = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "run_protocol.py").exists())
with tempfile.TemporaryDirectory() as folder:
    command = [sys.executable, "run_protocol.py", "--config", "configs/private-training.yaml", "--launcher", "process"]
    command += ["--files_dir", f"{folder}/files", "--logs_dir", f"{folder}/logs", "--json"]
    command += ["--start_port", os.environ.get("CAPC_START_PORT", "23800")]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["result"]["reports"][0]
print(f"accuracy {report['outputs']['accuracy']:.3f}, in the clear {report['twin']['accuracy']:.3f}")
print(
    f"{report['rounds']} rounds in {report['seconds']:.1f} s, {report['sent'] / 1e6:.1f} MB sent by {report['party']}"
)
for reveal in report["revealed"]:
    print(f"{reveal['name']} was revealed to {', '.join(reveal['to'])}")
