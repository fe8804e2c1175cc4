"""make_vec_env: Stable-Baselines3's function of the same name, with one engine for all sub-envs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import gymnasium as gym
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.envs.multitask import MultitaskPlan, read_plan, require_one_space
from mvr_wrappers.envs.plan import EnvPlan
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.option_docs import documented
from mvr_wrappers.options import EnvSettings
from mvr_wrappers.sb3.vec_env import MultiViewVLMRewardVecEnv
from mvr_wrappers.tasks.base_envs import renders
from mvr_wrappers.wrappers.workers import guard_workers

AnyEnv = gym.Env[Any, Any]


@overload
def make_vec_env(
    env_id: str | Sequence[str],
    n_envs: int = 1,
    seed: int | None = None,
    start_index: int = 0,
    monitor_dir: str | None = None,
    wrapper_class: Callable[..., AnyEnv] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    vec_env_cls: type[DummyVecEnv | SubprocVecEnv] | None = None,
    vec_env_kwargs: Mapping[str, Any] | None = None,
    monitor_kwargs: Mapping[str, Any] | None = None,
    wrapper_kwargs: Mapping[str, Any] | None = None,
    *,
    shaping: Literal[True] = True,
    engine: RewardEngine | EngineGroup | None = None,
    use_one_hot: bool = False,
    **options: Any,
) -> MultiViewVLMRewardVecEnv: ...
@overload
def make_vec_env(
    env_id: str | Sequence[str], n_envs: int = 1, seed: int | None = None, *, shaping: bool, **arguments: Any
) -> VecEnv: ...
@documented(EnvSettings)
def make_vec_env(
    env_id: str | Sequence[str],
    n_envs: int = 1,
    seed: int | None = None,
    start_index: int = 0,
    monitor_dir: str | None = None,
    wrapper_class: Callable[..., AnyEnv] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    vec_env_cls: type[DummyVecEnv | SubprocVecEnv] | None = None,
    vec_env_kwargs: Mapping[str, Any] | None = None,
    monitor_kwargs: Mapping[str, Any] | None = None,
    wrapper_kwargs: Mapping[str, Any] | None = None,
    *,
    shaping: bool = True,
    engine: RewardEngine | EngineGroup | None = None,
    use_one_hot: bool = False,
    **options: Any,
) -> VecEnv:
    """Makes a VecEnv of a task with one engine: SB3's function of the same name, and the same arguments.

    Of several tasks too, as `mvr_wrappers.make_multitask_vec` does for Gymnasium: with one engine a prompt.

    Args:
        env_id: `MVR/<task>`, or the name of a registered task; or several, or `MVR/MT10`, `MVR/MT25` or `MVR/MT50`.
        n_envs: sub-envs; for several tasks a multiple of their number, or 1, which stands for one a task.
        seed: of the envs, and of everything random in filming and learning.
        start_index: number of the first sub-env.
        monitor_dir: where `Monitor` writes its files; None writes none.
        wrapper_class: put around each sub-env, outside its `Monitor`; it must leave observations as they are.
        env_kwargs: what would be given to `gymnasium.make`; the same as `options`, with the arguments of the base env
            as `env_kwargs={"env_kwargs": {...}}`.
        vec_env_cls: DummyVecEnv (the default) or SubprocVecEnv.
        vec_env_kwargs: arguments of `vec_env_cls`.
        monitor_kwargs: arguments of `Monitor`.
        wrapper_kwargs: arguments of `wrapper_class`.
        shaping: False gives the task's own rewards, for evaluation: nothing is filmed, no scorer is loaded.
        engine: an engine, or an EngineGroup, shared with other envs of this process. Options that it would ignore, such
            as `weight`, are then an error.
        use_one_hot: end the observations of several tasks with the number of the task as a one-hot vector.
        options: of the task's env, as follows.
        {options}

    Raises:
        UnknownNameError: no such task, preset, scorer, method, camera or body.
        ConfigError: an option that does not exist, or a setting that cannot work.
        MissingExtraError: the package that holds the base env is not installed.
    """
    if not isinstance(env_id, str | Sequence):
        raise ConfigError(
            f"env_id is {env_id!r}; give the name of a task. For an env of your own: MultiViewVLMRewardVecEnv("
            "stable_baselines3.common.env_util.make_vec_env(env_id, wrapper_class=FilmedEnv, ...), prompt=...)"
        )
    given: dict[str, Any] = {"seed": seed, **(env_kwargs or {}), **options}
    shaping, engine = given.pop("shaping", shaping), given.pop("engine", engine)
    plan = read_plan(env_id, given, use_one_hot)  # type: ignore[arg-type]  # it checks them
    if "render_mode" not in given:
        _ask_for_pictures(plan.plans if isinstance(plan, MultitaskPlan) else [plan])
    count = plan.count(n_envs)
    group = plan.engines(engine) if shaping else None
    numbers = range(start_index, start_index + count)
    monitored = functools.partial(
        _make_monitored,
        seed=seed,
        monitor_dir=monitor_dir,
        monitor_kwargs=monitor_kwargs or {},
        wrapper_class=wrapper_class,
        wrapper_kwargs=wrapper_kwargs or {},
    )
    makers = zip(plan.makers(count, None if group is None else group.first), numbers, strict=True)
    thunks: list[Callable[[], AnyEnv]] = [functools.partial(monitored, make, number) for make, number in makers]
    venv: VecEnv = (vec_env_cls or DummyVecEnv)(thunks, **(vec_env_kwargs or {}))
    if isinstance(venv, SubprocVecEnv):
        guard_workers(venv, "remotes", "close")
    for what in ("observation", "action"):
        require_one_space(venv.get_attr(f"{what}_space"), what)
    venv.seed(seed)
    if group is None:
        return venv
    prompt = None if isinstance(engine, RewardEngine) else plan.prompts(count)
    return MultiViewVLMRewardVecEnv(venv, prompt, engine=group, state_fn=plan.state_fn)


def _ask_for_pictures(plans: Iterable[EnvPlan]) -> None:
    """Sets the render mode that SB3's function asks for, which VecVideoRecorder needs, where the env has it."""
    for plan in plans:
        if renders(plan.spec, "rgb_array"):
            plan.env["render_mode"] = "rgb_array"


def _make_monitored(
    make: Callable[[], AnyEnv],
    number: int,
    *,
    seed: int | None,
    monitor_dir: str | None,
    monitor_kwargs: Mapping[str, Any],
    wrapper_class: Callable[..., AnyEnv] | None,
    wrapper_kwargs: Mapping[str, Any],
) -> AnyEnv:
    """Makes one sub-env as SB3 does: its action space seeded, a `Monitor` around it, then the user's wrapper."""
    env = make()
    if seed is not None:
        env.action_space.seed(seed + number)
    file = None
    if monitor_dir is not None:
        Path(monitor_dir).mkdir(parents=True, exist_ok=True)
        file = str(Path(monitor_dir) / str(number))
    monitored = Monitor(env, filename=file, **monitor_kwargs)
    return monitored if wrapper_class is None else wrapper_class(monitored, **wrapper_kwargs)
