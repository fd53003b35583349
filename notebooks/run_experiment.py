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
# # CaPC step by step: one query, then one campaign
#
# You work at a hospital. You have a model and some records. There are also records that your model cannot label,
# because it has never seen anything like them. Other hospitals could label them. But nobody may show anybody a record,
# a model or a vote.
#
# CaPC (Choquette-Choo et al., "CaPC Learning", ICLR 2021) lets you ask the others all the same. This notebook takes a
# batch of queries through the protocol by hand, with the real cryptography and both sides of every step in view. You
# see what each party holds, and that what it sees of the others is noise. Then the notebook runs the same as separate
# processes. Last comes a small *campaign* of many queries, which gives a better model and costs some privacy.
#
# | party | here called | what it does |
# |---|---|---|
# | querying party (QP) | `client` | this is you, who ask and alone learn the label |
# | answering parties (AP) | `server-0`, `server-1`, ... | the other hospitals, which vote but see no query or vote |
# | privacy guardian (PG) | `privacy-guardian` | adds noise, keeps the privacy ledger, sees neither query nor label |
#
# Every party follows the protocol, but may look at all that it receives (*semi-honest*). The guardian colludes with
# nobody.

# %%
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot

ROOT = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "run_protocol.py").exists())
os.chdir(ROOT)

# %% [markdown]
# ## 1 · What each party holds
#
# Handwritten digits of 8 × 8 pixels stand in for scans, and the ten digits for ten diseases. The records are split
# among seven hospitals. Each hospital has no record of three of the ten classes, and these three differ from hospital
# to hospital. `CapcConfig` is the configuration that the YAML files in `configs/` hold. `split_data` splits the data as
# a run would.

# %%
from parties.capc.casting import RoleAssignment, public_parameters, split_data, training_settings
from parties.capc.config import CapcConfig
from parties.learning.datasets import load_dataset

config = CapcConfig(
    n_parties=6,  # that answer; with you there are seven
    models=["logistic-regression", "sklearn-mlp", "linear-svm"],  # everybody may have another kind of model
    missing_classes=3,
    strategy="margin",  # ask about the records whose two likeliest classes are closest
    n_queries=24,
    batch_size=24,
    dp_noise_scale="1",
    delta="1e-4",
)
dataset = load_dataset(config.dataset, None)
data = split_data(config, dataset)
owners = {"client": 0} | RoleAssignment.of(config).servers
print("records of each class".rjust(33))
for name, owner in owners.items():
    print(name.ljust(10), *(f"{count:4d}" for count in np.bincount(data.owned[owner].labels, minlength=10)))

# %% [markdown]
# Every party trains on its own records, and no other party ever sees the model. You set 240 records aside that you
# have no label for. `order_to_ask` sorts them, and begins with those that your own model is least sure of.

# %%
from parties.learning.selection import order_to_ask
from parties.learning.training import train

models = {
    name: train(training_settings(config, dataset, max(0, position - 1), owner), data.owned[owner])
    for position, (name, owner) in enumerate(owners.items())
}
own, unlabelled = data.owned[0], data.asked[0].records
chosen = order_to_ask(config.strategy, models["client"], own, unlabelled, config.seed)[: config.n_queries]
queries = unlabelled.take(chosen)

figure, axes = pyplot.subplots(1, 8, figsize=(10, 1.8))
guesses = models["client"].logits(queries.images).argmax(axis=1)
for axis, image, guess in zip(axes, queries.images, guesses, strict=False):
    axis.imshow(image[0], cmap="gray_r")
    axis.set(xticks=[], yticks=[], title=f"you: {guess}?")
figure.suptitle("What your model is least sure of", y=1.05)
pyplot.show()

# %% [markdown]
# ## 2 · What all parties agree on
#
# Everything below is arithmetic on integers modulo $2^{41}$ (the *ring*). A number $x$ becomes the integer nearest to
# $2^{13} x$. A secret $z$ becomes two *shares* with $z_1 + z_2 = z$ in the ring. Each share by itself is uniformly
# random. A model whose numbers could overflow the ring is refused, so that no result is wrong because of it.

# %%
from mpc.ring import Ring
from parties.learning.network import fixed_point

parameters = public_parameters(config, dataset)
ring = Ring(parameters.ring_bits)  # of private inference
votes_ring = Ring(parameters.width)  # of votes: as wide as the largest count and the largest noise need
servers = [name for name in owners if name != "client"]
networks = {name: fixed_point(models[name], parameters, config.n_queries, config.beyond_bounds) for name in servers}
encoded = ring.encode(queries.images, parameters.fraction_bits)
print(f"ring of private inference: 2^{parameters.ring_bits}; ring of votes: 2^{parameters.width}")
print(f"noise on each count of votes: discrete Gaussian, standard deviation {parameters.noise_scale}")

# %% [markdown]
# ## 3 · Step 1, with one answering party
#
# A channel in memory, which keeps every message, stands for the TLS connection of a real run. `run_both_sides` runs the
# two sides of a step at the same time. The left function only has what `client` may have, and the right one what
# `server-0` may have.
#
# **Step 0, preparation.** The two parties draw keys for garbled circuits (oblivious transfer). Then they prepare
# everything that does not depend on the query. These are encrypted random masks for the linear layers, and garbled
# circuits for the others.

# %%
from mpc.capc import aggregation, release, vote
from mpc.channels.memory import memory_pair, run_both_sides
from mpc.garbled.session import Evaluator, Garbler
from mpc.inference import AnsweringInference, QueryingInference

count = len(encoded)
querying, answering = memory_pair("client", "server-0")
evaluator, garbler = run_both_sides(lambda: Evaluator.open(querying), lambda: Garbler.open(answering))
asking, serving = run_both_sides(
    lambda: QueryingInference.open(querying, evaluator, parameters),
    lambda: AnsweringInference.open(answering, garbler, networks["server-0"], parameters),
)
asked, served = run_both_sides(lambda: asking.prepare(count), lambda: serving.prepare(count))
widths = parameters.ring_bits, parameters.width
vote_circuit, garbled = run_both_sides(
    lambda: vote.querying_prepare(evaluator, asked.logit_shares, *widths, parameters.voting_rule),
    lambda: vote.answering_prepare(garbler, count, parameters.classes, *widths, parameters.voting_rule),
)

# %% [markdown]
# **Steps 1a and 1b, private inference.** You send your records under a mask, and the model runs on shares. Its result
# is one number for each class, the *logits*. The class with the largest logit is the model's answer. The logits end as
# two shares, one on each side.

# %%
my_logits, their_logits = run_both_sides(lambda: asking.infer(asked, encoded), lambda: serving.infer(served))

opened = ring.decode(ring.add(my_logits, their_logits), 2 * parameters.fraction_bits)
print("first query, first four classes")
print("  your share             ", *(f"{int(word):>16d}" for word in my_logits[0, :4]))
print("  the share of server-0  ", *(f"{int(word):>16d}" for word in their_logits[0, :4]))
print("  together (nobody's!)   ", *(f"{logit:>16.4f}" for logit in opened[0, :4]))
print("  its model, in the clear", *(f"{logit:>16.4f}" for logit in models["server-0"].logits(queries.images)[0, :4]))
assert (ring.signed(ring.add(my_logits, their_logits)) == networks["server-0"].run_clear(encoded)).all()

# %% [markdown]
# Only this notebook can add the two shares, because it plays both parties. Each share alone is noise. Every value of
# the ring is equally likely, whatever the logits are.

# %%
figure, axes = pyplot.subplots(1, 3, figsize=(11, 2.6))
for axis, values, title in (
    (axes[0], opened, "logits: what nobody sees"),
    (axes[1], my_logits / 2.0**ring.bits, "what you see: your share / $2^{41}$"),
    (axes[2], their_logits / 2.0**ring.bits, "what server-0 sees: its share / $2^{41}$"),
):
    axis.hist(np.ravel(values), bins=10, color="tab:blue" if axis is axes[0] else "tab:gray")
    axis.set(title=title, yticks=[])
pyplot.show()

# %% [markdown]
# **Step 1c, the vote.** A garbled circuit finds the largest logit of each query. Its output is a 1 for that class and a
# 0 for each of the others, in shares again, under a *fresh* mask of `server-0`. With the mask of the logits you could
# subtract your two shares, and would have every logit.

# %%
my_vote, masks = run_both_sides(
    lambda: vote.querying_vote(vote_circuit),
    lambda: vote.answering_vote(garbled, their_logits),
)
print("your share of its vote ", my_vote[0])
print("its own share          ", masks[0])
print("together (nobody's!)   ", votes_ring.add(my_vote, masks)[0])

# %% [markdown]
# Each end received keys, ciphertexts and garbled tables. Their lengths depend on the shapes of the model and on the
# number of queries, never on a value.

# %%
for end, transcript in (("client", querying.transcript), ("server-0", answering.transcript)):
    received = [(label, len(body)) for direction, label, body in transcript if direction == "received"]
    print(f"{end} received {sum(size for _, size in received) / 1e3:.0f} kB in {len(received)} messages, the largest:")
    for label, size in sorted(received, key=lambda message: -message[1])[:4]:
        print(f"  {size / 1e3:8.1f} kB  {label}")

# %% [markdown]
# ## 4 · The same with the others
#
# The steps are the same with every answering party. In a run all of them happen at once.


# %%
def ask(name):
    """Take steps 0 to 1c with one answering party, and return your share of its votes and its own."""
    querying, answering = memory_pair("client", name)
    evaluator, garbler = run_both_sides(lambda: Evaluator.open(querying), lambda: Garbler.open(answering))
    asking, serving = run_both_sides(
        lambda: QueryingInference.open(querying, evaluator, parameters),
        lambda: AnsweringInference.open(answering, garbler, networks[name], parameters),
    )
    asked, served = run_both_sides(lambda: asking.prepare(count), lambda: serving.prepare(count))
    vote_circuit, garbled = run_both_sides(
        lambda: vote.querying_prepare(evaluator, asked.logit_shares, *widths, parameters.voting_rule),
        lambda: vote.answering_prepare(garbler, count, parameters.classes, *widths, parameters.voting_rule),
    )
    _, their_logits = run_both_sides(lambda: asking.infer(asked, encoded), lambda: serving.infer(served))
    return run_both_sides(
        lambda: vote.querying_vote(vote_circuit),
        lambda: vote.answering_vote(garbled, their_logits),
    )


shares = {"server-0": (my_vote, masks)} | {name: ask(name) for name in servers[1:]}

# %% [markdown]
# ## 5 · Step 2: the sum, and the noise
#
# The guardian makes a Paillier key pair. Everybody with the public key can encrypt, and can add under encryption. Only
# the guardian can decrypt. Every answering party encrypts its share. You multiply the ciphertexts, which adds what is
# in them, and the guardian decrypts that one sum. It never sees the share of a single party. The sum of uniform masks
# is uniform noise, too.

# %%
from mpc.paillier.scheme import SecretKey

to_guardian, guardians = memory_pair("client", "privacy-guardian")
secret_key = SecretKey(parameters.key_bits)
aggregation.guardian_publish_key(guardians, secret_key)
public_key = aggregation.party_receive_key(to_guardian, parameters.key_bits)

collected = []
for name, (_, its_masks) in shares.items():
    yours, its = memory_pair("client", name)
    aggregation.answering_encrypt(its, public_key, parameters.packing, its_masks)
    collected.append(aggregation.querying_collect(yours, public_key, parameters.packing, its_masks.size))
print(f"a ciphertext that you hold: {collected[0][0] % 10**60} ... ({public_key.ciphertext_bytes} bytes)")

aggregation.querying_forward(to_guardian, public_key, parameters.packing, collected)
mask_sums = aggregation.guardian_decrypt(guardians, secret_key, parameters.packing, masks.shape)
print("the guardian's sum of the masks, first query:", mask_sums[0])

# %% [markdown]
# The guardian adds noise to its sum, an exact discrete Gaussian on the count of every class. The noise makes the label
# *differentially private*. The presence of any one training record changes the odds of a label only by a bounded
# factor. The privacy ledger adds up the bounds ($\varepsilon$).

# %%
noise = release.draw_noise(mask_sums.shape, parameters.noise_scale, parameters.width)
noisy_share = Ring(parameters.width).add(mask_sums, noise)
my_sum = votes_ring.add(*(yours for yours, _ in shares.values()))

counts = votes_ring.add(my_sum, mask_sums)
noisy = votes_ring.signed(votes_ring.add(my_sum, noisy_share))
print("first query, nobody's to see:")
print("  counts of votes    ", counts[0])
print("  counts with noise  ", noisy[0])
assert (counts.sum(axis=1) == config.n_parties).all()

# %% [markdown]
# ## 6 · Step 3: the label
#
# Your sum and the guardian's noisy sum are shares of the noisy counts. One last garbled circuit between the two of
# you adds them, and gives *you* the class with the largest noisy count. The guardian learns nothing. You learn no
# count.

# %%
evaluator, garbler = run_both_sides(lambda: Evaluator.open(to_guardian), lambda: Garbler.open(guardians))
labels, _ = run_both_sides(
    lambda: parameters.release.querying(evaluator, my_sum),
    lambda: parameters.release.guardian(garbler, mask_sums, noisy_share),
)
assert (labels == noisy.argmax(axis=1)).all()
print(f"your own guesses: {(guesses == queries.labels).sum()} of {count} right")
print(f"votes, no noise:  {(counts.argmax(axis=1) == queries.labels).sum()} of {count} right")
print(f"labels you got:   {(labels == queries.labels).sum()} of {count} right")

# %% [markdown]
# What did it cost? A change of one record changes at most one vote, and so two counts by one each. The accountant, the
# one that the ledger uses, says how much that gives away at most.

# %%
from mpc.dp.accountant import epsilon
from parties.capc.results import warnings

query_costs = parameters.costs
for answers in (1, 6, count):
    spent = epsilon([cost.times(answers) for cost in query_costs], float(config.delta))
    print(f"{answers:3d} labels: epsilon {spent:.3g}")
print(*warnings(spent, config.n_parties))

# %% [markdown]
# With six hospitals there is no way around it. Noise that hides a record drowns six votes. The method is meant for
# dozens of parties, a larger noise scale and few questions, as in section 8.
#
# The function `run_capc` in `mpc.capc.protocol` does all of the above on one page.
#
# ## 7 · One query, as real processes
#
# In a run every party is a process with its own folder, key and certificate, and the parties talk over TLS.
# `run_protocol.py` starts, watches and ends them. Without `--launcher process` it shows them in tmux panes.
#
# The guardian's accounts and the answers of a campaign last from run to run, in `files_dir`. Here each run gets a new
# folder. The labels of this first run carry no noise, so that they cost an infinite epsilon. In the same folder they
# would leave no budget for the campaign below.

# %%
WORKSPACE = tempfile.TemporaryDirectory(prefix="capc-notebook-")  # goes away with the notebook's kernel
START_PORT = os.environ.get("CAPC_START_PORT", "23700")  # of one port for each party. Take others if these are in use


def run_protocol(name, *flags):
    """Run the protocol to its end in a folder of its own, and return the content of `result.json`."""
    command = [sys.executable, "run_protocol.py", "--launcher", "process", "--start_port", START_PORT, *flags]
    command += ["--files_dir", f"{WORKSPACE.name}/{name}", "--logs_dir", f"{WORKSPACE.name}/logs"]
    plain = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}  # which Jupyter sets
    run = subprocess.run(command, env=plain, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stderr)
    print(run.stdout[run.stdout.index("\nstep ") :])  # without the progress before the table
    (result,) = Path(WORKSPACE.name, name).glob("*/result.json")
    return json.loads(result.read_text())


answer = run_protocol("one-query", "--n_parties", "2", "--models", "logistic-regression", "--dp_noise_scale", "0")

# %% [markdown]
# The table has seconds and bytes of each step. Steps 0 and 0' happen before the query is asked.
#
# ## 8 · A campaign: first in the clear
#
# A campaign asks about many records, and trains again with the answers. Its gain and its cost depend on the number of
# parties, the noise and the number of queries. `parties.capc.simulation` plays a campaign in the clear, with the same
# models, choices, votes and noise, in seconds. Use it on data that you may show, to choose before you spend budget.

# %%
from parties.capc.simulation import simulate

campaign = {
    "strategy": "entropy",
    "models": ["logistic-regression"],
    "missing_classes": 3,
    "delta": "1e-4",
    "n_queries": 20,
    "batch_size": 5,
}
tried = [
    (parties, scale, simulate(CapcConfig(**campaign, n_parties=parties, dp_noise_scale=scale))[0])
    for parties, scale in ((6, "1"), (6, "2"), (20, "2"), (20, "3"), (20, "5"))
]
figure, axis = pyplot.subplots(figsize=(6, 3.4))
for parties, marker in ((6, "o"), (20, "s")):
    points = [(run.epsilon, run.after.overall - run.before.overall, scale) for n, scale, run in tried if n == parties]
    axis.plot([point[0] for point in points], [point[1] for point in points], marker, label=f"{parties} parties")
    for spent, gain, scale in points:
        axis.annotate(f"σ = {scale}", (spent, gain), textcoords="offset points", xytext=(6, 4))
axis.set(xlabel="ε spent for 20 labels", ylabel="gain in accuracy", title="What a campaign gains, and costs")
axis.margins(0.15)
axis.set_ylim(0)
axis.legend(loc="lower right")
pyplot.show()
for parties, scale, run in tried:
    print(
        f"{parties:2d} parties, noise {scale}: {run.before.overall:.3f} -> {run.after.overall:.3f}, "
        f"{(run.labels == run.correct).mean():.0%} of the labels right, epsilon {run.epsilon:.3g}"
    )

# %% [markdown]
# More parties carry more noise, so that the same gain costs less privacy. With one seed the points scatter. The average
# over several seeds comes from `python run_protocol.py simulation --config configs/hospitals.yaml --seeds 0,1,2`.
#
# ## 9 · The campaign, for real
#
# Here are six answering parties, so that it is quick. `configs/hospitals.yaml` is the same with twenty of them and a
# budget of $\varepsilon = 10$. Every answer below went through all of the steps above. The guardian charges its ledger
# *before* each batch, and refuses when the budget is spent. A campaign that was interrupted continues where it ended,
# and pays for nothing twice.

# %%
chosen = campaign | {"models": campaign["models"][0], "n_parties": 6, "dp_noise_scale": 1, "epsilon_budget": 40}
flags = [word for key, value in chosen.items() for word in (f"--{key}", str(value))]
report = run_protocol("campaign", *flags)["result"]

# %%
accuracy = report["accuracy"]
rows = accuracy["by_class"]
figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 3.4), gridspec_kw={"width_ratios": (3, 2)})
classes = np.array([row["class"] for row in rows])
left.bar(classes - 0.2, [row["before"] for row in rows], 0.4, label=f"before: {accuracy['before']:.2f} of all")
left.bar(classes + 0.2, [row["after"] for row in rows], 0.4, label=f"after: {accuracy['after']:.2f} of all")
names = [f"{row['class']}\nnone" if row["own_records"] == 0 else str(row["class"]) for row in rows]
left.set(xticks=classes, ylim=(0, 1.25), title="Accuracy on held-out records, by class")
left.set_xticklabels(names)
left.set_xlabel("class (none: you had no record of it)")
left.legend(loc="upper right", ncols=2)
right.step(np.arange(1, len(report["queries"]) + 1), [query["epsilon"] for query in report["queries"]], where="mid")
right.axhline(report["epsilon_budget"], color="tab:red", linestyle="--", label="budget")
right.set(xlabel="queries", ylabel="ε", ylim=(0, 44), title="Privacy spent, charged batch by batch")
right.legend(loc="lower right")
figure.tight_layout()
pyplot.show()
print(f"accuracy {accuracy['before']:.3f} -> {accuracy['after']:.3f} by {report['answered']} labels")
print(f"of which {report['label_accuracy']:.0%} right; epsilon {report['epsilon']:.3g} of {report['epsilon_budget']:g}")
if report["refusal"]:
    print(f"ended by the guardian: {report['refusal']}")

# %% [markdown]
# The ledger tells how much is spent and left.

# %%
command = [sys.executable, "run_protocol.py", "--budget", "--files_dir", f"{WORKSPACE.name}/campaign"]
command += ["--epsilon_budget", "40", "--delta", "1e-4"]
print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

# %% [markdown]
# ## Where to go from here
#
# - In `python run_protocol.py --config configs/hospitals.yaml` three hospitals ask twenty, within $\varepsilon = 10$.
# - Every run leaves `files/<run>/report.html`, which shows as much as the plots above, and the time of each step.
# - `configs/default.yaml` explains every key. Most keys are also flags.
# - `docs/protocol.md` explains every step. `docs/security.md` says what is assumed and what is not protected.
# - The party programs are `parties/capc/client.py`, `parties/capc/server.py` and `parties/capc/privacy_guardian.py`.
