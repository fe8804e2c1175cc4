"""What shapes the rewards of a VecEnv: wrappers of this package, and the engines behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, unwrap_vec_wrapper

from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.sb3 import MultiViewVLMRewardVecEnv
from mvr_wrappers.wrappers.shaped import ShapedByEngines
from mvr_wrappers.wrappers.single import MultiViewVLMRewardWrapper


def shapers_of(env: VecEnv) -> Sequence[ShapedByEngines]:
    """Returns the wrapper that shapes a VecEnv, or those of its sub-envs in this process; none where there are none."""
    around = unwrap_vec_wrapper(env, MultiViewVLMRewardVecEnv)
    if around is not None:
        return [around]
    sub_envs = env.unwrapped.envs if isinstance(env.unwrapped, DummyVecEnv) else []
    return [wrapper for wrapper in map(_shaper_in, sub_envs) if wrapper is not None]


def engine_groups(env: VecEnv) -> list[EngineGroup]:
    """Returns the engines of `shapers_of(env)`, those that several share once."""
    groups = {id(shaper.engines.first): shaper.engines for shaper in shapers_of(env)}
    return list(groups.values())


def _shaper_in(env: gym.Env[Any, Any]) -> MultiViewVLMRewardWrapper | None:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, MultiViewVLMRewardWrapper):
            return env
        env = env.env
    return None
