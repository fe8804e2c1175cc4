"""Several tasks in one vector env, as in Meta-World's MT10 and MT50: one engine a prompt, one scorer for all."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.envs.plan import EnvPlan
from mvr_wrappers.errors import ConfigError, EnvError, MissingExtraError
from mvr_wrappers.options import EnvOptions
from mvr_wrappers.tasks.registry import BENCHMARKS


def read_plan(task: str | Sequence[str], options: EnvOptions, use_one_hot: bool = False) -> EnvPlan | MultitaskPlan:
    """Looks up a task, several, or a benchmark by its name, and applies options to each.

    Raises:
        ConfigError: an unknown option, a value that cannot work, no task, or `use_one_hot` for a single task.
        UnknownNameError: no such task or preset.
        MissingExtraError: Meta-World, which knows the tasks of its benchmarks, is not installed.
    """
    if isinstance(task, str) and benchmark(task) is not None:
        task = benchmark_tasks(task)
    if not isinstance(task, str):
        return MultitaskPlan.read(task, options, use_one_hot)
    if use_one_hot:
        raise ConfigError(f"use_one_hot tells several tasks apart, and there is one, {task!r}; leave it out")
    return EnvPlan.read(task, options)


def benchmark(name: str) -> str | None:
    """Returns "MT10", "MT25" or "MT50" where the name, with or without `MVR/`, means one of them."""
    short = name.removeprefix("mvr_wrappers:").removeprefix("MVR/")
    return short if short in BENCHMARKS else None


def benchmark_tasks(name: str) -> tuple[str, ...]:
    """Returns the tasks of a benchmark in Meta-World's order.

    Raises:
        MissingExtraError: Meta-World is not installed.
    """
    try:
        known = importlib.import_module("metaworld.env_dict")
    except ModuleNotFoundError as error:
        raise MissingExtraError("metaworld", "metaworld", f"the benchmark {name}") from error
    return tuple(getattr(known, f"{benchmark(name)}_V3"))


@dataclass(frozen=True, slots=True)
class MultitaskPlan:
    """What `EnvPlan` is for one task, for several: sub-env i plays task i, and so on from the beginning.

    Attributes:
        plans: of the tasks.
        use_one_hot: whether observations end with the task's number as a one-hot vector.
    """

    plans: tuple[EnvPlan, ...]
    use_one_hot: bool

    @classmethod
    def read(cls, tasks: Sequence[str], options: EnvOptions, use_one_hot: bool) -> MultitaskPlan:
        """Looks the tasks up and applies the options to each; see `read_plan` for the errors."""
        if not tasks or not all(isinstance(task, str) for task in tasks):
            raise ConfigError(f"tasks is {tasks!r}; give the names of at least one task")
        return cls(tuple(EnvPlan.read(task, options) for task in tasks), use_one_hot)

    def count(self, asked: int) -> int:
        """Returns the number of sub-envs meant by `asked`: 1, the default of all who make vectors, is one a task.

        Raises:
            ConfigError: not a multiple of the tasks.
        """
        tasks = len(self.plans)
        if asked == 1:
            return tasks
        if asked < 1 or asked % tasks:
            raise ConfigError(f"{asked} sub-envs cannot play {tasks} tasks evenly; give {tasks}, {2 * tasks}, ...")
        return asked

    def prompts(self, count: int) -> list[str]:
        """Returns the own prompt of each of `count` sub-envs."""
        return [self.plans[i % len(self.plans)].spec.prompt for i in range(count)]

    @property
    def state_fn(self) -> Any:
        """What makes a state vector of an observation, None where observations are vectors."""
        return self.plans[0].state_fn

    def engines(self, engine: RewardEngine | EngineGroup | None = None) -> EngineGroup:
        """Returns a new engine for each prompt, with the settings of the first task that has it; or those given.

        Raises:
            ConfigError: options of learning were given beside `engine`, which it would ignore.
        """
        if engine is not None:
            return self.plans[0].engines(engine)
        plans = {plan.spec.prompt: plan for plan in reversed(self.plans)}
        prompts = dict.fromkeys(self.prompts(len(self.plans)))
        return EngineGroup([RewardEngine(**plans[prompt].engine) for prompt in prompts], closes_with_env=True)

    def makers(self, count: int, engine: RewardEngine | None) -> list[Callable[[], gym.Env[Any, Any]]]:
        """Returns functions that make the sub-envs, see `EnvPlan.makers`."""
        tasks = len(self.plans)
        makers = []
        for i in range(count):
            among = functools.partial(TaskAmongOthers, task=i % tasks, tasks=tasks, use_one_hot=self.use_one_hot)
            makers += self.plans[i % tasks].makers(1, engine, among)
        return makers


class TaskAmongOthers(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """Gives a task the observation space that it shares with the others of a vector.

    The bounds of vectors are lifted, because those of the goal differ from task to task in Meta-World, and the task's
    number may follow as a one-hot vector.

    Args:
        env: the task's own env.
        task: its number, from 0.
        tasks: how many there are.
        use_one_hot: append the number.

    Raises:
        EnvError: `use_one_hot`, and observations are no vectors.
    """

    def __init__(self, env: gym.Env[Any, Any], *, task: int, tasks: int, use_one_hot: bool) -> None:
        RecordConstructorArgs.__init__(self, task=task, tasks=tasks, use_one_hot=use_one_hot)
        gym.ObservationWrapper.__init__(self, env)
        self._code = np.eye(tasks)[task] if use_one_hot else np.zeros(0)
        space = env.observation_space
        if isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating):
            none, number = np.full(space.shape, np.inf), np.ones(len(self._code))
            low, high = np.concatenate([-none, 0 * number]), np.concatenate([none, number])
            self.observation_space = gym.spaces.Box(low, high, dtype=space.dtype.type)
        elif use_one_hot:
            raise EnvError(f"observations in {space} are no vectors that a one-hot vector could follow; leave it out")

    def observation(self, observation: Any) -> NDArray[Any]:
        """Returns the observation, the one-hot vector after it if it is asked for."""
        if not len(self._code):
            return observation  # type: ignore[no-any-return]
        return np.concatenate([observation, self._code]).astype(observation.dtype)


def require_one_space(spaces: Sequence[gym.Space[Any]], what: str) -> None:
    """Checks that the sub-envs of a vector have one space.

    Raises:
        ConfigError: they differ.
    """
    for i, space in enumerate(spaces):
        if space != spaces[0]:
            raise ConfigError(
                f"tasks of one vector need one {what} space: sub-env 0 has {spaces[0]}, sub-env {i} has {space}"
            )
