"""The words of `policy_kwargs` of the JAX TQC."""

from __future__ import annotations

import pytest

pytest.importorskip("jax")
pytest.importorskip("stable_baselines3")

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch as th

from mvr_agents.tqc.options import PolicyOptions
from mvr_wrappers.errors import ConfigError


def test_defaults_are_those_of_sb3_contrib():
    options = PolicyOptions.parse({})
    actor, critics = options.actor(3), options.critics()
    assert actor.net_arch == critics.net_arch == (256, 256)
    assert actor.activation is jax.nn.relu and not actor.use_sde
    assert critics.n_quantiles == 25 and options.n_critics == 2
    assert options.optimizer().factory is optax.adam


def test_actor_and_critics_may_differ():
    options = PolicyOptions.parse({"net_arch": {"pi": [4], "qf": [8, 6]}, "n_quantiles": 7, "layer_norm": True})
    assert options.actor(1).net_arch == (4,)
    critics = options.critics()
    assert critics.net_arch == (8, 6) and critics.n_quantiles == 7 and critics.layer_norm


@pytest.mark.parametrize("word", ["tanh", th.nn.Tanh, jnp.tanh])
def test_activations_in_any_words(word):
    assert PolicyOptions.parse({"activation_fn": word}).actor(1).activation is jnp.tanh


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (th.optim.Adam, {}),
        (th.optim.Adam, {"betas": (0.5, 0.9), "eps": 1e-2}),
        (th.optim.AdamW, {}),
        (th.optim.AdamW, {"weight_decay": 0.3, "betas": (0.8, 0.9)}),
        (th.optim.RMSprop, {}),
        (th.optim.RMSprop, {"alpha": 0.9, "eps": 0.1, "momentum": 0.5}),
        (th.optim.RMSprop, {"centered": True, "eps": 1e-3}),
        (th.optim.SGD, {}),
        (th.optim.SGD, {"momentum": 0.9}),
        (th.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_names_of_torch_are_the_optimizers_of_torch(kind, words):
    """Over 200 steps of a changing learning rate, with gradients of many sizes and long rows of zeros among them."""
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(200, 3)) * [1e-3, 1.0, 30.0]
    gradients[50:120] = 0.0
    rates = np.linspace(3e-2, 1e-3, len(gradients)).tolist()
    parameter = th.nn.Parameter(th.tensor([2.0, -1.0, 0.5]))
    theirs = kind([parameter], lr=rates[0], **words)
    ours = PolicyOptions.parse({"optimizer_class": kind, "optimizer_kwargs": words}).optimizer().build()
    values = jnp.array([2.0, -1.0, 0.5])
    state, descend = ours.init(values), jax.jit(ours.update)
    for gradient, rate in zip(gradients.astype(np.float32), rates, strict=True):
        theirs.param_groups[0]["lr"] = rate
        parameter.grad = th.tensor(gradient)
        theirs.step()
        direction, state = descend(gradient, state, values)
        values = values + rate * direction
    np.testing.assert_allclose(values, parameter.detach(), rtol=1e-4, atol=1e-5)
    assert np.abs(np.asarray(values) - [2.0, -1.0, 0.5]).max() > 0.05


def test_names_of_optax_keep_its_defaults():
    spec = PolicyOptions.parse({"optimizer_class": optax.adamw, "optimizer_kwargs": {"b1": 0.8}}).optimizer()
    assert spec.factory is optax.adamw and dict(spec.options) == {"b1": 0.8}


def test_equal_words_give_equal_networks():
    words = {"net_arch": [8], "activation_fn": th.nn.ELU}
    first, second = PolicyOptions.parse(words), PolicyOptions.parse(dict(words))
    assert first.actor(2) == second.actor(2) and first.critics() == second.critics()
    assert hash(first.optimizer()) == hash(second.optimizer())


def test_words_for_images_are_taken_when_they_change_nothing():
    PolicyOptions.parse({"share_features_extractor": False, "normalize_images": True, "net_arch": None})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"n_quantile": 5}, "unknown word 'n_quantile'. Nearest: n_quantiles"),
        ({"share_features_extractor": True}, "share_features_extractor=True is not supported"),
        ({"n_quantiles": 0}, "n_quantiles must be a positive integer"),
        ({"n_critics": 1.5}, "n_critics must be a positive integer"),
        ({"dropout_rate": 1.0}, r"dropout_rate must lie in \[0, 1\)"),
        ({"matmul_dtype": "float16"}, "matmul_dtype must be float32 or bfloat16"),
    ],
)
def test_bad_words_are_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        PolicyOptions.parse(words)


@pytest.mark.parametrize("net_arch", [[], [0], ["a"], {"pi": [4]}])
def test_bad_networks_are_refused(net_arch):
    with pytest.raises(ConfigError, match="net_arch must list positive widths"):
        PolicyOptions.parse({"net_arch": net_arch}).critics()


def test_bad_activations_and_optimizers_are_refused():
    with pytest.raises(ConfigError, match=r"unknown activation_fn 'rleu'\. Nearest: relu"):
        PolicyOptions.parse({"activation_fn": "rleu"}).actor(1)
    with pytest.raises(ConfigError, match="do not fit optax"):
        PolicyOptions.parse({"optimizer_kwargs": {"momentum": 0.9}}).optimizer()
    for kind, words in ((th.optim.LBFGS, {}), (th.optim.Adam, {"weight_decay": 0.1}), (th.optim.SGD, {"dampening": 1})):
        with pytest.raises(ConfigError, match="do not fit optax"):
            PolicyOptions.parse({"optimizer_class": kind, "optimizer_kwargs": words}).optimizer()
