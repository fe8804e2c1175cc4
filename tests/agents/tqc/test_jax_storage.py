"""Layout, writing and sampling of the JAX TQC's replay, against the buffers and VecNormalize of Stable-Baselines3."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("stable_baselines3")

import gymnasium as gym
import jax
import jax.numpy as jnp
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from mvr_agents.tqc.normalise import Normaliser, Statistics
from mvr_agents.tqc.storage import Filled, Staged, Storage, is_finite, sample, storage_shapes, write
from tests.support.known import present

R, E, D, A = 6, 2, 3, 1
NONE = Normaliser()


def empty() -> Storage:
    return Storage(*(jnp.zeros(part.shape, part.dtype) for part in storage_shapes(R, E, D, A)))


def staged(row: int, **outcomes: Any) -> Staged:
    """A row whose observations are 10 * row + env, so that they tell where they came from."""
    observations: Any = np.full((E, D), 10.0 * row, np.float32) + np.arange(E, dtype=np.float32)[:, None]
    names = ("task_rewards", "shaping", "terminated", "ended")
    parts = np.array([np.broadcast_to(outcomes.get(name, 0.0), E) for name in names], np.float32)
    return Staged(np.int32(row), observations, observations + 0.5, observations[:, :A] / 100, parts)


def test_write_fills_one_row():
    storage = write(empty(), staged(2, task_rewards=[1, 2], shaping=[3, 4], terminated=[0, 1], ended=[1, 1]))
    np.testing.assert_array_equal(storage.observations[2, :, 0], [20, 21])
    np.testing.assert_array_equal(storage.next_observations[2, :, 0], [20.5, 21.5])
    np.testing.assert_array_equal(storage.task_rewards[2], [1, 2])
    np.testing.assert_array_equal(storage.shaping[2], [3, 4])
    np.testing.assert_array_equal(storage.terminated[2], [False, True])
    np.testing.assert_array_equal(storage.ended[2], [True, True])
    others = [0, 1, 3, 4, 5]
    assert all(not np.asarray(part)[others].any() for part in storage)


def test_sample_keeps_rows_together_and_adds_the_shaping():
    storage = empty()
    for row in range(4):
        storage = write(
            storage, staged(row, task_rewards=row, shaping=[0.25, 0.5], terminated=row == 3, ended=row == 3)
        )
    batch = sample(storage, Filled(4, 3), jax.random.PRNGKey(0), 400, 1, 0.9, NONE)
    rows, envs = np.divmod(np.asarray(batch.observations[:, 0]).astype(int), 10)
    assert set(zip(rows, envs, strict=True)) == {(r, e) for r in range(4) for e in range(E)}  # never an empty row
    np.testing.assert_allclose(batch.next_observations, batch.observations + 0.5)
    np.testing.assert_allclose(batch.actions[:, 0], (10 * rows + envs) / 100, rtol=1e-6)
    np.testing.assert_allclose(batch.rewards, rows + np.where(envs == 0, 0.25, 0.5))
    np.testing.assert_allclose(batch.discounts, np.where(rows == 3, 0.0, 0.9), rtol=1e-6)


def test_sampling_is_uniform():
    storage = empty()
    for row in range(R):
        storage = write(storage, staged(row))
    batch = sample(storage, Filled(R, R - 1), jax.random.PRNGKey(1), 12_000, 1, 0.9, NONE)
    _, counts = np.unique(batch.observations[:, 0], return_counts=True)
    assert len(counts) == R * E and np.abs(counts / 1_000 - 1).max() < 0.15  # 5 deviations


@pytest.mark.parametrize("rows", [4, 6, 9])
def test_n_step_returns_equal_stable_baselines3(rng, rows):
    """Part full, full, and written over; with terminations, time limits and episodes that go on."""
    box, action_box = spaces.Box(-1, 1, (D,), np.float32), spaces.Box(-1, 1, (A,), np.float32)
    theirs = NStepReplayBuffer(R * E, box, action_box, "cpu", E, n_steps=3, gamma=0.9)
    storage = empty()
    for step in range(rows):
        rewards, ended = rng.normal(size=E).astype(np.float32), rng.random(E) < 0.3
        timeouts = ended & (rng.random(E) < 0.5)
        row = staged(step % R, task_rewards=rewards - 1, shaping=1, terminated=ended & ~timeouts, ended=ended)
        storage = write(storage, row._replace(row=np.int32(step % R)))
        infos = [{"TimeLimit.truncated": bool(cut)} for cut in timeouts]
        observed, following, acted = map(np.asarray, (row.observations, row.next_observations, row.actions))
        theirs.add(observed, following, acted, rewards, ended, infos)
    filled = Filled(min(rows, R), (rows - 1) % R)
    batch = sample(storage, filled, jax.random.PRNGKey(2), 300, 3, 0.9, NONE)
    picked, envs = np.divmod(np.asarray(batch.observations[:, 0]).astype(int), 10)
    for env in range(E):
        mine = np.flatnonzero(envs == env)
        own = NStepReplayBuffer(R, box, action_box, "cpu", 1, n_steps=3, gamma=0.9)
        for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
            setattr(own, name, getattr(theirs, name)[:, env : env + 1])
        own.pos, own.full = theirs.pos, theirs.full
        expected = own._get_samples(picked[mine])
        np.testing.assert_allclose(batch.rewards[mine], expected.rewards[:, 0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(batch.next_observations[mine], expected.next_observations)
        bootstraps = present(expected.discounts) * (1 - expected.dones)
        np.testing.assert_allclose(batch.discounts[mine], bootstraps[:, 0], rtol=1e-5)


def test_normaliser_equals_vec_normalize(rng):
    env: Any = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")] * 2), clip_obs=1.5, clip_reward=0.7)
    env.reset()
    for _ in range(50):
        env.step(rng.uniform(-2, 2, (2, 1)).astype(np.float32))
    ours = Normaliser.from_vec_normalize(env)
    observations, rewards = rng.normal(size=(20, 3)).astype(np.float32) * 2, -10 * rng.random(20).astype(np.float32)
    np.testing.assert_allclose(ours.observations(observations), env.normalize_obs(observations), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.rewards(rewards), env.normalize_reward(rewards), rtol=1e-5)
    env.norm_obs = env.norm_reward = False
    nothing = Normaliser.from_vec_normalize(env)
    assert nothing.observations(observations) is observations and nothing.rewards(rewards) is rewards


def test_statistics_equal_those_of_all_at_once(rng):
    observations = rng.normal(size=(40, D)) * [1, 10, 100] + [5, -5, 0]
    statistics = Statistics.empty(D)
    for part in np.split(observations, [1, 4, 11]):
        statistics = statistics.add(jnp.asarray(part, jnp.float32))
    assert int(statistics.count) == 40
    np.testing.assert_allclose(statistics.mean, observations.mean(0), rtol=1e-4)
    np.testing.assert_allclose(statistics.variance, observations.var(0), rtol=1e-4)
    normalised = Normaliser.from_statistics(statistics).observations(jnp.asarray(observations, jnp.float32))
    np.testing.assert_allclose(normalised.std(0), 1.0, rtol=1e-3)


def test_statistics_of_very_many_observations_stay_what_they_are():
    many, ones = 2**24, jnp.ones((1, D))
    statistics = Statistics(jnp.int32(many), jnp.zeros(D), jnp.ones(D))
    for _ in range(3):
        statistics = statistics.add(jnp.asarray([[1.0, -1.0, 0.0]]))
    assert int(statistics.count) == many + 3  # float32 counts no further than 2^24
    np.testing.assert_allclose(statistics.variance, 1.0, rtol=1e-6)
    full = Statistics(jnp.int32(2**31 - 1), jnp.zeros(D), jnp.ones(D)).add(ones)
    assert int(full.count) == 2**31 - 1


@pytest.mark.parametrize("part", ["observations", "actions", "rewards", "next_observations"])
def test_is_finite_sees_every_part(part):
    batch = sample(write(empty(), staged(0)), Filled(1, 0), jax.random.PRNGKey(0), 4, 1, 0.9, NONE)
    assert bool(is_finite(batch))
    assert not is_finite(batch._replace(**{part: getattr(batch, part).at[1].set(jnp.inf)}))
