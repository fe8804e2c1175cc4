"""What filming takes from an env besides its simulation: state vectors, a rig that fits, the time limit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import EnvError
from mvr_wrappers.filming.cameras import check_rig, default_rig
from mvr_wrappers.filming.simulation import AnyEnv
from mvr_wrappers.rigs import CameraRig

StateFn: TypeAlias = Callable[[Any], NDArray[Any]]


def read_rig(rig: CameraRig | Mapping[str, Any]) -> CameraRig:
    """Returns the rig meant by an argument `rig=`.

    Raises:
        ConfigError: a mapping that describes no rig.
    """
    return rig if isinstance(rig, CameraRig) else CameraRig.from_config(rig)


def as_rig(rig: CameraRig | Mapping[str, Any] | None, model: mujoco.MjModel) -> CameraRig:
    """Returns the rig meant by an argument `rig=`, checked against the model; None is the one the model suggests.

    Raises:
        ConfigError: a mapping that describes no rig.
        UnknownNameError: the model lacks a camera or a body of the rig.
    """
    chosen = default_rig(model) if rig is None else read_rig(rig)
    check_rig(chosen, model)
    return chosen


def as_state_fn(space: gym.Space[Any], state_fn: StateFn | None) -> StateFn:
    """Returns the function that makes a state vector, float32 (D,), of an observation.

    Raises:
        EnvError: the observations are no vectors and `state_fn` is missing.
    """
    if state_fn is not None and not callable(state_fn):
        raise EnvError(f"state_fn is {state_fn!r}; give a function from an observation to a state vector (D,)")
    if state_fn is None and not (isinstance(space, gym.spaces.Box) and len(space.shape) == 1):
        raise EnvError(
            f"observations in {space} are no vectors, so relevance cannot be learned on them. Give state_fn=, a "
            "function from an observation to a state vector (D,), such as functools.partial("
            "gymnasium.spaces.utils.flatten, env.observation_space)."
        )

    def to_state(observation: Any) -> NDArray[np.float32]:
        state = np.array(observation if state_fn is None else state_fn(observation), np.float32)
        if state.ndim != 1:
            raise EnvError(f"state_fn must return a vector (D,), it returned an array of shape {state.shape}")
        return state

    return to_state


def state_size(space: gym.Space[Any], state_fn: StateFn) -> int:
    """Returns D, by making a state vector of some observation."""
    return len(state_fn(copy.deepcopy(space).sample()))  # sampling the env's own space would move its generator


def time_limit(env: AnyEnv) -> int | None:
    """Returns after how many steps `env` truncates an episode, None if it does not say.

    A wrapper keeps the `spec` it is first asked for, and while `gymnasium.make` is at work that is not yet the final
    one: so the wrappers are not asked.
    """
    while isinstance(env, gym.Wrapper):
        if isinstance(env, gym.wrappers.TimeLimit):
            return env._max_episode_steps
        env = env.env
    return env.spec.max_episode_steps if env.spec else None
