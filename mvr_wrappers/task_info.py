"""TaskInfo: what the task itself paid and whether it was solved, under the names every consumer knows."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs


class TaskInfo(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds to `info` the `task_reward` and, where the env reports `success`, `is_success` (the key of SB3).

    `is_success` is that of the step, as Meta-World reports it. An `is_success` of the env's own is left alone.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Steps the env."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        info["task_reward"] = float(reward)
        if "success" in info:
            info.setdefault("is_success", bool(info["success"]))
        return observation, reward, terminated, truncated, info
