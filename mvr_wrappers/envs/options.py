"""The envs of a task, layer by layer: the base env, what it paid (`TaskInfo`), filming; and the engine above them."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import gymnasium as gym

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.errors import ConfigError, UnknownOptionError, nearest
from mvr_wrappers.filming import CameraRig, FilmedEnv, GetMujoco, StateFn
from mvr_wrappers.scorers import Scorer
from mvr_wrappers.settings import ClipSettings, RelevanceSettings, RewardSettings, ScheduleSettings
from mvr_wrappers.tasks.base_envs import import_module, make_base_env
from mvr_wrappers.tasks.registry import get_task
from mvr_wrappers.tasks.spec import TaskSpec
from mvr_wrappers.wrappers.filmed import film, sized
from mvr_wrappers.wrappers.task_info import TaskInfo

Wrap = Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]


class EnvOptions(TypedDict, total=False):
    """Keywords everywhere an env of a task is made. Those left out, and those that are None, are the task's own.

    Attributes:
        preset: a preset of the task file.
        prompt: one sentence that says what the behaviour looks like.
        scorer: a name that `load_scorer` knows, or a scorer.
        method: how clips become reward.
        weight: w, the weight of the VLM reward.
        baseline_prompt: what is seen whatever the agent does: the scores' regularisation, see `RewardEngine`.
        alpha: strength of that, in [0, 1].
        rig: a CameraRig, or a mapping for `CameraRig.from_config`.
        clip: ClipSettings, or a mapping of the fields to change.
        relevance: RelevanceSettings, likewise.
        reward: RewardSettings, likewise. A word is meant for the base env, as in `env_kwargs`: Meta-World's tasks pay a
            "dense" reward, or a "sparse" one of 1 at success and 0 elsewhere.
        schedule: ScheduleSettings, likewise.
        seed: of everything random in filming and learning (0); envs are seeded by `reset`.
        device: of scorer and learning: "auto" (the default), "cpu", "cuda", "cuda:N".
        mode: "sync" or "async": where the engine works.
        state_fn: observation -> state vector (D,); needed unless observations are vectors.
        get_mujoco: env -> (model, data), where `unwrapped` does not have them.
        env_kwargs: arguments of the base env, such as Meta-World's `positions`.
        render_mode: of `render()`, which filming does not use.
        max_episode_steps: time limit.
    """

    preset: str | None
    prompt: str | None
    scorer: str | Scorer | None
    method: str | None
    weight: float | None
    baseline_prompt: str | None
    alpha: float | None
    rig: CameraRig | Mapping[str, Any] | None
    clip: ClipSettings | Mapping[str, Any] | None
    relevance: RelevanceSettings | Mapping[str, Any] | None
    reward: RewardSettings | Mapping[str, Any] | str | None
    schedule: ScheduleSettings | Mapping[str, Any] | None
    seed: int | None
    device: str | None
    mode: str | None
    state_fn: StateFn | None
    get_mujoco: GetMujoco | None
    env_kwargs: Mapping[str, Any] | None
    render_mode: str | None
    max_episode_steps: int | None


_ENV = ("env_kwargs", "render_mode", "max_episode_steps")
_FILMING = ("seed", "state_fn", "get_mujoco")
_LEARNING = ("prompt", "method", "weight", "baseline_prompt", "alpha", "relevance", "reward", "schedule")
_ENGINE = ("seed", "device", "mode")


@dataclass(frozen=True, slots=True)
class EnvPlan:
    """A task and the keywords it was asked for with, sorted by who needs them.

    Attributes:
        spec: the task, options applied.
        env: arguments of `make_task_env`.
        filming: arguments of `film` besides rig and clip.
        engine: arguments of `RewardEngine`, prompt included.
    """

    spec: TaskSpec
    env: dict[str, Any]
    filming: dict[str, Any]
    engine: dict[str, Any]

    @classmethod
    def read(cls, task: str, options: EnvOptions) -> EnvPlan:
        """Looks a task up and applies options to it.

        Raises:
            UnknownOptionError: an unknown option; the nearest ones are named.
            ConfigError: a value that cannot work.
            UnknownNameError: no such task or preset.
            MissingExtraError: the package that holds the base env is not installed.
        """
        valid = typing.get_type_hints(EnvOptions)
        for key in options:
            if key not in valid:
                near = nearest(key, valid)
                raise UnknownOptionError(  # in Python's words first, because clients look for them
                    f"got an unexpected keyword argument {key!r}: {key} is not an option. Nearest: {near}. "
                    f"All: {', '.join(sorted(valid))}"
                )
        given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
        env, filming, engine = ({key: given[key] for key in part if key in given} for part in (_ENV, _FILMING, _ENGINE))
        overrides = {key: value for key, value in given.items() if key not in (*_ENV, *_FILMING, *_ENGINE)}
        scorer = overrides.pop("scorer", None)
        task_reward = overrides.pop("reward") if isinstance(overrides.get("reward"), str) else None
        if isinstance(overrides.get("rig"), CameraRig):
            overrides["rig"] = overrides["rig"].to_config()
        spec = get_task(task, **overrides, scorer=scorer if isinstance(scorer, str) else None)
        if task_reward is not None:
            env["env_kwargs"] = _with_task_reward(task_reward, env.get("env_kwargs", {}), spec)
        import_module(spec)  # now: it may register the scorer, which is looked for before an env is made
        engine |= {key: getattr(spec, key) for key in _LEARNING}
        engine["scorer"] = spec.scorer if scorer is None else scorer
        return cls(spec, env, filming, engine)

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

    def engines(self) -> EngineGroup:
        """Returns a new engine, of the task's prompt."""
        return EngineGroup([RewardEngine(**self.engine)], closes_with_env=True)

    def make_env(self) -> TaskInfo:
        """Makes the task's own env, unfilmed and unshaped."""
        return make_task_env(self.spec, **self.env)

    def makers(
        self, numbers: Iterable[int], engine: RewardEngine | None, inside: Wrap | None = None
    ) -> list[Callable[[], gym.Env[Any, Any]]]:
        """Returns functions that make the sub-envs of a vector. They pickle into children and load no scorer there.

        Args:
            numbers: of the sub-envs; each draws its views from a generator of its own.
            engine: what they film for; None does not film.
            inside: a wrapper to put around the task's own env, inside filming.
        """
        own = functools.partial(_make_inner_env, self.spec, self.env, inside)
        if engine is None:
            return [own for _ in numbers]
        rig, clip = self.spec.rig, sized(self.spec.clip, engine)
        films = functools.partial(_make_filmed_env, own, rig=rig, clip=clip, **self.filming)
        return [functools.partial(films, number=number) for number in numbers]


def _with_task_reward(word: str, env_kwargs: Mapping[str, Any], spec: TaskSpec) -> dict[str, Any]:
    """Returns the arguments of the base env with `reward=word` among them."""
    if "reward" not in spec.make.kwargs:
        raise ConfigError(
            f"reward is {word!r}, but the base env of {spec.name} has one reward only; words such as 'sparse' are for "
            "Meta-World's tasks. For RewardSettings give a mapping, such as reward={'rule': 'potential'}"
        )
    if env_kwargs.get("reward", word) != word:
        raise ConfigError(f"reward is {word!r}, and env_kwargs says {env_kwargs['reward']!r}; leave one of them out")
    return {**env_kwargs, "reward": word}


def make_task_env(
    spec: TaskSpec,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
    max_episode_steps: int | None = None,
) -> TaskInfo:
    """Makes a task's own env, unfilmed and unshaped; see `EnvOptions` for the arguments."""
    given = {"render_mode": render_mode, "max_episode_steps": max_episode_steps, **(env_kwargs or {})}
    return TaskInfo(make_base_env(spec, **{key: value for key, value in given.items() if value is not None}))


def _make_inner_env(spec: TaskSpec, env: Mapping[str, Any], inside: Wrap | None) -> gym.Env[Any, Any]:
    own = make_task_env(spec, **env)
    return own if inside is None else inside(own)


def _make_filmed_env(make: Callable[[], gym.Env[Any, Any]], **filming: Any) -> FilmedEnv:
    return film(make(), **filming)
