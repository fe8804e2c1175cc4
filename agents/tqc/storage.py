"""Transitions on the device: how they are laid out, written and sampled. Pure functions for compiled callers."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mvr_agents.tqc.normalise import Normaliser
from mvr_agents.tqc.update import Batch
from mvr_wrappers.sb3.n_step import n_step_returns

Array = jax.Array
Rows = Any  # jax.Array; NumPy's on their way to the device; shapes and dtypes before there are any


class Storage(NamedTuple):
    """R rows of one transition for each of E envs. The reward of a transition is `task_rewards + shaping`.

    Attributes:
        observations: float32 (R, E, D), as the env gave them.
        next_observations: float32 (R, E, D), the final ones where an episode ended.
        actions: float32 (R, E, A), in [-1, 1].
        task_rewards: float32 (R, E).
        shaping: float32 (R, E), the term that was added to the task reward; overwritten when it is relabelled.
        terminated: bool (R, E), the next observation is terminal: nothing follows it.
        ended: bool (R, E), the trajectory ended here: the episode was over, or the env was reset or replaced.
    """

    observations: Rows
    next_observations: Rows
    actions: Rows
    task_rewards: Rows
    shaping: Rows
    terminated: Rows
    ended: Rows


def storage_shapes(rows: int, n_envs: int, observation_dim: int, action_dim: int) -> Storage:
    """Returns the shape and dtype of each array, before any is allocated."""

    def array(*shape: int, dtype: type = np.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((rows, n_envs, *shape), dtype)  # type: ignore[no-untyped-call]

    return Storage(
        observations=array(observation_dim),
        next_observations=array(observation_dim),
        actions=array(action_dim),
        task_rewards=array(),
        shaping=array(),
        terminated=array(dtype=np.bool_),
        ended=array(dtype=np.bool_),
    )


class Staged(NamedTuple):
    """One row that waits to be written, so that the next device call can take it along.

    Attributes:
        row: where it goes.
        observations, next_observations: (E, D).
        actions: (E, A).
        outcomes: float32 (4, E): task rewards, shaping, terminated, ended; one array, so that they cross as one.
    """

    row: Array | np.integer[Any]
    observations: Array
    next_observations: Array
    actions: Array
    outcomes: Rows


def write(storage: Storage, staged: Staged) -> Storage:
    """Returns the storage with one row written; in place where the caller donates it."""
    task_rewards, shaping, terminated, ended = staged.outcomes
    row = Storage(
        observations=staged.observations,
        next_observations=staged.next_observations,
        actions=staged.actions,
        task_rewards=task_rewards,
        shaping=shaping,
        terminated=terminated > 0.0,
        ended=ended > 0.0,
    )
    return Storage._make(array.at[staged.row].set(new) for array, new in zip(storage, row, strict=True))


class Filled(NamedTuple):
    """Which rows hold transitions.

    Attributes:
        rows: number of rows written, from row 0.
        newest: the row written last.
    """

    rows: Array | np.integer[Any] | int
    newest: Array | np.integer[Any] | int


def sample(
    storage: Storage,
    filled: Filled,
    key: Array,
    batch_size: int,
    n_steps: int,
    gamma: Array | float,
    normaliser: Normaliser,
) -> Batch:
    """Draws transitions with replacement, each stored one being equally likely.

    Args:
        storage: R rows of E envs.
        filled: the rows to draw from.
        key: uint32 (2,).
        batch_size: B.
        n_steps: steps whose rewards are summed, fewer where an episode ends or the newest row is met.
        gamma: discount of one step.
        normaliser: applied to observations, and to the reward of each step.
    """
    rows_key, envs_key = jax.random.split(key)
    rows = jax.random.randint(rows_key, (batch_size,), 0, filled.rows)
    envs = jax.random.randint(envs_key, (batch_size,), 0, storage.ended.shape[1])

    def rewards_at(rows: Array, envs: Array) -> Array:
        return normaliser.rewards(storage.task_rewards[rows, envs] + storage.shaping[rows, envs])

    if n_steps == 1:
        rewards, last, discounts = rewards_at(rows, envs), rows, jnp.full((batch_size,), gamma, jnp.float32)
    else:
        rewards, last, discounts = n_step_returns(
            rewards_at, storage.ended, filled.newest, rows, envs, n_steps, gamma, xp=jnp
        )
    return Batch(
        observations=normaliser.observations(storage.observations[rows, envs]),
        actions=storage.actions[rows, envs],
        rewards=rewards,
        next_observations=normaliser.observations(storage.next_observations[last, envs]),
        discounts=jnp.where(storage.terminated[last, envs], 0.0, discounts),
    )


def is_finite(batch: Batch) -> Array:
    """Returns a bool scalar: every number of the batch is finite."""
    return jnp.stack([jnp.isfinite(part).all() for part in batch]).all()
