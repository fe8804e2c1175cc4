"""How filming reaches into an env: its simulation, its state vectors, its rig."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import EnvError
from mvr_wrappers.filming.cameras import CameraRig

AnyEnv: TypeAlias = gym.Env[Any, Any]
StateFn: TypeAlias = Callable[[Any], NDArray[Any]]
GetMujoco: TypeAlias = Callable[[AnyEnv], tuple[mujoco.MjModel, mujoco.MjData]]


def find_mujoco(env: AnyEnv) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """Returns `env.unwrapped.model` and `env.unwrapped.data`.

    Raises:
        EnvError: they do not exist or are not MuJoCo's.
    """
    base = env.unwrapped
    model, data = getattr(base, "model", None), getattr(base, "data", None)
    if not isinstance(model, mujoco.MjModel) or not isinstance(data, mujoco.MjData):
        raise EnvError(
            f"{type(base).__name__} has no MuJoCo simulation to film: its .model is a {type(model).__name__} and its "
            f".data a {type(data).__name__}. If it keeps them elsewhere, give get_mujoco=lambda env: (model, data)."
        )
    return model, data


def as_rig(rig: CameraRig | Mapping[str, Any] | None, model: mujoco.MjModel) -> CameraRig:
    """Returns the rig meant by an argument `rig=`, checked against the model.

    Raises:
        ConfigError: a mapping that describes no rig.
        UnknownNameError: the model lacks a camera or a body of the rig.
    """
    if rig is None:
        rig = CameraRig.default(model)
    elif not isinstance(rig, CameraRig):
        rig = CameraRig.from_config(rig)
    rig.check(model)
    return rig


def as_state_fn(space: gym.Space[Any], state_fn: StateFn | None) -> StateFn:
    """Returns the function that makes a state vector, float32 (D,), of an observation.

    Raises:
        EnvError: the observations are no vectors and `state_fn` is missing.
    """
    if state_fn is None and not (isinstance(space, gym.spaces.Box) and len(space.shape) == 1):
        raise EnvError(
            f"observations in {space} are no vectors, so relevance cannot be learned on them. Give state_fn=: a "
            "function from an observation to a state vector (D,)."
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
