"""A brax-style env in plain JAX: the ball of `TinyEnv` in N worlds that reset themselves after some steps."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import mujoco
from flax import struct

from tests.support.tiny_env import XML


@struct.dataclass
class Data:
    qpos: Any
    qvel: Any
    mocap_pos: Any
    mocap_quat: Any


@struct.dataclass
class State:
    data: Any
    obs: Any
    reward: Any
    done: Any
    info: dict[str, Any]


class SlidingWorlds:
    """Observation: position and velocity of the ball (N, 4). Reward: minus the distance to the red pillar."""

    observation_size, action_size = 4, 2

    def __init__(self, steps: int = 12) -> None:
        self.mj_model, self.steps = mujoco.MjModel.from_xml_string(XML), steps

    def reset(self, rng: Any) -> State:
        place = jax.vmap(lambda key: jax.random.uniform(key, (2,), minval=-0.5, maxval=0.5))(rng)
        zeros = jnp.zeros(len(place))
        return self._state(place, jnp.zeros_like(place), zeros, {"age": zeros, "begin": place})

    def step(self, state: State, action: Any) -> State:
        speed = state.data.qvel + 0.08 * action
        place, age = state.data.qpos + 0.02 * speed, state.info["age"] + 1
        done = age >= self.steps
        place = jnp.where(done[:, None], state.info["begin"], place)
        speed = jnp.where(done[:, None], 0.0, speed)
        return self._state(place, speed, done.astype(jnp.float32), {**state.info, "age": jnp.where(done, 0.0, age)})

    def _state(self, place: Any, speed: Any, done: Any, info: dict[str, Any]) -> State:
        mocap = jnp.zeros((len(place), 0, 3)), jnp.zeros((len(place), 0, 4))
        reward = -jnp.linalg.norm(place - jnp.array([1.0, 0.0]), axis=1)
        return State(Data(place, speed, *mocap), jnp.concatenate([place, speed], 1), reward, done, info)
