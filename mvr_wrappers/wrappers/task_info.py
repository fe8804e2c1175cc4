"""TaskInfo: what the task itself paid and whether it was solved, under the names every consumer knows."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from mvr_wrappers.prompts import take_prompt


def add_success(info: dict[str, Any]) -> None:
    """Adds `is_success`, the key of SB3, to the info of a step where the env reports `success`."""
    if "success" in info:
        info.setdefault("is_success", bool(info["success"]))


class TaskInfo(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Tells in `info` what the task paid, `task_reward`, and whether it is solved at this step, `is_success`.

    What the task says under these names itself is left alone. A wrapper that shapes the reward overwrites
    `task_reward` with what it received, so that what stands between the two counts.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Resets the env; `options["prompt"]`, which only shaping reads, is left out."""
        return self.env.reset(seed=seed, options=take_prompt(options)[1])

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Steps the env."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        info.setdefault("task_reward", float(reward))
        add_success(info)
        return observation, reward, terminated, truncated, info
