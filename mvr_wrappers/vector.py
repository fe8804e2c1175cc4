"""MultiViewVLMRewardVectorWrapper: Gymnasium vector envs with one engine; and the vector entry point of our ids."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Unpack

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from mvr_wrappers.engine import RewardEngine
from mvr_wrappers.errors import ConfigError, EnvError, nearest
from mvr_wrappers.filming import StateFn
from mvr_wrappers.scorers import Scorer
from mvr_wrappers.settings import RelevanceSettings, RewardSettings, ScheduleSettings
from mvr_wrappers.shaping import Rows, TransitionShaper
from mvr_wrappers.stack import EnvOptions, EnvPlan, json_safe, require_filmed
from mvr_wrappers.states import StateReader
from mvr_wrappers.wrapper import engine_for

Infos = dict[str, Any]
VectorStep = tuple[Any, NDArray[Any], NDArray[np.bool_], NDArray[np.bool_], Infos]

VECTORIZATIONS: dict[str, Callable[..., VectorEnv[Any, Any, Any]]] = {"sync": SyncVectorEnv, "async": AsyncVectorEnv}


class MultiViewVLMRewardVectorWrapper(VectorWrapper, RecordConstructorArgs):
    """Adds the learned term to the rewards of a vector env; sub-envs film, and one engine in this process scores.

    Rewards and infos are those of `MultiViewVLMRewardWrapper`: `infos` gets the arrays `task_reward`, `vlm_reward` and
    `shaping`, and `mvr_episode` where episodes ended, each with its mask (`_task_reward`, ...). All of Gymnasium's
    autoreset modes are served:

    - NEXT_STEP: in the step that resets a sub-env the action is ignored, so nothing is added and the masks are False;
    - SAME_STEP: the last transition leads to `infos["final_obs"]`, the next one starts at the observation returned;
    - DISABLED: the next transition starts at the observation that `reset(options={"reset_mask": mask})` returned.

    Args:
        env: a vector env whose sub-envs are `FilmedEnv`s, such as
            `gym.make_vec("Humanoid-v5", num_envs=8, wrappers=[FilmedEnv])`.
        prompt: one sentence that says what the behaviour looks like.
        scorer: a name that `load_scorer` knows, or a scorer.
        method: how clips become reward.
        weight: w, the weight of the VLM reward.
        relevance: RelevanceSettings, or a mapping of the fields to change.
        reward: RewardSettings, likewise.
        schedule: ScheduleSettings, likewise; steps are counted over all sub-envs.
        engine: an engine shared with other envs of this process, instead of `prompt`; close it yourself.
        seed: of everything random in learning.
        device: of scorer and learning: "auto", "cpu", "cuda", "cuda:N".
        mode: "sync" or "async", over that of `schedule`.
        state_fn: observation of a sub-env -> state vector (D,); needed unless observations are vectors.

    Attributes:
        engine: the engine.
        owns_engine: whether `close` closes the engine too.

    Raises:
        ConfigError: a setting that cannot work.
        EnvError: the sub-envs do not film or are shaped already, or their observations are no vectors and `state_fn`
            is missing.
        UnknownNameError: no such scorer or method.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        prompt: str | None = None,
        *,
        scorer: str | Scorer = "pocket",
        method: str = "mvr",
        weight: float = 0.1,
        relevance: RelevanceSettings | Mapping[str, Any] | None = None,
        reward: RewardSettings | Mapping[str, Any] | None = None,
        schedule: ScheduleSettings | Mapping[str, Any] | None = None,
        engine: RewardEngine | None = None,
        seed: int = 0,
        device: str = "auto",
        mode: str | None = None,
        state_fn: StateFn | None = None,
    ) -> None:
        learning = {"scorer": scorer, "method": method, "weight": weight, "device": device, "mode": mode, "seed": seed}
        settings = {"relevance": relevance, "reward": reward, "schedule": schedule}
        self.engine = engine_for(engine, prompt, learning | settings)
        self.owns_engine = engine is None
        RecordConstructorArgs.__init__(self, _disable_deepcopy=True, **self.engine.options, state_fn=state_fn)
        VectorWrapper.__init__(self, env)
        self._autoreset = env.metadata.get("autoreset_mode")
        if not isinstance(self._autoreset, AutoresetMode):
            raise EnvError(f'{env} does not say how it resets: metadata["autoreset_mode"] is {self._autoreset!r}')
        require_filmed(env, functools.partial(call, env))
        self._read = StateReader(env.single_observation_space, state_fn)
        self._shaper = TransitionShaper(self.engine, env.num_envs)
        self._ended = np.zeros(env.num_envs, np.bool_)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, Infos]:
        """Resets all sub-envs, or those in `options["reset_mask"]`; clips of episodes cut short go to the engine."""
        rows = None if options is None else options.get("reset_mask")
        observations, infos = self.env.reset(seed=seed, options=options)
        self._collect_clips()
        self._shaper.begin(self._states(observations), rows)
        self._ended[slice(None) if rows is None else rows] = False
        return observations, infos

    def step(self, actions: Any) -> VectorStep:
        """Steps the sub-envs and adds the shaping terms.

        Raises:
            EngineError: the engine's worker thread failed, or the engine is closed.
        """
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        stepped = ~self._ended if self._autoreset is AutoresetMode.NEXT_STEP else np.ones(self.num_envs, np.bool_)
        self._ended = terminated | truncated
        if self._ended.any():
            self._collect_clips()
        self.engine.advance(int(stepped.sum()))
        reset_states = self._states(observations)
        last_states = self._with_final(reset_states, infos)
        step = self._shaper.step(rewards, last_states, terminated, _success(infos, self.num_envs), stepped)
        for name, values in (("task_reward", rewards), ("vlm_reward", step.vlm_rewards), ("shaping", step.shaping)):
            infos[name], infos[f"_{name}"] = values, stepped.copy()
        if self._ended.any():
            totals = self._shaper.finish(self._ended)
            masks = {f"_{name}": self._ended.copy() for name in totals}
            infos["mvr_episode"], infos["_mvr_episode"] = totals | masks, self._ended.copy()
            if self._autoreset is AutoresetMode.SAME_STEP:
                self._shaper.begin(reset_states, self._ended)
        return observations, step.rewards, terminated, truncated, infos

    @property
    def spec(self) -> EnvSpec | None:  # type: ignore[override]  # as in VectorWrapper
        """What `gymnasium.make_vec` needs to make this env again, with an engine of its own."""
        spec = self.env.spec
        return None if spec is None else dataclasses.replace(spec, kwargs=json_safe(spec.kwargs))

    def close(self, **kwargs: Any) -> None:
        """Closes the sub-envs, and the engine unless it was given."""
        super().close(**kwargs)
        if self.owns_engine:
            self.engine.close()

    def _states(self, observations: Any) -> NDArray[np.float32]:
        return self._read.batch(observations, self.num_envs)

    def _with_final(self, states: NDArray[np.float32], infos: Infos) -> NDArray[np.float32]:
        """Returns the states with those of `infos["final_obs"]` in place where SAME_STEP has reset a sub-env."""
        if "final_obs" not in infos:
            return states
        final = states.copy()
        for i in np.flatnonzero(infos["_final_obs"]):
            final[i] = self._read.one(infos["final_obs"][i])
        return final

    def _collect_clips(self) -> None:
        for clips in call(self.env, "pop_clips"):
            self.engine.submit(clips)


def call(env: VectorEnv[Any, Any, Any], name: str, *args: Any) -> tuple[Any, ...]:
    """Calls a method of each sub-env; Gymnasium's vector envs can, though not all their classes say so."""
    results: tuple[Any, ...] = env.unwrapped.call(name, *args)  # type: ignore[attr-defined]
    return results


def _success(infos: Infos, n_envs: int) -> Rows | None:
    """Returns which sub-envs report success at this step, bool (N,); None if none says anything."""
    said, success = False, np.zeros(n_envs, np.bool_)
    for source in (infos, infos.get("final_info", {})):  # SAME_STEP: the last infos of an episode are in "final_info"
        for name in ("is_success", "success"):
            if name in source:
                said = True
                success |= source[f"_{name}"] & (np.asarray(source[name], np.float64) > 0)
                break
    return success if said else None


def make_vector_env(
    task: str,
    num_envs: int = 1,
    *,
    vectorization: str = "sync",
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    vector_kwargs: Mapping[str, Any] | None = None,
    shaping: bool = True,
    engine: RewardEngine | None = None,
    **options: Unpack[EnvOptions],
) -> VectorEnv[Any, Any, Any]:
    """Makes a vector env of a task: what `gymnasium.make_vec("MVR/<task>", num_envs=N, ...)` calls by default.

    The sub-envs film; one engine in this process scores and learns for all of them.

    Args:
        task: name of a registered task.
        num_envs: N.
        vectorization: "sync" steps the sub-envs one after the other, "async" each in a process of its own.
        autoreset_mode: "NextStep", "SameStep" or "Disabled".
        vector_kwargs: further arguments of SyncVectorEnv or AsyncVectorEnv (gymnasium.make_vec does not pass them on).
        shaping: False gives the task's own rewards, for evaluation: nothing is filmed, no scorer is loaded.
        engine: an engine shared with other envs of this process; the options of learning then play no part.
        options: see `EnvOptions`.

    Raises:
        UnknownNameError: no such task, preset, scorer, method, camera or body.
        ConfigError: an option that does not exist, or a setting that cannot work.
        MissingExtraError: the package that holds the base env is not installed.
    """
    if vectorization not in VECTORIZATIONS:
        raise ConfigError(f"vectorization is {vectorization!r}; give {nearest(vectorization, VECTORIZATIONS)}")
    if num_envs < 1:
        raise ConfigError(f"num_envs is {num_envs}; give at least 1")
    vector = functools.partial(VECTORIZATIONS[vectorization], autoreset_mode=autoreset_mode, **(vector_kwargs or {}))
    plan = EnvPlan.read(task, options)
    own = (engine or RewardEngine(**plan.engine)) if shaping else None
    env = vector(plan.makers(range(num_envs), own))
    if own is None:
        return env
    shaped = MultiViewVLMRewardVectorWrapper(env, engine=own, state_fn=options.get("state_fn"))
    shaped.owns_engine = engine is None
    return shaped
