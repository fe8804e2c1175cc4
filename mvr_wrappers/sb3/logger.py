"""RewardLogger: task and shaped returns of an agent of Stable-Baselines3, apart, and what the engine does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import unwrap_vec_wrapper

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.sb3.replay import RelabelReplayBuffer
from mvr_wrappers.sb3.vec_env import MultiViewVLMRewardVecEnv

EPISODE = {
    "task_return": "mvr/task_return",
    "shaped_return": "mvr/shaped_return",
    "vlm_return": "mvr/vlm_return",
    "success": "mvr/success_rate",
}
"""What `info["mvr_episode"]` holds -> under which name its mean is logged."""


NOT_THE_TASKS = frozenset(
    {"task_reward", "vlm_reward", "shaping", "is_success", "mvr_episode", "episode", "prompt"}
    | {"TimeLimit.truncated", "terminal_observation"}
)
"""Keys of `info` that this package, Gymnasium or SB3 adds; all others are the task's own."""


def task_info_means(infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Returns what the task says of a step besides its reward: key -> mean over the sub-envs that give a number.

    Args:
        infos: of N sub-envs. Of what is not this package's, Gymnasium's or SB3's, numbers and truth values count;
            text, arrays, infinity and NaN do not.
    """
    values: dict[str, list[float]] = {}
    for info in infos:
        for key, value in info.items():
            if key not in NOT_THE_TASKS and isinstance(value, int | float | np.number | np.bool_):
                values.setdefault(key, []).append(float(value))
    finite = {key: [value for value in found if math.isfinite(value)] for key, found in values.items()}
    return {key: sum(found) / len(found) for key, found in finite.items() if found}


class RewardLogger(BaseCallback):
    """Logs means over the episodes and steps between two dumps of SB3's logger, and the engine's metrics.

    Logged are `mvr/task_return`, `mvr/shaped_return`, `mvr/vlm_return` and `mvr/success_rate` (episodes with success at
    any step) over episodes, `mvr/mean_vlm_reward` over steps, and `engine/...`, see `RewardEngine.metrics`; where there
    are several engines, their means. What the env says of each step by itself, such as Meta-World's `near_object` and
    `grasp_reward`, HumanoidBench's `stand_reward` or Gymnasium's `reward_forward`, is logged as `task_info/<key>`, a
    mean over steps.

    Where the agent has a `RelabelReplayBuffer` without an engine, it gets that of the env; and an engine among the
    agent's `replay_buffer_kwargs` is taken out of there, because `save` would pickle it. (`mvr_agents.TQC` does both by
    itself.)
    """

    engine: RewardEngine | EngineGroup | None = None

    def _init_callback(self) -> None:
        venv = unwrap_vec_wrapper(self.training_env, MultiViewVLMRewardVecEnv)
        if venv is not None:
            self.engine = venv.engines if len(venv.engines) > 1 else venv.engine
        if isinstance(self.model, OffPolicyAlgorithm) and isinstance(self.model.replay_buffer, RelabelReplayBuffer):
            if self.model.replay_buffer.engine is None and self.engine is not None:
                self.model.replay_buffer.set_engine(self.engine)
            kwargs: dict[str, Any] = self.model.replay_buffer_kwargs
            self.model.replay_buffer_kwargs = {key: value for key, value in kwargs.items() if key != "engine"}

    def _on_step(self) -> bool:
        infos: list[dict[str, Any]] = self.locals["infos"]
        rewards = [info["vlm_reward"] for info in infos if "vlm_reward" in info]
        if rewards:
            self.logger.record_mean("mvr/mean_vlm_reward", float(np.mean(rewards)))
        for key, value in task_info_means(infos).items():
            self.logger.record_mean(f"task_info/{key}", value)
        for info in infos:
            for name, value in info.get("mvr_episode", {}).items():
                if name in EPISODE:
                    self.logger.record_mean(EPISODE[name], float(value))
        return True

    def _on_rollout_end(self) -> None:
        metrics = {} if self.engine is None else self.engine.metrics()
        for name, value in metrics.items():
            if not math.isnan(value):
                self.logger.record(f"engine/{name}", value)
