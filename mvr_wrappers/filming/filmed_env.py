"""The env-level wrapper: films chosen episodes and hands out the clips cut from them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, SupportsFloat, cast

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from mvr_wrappers.clips import Clip, clip_starts, frame_indices
from mvr_wrappers.errors import EnvError, NonFiniteError
from mvr_wrappers.filming.access import StateFn, as_rig, as_state_fn, read_rig, state_size, time_limit
from mvr_wrappers.filming.gl import keep_warm, let_cool
from mvr_wrappers.filming.recorder import Recorder
from mvr_wrappers.filming.schedule import FilmSchedule
from mvr_wrappers.filming.simulation import AnyEnv, GetMujoco, model_if_made, simulation
from mvr_wrappers.filming.studio import shoot, studio
from mvr_wrappers.prompts import take_prompt
from mvr_wrappers.rigs import CameraRig
from mvr_wrappers.settings import ClipSettings, merge
from mvr_wrappers.stopwatch import Stopwatch

DEFAULT_IMAGE_SIZE = 224
LONGEST = (
    5_000  # states recorded at a time, which bounds the memory of an endless episode; or one clip, if it is longer
)
EPISODES = 2**32  # of one env: `Clip.episode` is its number times this, plus its count of episodes


class FilmedEnv(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Films one episode of every `clip.film_every` of a prompt, without touching the simulation or its random numbers.

    While a chosen episode runs only physics states are recorded. When it ends, or is cut short by `reset`, its clips
    wait until `pop_clips` takes them, while their frames are rendered in a thread beside the episodes that follow:
    `Clip.frames` waits for them. (With GLFW and CGL, which want one thread, they are rendered before the episode's
    last step returns.) An episode of more than 5,000 states is filmed in stretches of so many. `close` drops an
    unfinished episode. A chosen episode shorter than a clip is made up for by the next one.

    Args:
        env: any env whose `unwrapped` has MuJoCo's `model` and `data`, or dm_control's `physics`; else give
            `get_mujoco`. A model that is None is looked for again at the first reset.
        rig: the cameras, or a mapping for `CameraRig.from_config`; None takes `default_rig` of the first model.
        clip: what is filmed: settings, or a mapping of those to change. `image_size` None means 224 pixels.
        state_fn: observation -> state vector (D,); needed unless observations are vectors.
        get_mujoco: env -> (model, data), asked at each reset and each step filmed.
        seed: of the choice of views, together with `film_number`.
        film_number: of this env among those that film for one engine. The wrappers that shape set it.

    Attributes:
        clip: the settings.
        state_dim: D, length of a state vector.
        last_state: float32 (D,), state vector of the last observation; read only. Empty before the first reset.
        episode_prompt: what the options of the last reset asked for; None is the env's own prompt.
        next_prompt: what the next reset asks for unless its options do; forgotten by then.

    Raises:
        EnvError: the env has no MuJoCo model, or its observations are no vectors and `state_fn` is missing.
        UnknownNameError: the rig names a camera or a body the model lacks.
        ConfigError: a setting that cannot work.

    Example:
        >>> import gymnasium as gym
        >>> env = FilmedEnv(gym.make("Hopper-v5"), clip={"length": 16, "image_size": 64})
        >>> observation, info = env.reset(seed=0)
        >>> for _ in range(15):
        ...     _ = env.step(0 * env.action_space.sample())
        >>> observation, info = env.reset()
        >>> [clip.frames.shape for clip in env.pop_clips()]
        [(1, 8, 64, 64, 3)]
        >>> env.close()
    """

    def __init__(
        self,
        env: AnyEnv,
        *,
        rig: CameraRig | Mapping[str, Any] | None = None,
        clip: ClipSettings | Mapping[str, Any] | None = None,
        state_fn: StateFn | None = None,
        get_mujoco: GetMujoco | None = None,
        seed: int = 0,
        film_number: int = 0,
    ) -> None:
        self._get_mujoco = get_mujoco
        self._rig = None if rig is None else read_rig(rig)
        model = model_if_made(env, get_mujoco)
        if model is not None:
            self._rig = as_rig(self._rig, model)
        self.clip = merge(ClipSettings(), clip, "clip")
        RecordConstructorArgs.__init__(
            self,
            rig=None if self._rig is None else self._rig.to_config(),
            clip=asdict(self.clip),
            state_fn=state_fn,
            get_mujoco=get_mujoco,
            seed=seed,
            film_number=film_number,
        )
        gym.Wrapper.__init__(self, env)
        self._to_state = as_state_fn(env.observation_space, state_fn)
        self.state_dim = state_size(env.observation_space, self._to_state)
        self.last_state: NDArray[np.float32] = np.zeros(0, np.float32)
        self._seed = seed
        self.film_number = film_number
        self._episode, self._step = -1, 0
        self.episode_prompt: str | None = None
        self.next_prompt: str | None = None
        self._clips: list[Clip] = []
        self._old = 0
        self._waiting = Stopwatch()
        self._recorder: Recorder | None = None
        self._warned = False
        longest = time_limit(env)
        if longest is not None and longest + 1 < self.clip.length:
            self._warn_too_short(f"episodes of this env end after {longest} steps")

    @property
    def film_number(self) -> int:
        """Number of this env among those that film for one engine.

        It tells which episode is filmed first and from which view, so that films of parallel envs do not end in the
        same step and views come in turns over all of them; and it makes `Clip.episode` unique among these envs.
        Setting it begins the count of films anew.
        """
        return self._film_number

    @film_number.setter
    def film_number(self, number: int) -> None:
        self._film_number, self._films = number, 0
        self._rng = np.random.default_rng([self._seed, number])
        self._schedule = FilmSchedule(self.clip.film_every, first=number)

    @property
    def rig(self) -> CameraRig:
        """The cameras; `Clip.views` are indices into `rig.views`.

        Raises:
            EnvError: the rig is to be what the model suggests, and the model is made at the first reset.
        """
        if self._rig is None:
            raise EnvError(f"{self.env} makes its model at its first reset, and the rig follows from it; reset first")
        return self._rig

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Resets the env; films what there is of an unfinished episode first.

        Raises:
            ConfigError: `options["prompt"]` is no text, or blank.
            FilmingError: this episode is to be filmed and OpenGL cannot start.
            NonFiniteError: the observation is NaN or infinite.
        """
        prompt, options = take_prompt(options)
        self._finish()
        observation, info = self.env.reset(seed=seed, options=options)
        self.episode_prompt, self.next_prompt = prompt or self.next_prompt, None
        self._episode, self._step = self._episode + 1, 0
        chosen = self._schedule.chooses(self.episode_prompt)
        self.last_state = self._checked_state(observation, 0.0)
        if chosen:
            self._begin(self.last_state)
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Steps the env; films the episode if it was chosen and ends here.

        Raises:
            NonFiniteError: the observation or the reward is NaN or infinite.
            EnvError: the env returns what no env may: a reward that is no number, infos that are no dict, or
                observations of another size.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        if not isinstance(reward, SupportsFloat) or np.ndim(cast(Any, reward)) or not isinstance(info, dict):
            raise EnvError(f"step of {self.env} returned the reward {reward!r} and the info {type(info).__name__}")
        self._step += 1
        self.last_state = self._checked_state(observation, float(reward))
        if self._recorder is not None:
            self._record(self._recorder, self.last_state)
            if terminated or truncated:
                if len(self._recorder) < self.clip.length and self._began == 0 and not self._warned:
                    self._warn_too_short(f"an episode ended after {self._step} steps")
                self._finish()
        return observation, reward, terminated, truncated, info

    @property
    def film_seconds(self) -> float:
        """Wall time spent waiting for frames so far, here or where clips are scored."""
        return self._waiting.seconds

    @property
    def film_state(self) -> dict[str, Any]:
        """What filming goes on from, JSON-safe: counts of episodes and films, the choice of views, seconds waited.

        Of an episode that is being filmed it holds nothing: end it with `end_film`, or by a reset. Clips that were not
        popped are not part of it either. Setting it drops a film under way; reset the env afterwards.
        """
        return {
            "number": self.film_number,
            "episode": self._episode,
            "films": self._films,
            "views": self._rng.bit_generator.state,
            "schedule": self._schedule.state_dict(),
            "seconds": self.film_seconds,
        }

    @film_state.setter
    def film_state(self, state: Mapping[str, Any]) -> None:
        self._recorder = None
        self.film_number = state["number"]  # begins the counts anew
        self._episode, self._films = state["episode"], state["films"]
        self._rng.bit_generator.state = state["views"]
        self._schedule.load_state_dict(state["schedule"])
        self._waiting.seconds = state["seconds"]

    def end_film(self) -> None:
        """Cuts what was filmed of this episode so far into clips, as if it had ended; the episode itself goes on."""
        self._finish()

    def film_next(self) -> None:
        """Chooses the next episode for filming, whatever the count."""
        self._schedule.choose_next()

    def pop_clips(self, new: bool = True) -> list[Clip]:
        """Hands out the clips that were not handed out before, oldest first, and forgets them.

        Args:
            new: whether to hand out clips made since the last call, too. Their frames may still be being rendered, and
                to send them to another process is to wait for them.
        """
        count = len(self._clips) if new else self._old
        clips, self._clips = self._clips[:count], self._clips[count:]
        self._old = len(self._clips)
        return clips

    def close(self) -> None:
        """Drops an unfinished episode and closes the env; filmed clips can still be popped."""
        self._recorder = None
        self._recorder = None
        let_cool(self)
        studio().release()
        super().close()

    def _begin(self, state: NDArray[np.float32]) -> None:
        """Starts recording, after making sure that it can be filmed: the episode's end would be late to find out."""
        model, data = simulation(self.env, self._get_mujoco)
        self._rig = as_rig(self._rig, model)
        studio().check()
        keep_warm(self)
        self._schedule.begun(self.episode_prompt)
        self._began = self._step
        self._recorder = Recorder(model)
        self._recorder.start(data, state)

    def _record(self, recorder: Recorder, state: NDArray[np.float32]) -> None:
        """Records the state after a step; another model during an episode, or a full recording, begins a new one."""
        model, data = simulation(self.env, self._get_mujoco)
        if model is recorder.model and len(recorder) < max(LONGEST, self.clip.length):
            recorder.append(data, state)
            return
        self._finish()
        self._begin(state)

    def _finish(self) -> None:
        """Films what was recorded and cuts it into clips; too short an episode makes the next one due."""
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        starts = clip_starts(len(recorder), self.clip.length, self.clip.stride)
        if not starts:
            if self._began == 0:  # else something came of the episode before
                self._schedule.missed(self.episode_prompt)
            return
        views = self._next_views()
        filmed = np.add.outer(starts, frame_indices(self.clip.length, self.clip.frames, self.clip.frame_at))
        times, rows = np.unique(filmed, return_inverse=True)  # clips overlap: each time is rendered once
        cameras, size = [self.rig.views[view] for view in views], self.clip.image_size or DEFAULT_IMAGE_SIZE
        footage = shoot(recorder, times, cameras, size, self.clip.quality, self._waiting)
        states = recorder.states
        for start, row in zip(starts, rows.reshape(filmed.shape), strict=True):
            part = states[start : start + self.clip.length].copy()
            place = self.film_number * EPISODES + self._episode, self._began + start
            self._clips.append(Clip(part, footage.part(row), views, self.episode_prompt, *place))

    def _next_views(self) -> NDArray[np.int64]:
        """Returns which views of the rig the next film shows."""
        views = np.arange(len(self.rig))
        turn, self._films = self.film_number + self._films, self._films + 1
        if self.clip.views == "all":
            return views
        return views[[turn % len(views)]] if self.clip.views == "turns" else self._rng.choice(views, 1)

    def _checked_state(self, observation: Any, reward: float) -> NDArray[np.float32]:
        state = self._to_state(observation)
        if len(state) != self.state_dim:
            raise EnvError(
                f"a state of {len(state)} numbers at step {self._step}, where there were {self.state_dim}: relevance "
                "is learned on states of one size"
            )
        if math.isfinite(reward) and np.isfinite(state).all():
            return state
        if self._recorder is not None:
            self._recorder = None
            self._schedule.missed(self.episode_prompt)
        what = f"state entries {np.flatnonzero(~np.isfinite(state)).tolist()}" if math.isfinite(reward) else "reward"
        raise NonFiniteError(
            f"NaN or infinite {what} at step {self._step} of episode {self._episode} since this env was made. The "
            "simulation has most likely diverged: bound the actions or end such episodes in the env."
        )

    def _warn_too_short(self, cause: str) -> None:
        """Warns, once an env, that a clip does not fit into an episode."""
        self._warned = True
        warnings.warn(
            f"{cause}, too short for a clip of {self.clip.length} states: nothing was filmed. The next episode is "
            "tried instead; if all are so short, lower clip.length.",
            stacklevel=3,
        )
