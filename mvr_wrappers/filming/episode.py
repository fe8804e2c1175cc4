"""One whole episode on film, for people to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.filming.access import StateFn, as_rig, as_state_fn
from mvr_wrappers.filming.recorder import Recorder
from mvr_wrappers.filming.simulation import AnyEnv, GetMujoco, simulation
from mvr_wrappers.filming.studio import shoot, studio
from mvr_wrappers.rigs import CameraRig


@dataclass(frozen=True, slots=True, eq=False)
class FilmedEpisode:
    """What `film_episode` returns. T counts the states, the first included.

    Attributes:
        frames: uint8 (V, T', H, W, 3), RGB, upright.
        times: int64 (T',), which states the frames show.
        states: float32 (T, D).
        rewards: float64 (T - 1,), as the env paid them.
        infos: the T - 1 infos of the steps.
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.int64]
    states: NDArray[np.float32]
    rewards: NDArray[np.float64]
    infos: list[dict[str, Any]]


def film_episode(
    env: AnyEnv,
    policy: Callable[[Any], Any],
    rig: CameraRig | Mapping[str, Any] | None = None,
    *,
    size: int | tuple[int, int] = 224,
    quality: Literal["fast", "full"] = "full",
    every: int = 1,
    seed: int | None = None,
    options: dict[str, Any] | None = None,
    state_fn: StateFn | None = None,
    get_mujoco: GetMujoco | None = None,
) -> FilmedEpisode:
    """Runs one episode and films it from all views.

    Args:
        env: an env with a MuJoCo simulation and a time limit.
        policy: observation -> action.
        rig: the cameras, as of `FilmedEnv`.
        size: pixels, (height, width) or one number for both.
        quality: as of `Renderer`.
        every: steps between two frames; the last state is always filmed.
        seed: given to `env.reset`.
        options: given to `env.reset`.
        state_fn: as of `FilmedEnv`.
        get_mujoco: as of `FilmedEnv`.

    Raises:
        EnvError: the env has no MuJoCo model, or its observations are no vectors and `state_fn` is missing.
        UnknownNameError: the rig names a camera or a body the model lacks.
        FilmingError: OpenGL cannot start.
    """
    to_state = as_state_fn(env.observation_space, state_fn)
    observation, _ = env.reset(seed=seed, options=options)
    model, data = simulation(env, get_mujoco)
    views = as_rig(rig, model).views
    studio().check()  # the episode's end would be late to find out
    recorder = Recorder(model)
    recorder.start(data, to_state(observation))
    rewards, infos, over = [], [], False
    while not over:
        observation, reward, terminated, truncated, info = env.step(policy(observation))
        recorder.append(simulation(env, get_mujoco)[1], to_state(observation))
        rewards.append(float(reward))
        infos.append(info)
        over = terminated or truncated
    times = np.unique([*range(0, len(recorder), every), len(recorder) - 1])
    frames = shoot(recorder, times, views, size, quality)()
    return FilmedEpisode(frames, times, recorder.states, np.array(rewards), infos)
