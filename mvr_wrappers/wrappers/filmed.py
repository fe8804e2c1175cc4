"""Filming as the wrappers need it: around one env, of the scorer's size, checked in vectors, safe in an env spec."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gymnasium as gym

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.errors import EnvError
from mvr_wrappers.filming import CameraRig, FilmedEnv, GetMujoco, StateFn
from mvr_wrappers.options import function_named, plain
from mvr_wrappers.scorers import Scorer
from mvr_wrappers.settings import ClipSettings, merge


def film(
    env: gym.Env[Any, Any],
    *,
    rig: CameraRig | Mapping[str, Any] | None = None,
    clip: ClipSettings | Mapping[str, Any] | None = None,
    state_fn: StateFn | str | None = None,
    get_mujoco: GetMujoco | str | None = None,
    seed: int = 0,
) -> FilmedEnv:
    """Puts filming around an env.

    Args:
        env: the env to film, with a MuJoCo simulation.
        rig: the cameras; None takes the rig the model suggests.
        clip: what is filmed.
        state_fn: observation -> state vector (D,), or the name of such a function; needed unless observations are
            vectors.
        get_mujoco: env -> (model, data), or the name of such a function, where `unwrapped` does not have them.
        seed: of the run.
    """
    return FilmedEnv(
        env,
        rig=rig,
        clip=clip,
        state_fn=function_named(state_fn, "state_fn") if isinstance(state_fn, str) else state_fn,
        get_mujoco=function_named(get_mujoco, "get_mujoco") if isinstance(get_mujoco, str) else get_mujoco,
        seed=seed,
    )


def sized(clip: ClipSettings | Mapping[str, Any] | None, engine: RewardEngine) -> ClipSettings:
    """Returns clip settings whose frames have the size the engine's scorer works at, unless they say otherwise."""
    settings = merge(ClipSettings(), clip, "clip")
    if settings.image_size is not None:
        return settings
    return dataclasses.replace(settings, image_size=engine.image_size)


def json_safe(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns keyword arguments as an env spec can hold them.

    Settings and rigs become mappings, a scorer its name. An engine is left out: an env made from a spec has its own.
    """
    kept = {key: value for key, value in options.items() if not isinstance(value, RewardEngine | None)}
    return {key: value.name if isinstance(value, Scorer) else plain(value) for key, value in kept.items()}


def require_filmed(env: object, call: Callable[..., Iterable[bool]]) -> None:
    """Checks that the sub-envs of a vector film and are not shaped.

    Args:
        env: the vector, for the error.
        call: calls a method of each sub-env.

    Raises:
        EnvError: they do not film, or are shaped.
    """
    if not all(call("has_wrapper_attr", "pop_clips")):
        raise EnvError(
            f"the sub-envs of {env} do not film. Wrap each in FilmedEnv: gymnasium.make_vec(..., "
            "wrappers=[FilmedEnv]), or SB3's make_vec_env(..., wrapper_class=FilmedEnv). Or make an id MVR/<task>"
        )
    if any(call("has_wrapper_attr", "owns_engines")):
        raise EnvError(f"the sub-envs of {env} are shaped already, each by an engine of its own; wrap only FilmedEnvs")
