"""A task's own env: unfilmed, unshaped, with what it paid in `info`."""

from __future__ import annotations

from typing import Any

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.tasks.base_envs import make_base_env
from mvr_wrappers.tasks.spec import TaskSpec
from mvr_wrappers.wrappers.task_info import TaskInfo


def make_task_env(spec: TaskSpec, *, render_mode: str | None = None, max_episode_steps: int | None = None) -> TaskInfo:
    """Makes a task's own env, unfilmed and unshaped.

    Args:
        spec: the task.
        render_mode: of `render()`, which filming does not use.
        max_episode_steps: time limit; None is the task's own.

    Raises:
        ConfigError: `task_reward` is given and the base env pays one reward only, or `env_kwargs` says otherwise; or
            the env does not take these arguments.
        MissingExtraError: the package that holds the env is not installed.
    """
    given = {"render_mode": render_mode, "max_episode_steps": max_episode_steps, **spec.env_kwargs, **_reward(spec)}
    return TaskInfo(make_base_env(spec, **{name: value for name, value in given.items() if value is not None}))


def _reward(spec: TaskSpec) -> dict[str, Any]:
    """Returns the argument of the base env that chooses its reward, if the task says one."""
    if spec.task_reward is None:
        return {}
    if "reward" not in spec.make.kwargs:
        raise ConfigError(
            f"task_reward is {spec.task_reward!r}, but the base env of {spec.name} pays one reward only; words such as "
            "'sparse' are for Meta-World's tasks"
        )
    said = spec.env_kwargs.get("reward", spec.task_reward)
    if said != spec.task_reward:
        raise ConfigError(f"task_reward is {spec.task_reward!r}, and env_kwargs says {said!r}; leave one of them out")
    return {"reward": spec.task_reward}
