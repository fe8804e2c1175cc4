"""Wrappers that change rewards, below and above ours, and agents whose replay buffers meet them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.sb3 import make_vec_env
from tests.support.tiny_task import learned_engine

BOUND = 0.8  # of clipped rewards; those of the tiny env reach from about -2 to 0


class Tenfold(gym.RewardWrapper[Any, Any]):
    def reward(self, reward: Any) -> float:
        return 10.0 * float(reward)


class ClippedVecEnv(VecEnvWrapper):
    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        observations, rewards, dones, infos = self.venv.step_wait()
        return observations, np.clip(rewards, -BOUND, BOUND), dones, infos


def tiny_rewards(after: np.ndarray) -> np.ndarray:
    """The reward of the tiny env for steps that led to `after` (..., 4): minus the distance to the red pillar."""
    distances: np.ndarray = np.hypot(after[..., 0] - 1, after[..., 1])
    return -distances


BELOW: dict[str, dict[str, Any]] = {"nothing below": {}, "tenfold below": {"wrapper_class": Tenfold}}
ABOVE: dict[str, Callable[[VecEnv], VecEnv]] = {
    "nothing above": lambda venv: venv,
    "VecNormalize above": lambda venv: VecNormalize(venv, norm_obs=False),
    "clipped above": ClippedVecEnv,
}


def check_stored(
    make_agent: Callable[[VecEnv, RewardEngine], Any],
    read: Callable[[Any], tuple[np.ndarray, ...]],
    below: str,
    above: str,
) -> None:
    """Checks that an agent's buffer holds what our wrapper received and added, and that it says what it leaves out.

    Args:
        make_agent: returns an agent for a VecEnv, whose buffer follows the engine.
        read: returns observations, next observations, task rewards and shaping that the agent's buffer has stored.
        below: key of `BELOW`.
        above: key of `ABOVE`.
    """
    engine = learned_engine()
    agent = make_agent(ABOVE[above](make_vec_env("MVR/tiny", 2, seed=0, engine=engine, **BELOW[below])), engine)
    if above == "clipped above":
        with pytest.warns(UserWarning, match="outside the one that shapes changes rewards") as caught:
            agent.learn(90)
        assert len(caught) == 1
    else:
        agent.learn(90)
    observations, after, task_rewards, shaping = (part.reshape(90, -1).squeeze() for part in read(agent))
    np.testing.assert_allclose(task_rewards, tiny_rewards(after) * (10 if BELOW[below] else 1), rtol=1e-5)
    np.testing.assert_allclose(shaping, engine.shape(observations), rtol=1e-4, atol=1e-5)
    assert np.ptp(shaping) > 0.1
