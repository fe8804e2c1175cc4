"""Losses of the JAX TQC: by hand, and against sb3-contrib on the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("sb3_contrib")

import jax
import jax.numpy as jnp
import torch as th
from sb3_contrib.common.utils import quantile_huber_loss as sb3_quantile_huber_loss

from mvr_agents.tqc import losses
from tests.support.known import present


def test_quantile_huber_loss_by_hand():
    # One critic, one sample, quantiles at tau = 0.25 and 0.75; targets 1 below, 0.5 above and 3 above the first.
    quantiles = jnp.array([[[0.0, 2.0]]])
    targets = jnp.array([[-1.0, 0.5, 3.0]])
    pairs = [0.75 * 0.5, 0.25 * 0.125, 0.25 * 2.5, 0.25 * 2.5, 0.25 * 1.0, 0.75 * 0.5]
    slopes = [-(0.75 * -1 + 0.25 * 0.5 + 0.25 * 1), -(0.25 * -1 + 0.25 * -1 + 0.75 * 1)]
    loss, gradient = jax.value_and_grad(losses.quantile_huber_loss)(quantiles, targets, jnp.ones((1, 3)))
    assert float(loss) == pytest.approx(sum(pairs) / 6)
    np.testing.assert_allclose(gradient[0, 0], np.array(slopes) / 6, rtol=1e-6)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_quantile_huber_loss_equals_sb3_contrib(rng, scale):
    quantiles = (rng.normal(size=(2, 32, 25)) * scale).astype(np.float32)
    targets = (rng.normal(size=(32, 46)) * scale).astype(np.float32)
    theirs = th.tensor(quantiles.transpose(1, 0, 2), requires_grad=True)
    loss = sb3_quantile_huber_loss(theirs, th.tensor(targets)[:, None], sum_over_quantiles=False)
    loss.backward()
    ours, gradient = jax.value_and_grad(losses.quantile_huber_loss)(quantiles, targets, np.ones((32, 46), np.float32))
    assert float(ours) == pytest.approx(loss.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, present(theirs.grad).numpy().transpose(1, 0, 2), rtol=1e-5, atol=1e-8)


def test_dropped_atoms_count_for_nothing(rng):
    quantiles, atoms = rng.normal(size=(2, 16, 5)).astype(np.float32), rng.normal(size=(16, 10)).astype(np.float32)
    keep = losses.truncation_mask(atoms, 3)
    masked = jax.value_and_grad(losses.quantile_huber_loss)(quantiles, jnp.where(keep > 0, atoms, 1e6), keep)
    kept = np.sort(atoms, axis=1)[:, :7]
    truncated = jax.value_and_grad(losses.quantile_huber_loss)(quantiles, kept, np.ones((16, 7), np.float32))
    np.testing.assert_allclose(masked[0], truncated[0], rtol=1e-6)
    np.testing.assert_allclose(masked[1], truncated[1], rtol=1e-5, atol=1e-8)


def test_loss_is_the_same_on_every_platform(rng):
    arguments = [rng.normal(size=shape).astype(np.float32) for shape in ((2, 8, 5), (8, 10))]
    arguments.append(losses.truncation_mask(arguments[1], 2))
    in_turn, at_once = losses._sum_in_turn(*arguments), losses._sum_at_once(*arguments)
    np.testing.assert_allclose(in_turn[0], at_once[0], rtol=1e-6)
    np.testing.assert_allclose(in_turn[1], at_once[1], rtol=1e-5, atol=1e-6)


def test_gradient_is_scaled_by_the_cotangent(rng):
    quantiles, targets = rng.normal(size=(1, 4, 3)).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)
    keep = np.ones((4, 3), np.float32)
    once = jax.grad(losses.quantile_huber_loss)(quantiles, targets, keep)
    thrice = jax.grad(lambda q: 3 * losses.quantile_huber_loss(q, targets, keep))(quantiles)
    np.testing.assert_allclose(thrice, 3 * once, rtol=1e-6)


def test_quantiles_may_be_vmapped(rng):
    quantiles, targets = rng.normal(size=(3, 2, 4, 5)).astype(np.float32), rng.normal(size=(4, 6)).astype(np.float32)
    keep = np.ones((4, 6), np.float32)
    mapped = jax.vmap(losses.quantile_huber_loss, (0, None, None))(quantiles, targets, keep)
    np.testing.assert_allclose(mapped, [losses.quantile_huber_loss(q, targets, keep) for q in quantiles], rtol=1e-6)


def test_truncation_mask_drops_the_largest():
    atoms = jnp.array([[3.0, -1.0, 5.0, 4.0], [0.0, 0.0, 0.0, 1.0]])
    mask = np.asarray(losses.truncation_mask(atoms, 2))
    np.testing.assert_array_equal(mask[0], [1, 1, 0, 0])
    assert mask[1, 3] == 0
    np.testing.assert_array_equal(mask.sum(axis=1), [2, 2])  # of equal atoms, too, exactly two are dropped


def test_truncation_mask_may_drop_nothing():
    assert np.asarray(losses.truncation_mask(jnp.ones((2, 3)), 0)).all()


def test_td_targets_by_hand():
    targets = losses.td_targets(
        next_atoms=jnp.array([[1.0, 2.0], [1.0, 2.0]]),
        next_log_prob=jnp.array([-2.0, 7.0]),
        rewards=jnp.array([10.0, 20.0]),
        discounts=jnp.array([0.5, 0.0]),
        ent_coef=0.25,
    )
    np.testing.assert_allclose(targets, [[10.75, 11.25], [20.0, 20.0]])


def test_actor_loss_by_hand():
    values = jnp.array([[1.0, 2.0], [3.0, 4.0]])  # of two critics, for two samples
    assert float(losses.actor_loss(jnp.array([-1.0, -3.0]), values, 0.5)) == pytest.approx((-0.5 - 2 - 1.5 - 3) / 2)


def test_ent_coef_loss_by_hand():
    loss, gradient = jax.value_and_grad(losses.ent_coef_loss)(jnp.log(0.5), jnp.array([-1.0, -2.0]), -3.0)
    assert float(loss) == pytest.approx(np.log(0.5) * 4.5)
    assert float(gradient) == pytest.approx(4.5)
