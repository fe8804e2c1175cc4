"""CartpoleBalance of MuJoCo Playground: shaped, filmed and learned from on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mvr_wrappers.mjx import ShapedWorlds
from tests.support.red_engine import make_engine

pytest.importorskip("mujoco_playground", reason="needs the extra playground, which has a venv of its own")
pytestmark = pytest.mark.filterwarnings("default")  # of its packages

N, T = 8, 24


def test_cartpole_is_shaped_from_its_films() -> None:
    import jax
    from mujoco_playground import registry, wrapper

    env: Any = registry.load("CartpoleBalance", config_overrides={"impl": "jax"})
    batched = wrapper.wrap_for_brax_training(env, episode_length=16)
    clip = {"length": 8, "stride": 4, "frames": 4, "film_every": 1, "image_size": 32}
    with make_engine(schedule={"score_every": N * T, "update_every": N * T}) as engine:
        worlds = ShapedWorlds(batched, engine, film=2, clip=clip)

        traces = []

        @jax.jit
        def chunk(state: Any) -> Any:
            traces.append(1)

            def step(state: Any, key: Any) -> Any:
                state = worlds.step(state, jax.random.uniform(key, (N, env.action_size), minval=-1.0))
                return state, (worlds.record(state), state.reward, state.info["task_reward"])

            return jax.lax.scan(step, state, jax.random.split(jax.random.key(1), T))

        state = jax.jit(worlds.reset)(jax.random.split(jax.random.PRNGKey(0), N))
        state, (records, rewards, task_rewards) = chunk(state)
        np.testing.assert_array_equal(rewards, task_rewards)
        assert np.asarray(records.first).sum() == 2
        state = worlds.advance(state, records)
        assert engine.version >= 1
        _, (_, rewards, task_rewards) = chunk(state)
        assert np.abs(np.asarray(rewards) - np.asarray(task_rewards)).max() > 1e-4
        assert len(traces) == 1
        worlds.close()
