"""EnvPlan: a task and the options it was asked for with; makes its envs and its engines."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from mvr_wrappers.engine import EngineGroup, RewardEngine
from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.filming import FilmedEnv
from mvr_wrappers.options import EngineSettings, EnvOptions, check_names, split, values_of
from mvr_wrappers.tasks.base_envs import import_module
from mvr_wrappers.tasks.registry import get_task
from mvr_wrappers.tasks.spec import TaskSpec
from mvr_wrappers.wrappers.filmed import film, sized
from mvr_wrappers.wrappers.routing import engine_group
from mvr_wrappers.wrappers.task_info import TaskInfo

Wrap = Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]

_OF_ENV = ("render_mode", "max_episode_steps")


@dataclass(frozen=True, slots=True)
class EnvPlan:
    """A task with options applied, and what is needed to make its envs.

    Attributes:
        spec: the task.
        objects: options given as objects: a scorer, `state_fn`, `get_mujoco`.
        env: arguments of `make_task_env`.
        given: the options that were given.
    """

    spec: TaskSpec
    objects: dict[str, Any]
    env: dict[str, Any]
    given: EnvOptions

    @classmethod
    def read(cls, task: str, options: EnvOptions) -> EnvPlan:
        """Looks a task up and applies options to it.

        Raises:
            UnknownOptionError: an unknown option; the nearest ones are named.
            ConfigError: an option with a value that cannot work.
            UnknownNameError: no such task or preset.
            MissingExtraError: the package that registers the base env is not installed.
        """
        check_names(options, EnvOptions.__annotations__, f"MVR/{task}")
        plain, objects = split(options)
        env = {name: plain.pop(name) for name in _OF_ENV if name in plain}
        spec = get_task(task, **plain)
        import_module(spec)  # now: it may register the scorer, which is looked for before an env is made
        return cls(spec, objects, env, options)

    @property
    def engine(self) -> dict[str, Any]:
        """Arguments of `RewardEngine`, prompt included."""
        scorer = {"scorer": self.objects["scorer"]} if "scorer" in self.objects else {}
        return values_of(EngineSettings, self.spec) | scorer

    @property
    def filming(self) -> dict[str, Any]:
        """Arguments of `film` besides the clip."""
        functions = {name: self.objects.get(name, getattr(self.spec, name)) for name in ("state_fn", "get_mujoco")}
        return {"rig": self.spec.rig, "seed": self.spec.seed, **functions}

    @property
    def state_fn(self) -> Any:
        """What makes a state vector of an observation, None where observations are vectors."""
        return self.filming["state_fn"]

    def count(self, asked: int) -> int:
        """Returns the number of sub-envs of a vector, `asked`.

        Raises:
            ConfigError: less than 1.
        """
        if asked < 1:
            raise ConfigError(f"{asked} sub-envs were asked for; give at least 1")
        return asked

    def prompts(self, count: int) -> list[str]:
        """Returns the own prompt of each of `count` sub-envs."""
        return [self.spec.prompt] * count

    def engines(self, engine: RewardEngine | EngineGroup | None = None) -> EngineGroup:
        """Returns a new engine, of the task's prompt; or the one given, which is the caller's.

        Raises:
            ConfigError: options of learning were given beside `engine`, which it would ignore.
        """
        if engine is not None:
            return engine_group(engine, self.given.get("prompt"), self.given)
        return EngineGroup([RewardEngine(**self.engine)], closes_with_env=True)

    def make_env(self) -> TaskInfo:
        """Makes the task's own env, unfilmed and unshaped."""
        return make_task_env(self.spec, **self.env)

    def makers(
        self, count: int, engine: RewardEngine | None, inside: Wrap | None = None
    ) -> list[Callable[[], gym.Env[Any, Any]]]:
        """Returns functions that make the sub-envs of a vector. They pickle into children and load no scorer there.

        Args:
            count: of sub-envs.
            engine: what they film for; None does not film.
            inside: a wrapper to put around the task's own env, inside filming.
        """
        own = functools.partial(_make_inner_env, self.spec, self.env, inside)
        if engine is None:
            return [own] * count
        films = functools.partial(_make_filmed_env, own, clip=sized(self.spec.clip, engine), **self.filming)
        return [films] * count


def _make_inner_env(spec: TaskSpec, env: Mapping[str, Any], inside: Wrap | None) -> gym.Env[Any, Any]:
    own = make_task_env(spec, **env)
    return own if inside is None else inside(own)


def _make_filmed_env(make: Callable[[], gym.Env[Any, Any]], **filming: Any) -> FilmedEnv:
    return film(make(), **filming)
