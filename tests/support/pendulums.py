"""A VecEnv that needs no rendering."""

from __future__ import annotations

import gymnasium as gym
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv


def pendulums() -> VecEnv:
    return make_vec_env(lambda: gym.make("Pendulum-v1"), n_envs=2, seed=0)
