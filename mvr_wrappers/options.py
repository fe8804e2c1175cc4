"""Every option, declared and documented once.

`EngineSettings` and `TaskSettings` hold an option's name, type, default and description; `LearningOptions` and the
classes below it say, for type checkers, what may be given for it as a keyword. The engine, the wrappers,
`gymnasium.make`, `make_vec_env`, task files and `mvr train` take their options and the descriptions of these from here.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, TypeVar, cast

import numpy as np
from pydantic import AfterValidator, Field

from mvr_wrappers.errors import ConfigError, UnknownOptionError, nearest
from mvr_wrappers.parsing import Bool, Float, Natural, StrictFields, parse
from mvr_wrappers.prompts import checked_prompt
from mvr_wrappers.rigs import CameraRig
from mvr_wrappers.settings import (
    ClipSettings,
    Method,
    RelevanceSettings,
    RewardSettings,
    ScheduleSettings,
    checked_weight,
)

if TYPE_CHECKING:
    from mvr_wrappers.filming import GetMujoco, StateFn
    from mvr_wrappers.scorers import Scorer

Prompt = Annotated[str, AfterValidator(checked_prompt)]


def _known_rig(rig: dict[str, Any]) -> dict[str, Any]:
    CameraRig.from_config(rig)  # so that a mistake is found where it stands, before an env is made
    return rig


Rig = Annotated[dict[str, Any], AfterValidator(_known_rig)]
FunctionName = Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")]

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerSettings(StrictFields):
    """How a scorer is loaded: options of `load_scorer`. At its default an option leaves the choice to the scorer.

    Attributes:
        weights: local file or folder of the scorer's weights; None takes its own, from the package or the model hub,
            ViCLIP's from the folder that the environment variable MVR_VICLIP_DIR names, where it is set.
        dtype: precision of the scorer: "float32", "bfloat16", or "auto": bfloat16 where that is faster.
        pooling: how a scorer of single images makes one embedding of a clip: "mean" or "frames"; None is its default.
        compile: fuse the scorer's video tower with `torch.compile`.
        vocabulary: ViCLIP's file bpe_simple_vocab_16e6.txt.gz, or its folder; None looks beside the weights, then in
            the folder that MVR_VICLIP_DIR names, then on the model hub.
    """

    weights: str | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    pooling: Literal["mean", "frames"] | None = None
    compile: Bool = False
    vocabulary: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings(ScorerSettings):
    """What a `RewardEngine` is made of.

    Attributes:
        prompt: one sentence that says what the behaviour looks like.
        scorer: the video-language model that scores clips: a name that `load_scorer` knows; in Python also a scorer.
        baseline_prompt: what is seen whatever the agent does, such as "a humanoid robot": scores then leave out part of
            what does not lie between it and the prompt (`mvr_wrappers.scorers.goal.goal_baseline`); None leaves out
            nothing.
        alpha: strength of that, in [0, 1].
        method: how clips become reward; "mvr" (arXiv 2603.01694).
        weight: w, the weight of the VLM reward.
        relevance: how state relevance is learned: `RelevanceSettings`, or a mapping of the fields to change.
        reward: how relevance becomes reward: `RewardSettings`, or a mapping of the fields to change. With the rule
            "potential" give it the discount of your agent, {"rule": "potential", "gamma": G}: with another one the
            optimal policy is no longer the task's. `mvr train` does that by itself.
        schedule: when clips are scored and relevance is updated: `ScheduleSettings`, or a mapping of the fields to
            change. Steps are counted over all sub-envs that an engine serves.
        relabel: whether replay buffers recompute the shaping of stored transitions at each update of the reward.
        seed: of everything random in filming and learning; envs are seeded by `reset`.
        device: of the scorer (where given by name) and of the relevance model: "auto", "cpu", "cuda", "cuda:N".
        mode: "sync" or "async", over that of `schedule`.
    """

    prompt: Prompt
    scorer: str = "pocket"
    baseline_prompt: Prompt | None = None
    alpha: Annotated[Float, Field(ge=0, le=1)] = 0.0
    method: Method = "mvr"
    weight: Annotated[Float, AfterValidator(checked_weight)] = 0.1
    relevance: RelevanceSettings = field(default_factory=RelevanceSettings)
    reward: RewardSettings = field(default_factory=RewardSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    relabel: Bool = True
    seed: Natural = 0
    device: str = "auto"
    mode: Literal["sync", "async"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings(EngineSettings):
    """What a task adds to its engine: cameras, clips and the base env.

    Attributes:
        rig: the cameras: a mapping for `CameraRig.from_config`; in Python also a `CameraRig`. None is the rig the model
            suggests.
        clip: what is filmed: `ClipSettings`, or a mapping of the fields to change.
        state_fn: observation -> state vector (D,): a function, or its name as "module:function"; needed unless
            observations are vectors.
        get_mujoco: env -> (model, data), where `unwrapped` does not have them: a function, or its name.
        task_reward: which reward the base env pays, where it has several: Meta-World's tasks pay a "dense" one, or a
            "sparse" one of 1 at success and 0 elsewhere.
        env_kwargs: further arguments of the base env, such as Meta-World's `positions`.
    """

    rig: Rig | None = None
    clip: ClipSettings = field(default_factory=ClipSettings)
    state_fn: FunctionName | None = None
    get_mujoco: FunctionName | None = None
    task_reward: str | None = None
    env_kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvSettings(TaskSettings):
    """What is said where an env of a task is made, and nowhere else.

    Attributes:
        preset: a preset of the task file.
        render_mode: of `render()`, which filming does not use.
        max_episode_steps: time limit. Given to `gymnasium.make` of one env it is a limit outside that env, of which it
            only learns at the next reset.
    """

    preset: str | None = None
    render_mode: str | None = None
    max_episode_steps: int | None = None


class LearningOptions(TypedDict, total=False):
    """Keywords of `RewardEngine` besides prompt and scorer: see `EngineSettings`. None counts as not given."""

    weights: str | Path | None
    dtype: str | None
    pooling: str | None
    vocabulary: str | Path | None
    compile: bool | None
    baseline_prompt: str | None
    alpha: float | None
    method: str | None
    weight: float | None
    relevance: RelevanceSettings | Mapping[str, Any] | None
    reward: RewardSettings | Mapping[str, Any] | None
    schedule: ScheduleSettings | Mapping[str, Any] | None
    relabel: bool | None
    seed: int | None
    device: str | None
    mode: str | None


class EngineOptions(LearningOptions, total=False):
    """Keywords of a wrapper that makes an engine: see `EngineSettings`."""

    scorer: str | Scorer | None


class WrapperOptions(EngineOptions, total=False):
    """Keywords of a wrapper that makes an engine and films: see `TaskSettings`."""

    rig: CameraRig | Mapping[str, Any] | None
    clip: ClipSettings | Mapping[str, Any] | None
    state_fn: StateFn | str | None
    get_mujoco: GetMujoco | str | None


class EnvOptions(WrapperOptions, total=False):
    """Keywords everywhere an env of a task is made: see `EnvSettings`. Those not given are the task's own."""

    prompt: str | None
    task_reward: str | None
    env_kwargs: Mapping[str, Any] | None
    preset: str | None
    render_mode: str | None
    max_episode_steps: int | None


OBJECTS = ("scorer", "state_fn", "get_mujoco")
"""Options that Python may give as objects, where files and the command line give names."""


def names_of(settings: type) -> tuple[str, ...]:
    """Returns the names of the options that a dataclass of this module holds, in order."""
    return tuple(item.name for item in dataclasses.fields(settings))


def values_of(kind: type, settings: Any) -> dict[str, Any]:
    """Returns the options that `kind` declares, with their values in `settings`, which has at least those."""
    return {name: getattr(settings, name) for name in names_of(kind)}


def chosen(kind: type, settings: Any) -> dict[str, Any]:
    """Returns the options that `kind` declares and whose values in `settings` are not the defaults."""
    defaults = {item.name: item.default for item in dataclasses.fields(kind)}
    return {name: value for name, value in values_of(kind, settings).items() if value != defaults[name]}


def check_names(options: Iterable[str], valid: Collection[str], door: str) -> None:
    """Refuses keywords that `door` does not take.

    Raises:
        UnknownOptionError: names the nearest valid options, or who takes the option.
    """
    for name in options:
        if name in valid:
            continue
        if name in EnvOptions.__annotations__:
            raise UnknownOptionError(
                f"{door} has no option {name!r}: it belongs where the env is made and filmed, as gymnasium.make("
                f"'MVR/...', {name}=...) or FilmedEnv"
            )
        raise UnknownOptionError(  # in Python's words first, because TorchRL looks for them
            f"got an unexpected keyword argument {name!r}: {name} is not an option of {door}. Nearest: "
            f"{nearest(name, valid)}. All: {', '.join(sorted(valid))}"
        )


def split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sorts keywords into plain values, as a file could hold them, and objects. Those that are None are left out.

    Raises:
        ConfigError: `reward` is the word of a base env's reward, which is `task_reward`.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(given.get("reward"), str):
        raise ConfigError(
            f"reward is {given['reward']!r}; it takes settings such as {{'rule': 'potential'}}. Which reward the base "
            f"env pays is task_reward={given['reward']!r}"
        )
    objects = {name: given.pop(name) for name in OBJECTS if not isinstance(given.get(name), str | None)}
    return {name: plain(value) for name, value in given.items()}, objects


def plain(value: Any) -> Any:
    """Returns a value as YAML and JSON can hold it: settings and rigs as mappings, paths as text, NumPy's numbers."""
    if hasattr(value, "to_config"):
        return value.to_config()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    return dict(value) if isinstance(value, Mapping) else value


def read(kind: type[S], options: Mapping[str, Any]) -> tuple[S, dict[str, Any]]:
    """Returns checked settings made of keywords, defaults where none was given, and the objects among the keywords.

    Raises:
        ConfigError: a value that cannot work.
    """
    values, objects = split(options)
    return parse(kind, values, ""), objects


def function_named(name: str, option: str) -> Callable[..., Any]:
    """Imports the function that the text "module:function" names.

    Raises:
        ConfigError: there is no such module or function.
    """
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{option} is {name!r}, which cannot be imported: {error}. Give module:function") from error
    return cast(Callable[..., Any], found)
