from __future__ import annotations

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from mvr_wrappers.errors import EnvError
from mvr_wrappers.filming import CameraRig, Renderer, film_episode
from tests.support.tiny_env import TinyEnv

RIG = CameraRig.ring((0, 90, 180, 270), distance=4.0, elevation=-10, lookat=(0, 0, 0.5))


def policy(observation: Any) -> Any:
    return -observation[:2].astype(np.float32)


def test_a_whole_episode_on_film() -> None:
    env = TinyEnv(12)
    film = film_episode(env, policy, RIG, size=(24, 32), every=5, seed=4)
    assert film.frames.shape == (4, 4, 24, 32, 3) and film.frames.dtype == np.uint8
    np.testing.assert_array_equal(film.times, [0, 5, 10, 12])
    observation, _ = env.reset(seed=4)
    states, rewards, infos = [observation], [], []
    for _ in range(12):
        observation, reward, _, _, info = env.step(policy(observation))
        states.append(observation)
        rewards.append(reward)
        infos.append(info)
    np.testing.assert_array_equal(film.states, np.array(states, np.float32))
    np.testing.assert_array_equal(film.rewards, rewards)
    assert film.infos == infos
    with Renderer(env.model, (24, 32), "full") as renderer:
        mujoco.mj_forward(env.model, env.data)
        np.testing.assert_array_equal(film.frames[2, -1], renderer.render(env.data, RIG.views[2]))


def test_every_state_is_shown_unless_told_otherwise() -> None:
    film = film_episode(TinyEnv(3), policy, {"kind": "named", "names": ["track"]}, size=8, quality="fast", seed=0)
    assert film.frames.shape == (1, 4, 8, 8, 3)
    assert film_episode(TinyEnv(3), policy, size=8, quality="fast", seed=0).frames.shape == (4, 4, 8, 8, 3)


def test_an_env_without_a_simulation_is_refused() -> None:
    with pytest.raises(EnvError, match="get_mujoco="):
        film_episode(gym.make("CartPole-v1"), lambda _: 0)
