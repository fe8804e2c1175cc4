"""EvalEnvs: the envs of a run's evaluations."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.tasks.registry import TaskSpec


class EvalEnvs:
    """A task's own envs, as many as its agent is evaluated in, each made when it is first asked for.

    Where an env keeps what it draws once, as Meta-World's do with `positions: fixed`, each has a draw of its own.

    Args:
        spec: the task; `eval_envs` of its agent says how many, None as many as train, but not more than there are
            episodes.
    """

    def __init__(self, spec: TaskSpec) -> None:
        settings = spec.agent
        count = settings["eval_envs"] or min(settings["n_envs"], settings["eval_episodes"])
        self._spec = spec
        self._envs: list[gym.Env[Any, Any] | None] = [None] * count

    def __len__(self) -> int:
        return len(self._envs)

    def __getitem__(self, index: int) -> gym.Env[Any, Any]:
        env = self._envs[index]
        if env is None:
            env = self._envs[index] = make_task_env(self._spec)
        return env

    def close(self) -> None:
        """Closes those that were made."""
        for env in self._envs:
            if env is not None:
                env.close()
