"""What the ids `MVR/<task>` call: one env, a vector of one task or of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Unpack, overload

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.envs.multitask import benchmark, read_plan
from mvr_wrappers.envs.plan import EnvPlan
from mvr_wrappers.envs.sharing import warn_of_separate_engines
from mvr_wrappers.errors import ConfigError, nearest
from mvr_wrappers.option_docs import documented
from mvr_wrappers.options import EnvOptions, EnvSettings
from mvr_wrappers.wrappers.filmed import film, json_safe, sized
from mvr_wrappers.wrappers.single import MultiViewVLMRewardWrapper
from mvr_wrappers.wrappers.vector import MultiViewVLMRewardVectorWrapper

VECTORIZATIONS: dict[str, Callable[..., VectorEnv[Any, Any, Any]]] = {"sync": SyncVectorEnv, "async": AsyncVectorEnv}


class RegisteredEnv(gym.Wrapper[Any, Any, Any, Any]):
    """An env made from an id `MVR/<task>`: its spec is that of the id, not of the wrappers it is made of."""

    def __init__(self, env: gym.Env[Any, Any], name: str, kwargs: Mapping[str, Any]) -> None:
        super().__init__(env)
        self._own_spec = EnvSpec(
            id=f"MVR/{name}",
            entry_point="mvr_wrappers.envs.make:make_env",
            vector_entry_point="mvr_wrappers.envs.make:make_vector_env",
            order_enforce=False,
            disable_env_checker=True,
            kwargs=json_safe(kwargs),
        )

    @property
    def spec(self) -> EnvSpec:  # type: ignore[override]  # as in gymnasium.Wrapper
        """What `gymnasium.make` needs to make this env again, with an engine of its own."""
        return self._own_spec


@documented(EnvSettings)
def make_env(
    task: str,
    *,
    shaping: bool = True,
    engine: RewardEngine | EngineGroup | None = None,
    **options: Unpack[EnvOptions],
) -> gym.Env[Any, Any]:
    """Makes the env of a task: what `gymnasium.make("MVR/<task>", ...)` calls.

    Args:
        task: name of a registered task.
        shaping: False gives the task's own reward, for evaluation: nothing is filmed, no scorer is loaded. `info` still
            has `task_reward` and `is_success`.
        engine: an engine shared with other envs of this process, or an EngineGroup with one for the task's prompt.
            Options that it would ignore, such as `weight`, are then an error.
        {options}

    Raises:
        UnknownNameError: no such task, preset, scorer, method, camera or body.
        ConfigError: an option that does not exist, or a setting that cannot work.
        MissingExtraError: the package that holds the base env is not installed.
    """
    if benchmark(task) is not None:
        raise ConfigError(f"MVR/{benchmark(task)} is a vector of tasks: gymnasium.make_vec('MVR/{benchmark(task)}')")
    plan = EnvPlan.read(task, options)
    env: gym.Env[Any, Any] = plan.make_env()
    if shaping:
        if engine is None:
            warn_of_separate_engines()
        group = plan.engines(engine)
        filmed = film(env, clip=sized(plan.spec.clip, group.first), **plan.filming)
        prompt = None if isinstance(engine, RewardEngine) else plan.spec.prompt
        env = MultiViewVLMRewardWrapper(filmed, prompt, engine=group)
    return RegisteredEnv(env, plan.spec.name, {"task": task, "shaping": shaping, **options})


@documented(EnvSettings)
def make_vector_env(
    task: str | Sequence[str],
    num_envs: int = 1,
    *,
    use_one_hot: bool = False,
    vectorization: str = "sync",
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    vector_kwargs: Mapping[str, Any] | None = None,
    shaping: bool = True,
    engine: RewardEngine | EngineGroup | None = None,
    **options: Unpack[EnvOptions],
) -> VectorEnv[Any, Any, Any]:
    """Makes a vector env of a task: what `gymnasium.make_vec("MVR/<task>", num_envs=N, ...)` calls by default.

    The sub-envs film; in this process one engine a prompt scores and learns for all of them.

    Args:
        task: name of a registered task; or several, or "MT10", "MT25" or "MT50", see `make_multitask_vec`.
        num_envs: N; for several tasks a multiple of their number, or 1, which stands for one a task.
        use_one_hot: end the observations of several tasks with the number of the task as a one-hot vector.
        vectorization: "sync" steps the sub-envs one after the other, "async" each in a process of its own.
        autoreset_mode: "NextStep", "SameStep" or "Disabled".
        vector_kwargs: further arguments of SyncVectorEnv or AsyncVectorEnv (gymnasium.make_vec does not pass them on).
        shaping: False gives the task's own rewards, for evaluation: nothing is filmed, no scorer is loaded.
        engine: an engine, or an EngineGroup, shared with other envs of this process. Options that it would ignore, such
            as `weight`, are then an error.
        {options}

    Raises:
        UnknownNameError: no such task, preset, scorer, method, camera or body.
        ConfigError: an option that does not exist, or a setting that cannot work.
        MissingExtraError: the package that holds the base env is not installed.
    """
    if vectorization not in VECTORIZATIONS:
        raise ConfigError(f"vectorization is {vectorization!r}; give {nearest(vectorization, VECTORIZATIONS)}")
    plan = read_plan(task, options, use_one_hot)
    count = plan.count(num_envs)
    group = plan.engines(engine) if shaping else None
    makers = plan.makers(count, None if group is None else group.first)
    try:
        env = VECTORIZATIONS[vectorization](makers, autoreset_mode=autoreset_mode, **(vector_kwargs or {}))
    except (RuntimeError, AssertionError) as error:  # the second, Gymnasium before 1.4
        if "space" not in str(error):
            raise
        raise ConfigError(f"the tasks do not fit into one vector: {error}") from error
    if group is None:
        return env
    prompts = None if isinstance(engine, RewardEngine) else plan.prompts(count)
    return MultiViewVLMRewardVectorWrapper(env, prompts, engine=group, state_fn=plan.state_fn)


@overload
def make_multitask_vec(
    tasks: str | Iterable[str], num_envs: int = 1, *, shaping: Literal[True] = True, **options: Any
) -> MultiViewVLMRewardVectorWrapper: ...
@overload
def make_multitask_vec(
    tasks: str | Iterable[str], num_envs: int = 1, *, shaping: bool, **options: Any
) -> VectorEnv[Any, Any, Any]: ...
def make_multitask_vec(tasks: str | Iterable[str], num_envs: int = 1, **options: Any) -> VectorEnv[Any, Any, Any]:
    """Makes a vector env whose sub-envs play different tasks, each shaped by the engine of its task's prompt.

    Sub-env i plays task i, and from the beginning again where there are more sub-envs than tasks. `venv.engines` maps
    prompts to engines; they share one scorer, and each one's schedule is counted over its own sub-envs.

    Args:
        tasks: names of registered tasks with observations and actions of one shape; or "MT10", "MT25" or "MT50" for the
            lists of Meta-World, which `gymnasium.make_vec("MVR/MT10")` makes too.
        num_envs: sub-envs in all, a multiple of the tasks; 1 stands for one a task.
        options: of `mvr_wrappers.envs.make.make_vector_env`, such as `use_one_hot=True`; they hold for all tasks.

    Raises:
        UnknownNameError: no such task, preset, scorer, method, camera or body.
        ConfigError: an option that does not exist, a setting that cannot work, or tasks that do not fit together.
        MissingExtraError: the package that holds a base env is not installed.

    Example:
        >>> venv = make_multitask_vec(["hammer-v3", "push-v3"], num_envs=4, use_one_hot=True)
        >>> venv.observation_space.shape
        (4, 41)
        >>> venv.close()
    """
    return make_vector_env(tasks if isinstance(tasks, str) else tuple(tasks), num_envs, **options)
