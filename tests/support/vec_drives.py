"""VecEnvs of Stable-Baselines3 that are shaped, driven for some steps, and what replay buffers make of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from mvr_wrappers.sb3 import MultiViewVLMRewardVecEnv
from tests.support.fake_scorer import FakeScorer
from tests.support.tiny_task import RELEVANCE, SCHEDULE, filmed

LASTS = (9, 12, 17)  # steps of an episode of each sub-env: ends fall apart, and together now and then


def small_agent() -> dict[str, Any]:
    """Returns arguments of a small off-policy agent of SB3: new ones, for SB3 writes into `policy_kwargs`."""
    small = {"learning_starts": 20, "batch_size": 8, "buffer_size": 500, "device": "cpu"}
    return small | {"policy_kwargs": {"net_arch": [8]}}


def shaped(engine: Any = None, truncates: bool = False, lasts: Any = LASTS, **options: Any) -> MultiViewVLMRewardVecEnv:
    venv = DummyVecEnv([partial(filmed, last, truncates) for last in lasts])
    if engine is not None:
        return MultiViewVLMRewardVecEnv(venv, engine=engine, **options)
    given: dict[str, Any] = {"scorer": FakeScorer(), "relevance": RELEVANCE, "schedule": SCHEDULE} | options
    return MultiViewVLMRewardVecEnv(venv, "a red ball", **given)


def actions_of(steps: int, n_envs: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (steps, n_envs, 2)).astype(np.float32)


def drive(venv: VecEnv, steps: int, seed: int = 0) -> tuple[list[Any], list[Any]]:
    """Returns the observations before each step, and the steps."""
    venv.seed(seed)
    observations, before, taken = venv.reset(), [], []
    for actions in actions_of(steps, venv.num_envs):
        before.append(observations)
        taken.append(venv.step(actions))
        observations = taken[-1][0]
    return before, taken


def fill(buffers: Sequence[ReplayBuffer], venv: VecEnv, steps: int) -> list[Any]:
    """Adds the transitions of one drive to all buffers, and returns its steps."""
    before, taken = drive(venv, steps)
    actions = actions_of(steps, venv.num_envs)
    for observations, action, (after, rewards, dones, infos) in zip(before, actions, taken, strict=True):
        last = np.array([info.get("terminal_observation", row) for info, row in zip(infos, after, strict=True)])
        for buffer in buffers:
            buffer.add(observations, last, action, rewards, dones, infos)
    return taken
