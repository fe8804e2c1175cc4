"""Where an env keeps its MuJoCo simulation, and what is said when it is not there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import gymnasium as gym
import mujoco

from mvr_wrappers.errors import EnvError

AnyEnv: TypeAlias = gym.Env[Any, Any]
Simulation: TypeAlias = tuple[mujoco.MjModel, mujoco.MjData]
GetMujoco: TypeAlias = Callable[[AnyEnv], Simulation]

_MEND = "give get_mujoco=lambda env: (model, data)"
_MISSING = object()


class NotMadeYetError(EnvError):
    """The simulation is not there; before the first reset that may be on purpose."""


def find_mujoco(env: AnyEnv) -> Simulation:
    """Returns `model` and `data` of `env.unwrapped`, or of its `physics` where that is dm_control's.

    Raises:
        EnvError: they do not exist or are not MuJoCo's.
    """
    base = env.unwrapped
    physics = getattr(base, "physics", None)
    source = physics if _is_dm_control(physics, "dm_control.mujoco.engine", "Physics") else base
    model, data = (getattr(source, name, _MISSING) for name in ("model", "data"))
    name = type(base).__name__
    if model is None:
        raise NotMadeYetError(
            f"{name} has no MuJoCo simulation to film: its .model is None. If its first reset makes it, reset the env "
            f"first; if it keeps model and data elsewhere, {_MEND}."
        )
    model, data = _native(model), _native(data)
    if not isinstance(model, mujoco.MjModel) or not isinstance(data, mujoco.MjData):
        raise EnvError(
            f"{name} has no MuJoCo simulation to film: its .model {_described(model)} and its .data "
            f"{_described(data)}. If it keeps them elsewhere, {_MEND}; if it makes them at its first reset, it should "
            "have model = None until then."
        )
    return _matching(model, data, name)


def simulation(env: AnyEnv, get_mujoco: GetMujoco | None = None) -> Simulation:
    """Returns the model and the data an env simulates with now.

    Args:
        env: the env.
        get_mujoco: env -> (model, data), MuJoCo's own or dm_control's; None is `find_mujoco`.

    Raises:
        EnvError: they are not there, are something else, or do not belong together.
    """
    if get_mujoco is None:
        return find_mujoco(env)
    if not callable(get_mujoco):
        raise EnvError(f"get_mujoco is {_a(get_mujoco)}; give a function: get_mujoco=lambda env: (model, data)")
    try:
        found: Any = get_mujoco(env)
    except EnvError:
        raise
    except (AttributeError, LookupError, TypeError) as error:
        raise NotMadeYetError(
            f"get_mujoco failed with {type(error).__name__}: {error}. It is called with the env it films ({env}), "
            "wrappers included: reach through them with env.unwrapped, and return (model, data)."
        ) from error
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise EnvError(f"get_mujoco must return the pair (model, data); what it returned is {_a(found)}")
    if found[0] is None:
        raise NotMadeYetError("get_mujoco returned None for the model; after a reset it must return (model, data)")
    model, data = map(_native, found)
    if isinstance(model, mujoco.MjData) and isinstance(data, mujoco.MjModel):
        raise EnvError("get_mujoco returned (data, model); return them in the order (model, data)")
    for name, value, kind in (("model", model, mujoco.MjModel), ("data", data, mujoco.MjData)):
        if not isinstance(value, kind):
            raise EnvError(
                f"get_mujoco must return (model, data), a mujoco.MjModel and a mujoco.MjData; its {name} is {_a(value)}"
            )
    return _matching(model, data, "get_mujoco")


def model_if_made(env: AnyEnv, get_mujoco: GetMujoco | None = None) -> mujoco.MjModel | None:
    """Returns the model, None while an env that makes it at its first reset has not; otherwise as `simulation`."""
    try:
        return simulation(env, get_mujoco)[0]
    except NotMadeYetError:
        return None


def _matching(model: mujoco.MjModel, data: mujoco.MjData, source: str) -> Simulation:
    """Refuses data made for a model of other sizes: MuJoCo would read beyond its end."""
    want = model.nq, model.nv, model.na, model.nu, model.nmocap, model.nbody
    have = tuple(map(len, (data.qpos, data.qvel, data.act, data.ctrl, data.mocap_pos, data.xpos)))
    if have != want:
        raise EnvError(
            f"the data of {source} was not made for its model: (nq, nv, na, nu, nmocap, nbody) are {have} in the data "
            f"and {want} in the model. Make it with mujoco.MjData(model) whenever the model is replaced."
        )
    return model, data


def _native(value: Any) -> Any:
    """Returns MuJoCo's own object where dm_control's wrapper of it is given."""
    wrapped = any(_is_dm_control(value, "dm_control.mujoco.wrapper.core", kind) for kind in ("MjModel", "MjData"))
    return value.ptr if wrapped else value


def _is_dm_control(value: object, module: str, kind: str) -> bool:
    """Whether `value` is of a class of dm_control; if that was never imported, nothing is."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, kind))


def _described(value: object) -> str:
    return "does not exist" if value is _MISSING else f"is {_a(value)}"


def _a(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
