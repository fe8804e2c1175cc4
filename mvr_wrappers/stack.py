"""The envs of a task, layer by layer: the base env, what it paid (`TaskInfo`), filming; and the engine above them."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypedDict

import gymnasium as gym
import numpy as np

from mvr_wrappers.engine import RewardEngine
from mvr_wrappers.errors import ConfigError, nearest
from mvr_wrappers.families import make_base_env
from mvr_wrappers.filming import CameraRig, FilmedEnv, GetMujoco, StateFn
from mvr_wrappers.registry import get_task
from mvr_wrappers.scorers import Scorer
from mvr_wrappers.settings import ClipSettings, RelevanceSettings, RewardSettings, ScheduleSettings, merge
from mvr_wrappers.task_info import TaskInfo
from mvr_wrappers.task_spec import TaskSpec


class TaskOptions(TypedDict, total=False):
    """Keywords that change a task, everywhere a task is made. Each is over what the task file says.

    Attributes:
        preset: a preset of the task file.
        prompt: one sentence that says what the behaviour looks like.
        scorer: a name that `load_scorer` knows, or a scorer.
        method: how clips become reward.
        weight: w, the weight of the VLM reward.
        rig: a CameraRig, or a mapping for `CameraRig.from_config`.
        clip: ClipSettings, or a mapping of the fields to change.
        relevance: RelevanceSettings, likewise.
        reward: RewardSettings, likewise.
        schedule: ScheduleSettings, likewise.
    """

    preset: str | None
    prompt: str | None
    scorer: str | Scorer | None
    method: str | None
    weight: float | None
    rig: CameraRig | Mapping[str, Any] | None
    clip: ClipSettings | Mapping[str, Any] | None
    relevance: RelevanceSettings | Mapping[str, Any] | None
    reward: RewardSettings | Mapping[str, Any] | None
    schedule: ScheduleSettings | Mapping[str, Any] | None


def read_task(name: str, options: TaskOptions) -> TaskSpec:
    """Returns a registered task with `options` applied, save a scorer given as an object: see `engine_options`.

    Raises:
        ConfigError: an unknown option (the nearest ones are named), or a value that cannot work.
        UnknownNameError: no such task or preset.
    """
    valid = typing.get_type_hints(TaskOptions)
    for key in options:
        if key not in valid:
            near = nearest(key, valid)
            raise ConfigError(f"{key} is not an option of a task. Nearest: {near}. All: {', '.join(sorted(valid))}")
    overrides: dict[str, Any] = dict(options)
    if isinstance(overrides.get("rig"), CameraRig):
        overrides["rig"] = overrides["rig"].to_config()
    if not isinstance(overrides.get("scorer"), str):
        overrides.pop("scorer", None)
    return get_task(name, **overrides)


def engine_options(spec: TaskSpec, options: TaskOptions) -> dict[str, Any]:
    """Returns the arguments of a task's engine, as all wrappers take them."""
    scorer = options.get("scorer")
    return {
        "prompt": spec.prompt,
        "scorer": spec.scorer if scorer is None else scorer,
        "method": spec.method,
        "weight": spec.weight,
        "relevance": spec.relevance,
        "reward": spec.reward,
        "schedule": spec.schedule,
    }


def make_task_env(
    spec: TaskSpec,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
    max_episode_steps: int | None = None,
) -> TaskInfo:
    """Makes a task's own env, unfilmed and unshaped.

    Args:
        spec: the task.
        env_kwargs: arguments of the base env, such as Meta-World's `positions`.
        render_mode: of `render()`, which filming does not use.
        max_episode_steps: time limit, over that of the task.
    """
    given = {"render_mode": render_mode, "max_episode_steps": max_episode_steps, **(env_kwargs or {})}
    return TaskInfo(make_base_env(spec, **{key: value for key, value in given.items() if value is not None}))


def film(
    env: gym.Env[Any, Any],
    *,
    rig: CameraRig | Mapping[str, Any] | None = None,
    clip: ClipSettings | Mapping[str, Any] | None = None,
    state_fn: StateFn | None = None,
    get_mujoco: GetMujoco | None = None,
    seed: int = 0,
    index: int = 0,
) -> FilmedEnv:
    """Puts filming around an env.

    Args:
        env: the env to film, with a MuJoCo simulation.
        rig: the cameras; None takes the rig the model suggests.
        clip: what is filmed.
        state_fn: observation -> state vector (D,); needed unless observations are vectors.
        get_mujoco: env -> (model, data), where `unwrapped` does not have them.
        seed: of the run.
        index: of this env among those of the run; each draws its views from a generator of its own.
    """
    own_seed = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
    return FilmedEnv(env, rig=rig, clip=clip, state_fn=state_fn, get_mujoco=get_mujoco, seed=own_seed)


def make_filmed_env(spec: TaskSpec, index: int, made_with: Mapping[str, Any], filming: Mapping[str, Any]) -> FilmedEnv:
    """Makes one sub-env of a vector: filmed, and shaped elsewhere. Can be pickled into a child, loads no scorer.

    Args:
        spec: the task, `clip.image_size` set.
        index: of this env in the vector.
        made_with: arguments of `make_task_env`.
        filming: arguments of `film`.
    """
    return film(make_task_env(spec, **made_with), rig=spec.rig, clip=spec.clip, index=index, **filming)


def sized(clip: ClipSettings | Mapping[str, Any] | None, engine: RewardEngine) -> ClipSettings:
    """Returns clip settings whose frames have the size the engine's scorer works at, unless they say otherwise."""
    settings = merge(ClipSettings(), clip, "clip")
    if settings.image_size is not None:
        return settings
    return dataclasses.replace(settings, image_size=engine.scorer.image_size)


def json_safe(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns keyword arguments as an env spec can hold them.

    Settings and rigs become mappings, a scorer its name. An engine is left out: an env made from a spec has its own.
    """
    plain: dict[str, Any] = {}
    for key, value in options.items():
        if isinstance(value, CameraRig):
            plain[key] = value.to_config()
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            plain[key] = dataclasses.asdict(value)
        elif isinstance(value, Scorer):
            plain[key] = value.name
        elif not isinstance(value, RewardEngine) and value is not None:
            plain[key] = value
    return plain
