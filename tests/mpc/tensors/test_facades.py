"""Programs in the words of PySyft and of tf-encrypted, as their users wrote them."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
import torch

import mpc.tensors as pt
from mpc.errors import OrderError, ParameterError, RangeError
from mpc.tensors.eager import Group

sy, tfe = pt.syft, pt.tfe


@pytest.fixture
def workers():
    hook = sy.TorchHook(torch)
    yield [sy.VirtualWorker(hook, id=name) for name in ("alice", "bob", "secure_worker")]
    sy.close()
    for name in ("share", "fix_precision", "fix_prec"):
        delattr(torch.Tensor, name)


def test_pysyft_shares_whole_numbers(workers: list) -> None:
    alice, bob, secure_worker = workers
    x = torch.tensor([25]).share(bob, alice, crypto_provider=secure_worker, backend="clear")
    y = torch.tensor([5]).share(bob, alice, crypto_provider=secure_worker, backend="clear")
    assert (x + y).get().tolist() == [30]
    assert (x - y).get().tolist() == [20]
    assert (x * y).get().tolist() == [125]
    assert (x > y).get().tolist() == [1]
    assert (x * 2 + 1).get().tolist() == [51]
    assert repr(x) == "SharedTensor(shape=(1,), held by alice, bob, caller, secure_worker)"


def test_pysyft_shares_fractions(workers: list) -> None:
    alice, bob, p = workers
    x = torch.tensor([0.1, 0.2, 0.3]).fix_precision().share(alice, bob, crypto_provider=p, backend="clear")
    y = torch.tensor([[1.0], [2.0], [-4.0]]).fix_prec().share(alice, bob, crypto_provider=p, backend="clear")
    total = (x + x).get().float_precision()
    assert isinstance(total, torch.Tensor)
    assert np.abs(total.numpy() - [0.2, 0.4, 0.6]).max() < 1e-4
    assert np.abs(x.matmul(y).get().float_precision().numpy() + 0.7).max() < 1e-3
    assert (
        np.abs(x.sigmoid().get().float_prec().numpy() - torch.sigmoid(torch.tensor([0.1, 0.2, 0.3])).numpy()).max()
        < 1e-3
    )


def test_pysyft_without_torch_and_what_it_refuses(workers: list) -> None:
    alice, bob, p = workers
    x = sy.tensor([1, 2]).share(alice, bob, crypto_provider=p, backend="clear")
    assert x[1].get().tolist() == 2
    with pytest.raises(ParameterError, match="whole numbers, found fractions: call fix_precision"):
        sy.tensor([0.5]).share(alice, bob, crypto_provider=p)
    with pytest.raises(ParameterError, match="expected crypto_provider=…"):
        sy.tensor([1]).share(alice, bob)
    with pytest.raises(TypeError, match="has no value that this program may look at"):
        bool(x > 1)
    with pytest.raises(AttributeError, match="a shared tensor has no 'backward'"):
        x.backward()
    with pytest.raises(RangeError, match=r"^multiply #\d+: needs"):
        x**2 if hasattr(x, "__pow__") else x * x * x * x
    with pytest.raises(OrderError, match="found one that has ended"):
        x + 1


def test_a_group_that_nobody_holds_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    group = Group(("alice", "bob"), "carol", "clear")
    assert group.share(np.array([2.0]), 4, False).square().reveal().tolist() == [4.0]
    threads = set(threading.enumerate()) - before
    assert {thread.name for thread in threads} == {"party alice", "party bob", "party carol", "party caller"}
    del group
    gc.collect()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_tf_encrypteds_first_example() -> None:
    import numpy as tf  # its arrays do for those of TensorFlow

    def provide_input() -> np.ndarray:
        # local operations of the input provider
        return tf.ones(shape=(5, 10))

    w = tfe.define_private_variable(tf.ones(shape=(10, 10)))
    x = tfe.define_private_input("input-provider", provide_input)
    y = tfe.matmul(x, w)
    with tfe.Session(backend="clear") as sess:
        sess.run(tfe.global_variables_initializer())
        result = sess.run(y.reveal())
    assert result.tolist() == np.full((5, 10), 10.0).tolist()


def test_tf_encrypteds_layers() -> None:
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.uniform(-1, 1, (4, 3)), rng.uniform(-1, 1, (3, 2)), np.array([0.5, -0.5])
    model = tfe.keras.Sequential()
    dense = tfe.keras.layers.Dense(2, activation="relu", input_dim=3)
    dense.set_weights([kernel, bias])
    model.add(dense)
    model.add(tfe.keras.layers.Dense(1, activation="sigmoid", input_dim=2))
    hidden, found = tfe.Session(backend="clear").run(
        [
            dense(tfe.define_private_input("client", lambda: x)).reveal(),
            model(tfe.define_private_input("client", lambda: x)).reveal(),
        ]
    )
    assert np.abs(hidden - np.maximum(x @ kernel + bias, 0)).max() < 1e-3
    assert found.shape == (4, 1)
    assert (np.abs(found - 0.5) < 0.5).all()
    with pytest.raises(ParameterError, match="run: expected revealed nodes, found Node: call reveal"):
        tfe.Session(backend="clear").run(dense(tfe.define_private_variable(x)))
    with pytest.raises(ParameterError, match="an activation among None, linear, relu, sigmoid, tanh, found 'gelu'"):
        tfe.keras.layers.Dense(1, activation="gelu", input_dim=2)
