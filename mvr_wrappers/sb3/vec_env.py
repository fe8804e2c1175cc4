"""MultiViewVLMRewardVecEnv: vector envs of Stable-Baselines3 with one engine a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv, VecEnvWrapper, unwrap_vec_normalize

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.errors import EnvError
from mvr_wrappers.filming import StateFn
from mvr_wrappers.option_docs import documented
from mvr_wrappers.options import EngineOptions, EngineSettings, check_names
from mvr_wrappers.prompts import take_prompt
from mvr_wrappers.wrappers.filmed import require_filmed
from mvr_wrappers.wrappers.routing import EnginePerEnv, engine_group, own_prompts
from mvr_wrappers.wrappers.shaped import ShapedByEngines
from mvr_wrappers.wrappers.shaper import TransitionShaper
from mvr_wrappers.wrappers.states import StateReader
from mvr_wrappers.wrappers.task_info import add_success
from mvr_wrappers.wrappers.workers import guard_workers

Infos = list[dict[str, Any]]


@documented(EngineSettings, only=EngineOptions.__annotations__)
class MultiViewVLMRewardVecEnv(ShapedByEngines, VecEnvWrapper):
    """Adds the learned term to the rewards of a VecEnv; sub-envs film, and one engine a prompt scores, here.

    Rewards and infos are those of `MultiViewVLMRewardWrapper`. A `Monitor` inside the sub-envs sees task rewards alone,
    so that SB3's `rollout/ep_rew_mean` is the task return; `RewardLogger` logs the shaped one. Wrap `VecNormalize`
    around this, not inside.

    `set_options({"prompt": "..."})`, or a list of such mappings, one a sub-env, asks for another behaviour in the
    episodes that the next `reset` begins, see `MultiViewVLMRewardWrapper`. Where a sub-env resets itself its own prompt
    counts again.

    Args:
        venv: a VecEnv whose sub-envs are `FilmedEnv`s, such as SB3's
            `make_vec_env("Humanoid-v5", n_envs=8, wrapper_class=FilmedEnv)`.
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
            is missing, or normalised.
        UnknownNameError: no such scorer or method.
    """

    def __init__(
        self,
        venv: VecEnv,
        prompt: str | Sequence[str] | None = None,
        *,
        engine: RewardEngine | EngineGroup | None = None,
        state_fn: StateFn | str | None = None,
        **options: Unpack[EngineOptions],
    ) -> None:
        check_names(options, EngineOptions.__annotations__, type(self).__name__)
        prompts = own_prompts(prompt, venv.num_envs)
        self.engines = engine_group(engine, prompts[0], options)
        self._per_env = EnginePerEnv(self.engines, prompts)
        super().__init__(venv)
        if unwrap_vec_normalize(venv) is not None:
            raise EnvError("relevance is learned on states as they are: wrap VecNormalize around this, not inside")
        self._all = np.ones(venv.num_envs, np.bool_)
        self._remote = isinstance(venv.unwrapped, SubprocVecEnv)
        if self._remote:
            guard_workers(venv.unwrapped, "remotes", "close")
        require_filmed(venv, venv.env_method)
        self._read = StateReader(venv.observation_space, state_fn)
        self._read.require_sizes(venv.get_attr("state_dim"))
        self._shaper = TransitionShaper(self._per_env, venv.num_envs)
        self._number_envs(venv.num_envs)

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """Sets the options of the next reset, for all sub-envs or for each.

        Raises:
            ConfigError: a prompt is no text, or blank.
        """
        for each in options if isinstance(options, list) else [options]:
            take_prompt(each)  # checks it here: in a child process an error would only end the child
        super().set_options(options)

    def reset(self) -> Any:
        """Resets all sub-envs; clips of episodes that this cuts short go to their engines."""
        observations = self.venv.reset()
        self._collect_clips()
        self._take_prompts()
        self._shaper.begin(self._states(observations))
        return observations

    def step_wait(self) -> tuple[Any, NDArray[Any], NDArray[np.bool_], Infos]:
        """Waits for the sub-envs and adds the shaping terms.

        Raises:
            EngineError: the engine's worker thread failed, or the engine is closed.
        """
        observations, rewards, dones, infos = self.venv.step_wait()
        # Clips first, so that a scoring that this step makes due takes along the episodes that end in it; those of
        # other processes are waited for only then.
        due = self._remote and self._per_env.reaches_scoring(self._all)
        if due or dones.any():
            self._collect_clips(due)
        # Then the clock, so that this step is shaped by what its scoring and its update have published.
        self._per_env.advance(self._all)
        for info, reward in zip(infos, rewards, strict=True):
            info["task_reward"] = float(reward)  # over what a TaskInfo below says, as in the single wrapper
            add_success(info)
        states = self._states(observations)
        step = self._shaper.step(
            rewards,
            self._with_terminal(states, dones, infos),
            dones & ~np.array([info["TimeLimit.truncated"] for info in infos]),
            np.array([info["is_success"] for info in infos], np.bool_) if "is_success" in infos[0] else None,
        )
        for info, vlm_reward, shaping in zip(infos, step.vlm_rewards.tolist(), step.shaping.tolist(), strict=True):
            info["vlm_reward"], info["shaping"] = vlm_reward, shaping
        # The prompts of `infos` are those that shaped this step, so they are told before new ones are taken.
        if len(self.engines) > 1:
            for info, prompt in zip(infos, self._per_env.prompts, strict=True):
                info["prompt"] = prompt
        if dones.any():
            # Totals before `begin`, which sets them back: SB3 has reset these sub-envs, the next step starts there.
            totals = self._shaper.finish(dones)
            for i in np.flatnonzero(dones):
                infos[i]["mvr_episode"] = {name: total[i].item() for name, total in totals.items()}
            self._shaper.begin(states, dones)
            self._take_prompts()
        return observations, step.rewards, dones, infos

    def close(self) -> None:
        """Closes the sub-envs, and the engines except one that was given."""
        super().close()
        self._close_engines()

    def _states(self, observations: Any) -> NDArray[np.float32]:
        return self._read.batch(observations, self.num_envs)

    def _with_terminal(
        self, states: NDArray[np.float32], dones: NDArray[np.bool_], infos: Infos
    ) -> NDArray[np.float32]:
        """Returns the states the transitions led to: the terminal ones where SB3 has reset a sub-env since."""
        if not dones.any():
            return states
        final = states.copy()
        for i in np.flatnonzero(dones):
            final[i] = self._read.one(infos[i]["terminal_observation"])
        return final

    def _ask(self, name: str) -> Sequence[Any]:
        return self.venv.get_attr(name)

    def _call(self, name: str, *args: Any) -> Sequence[Any]:
        return self.venv.env_method(name, *args)

    def _give(self, name: str, values: Sequence[Any]) -> None:
        for i, value in enumerate(values):  # `set_attr` would set it on the outermost wrapper
            self.venv.env_method("set_wrapper_attr", name, value, indices=[i])
