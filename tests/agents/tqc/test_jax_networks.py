"""Networks of the JAX TQC: shapes, first values, stacking, options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

import flax.linen as nn
import jax
import jax.numpy as jnp
import torch as th

from mvr_agents.tqc.networks import Actor, Critic, Linear, bfloat16_matmul, expln, stacked_critics

KEY = jax.random.PRNGKey(0)


def apply(module: nn.Module, *inputs: Any, **options: Any) -> Any:
    """What the module returns; Flax's `apply` is typed as all it might return."""
    return module.apply(*inputs, **options)


def test_layers_start_as_those_of_torch():
    ours = Linear(400).init(KEY, jnp.zeros((1, 25)))["params"]
    theirs = th.nn.Linear(25, 400)
    assert np.abs(ours["kernel"]).max() <= 0.2 and np.abs(ours["bias"]).max() <= 0.2
    assert np.std(ours["kernel"]) == pytest.approx(theirs.weight.std().item(), rel=0.03)
    assert np.std(ours["bias"]) == pytest.approx(theirs.bias.std().item(), rel=0.15)


def test_actor_equals_torch(rng):
    actor, observations = Actor(3, (16, 8)), rng.normal(size=(5, 7)).astype(np.float32)
    params = actor.init(KEY, observations)
    x = th.tensor(observations)
    for layer in ("Linear_0", "Linear_1"):
        weights = params["params"]["Torso_0"][layer]
        x = th.relu(x @ th.tensor(np.array(weights["kernel"])) + th.tensor(np.array(weights["bias"])))
    head = params["params"]["Linear_0"]
    mean, log_std = (x @ th.tensor(np.array(head["kernel"])) + th.tensor(np.array(head["bias"]))).split(3, dim=1)
    output = apply(actor, params, observations)
    np.testing.assert_allclose(output.mean, mean, atol=1e-6)
    np.testing.assert_allclose(output.std, log_std.clamp(-20, 2).exp(), rtol=1e-5)
    assert output.latent is None


def test_actor_bounds_its_deviation():
    actor = Actor(1, (4,))
    params = jax.tree.map(lambda p: p + 100.0, actor.init(KEY, jnp.zeros((1, 2))))
    assert float(apply(actor, params, jnp.ones((1, 2))).std[0, 0]) == pytest.approx(np.exp(2.0))


def test_stacked_critics_are_independent_critics(rng):
    attributes: dict[str, Any] = {"n_quantiles": 5, "net_arch": (16, 8)}
    stacked, single = stacked_critics(3, **attributes), Critic(**attributes)
    observations, actions = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=(6, 2)).astype(np.float32)
    params = stacked.init({"params": KEY, "dropout": KEY}, observations, actions)
    quantiles = apply(stacked, params, observations, actions)
    assert quantiles.shape == (3, 6, 5)
    for critic in range(3):
        own = jax.tree.map(lambda p, critic=critic: p[critic], params)
        np.testing.assert_allclose(quantiles[critic], apply(single, own, observations, actions), atol=1e-6)
    assert np.abs(quantiles[0] - quantiles[1]).min() > 1e-6


def test_mean_of_the_quantiles_may_be_asked_for_alone(rng):
    critics = stacked_critics(2, n_quantiles=7, net_arch=(16,))
    observations, actions = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=(6, 2)).astype(np.float32)
    params = critics.init({"params": KEY, "dropout": KEY}, observations, actions)
    quantiles = apply(critics, params, observations, actions)
    np.testing.assert_allclose(apply(critics, params, observations, actions, True), quantiles.mean(axis=2), atol=1e-6)


def test_dropout_and_layer_norm():
    critics = stacked_critics(2, n_quantiles=3, net_arch=(64,), layer_norm=True, dropout_rate=0.5)
    inputs = jnp.ones((1, 4)), jnp.ones((1, 2))
    params = critics.init({"params": KEY, "dropout": KEY}, *inputs)
    assert params["params"]["Torso_0"]["LayerNorm_0"]["scale"].shape == (2, 64)
    first, again = (apply(critics, params, *inputs, rngs={"dropout": KEY}) for _ in range(2))
    other = apply(critics, params, *inputs, rngs={"dropout": jax.random.PRNGKey(1)})
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_gsde_actor():
    actor = Actor(2, (4,), use_sde=True, log_std_init=-1.0, clip_mean=0.01)
    params = actor.init(KEY, jnp.zeros((1, 3)))
    output = apply(actor, params, 100.0 * jnp.ones((5, 3)))
    assert output.latent.shape == (5, 4) and output.std.shape == (4, 2)
    np.testing.assert_allclose(output.std, np.exp(-1.0), rtol=1e-6)
    assert np.abs(output.mean).max() <= 0.01


def test_expln_is_smooth_and_positive():
    np.testing.assert_allclose(expln(jnp.array([-1.0, 0.0, np.e - 1])), [np.exp(-1), 1.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.grad(expln))(jnp.array([-1e-3, 1e-3])), [0.999, 0.999], atol=1e-4)
    assert np.isfinite(jax.grad(expln)(200.0))


def test_bfloat16_products_are_close_and_float32(rng):
    x, kernel = rng.normal(size=(8, 32)).astype(np.float32), rng.normal(size=(32, 16)).astype(np.float32)
    product = bfloat16_matmul(x, kernel)
    assert product.dtype == jnp.float32
    rounded = (np.asarray(jnp.asarray(part, jnp.bfloat16), np.float32) for part in (x, kernel))
    np.testing.assert_allclose(product, np.matmul(*rounded), rtol=1e-5, atol=1e-5)
    error = np.abs(product - x @ kernel)
    assert 1e-4 < error.max() < 0.2  # rounded, and not by much
    gradients = jax.grad(lambda *a: jnp.sin(bfloat16_matmul(*a)).sum(), argnums=(0, 1))(x, kernel)
    exact = jax.grad(lambda *a: jnp.sin(a[0] @ a[1]).sum(), argnums=(0, 1))(x, kernel)
    for ours, theirs in zip(gradients, exact, strict=True):
        assert ours.dtype == jnp.float32
        assert np.abs(ours - theirs).mean() < 0.1 * np.abs(theirs).mean()
