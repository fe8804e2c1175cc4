"""The device calls of the JAX TQC: many updates in one, acting and storing in one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("stable_baselines3")

import jax
import jax.numpy as jnp

from mvr_agents.tqc import distributions, programs
from mvr_agents.tqc.networks import Actor, stacked_critics
from mvr_agents.tqc.normalise import Normaliser, Statistics
from mvr_agents.tqc.programs import Held, RolloutState
from mvr_agents.tqc.storage import Filled, Staged, Storage, sample, storage_shapes
from mvr_agents.tqc.update import Hyper, TQCSpec, init_state, update

R, E, D, A = 8, 2, 3, 1
HYPER = Hyper(learning_rate=1e-3, gamma=0.98, tau=0.01, target_entropy=-1.0)
SPEC = TQCSpec(Actor(A, (8,)), stacked_critics(2, n_quantiles=4, net_arch=(8,)), 2, 1)


@pytest.fixture
def storage(rng) -> Storage:
    parts = [rng.uniform(-1, 1, size=part.shape).astype(part.dtype) for part in storage_shapes(R, E, D, A)]
    return Storage(*map(jnp.asarray, parts))._replace(terminated=jnp.zeros((R, E), bool), ended=jnp.zeros((R, E), bool))


def start():
    return init_state(SPEC, jax.random.PRNGKey(0), D, math.log(0.5))


def train(state, storage, gradient_steps, scales=None):
    filled = Filled(np.int32(R), np.int32(R - 1))
    return programs.train(SPEC, state, storage, filled, scales or Normaliser(), HYPER, gradient_steps, 16, 1)


def test_train_equals_single_updates(storage):
    state, outcome = train(start(), storage, 3)
    expected, total, one = start(), 0.0, jax.jit(update, static_argnums=0)
    for _ in range(3):
        key, sample_key = jax.random.split(expected.key)
        batch = sample(storage, Filled(R, R - 1), sample_key, 16, 1, HYPER.gamma, Normaliser())
        expected, losses = one(SPEC, HYPER, expected._replace(key=key), batch)
        total += float(losses.critic)
    assert int(outcome.updates) == int(state.updates) == 3 and outcome.finite.all()
    assert float(outcome.losses.critic) == pytest.approx(total, rel=1e-5)
    for name in ("actor", "critics", "targets", "log_ent_coef"):
        ours, theirs = getattr(state, name), getattr(expected, name)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), ours, theirs)


def test_nothing_is_learned_from_a_batch_that_is_not_finite(storage):
    broken = storage._replace(task_rewards=storage.task_rewards.at[:, 0].set(jnp.nan))
    before = jax.tree.map(np.array, start())
    state, outcome = train(start(), broken, 5)
    assert int(outcome.updates) == 0
    np.testing.assert_array_equal(outcome.finite, [True, True, False, True, True])
    for name in set(before._fields) - {"key"}:
        jax.tree.map(np.testing.assert_array_equal, getattr(state, name), getattr(before, name))


def test_train_normalises_what_it_samples(storage):
    statistics = Statistics(jnp.int32(100), jnp.zeros(D), jnp.full(D, 4.0))
    halved = storage._replace(observations=storage.observations / 2, next_observations=storage.next_observations / 2)
    (ours, _), (theirs, _) = train(start(), storage, 2, statistics), train(start(), halved, 2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), ours.critics, theirs.critics)


def test_act_writes_the_row_that_waits(storage):
    before = np.array(storage.observations)
    staged = Staged(np.int32(3), jnp.ones((E, D)), jnp.zeros((E, D)), jnp.zeros((E, A)), np.zeros((4, E), np.float32))
    rollout = RolloutState(jax.random.PRNGKey(1), None, None)
    params, observations = start().actor, jnp.ones((E, D))
    actions, after, written = programs.act(SPEC.actor, params, rollout, observations, False, storage, staged)
    noise_key = jax.random.split(jax.random.PRNGKey(1), 3)[1]
    noise = jax.random.normal(noise_key, (E, A))
    output: Any = SPEC.actor.apply(params, observations)
    expected = distributions.explore(output, noise)
    np.testing.assert_allclose(actions, expected, atol=1e-6)
    np.testing.assert_array_equal(written.observations[3], np.ones((E, D)))
    np.testing.assert_array_equal(np.delete(written.observations, 3, axis=0), np.delete(before, 3, axis=0))
    assert (after.key != rollout.key).any()


def test_repeated_noise_is_that_of_several_steps():
    """Recovered from the actions: one draw an env for three steps, whatever is observed, then another."""
    params, rollout, noises = start().actor, held_rollout(), []
    for step in range(7):
        observations = jnp.full((E, D), 0.3 * step - 1.0)
        actions, rollout, _ = programs.act(SPEC.actor, params, rollout, observations, step == 1, None, None, 3)
        output: Any = SPEC.actor.apply(params, observations)
        noises.append((np.arctanh(actions) - output.mean) / output.std)
    for first, *same in (noises[:1] + noises[2:3], noises[3:6]):  # the second step was one of warm-up
        for other in same:
            np.testing.assert_allclose(other, first, atol=1e-4)
    assert abs(noises[3] - noises[2]).min() > 1e-3 < abs(noises[6] - noises[5]).min()
    assert abs(noises[0][0] - noises[0][1]).min() > 1e-3


def test_predicting_leaves_repeated_noise_alone():
    observations = jnp.ones((E, D))
    rollout = held_rollout()
    first, key = programs.predict(SPEC.actor, start().actor, rollout, observations, False)
    second, _ = programs.predict(SPEC.actor, start().actor, rollout._replace(key=key), observations, False)
    assert abs(second - first).min() > 1e-4


def held_rollout() -> RolloutState:
    key = jax.random.PRNGKey(1)
    return RolloutState(key, None, None, Held(key, jnp.int32(0)))


def test_warm_up_is_uniform():
    params, observations = start().actor, jnp.ones((1_000, D))
    rollout = RolloutState(jax.random.PRNGKey(2), None, None)
    actions, _, nothing = programs.act(SPEC.actor, params, rollout, observations, True, None, None)
    assert nothing is None and np.abs(actions).max() <= 1
    np.testing.assert_allclose(np.histogram(actions, 4, (-1, 1))[0] / 1_000, 0.25, atol=0.06)


def test_acting_gathers_statistics_and_predicting_does_not():
    params, observations = start().actor, jnp.asarray(np.random.default_rng(0).normal(size=(4, D)) * 5, jnp.float32)
    rollout = RolloutState(jax.random.PRNGKey(3), Statistics.empty(D), None)
    _, after, _ = programs.act(SPEC.actor, params, rollout, observations, False, None, None)
    assert float(after.statistics.count) == 4
    np.testing.assert_allclose(after.statistics.mean, observations.mean(0), rtol=1e-5)
    actions, key = programs.predict(SPEC.actor, params, after, observations, True)
    normalised = (observations - observations.mean(0)) / observations.std(0)
    output: Any = SPEC.actor.apply(params, normalised)
    np.testing.assert_allclose(actions, distributions.mode(output), atol=1e-5)
    np.testing.assert_array_equal(key, after.key)


def test_predicting_with_gsde_falls_back_to_one_matrix():
    actor = Actor(A, (8,), use_sde=True)
    params = actor.init(jax.random.PRNGKey(0), jnp.zeros((1, D)))
    _, noise = programs.draw_noise(actor, jax.random.PRNGKey(1), E)
    assert noise.shape == (E, 8, A)
    rollout = RolloutState(jax.random.PRNGKey(1), None, noise)
    observations = jnp.ones((E + 1, D))
    three, _ = programs.predict(actor, params, rollout, observations, False)
    two, _ = programs.predict(actor, params, rollout, observations[:E], False)
    np.testing.assert_allclose(three, np.broadcast_to(three[0], three.shape), rtol=1e-6)
    np.testing.assert_allclose(two[0], three[0], rtol=1e-5)
    assert abs(float(two[1, 0] - two[0, 0])) > 1e-6


def test_a_program_is_compiled_once_for_equal_networks(storage):
    train(start(), storage, 1)
    program: Any = programs.train  # the type that JAX declares knows no caches
    size = program._cache_size()
    again = TQCSpec(Actor(A, (8,)), stacked_critics(2, n_quantiles=4, net_arch=(8,)), 2, 1)
    filled = Filled(np.int32(3), np.int32(2))
    hyper = HYPER._replace(learning_rate=1e-4, gamma=0.5)
    programs.train(again, start(), storage, filled, Normaliser(), hyper, 7, 16, 1)
    assert program._cache_size() == size


def test_the_state_and_the_storage_are_not_copied(storage):
    state = start()
    train(state, storage, 1)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    staged = Staged(np.int32(0), jnp.ones((E, D)), jnp.zeros((E, D)), jnp.zeros((E, A)), np.zeros((4, E), np.float32))
    where = storage.observations.unsafe_buffer_pointer()
    assert programs.store(storage, staged).observations.unsafe_buffer_pointer() == where
