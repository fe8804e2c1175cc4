"""MultiViewVLMRewardWrapper: one env whose reward is rewritten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.errors import ConfigError, EnvError
from mvr_wrappers.filming import FilmedEnv
from mvr_wrappers.option_docs import documented
from mvr_wrappers.options import EngineOptions, TaskSettings, WrapperOptions, check_names
from mvr_wrappers.wrappers.filmed import film, sized
from mvr_wrappers.wrappers.routing import EnginePerEnv, engine_group
from mvr_wrappers.wrappers.shaped import ShapedByEngines
from mvr_wrappers.wrappers.shaper import TransitionShaper
from mvr_wrappers.wrappers.task_info import add_success

_STEPPED = np.array([True])
_FILMING = WrapperOptions.__annotations__.keys() - EngineOptions.__annotations__.keys()


@documented(TaskSettings, only=WrapperOptions.__annotations__)
class MultiViewVLMRewardWrapper(ShapedByEngines, gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds to the task reward a term for how much the agent looks like what the prompt says (arXiv 2603.01694).

    The term for the transition from s_t to s_t+1 is evaluated at s_t, under the engine's latest snapshot; it is 0
    before the first update. `info` gets `task_reward` (the reward this wrapper received, whatever changed it below),
    `vlm_reward` (r_vlm(s_t), unweighted), `shaping` (the term: the reward is `task_reward + shaping`) and, where the
    env reports success, `is_success`. At the end of an episode `info["mvr_episode"]` holds `task_return`,
    `shaped_return`, `vlm_return` (sums over the episode), `length` and, with success reported, `success` (at any step).

    `reset(options={"prompt": "..."})` asks for another behaviour in the episode that begins: its clips go to the engine
    of that prompt, and its steps are shaped by it. An engine is made when its prompt is first asked for, with the same
    settings and the same scorer; the base env never sees the option. Without it the env's own prompt counts. Once there
    are several engines, `info["prompt"]` says whose term a step was given.

    Args:
        env: an env whose `unwrapped` has MuJoCo's `model` and `data`; a `FilmedEnv` is used as it is.
        prompt: one sentence that says what the behaviour looks like.
        engine: an engine shared with other envs of this process, instead of `prompt`; or an EngineGroup, of which
            `prompt` chooses one, else the first. Close it yourself.
        {options}

    Attributes:
        engine: the engine of the env's own prompt.
        engines: all engines, a mapping from prompt to engine.
        owns_engines: whether `close` closes the engines; one that was given it never closes.

    Raises:
        ConfigError: a setting that cannot work.
        EnvError: the env has no MuJoCo model, is shaped already, or its observations are no vectors and `state_fn` is
            missing.
        UnknownNameError: no such scorer, method, camera or body.

    Example:
        >>> import gymnasium as gym
        >>> env = MultiViewVLMRewardWrapper(gym.make("Humanoid-v5"), prompt="a humanoid robot running")
        >>> observation, info = env.reset(seed=0)
        >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        >>> reward == info["task_reward"] + info["shaping"]
        True
        >>> env.close()
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        prompt: str | None = None,
        *,
        engine: RewardEngine | EngineGroup | None = None,
        **options: Unpack[WrapperOptions],
    ) -> None:
        if env.has_wrapper_attr("owns_engines"):
            raise EnvError(f"{env} is shaped already; a second term would be added to the first")
        check_names(options, WrapperOptions.__annotations__, type(self).__name__)
        filming: dict[str, Any] = {
            name: value for name, value in options.items() if name in _FILMING and value is not None
        }
        if isinstance(env, FilmedEnv) and filming:
            raise ConfigError(f"the env is a FilmedEnv already; give {', '.join(filming)} to that, not to this wrapper")
        learning = {name: value for name, value in options.items() if name not in _FILMING}
        self.engines = engine_group(engine, prompt, learning)
        self._per_env = EnginePerEnv(self.engines, [prompt])
        seed = self.engine.seed if options.get("seed") is None else options["seed"]
        # An engine from outside cannot be recorded; the arguments that make one like it can. FilmedEnv records its own.
        RecordConstructorArgs.__init__(self, _disable_deepcopy=True, **self.engine.options | {"seed": seed})
        if not isinstance(env, FilmedEnv):
            env = film(env, **filming | {"clip": sized(options.get("clip"), self.engine), "seed": seed})
        self._filmed = env
        gym.Wrapper.__init__(self, self._filmed)
        self._shaper = TransitionShaper(self._per_env, n_envs=1)
        self._number_envs(1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Resets the env; clips of an episode that this cuts short go to its engine.

        Raises:
            ConfigError: `options["prompt"]` is no text, or blank.
        """
        observation, info = self.env.reset(seed=seed, options=options)
        self._collect_clips()
        self._take_prompts()
        self._shaper.begin(self._filmed.last_state[None])
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Steps the env and adds the shaping term.

        Raises:
            NonFiniteError: the observation or the task reward is NaN or infinite.
            EngineError: the engine's worker thread failed, or the engine is closed.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        over = terminated or truncated
        if over:  # before `advance`: a scoring that this step makes due takes these clips along
            self._collect_clips()
        self._per_env.advance(_STEPPED)
        info["task_reward"] = float(reward)  # over what a TaskInfo below says: a wrapper between may have changed it
        add_success(info)
        step = self._shaper.step(
            np.array([float(reward)]),
            self._filmed.last_state[None],
            np.array([terminated]),
            np.array([info["is_success"]], np.bool_) if "is_success" in info else None,
        )
        info |= {"vlm_reward": step.vlm_rewards[0].item(), "shaping": step.shaping[0].item()}
        if len(self.engines) > 1:
            (info["prompt"],) = self._per_env.prompts
        if over:
            totals = self._shaper.finish(np.array([True]))
            info["mvr_episode"] = {name: total[0].item() for name, total in totals.items()}
        return observation, step.rewards[0].item(), terminated, truncated, info

    def close(self) -> None:
        """Closes the env, and the engines except one that was given."""
        super().close()
        self._close_engines()

    def _ask(self, name: str) -> Sequence[Any]:
        return [getattr(self._filmed, name)]

    def _call(self, name: str, *args: Any) -> Sequence[Any]:
        return [getattr(self._filmed, name)(*args)]

    def _give(self, name: str, values: Sequence[Any]) -> None:
        setattr(self._filmed, name, values[0])
