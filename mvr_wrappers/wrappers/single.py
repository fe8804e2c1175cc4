"""MultiViewVLMRewardWrapper: one env whose reward is rewritten; and the entry point of the ids `MVR/<task>`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.errors import ConfigError, EnvError
from mvr_wrappers.filming import CameraRig, FilmedEnv, GetMujoco, StateFn
from mvr_wrappers.scorers import Scorer
from mvr_wrappers.settings import ClipSettings, RelevanceSettings, RewardSettings, ScheduleSettings
from mvr_wrappers.wrappers.filmed import film, sized
from mvr_wrappers.wrappers.routing import EnginePerEnv, engine_group
from mvr_wrappers.wrappers.shaped import ShapedByEngines
from mvr_wrappers.wrappers.shaper import TransitionShaper
from mvr_wrappers.wrappers.task_info import add_success

_STEPPED = np.array([True])


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
        scorer: a name that `load_scorer` knows, or a scorer.
        method: how clips become reward.
        weight: w, the weight of the VLM reward.
        baseline_prompt: what is seen whatever the agent does, such as "a humanoid robot": scores then leave out part of
            what does not lie between it and the prompt (`mvr_wrappers.scorers.goal.goal_baseline`). None does not.
        alpha: strength of that, in [0, 1].
        rig: the cameras, or a mapping for `CameraRig.from_config`; None takes the rig the model suggests.
        clip: what is filmed: ClipSettings, or a mapping of the fields to change.
        relevance: RelevanceSettings, likewise.
        reward: RewardSettings, likewise.
        schedule: ScheduleSettings, likewise.
        engine: an engine shared with other envs of this process, instead of `prompt`; or an EngineGroup, of which
            `prompt` chooses one, else the first. Close it yourself.
        seed: of everything random in filming and learning; the env has its own.
        device: of scorer and learning: "auto", "cpu", "cuda", "cuda:N".
        mode: "sync" or "async", over that of `schedule`.
        state_fn: observation -> state vector (D,); needed unless observations are vectors.
        get_mujoco: env -> (model, data), where `unwrapped` does not have them.

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
        scorer: str | Scorer = "pocket",
        method: str = "mvr",
        weight: float = 0.1,
        baseline_prompt: str | None = None,
        alpha: float = 0.0,
        rig: CameraRig | Mapping[str, Any] | None = None,
        clip: ClipSettings | Mapping[str, Any] | None = None,
        relevance: RelevanceSettings | Mapping[str, Any] | None = None,
        reward: RewardSettings | Mapping[str, Any] | None = None,
        schedule: ScheduleSettings | Mapping[str, Any] | None = None,
        engine: RewardEngine | EngineGroup | None = None,
        seed: int = 0,
        device: str = "auto",
        mode: str | None = None,
        state_fn: StateFn | None = None,
        get_mujoco: GetMujoco | None = None,
    ) -> None:
        learning = {"scorer": scorer, "method": method, "weight": weight, "device": device, "mode": mode, "seed": seed}
        learning |= {"baseline_prompt": baseline_prompt, "alpha": alpha}
        settings = {"relevance": relevance, "reward": reward, "schedule": schedule}
        if env.has_wrapper_attr("owns_engines"):
            raise EnvError(f"{env} is shaped already; a second term would be added to the first")
        filming: dict[str, Any] = {"rig": rig, "clip": clip, "state_fn": state_fn, "get_mujoco": get_mujoco}
        if isinstance(env, FilmedEnv) and any(value is not None for value in filming.values()):
            raise ConfigError(f"the env is a FilmedEnv already; give {', '.join(filming)} to that, not to this wrapper")
        self.engines = engine_group(engine, prompt, learning | settings)
        self._per_env = EnginePerEnv(self.engines, [prompt])
        # An engine from outside cannot be recorded; the arguments that make one like it can. FilmedEnv records its own.
        RecordConstructorArgs.__init__(self, _disable_deepcopy=True, **self.engine.options | {"seed": seed})
        if not isinstance(env, FilmedEnv):
            env = film(env, **filming | {"clip": sized(clip, self.engine)}, seed=seed)
        self._filmed = env
        gym.Wrapper.__init__(self, self._filmed)
        self._shaper = TransitionShaper(self._per_env, n_envs=1)

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

    def _ask(self, name: str, *args: Any) -> Sequence[Any]:
        attribute = getattr(self._filmed, name)
        return [attribute(*args) if callable(attribute) else attribute]
