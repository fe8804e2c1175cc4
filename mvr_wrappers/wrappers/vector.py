"""MultiViewVLMRewardVectorWrapper: Gymnasium vector envs, one engine a prompt; the vector entry point of our ids."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.errors import EnvError
from mvr_wrappers.filming import StateFn
from mvr_wrappers.option_docs import documented
from mvr_wrappers.options import EngineOptions, EngineSettings, check_names
from mvr_wrappers.prompts import OPTION, prompts_of_each, take_prompt
from mvr_wrappers.wrappers.filmed import json_safe, require_filmed
from mvr_wrappers.wrappers.routing import EnginePerEnv, engine_group, own_prompts
from mvr_wrappers.wrappers.shaped import ShapedByEngines
from mvr_wrappers.wrappers.shaper import Rows, ShapedStep, TransitionShaper
from mvr_wrappers.wrappers.states import StateReader
from mvr_wrappers.wrappers.workers import guard_workers

Infos = dict[str, Any]
VectorStep = tuple[Any, NDArray[Any], NDArray[np.bool_], NDArray[np.bool_], Infos]


@documented(EngineSettings, only=EngineOptions.__annotations__)
class MultiViewVLMRewardVectorWrapper(ShapedByEngines, VectorWrapper, RecordConstructorArgs):
    """Adds the learned term to the rewards of a vector env; sub-envs film, and one engine a prompt scores, here.

    Rewards and infos are those of `MultiViewVLMRewardWrapper`: `infos` gets the arrays `task_reward`, `vlm_reward` and
    `shaping`, and `mvr_episode` where episodes ended, each with its mask (`_task_reward`, ...). All of Gymnasium's
    autoreset modes are served:

    - NEXT_STEP: in the step that resets a sub-env the action is ignored, so nothing is added and the masks are False;
    - SAME_STEP: the last transition leads to `infos["final_obs"]`, the next one starts at the observation returned;
    - DISABLED: the next transition starts at the observation that `reset(options={"reset_mask": mask})` returned.

    `reset(options={"prompt": ...})` asks for another behaviour in the episodes that begin, in one sentence for all
    sub-envs or in one for each, see `MultiViewVLMRewardWrapper`. Where a sub-env resets itself its own prompt counts.

    Args:
        env: a vector env whose sub-envs are `FilmedEnv`s, such as
            `gym.make_vec("Humanoid-v5", num_envs=8, wrappers=[FilmedEnv])`.
        prompt: one sentence that says what the behaviour looks like; or N, the own prompt of each sub-env, with one
            engine for each that is different and one scorer for all.
        engine: an engine shared with other envs of this process, instead of `prompt`; or an EngineGroup, of which
            `prompt` chooses, else the first. Close it yourself.
        state_fn: observation of a sub-env -> state vector (D,); needed unless observations are vectors.
        {options}

    Attributes:
        engine: the engine of the sub-envs' own prompt; an EngineError where they have several.
        engines: all engines, a mapping from prompt to engine.
        owns_engines: whether `close` closes the engines; one that was given it never closes.

    Raises:
        ConfigError: a setting that cannot work.
        EnvError: the sub-envs do not film or are shaped already, or their observations are no vectors and `state_fn`
            is missing.
        UnknownNameError: no such scorer or method.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        prompt: str | Sequence[str] | None = None,
        *,
        engine: RewardEngine | EngineGroup | None = None,
        state_fn: StateFn | str | None = None,
        **options: Unpack[EngineOptions],
    ) -> None:
        check_names(options, EngineOptions.__annotations__, type(self).__name__)
        prompts = own_prompts(prompt, env.num_envs)
        self.engines = engine_group(engine, prompts[0], options)
        self._per_env = EnginePerEnv(self.engines, prompts)
        made_like = self.engines.first.options | {"prompt": prompt or self.engines.first.prompt, "state_fn": state_fn}
        RecordConstructorArgs.__init__(self, _disable_deepcopy=True, **made_like)
        VectorWrapper.__init__(self, env)
        self._autoreset = env.metadata.get("autoreset_mode")
        if not isinstance(self._autoreset, AutoresetMode):
            raise EnvError(f'{env} does not say how it resets: metadata["autoreset_mode"] is {self._autoreset!r}')
        self._remote = isinstance(env.unwrapped, AsyncVectorEnv)
        if self._remote:
            guard_workers(env.unwrapped, "parent_pipes", "close_extras")
        require_filmed(env, functools.partial(call, env))
        self._read = StateReader(env.single_observation_space, state_fn)
        self._read.require_sizes(call(env, "state_dim"))
        self._shaper = TransitionShaper(self._per_env, env.num_envs)
        self._ended = np.zeros(env.num_envs, np.bool_)
        self._number_envs(env.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, Infos]:
        """Resets all sub-envs, or those in `options["reset_mask"]`; clips of episodes cut short go to their engines.

        Raises:
            ConfigError: `options["prompt"]` is neither a sentence nor one for each sub-env.
        """
        rows = None if options is None else options.get("reset_mask")
        if options is not None:  # Gymnasium's vectors empty what they are given, and a wrapper around this one reads on
            options = dict(options)
        observations, infos = self.env.reset(seed=seed, options=self._hand_out_prompts(options, rows))
        self._collect_clips()
        self._take_prompts()
        self._shaper.begin(self._states(observations), rows)
        self._ended[slice(None) if rows is None else rows] = False
        return observations, infos

    def step(self, actions: Any) -> VectorStep:
        """Steps the sub-envs and adds the shaping terms.

        Raises:
            EngineError: the engine's worker thread failed, or the engine is closed.
        """
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        # In NEXT_STEP a sub-env that had ended was reset just now, and not stepped.
        stepped = ~self._ended if self._autoreset is AutoresetMode.NEXT_STEP else np.ones(self.num_envs, np.bool_)
        self._ended = terminated | truncated
        # Clips first, so that a scoring that this step makes due takes along the episodes that end in it; those of
        # other processes are waited for only then.
        due = self._remote and self._per_env.reaches_scoring(stepped)
        if due or self._ended.any():
            self._collect_clips(due)
        # Then the clock, so that this step is shaped by what its scoring and its update have published.
        self._per_env.advance(stepped)
        reset_states = self._states(observations)
        last_states = self._with_final(reset_states, infos)
        step = self._shaper.step(rewards, last_states, terminated, _success(infos, self.num_envs), stepped)
        # The prompts of `infos` are those that shaped this step, so they are told before new ones are taken.
        self._tell(infos, rewards, step, stepped)
        if self._ended.any():
            # Totals before `begin`, which sets them back, and only in SAME_STEP does an episode begin in this step.
            totals = self._shaper.finish(self._ended)
            masks = {f"_{name}": self._ended.copy() for name in totals}
            infos["mvr_episode"], infos["_mvr_episode"] = totals | masks, self._ended.copy()
            if self._autoreset is AutoresetMode.SAME_STEP:
                self._shaper.begin(reset_states, self._ended)
                self._take_prompts()
        if not stepped.all():  # NEXT_STEP: these episodes began in this step, which was shaped by nothing
            self._take_prompts()
        return observations, step.rewards, terminated, truncated, infos

    @property
    def spec(self) -> EnvSpec | None:  # type: ignore[override]  # as in VectorWrapper
        """What `gymnasium.make_vec` needs to make this env again, with an engine of its own."""
        spec = self.env.spec
        return None if spec is None else dataclasses.replace(spec, kwargs=json_safe(spec.kwargs))

    def close(self, **kwargs: Any) -> None:
        """Closes the sub-envs, and the engines except one that was given."""
        super().close(**kwargs)
        self._close_engines()

    def _tell(self, infos: Infos, rewards: NDArray[Any], step: ShapedStep, stepped: NDArray[np.bool_]) -> None:
        """Adds what was paid, and for what, to the infos of a step."""
        for name, values in (("task_reward", rewards), ("vlm_reward", step.vlm_rewards), ("shaping", step.shaping)):
            infos[name], infos[f"_{name}"] = values, stepped.copy()
        final = infos.get("final_info", {})
        if "task_reward" in final:  # SAME_STEP keeps what a TaskInfo below says of last steps here
            final["task_reward"] = np.where(final["_task_reward"], rewards, 0.0)
        if len(self.engines) > 1:
            infos["prompt"], infos["_prompt"] = np.array(self._per_env.prompts, object), stepped.copy()

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

    def _ask(self, name: str) -> Sequence[Any]:
        return call(self.env, name)

    def _call(self, name: str, *args: Any) -> Sequence[Any]:
        return call(self.env, name, *args)

    def _give(self, name: str, values: Sequence[Any]) -> None:
        set_attr: Callable[[str, list[Any]], None] = self.env.unwrapped.set_attr  # type: ignore[attr-defined]
        set_attr(name, list(values))

    def _hand_out_prompts(self, options: dict[str, Any] | None, rows: Rows | None) -> dict[str, Any] | None:
        """Gives each sub-env that is reset its own of N prompts; a single one goes the way of all options."""
        if options is None or isinstance(options.get(OPTION), str | None):
            take_prompt(options)  # checks it here, where an error can be read
            return options
        asked = prompts_of_each(options[OPTION], self.num_envs)
        if rows is not None:
            asked = [prompt if row else None for prompt, row in zip(asked, rows, strict=True)]
        self._give("next_prompt", asked)
        return {key: value for key, value in options.items() if key != OPTION} or None


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
