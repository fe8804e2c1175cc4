"""Relabelling on the device: the shaping of all stored transitions under a new snapshot, in one compiled pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper

from mvr_agents.tqc.storage import Storage
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.mjx import snapshots as _snapshots  # noqa: F401 - makes them arguments of compiled functions
from mvr_wrappers.snapshot import RewardSnapshot

Array = jax.Array

STATES_AT_ONCE = {"cpu": 1_024, "gpu": 65_536}
"""Platform -> states evaluated at a time: a CPU keeps their activations in its cache, a GPU wants many."""

StateFn = Callable[[Array], Array]
"""One observation -> state vector (S,), in operations of jax.numpy."""


@partial(jax.jit, static_argnames=("state_fn", "observation_shape", "states_at_once"), donate_argnames="shaping")
def relabel(
    snapshot: RewardSnapshot,
    storage: Storage,
    shaping: Array,
    rows: Array | int,
    chosen: Array | None,
    state_fn: StateFn | None,
    observation_shape: tuple[int, ...],
    states_at_once: int,
) -> Array:
    """Computes the shaping of the stored transitions; see `RewardSnapshot.shape`.

    Args:
        snapshot: the reward.
        storage: R rows of E envs, without its shaping.
        shaping: float32 (R, E), overwritten in place.
        rows: that hold transitions, from row 0.
        chosen: bool (R, E), which of them are computed, the others stay as they are; None: all.
        state_fn: gives what relevance is learned on; None: the observations themselves.
        observation_shape: of one observation, as `state_fn` takes it.
        states_at_once: bounds the memory of the activations.

    Returns:
        float32 (R, E).
    """
    capacity, n_envs, _ = storage.observations.shape
    chunk = min(capacity, max(states_at_once // n_envs, 1))

    def read(observations: Array) -> Array:
        if state_fn is None:
            return observations.reshape(chunk * n_envs, -1)
        states: Array = jax.vmap(state_fn)(observations.reshape(chunk * n_envs, *observation_shape))
        return states

    def overwrite(i: Array, shaping: Array) -> Array:
        # The last chunk is moved back to end where the storage does; what it meets again becomes what it was.
        start = jnp.minimum(i * chunk, capacity - chunk)
        take = partial(jax.lax.dynamic_slice_in_dim, start_index=start, slice_size=chunk)
        states, following = (read(take(part)) for part in (storage.observations, storage.next_observations))
        new = snapshot.shape(states, following, take(storage.terminated).ravel(), xp=jnp).reshape(chunk, n_envs)
        new = jnp.where(start + jnp.arange(chunk)[:, None] < rows, new, 0.0)
        if chosen is not None:
            new = jnp.where(take(chosen), new, take(shaping))
        return jax.lax.dynamic_update_slice(shaping, new, (start, 0))

    with jax.default_matmul_precision("float32"):  # as exact as at the step that it replaces
        shaping = jax.lax.fori_loop(0, -(-rows // chunk), overwrite, shaping)
    return shaping


def engine_of(env: VecEnv | None) -> RewardEngine | EngineGroup | None:
    """Returns what shapes the rewards of `env`: all engines of a VecEnv, or the one that its sub-envs share.

    None where there is no engine, or one a sub-env.
    """
    while isinstance(env, VecEnvWrapper):
        engines = vars(env).get("engines")
        if isinstance(engines, EngineGroup):
            return engines
        env = env.venv
    if not isinstance(env, DummyVecEnv):
        return None
    engines = [sub_env.get_wrapper_attr("engine") for sub_env in env.envs if sub_env.has_wrapper_attr("engine")]
    shared = [engine for engine in engines if isinstance(engine, RewardEngine) and engine is engines[0]]
    return shared[0] if len(shared) == env.num_envs else None
