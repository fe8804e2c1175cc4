"""The squashed Gaussian of the JAX TQC, against torch and Stable-Baselines3."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("stable_baselines3")

import jax.numpy as jnp
import torch as th
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution, StateDependentNoiseDistribution

from mvr_agents.tqc import distributions
from mvr_agents.tqc.networks import Actor, ActorOutput


def test_sample_equals_stable_baselines3(rng):
    mean, noise = rng.normal(size=(2, 64, 3)).astype(np.float32)
    std = np.exp(rng.normal(size=(64, 3))).astype(np.float32)
    actions, log_prob = distributions.sample(ActorOutput(jnp.array(mean), jnp.array(std), None), jnp.array(noise))
    u = th.tensor(mean + std * noise, dtype=th.float64)
    theirs = SquashedDiagGaussianDistribution(3)
    theirs.proba_distribution(*(th.tensor(part, dtype=th.float64) for part in (mean, np.log(std))))
    np.testing.assert_allclose(actions, u.tanh(), atol=1e-6)
    near = (u.abs().amax(1) < 4).numpy()  # beyond, 1 - tanh(u)^2 is below the rounding of float32
    assert near.sum() > 40
    np.testing.assert_allclose(log_prob[near], theirs.log_prob(u.tanh(), u)[near], rtol=1e-3, atol=1e-3)


def test_saturated_actions_have_bounded_densities():
    output = ActorOutput(jnp.array([[40.0, -40.0]]), jnp.ones((1, 2)), None)
    actions, log_prob = distributions.sample(output, jnp.zeros((1, 2)))
    np.testing.assert_array_equal(actions, [[1.0, -1.0]])
    # log N(0; 0, 1) - log(0 + 1e-6) for each of the two
    assert float(log_prob[0]) == pytest.approx(2 * (-0.5 * np.log(2 * np.pi) + 6 * np.log(10)), rel=1e-6)


def test_mode_and_explore():
    output = ActorOutput(jnp.array([[0.5]]), jnp.array([[2.0]]), None)
    assert float(distributions.mode(output)[0, 0]) == pytest.approx(np.tanh(0.5))
    assert float(distributions.explore(output, jnp.array([[0.25]]))[0, 0]) == pytest.approx(np.tanh(1.0))


def test_gsde_equals_stable_baselines3(rng):
    mean, latent = rng.normal(size=(6, 3)).astype(np.float32), rng.normal(size=(6, 4)).astype(np.float32)
    log_std, noise = rng.normal(size=(4, 3)).astype(np.float32) - 1, rng.normal(size=(4, 3)).astype(np.float32)
    theirs = StateDependentNoiseDistribution(3, learn_features=True, squash_output=True)
    theirs.latent_sde_dim = 4
    theirs.proba_distribution(th.tensor(mean), th.tensor(log_std), th.tensor(latent))
    theirs.exploration_mat = th.tensor(np.exp(log_std) * noise)
    theirs.exploration_matrices = theirs.exploration_mat[None]
    actions = theirs.sample()
    output = ActorOutput(jnp.array(mean), jnp.exp(log_std), jnp.array(latent))
    ours, log_prob = distributions.sample(output, jnp.array(noise))
    np.testing.assert_allclose(ours, actions, atol=1e-6)
    np.testing.assert_allclose(log_prob, theirs.log_prob(actions), rtol=1e-3, atol=1e-3)  # they invert the tanh


def test_gsde_takes_one_matrix_for_each_env(rng):
    latent, noise = rng.normal(size=(2, 4)).astype(np.float32), rng.normal(size=(2, 4, 3)).astype(np.float32)
    output = ActorOutput(jnp.zeros((2, 3)), jnp.ones((4, 3)), jnp.array(latent))
    together = distributions.explore(output, jnp.array(noise))
    for env in range(2):
        np.testing.assert_allclose(together[env], np.tanh(latent[env] @ noise[env]), rtol=1e-5)


def test_noise_shape():
    assert distributions.noise_shape(Actor(3, (8, 5)), 7) == (7, 3)
    assert distributions.noise_shape(Actor(3, (8, 5), use_sde=True), 7) == (5, 3)
